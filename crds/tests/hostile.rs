//! Texts made to exhaust a loader: each ends in errors, in the time and memory of its length.

use crds::manifest::parse;

const HEAD: &str = "apiVersion: culvert.dev/v1alpha1\nkind: MapDomain\nmetadata: {name: a}\nspec:\n";

fn refused(text: &str) -> Vec<String> {
    let errors = parse("a.yaml", text).expect_err("nothing of this is a domain");
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn brackets_without_end() {
    for open in ["[", "{", "- ", "? ", "{a: ", "[{"] {
        assert!(!refused(&open.repeat(100_000)).is_empty());
    }
}

/// Each alias stands for the one before it: a tree as deep as the text is long.
#[test]
fn aliases_as_a_chain() {
    let links = (1..20_000).map(|link| format!("- &a{link} [*a{}]\n", link - 1));
    let errors = refused(&format!("- &a0 [0]\n{}", links.collect::<String>()));
    assert!(errors.iter().any(|error| error.contains("nested deeper than 64")), "{:?}", errors.first());
}

#[test]
fn aliases_as_an_avalanche() {
    let levels =
        (1..60).map(|level| format!("  l{level}: &l{level} [{}]\n", vec![format!("*l{}", level - 1); 50].join(", ")));
    let errors = refused(&format!("{HEAD}  l0: &l0 [0]\n{}  rules: *l59\n", levels.collect::<String>()));
    assert!(errors.iter().any(|error| error.contains("stand for more than 100000 values")));
}

#[test]
fn merge_keys_as_an_avalanche() {
    let base: String = (0..2_000).map(|key| format!("k{key}: 0, ")).collect();
    let merges: String = (0..2_000).map(|at| format!("  m{at}: {{<<: *base, own: 1}}\n")).collect();
    let errors = refused(&format!("{HEAD}  base: &base {{{base}}}\n{merges}"));
    assert!(errors.iter().any(|error| error.contains("stand for more than 100000 values")));
}

#[test]
fn one_key_again_and_again() {
    let errors = refused(&format!("{HEAD}{}", "  softwireAddress: '::'\n".repeat(20_000)));
    assert_eq!(errors.len(), 20_000, "19,999 of them, and the rules that are missing");
}

#[test]
fn a_name_without_end() {
    let name = "x".repeat(1_000_000);
    let rule =
        format!("{{name: {name}, ipv4Prefix: {name}, mapePrefix: '{name}', eaBitsLength: {name}, psidOffset: 4}}");
    let errors = refused(&format!("{HEAD}  softwireAddress: {name}\n  {name}: 1\n  rules: [{rule}]\n"));
    assert!(errors.iter().all(|error| error.len() < 1000), "{errors:?}");
}
