//! What must hold for every text.

use crds::manifest;
use proptest::prelude::*;

use super::*;

#[test]
fn what_a_terminal_shows_is_blanked() {
    let typed_lines =
        ["me@mx> show configuration", "{master:0}", "[edit]", "me@mx# set a b", "a {b;}", "{b;}"].map(typed);
    assert_eq!(typed_lines, ["", "", "", "set a b", "a {b;}", "{b;}"]);
    assert_eq!(without_prompts("\u{feff}a\r\n[edit]\nb"), "a\n\nb\n");
}

#[test]
fn the_table_has_every_knob() {
    let table = include_str!("../../../../JUNOS.md");
    for knob in statements::FLAGS.iter().chain(&statements::VALUES) {
        assert!(table.contains(&format!("\n| `{knob}`")), "{knob} is missing in relay/JUNOS.md");
    }
}

const CONFIGURATIONS: [&str; 4] = [
    include_str!("../../../tests/cli/junos/juniper.set"),
    include_str!("../../../tests/cli/junos/router.conf"),
    include_str!("../../../tests/cli/junos/router.set"),
    include_str!("../../../tests/cli/junos/wrong.conf"),
];

/// What a mutation puts in: pieces of either form, and what might break a reader of lines, words or YAML.
const PIECES: [&str; 24] = [
    "{",
    "}",
    ";",
    "\"",
    "\\",
    "/*",
    "*/",
    "#",
    "\n",
    " ",
    "inactive: ",
    "map-e",
    "map-e x {",
    "set ",
    "delete ",
    "deactivate ",
    "services ",
    "softwire-concentrator ",
    "psid-length",
    "99999999999999999999",
    "-1",
    "é\u{2028}",
    "\0",
    "<manifests>:1",
];

/// Replaces `length` characters at `at` by a piece.
#[derive(Debug, Clone)]
struct Mutation {
    at: prop::sample::Index,
    length: usize,
    piece: &'static str,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let length = prop_oneof![4 => 0..4_usize, 1 => 0..200_usize];
    (any::<prop::sample::Index>(), length, prop::sample::select(&PIECES[..])).prop_map(|(at, length, piece)| Mutation {
        at,
        length,
        piece,
    })
}

fn mutated(text: &str, mutations: &[Mutation]) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    for Mutation { at, length, piece } in mutations {
        let at = at.index(letters.len() + 1);
        let end = letters.len().min(at + length);
        letters.splice(at..end, piece.chars());
    }
    letters.into_iter().collect()
}

/// Something is said of every text, and whatever is printed is what a relay takes.
fn check_any(text: &str) {
    match import("any", text, Some("a-namespace")).manifests {
        Ok(manifests) => {
            let loaded = manifest::parse("any", &manifests).unwrap_or_else(|errors| panic!("{errors:?}\n{manifests}"));
            assert!(loaded.skipped.is_empty() && !loaded.domains.is_empty());
            assert!(loaded.domains.iter().all(|domain| domain.config.name.namespace == "a-namespace"));
        }
        Err(errors) => assert!(!errors.is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mutation_of_a_configuration_is_too_much(
        text in prop::sample::select(&CONFIGURATIONS[..]),
        mutations in prop::collection::vec(mutation(), 1..12),
    ) {
        check_any(&mutated(text, &mutations));
    }

    #[test]
    fn no_pile_of_pieces_is_too_much(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60)) {
        check_any(&pieces.concat());
    }
}
