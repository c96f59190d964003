//! Any sound domain survives being written and read; any text at all is read or refused, never a panic.

use any::domain;
use crds::{MapDomain, manifest::parse};
use mape::{DomainConfig, RuleConfig};
use proptest::{collection::vec, prelude::*, sample::select};

#[path = "support/any.rs"]
mod any;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_domain_written_and_read_is_the_same(config in domain()) {
        let domain = MapDomain::from(&config);
        let yaml = parse("a.yaml", &serde_saphyr::to_string(&domain).unwrap()).unwrap();
        let json = parse("a.json", &serde_json::to_string_pretty(&domain).unwrap()).unwrap();
        prop_assert_eq!(&yaml.domains[0].config, &config);
        prop_assert_eq!(&json.domains[0].config, &config);
        prop_assert_eq!(&yaml.hash, &json.hash);
        prop_assert_eq!(yaml.fleet.domains().len(), 1);
    }

    #[test]
    fn the_hash_is_of_what_is_said(config in domain(), other in domain()) {
        let load = |config: &DomainConfig| {
            parse("a.yaml", &serde_saphyr::to_string(&MapDomain::from(config)).unwrap()).unwrap()
        };
        let (one, two) = (load(&config), load(&other));
        let same = one.fleet == two.fleet;
        prop_assert_eq!(one.hash == two.hash, same);
        let derived = config.rules.iter().map(|rule| RuleConfig { psid_length: Some(length(rule)), ..rule.clone() });
        let spelled_out = DomainConfig { created: 0, rules: derived.collect(), ..config };
        prop_assert_eq!(one.hash, load(&spelled_out).hash);
    }

    #[test]
    fn no_text_makes_the_loader_panic(text in ".{0,200}") {
        never_panics(&text);
    }

    #[test]
    fn no_text_of_yaml_makes_the_loader_panic(parts in vec(select(&PARTS), 0..40)) {
        never_panics(&parts.concat());
    }

    /// The example with some of it cut out, doubled or replaced.
    #[test]
    fn no_broken_manifest_makes_the_loader_panic(
        edits in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), select(&PARTS)), 1..6)
    ) {
        let mut text: Vec<char> = EXAMPLE.chars().collect();
        for (from, to, part) in edits {
            let (from, to) = (from.index(text.len() + 1), to.index(text.len() + 1));
            let to = to.clamp(from, text.len().min(from + 12));
            text.splice(from.min(to)..to, part.chars());
        }
        never_panics(&text.into_iter().collect::<String>());
    }
}

const EXAMPLE: &str = include_str!("../../deploy/examples/isp-a.yaml");

static PARTS: [&str; 44] = [
    "\n",
    "\n  ",
    "\n    ",
    "\n- ",
    " ",
    ":",
    ": ",
    "- ",
    "---\n",
    "...\n",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "'",
    "#",
    "&a ",
    "*a",
    "<<: *a",
    "!!str ",
    "!x ",
    "|\n",
    ">-\n",
    "? ",
    "\t",
    "%YAML 1.2\n",
    "~",
    "0x",
    "010",
    "-1",
    "1e9",
    ".nan",
    "99999999999999999999",
    "2001:db8::/32",
    "spec",
    "rules",
    "items",
    "kind: List\n",
    "apiVersion: culvert.dev/v1alpha1\n",
    "kind: MapDomain\n",
    "\u{0}",
    "\u{feff}",
];

/// Every error has a message on one line, and a place.
fn never_panics(text: &str) {
    let lines = text.matches(['\n', '\r']).count() + 1;
    for error in parse("a.yaml", text).err().into_iter().flatten() {
        assert!(!error.message.is_empty() && !error.to_string().contains('\n'), "{error:?}");
        assert!(error.line.is_none_or(|line| (1..=lines).contains(&line)), "{error:?}");
    }
}

/// The PSID length that follows from a rule.
fn length(rule: &RuleConfig) -> u8 {
    rule.ea_bits_length.saturating_sub(32 - rule.ipv4_prefix.prefix_len()).max(rule.psid_length.unwrap_or(0))
}
