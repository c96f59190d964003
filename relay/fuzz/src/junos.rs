//! Arbitrary bytes as a Junos configuration, of either form: what is printed loads, and every error and warning names a line
//! that exists.

use crds::manifest;
use culvertctl::import::junos::import;

const NAME: &str = "any.conf";

/// Imports one input.
pub fn run(bytes: &[u8]) {
    // As `culvertctl` does.
    let text = String::from_utf8_lossy(bytes);
    for namespace in [None, Some("a-namespace")] {
        check(&text, namespace);
    }
}

fn check(text: &str, namespace: Option<&str>) {
    let lines = 1..=text.lines().count();
    let imported = import(NAME, text, namespace);
    for warning in &imported.warnings {
        assert!(lines.contains(&warning.line), "{warning} of {lines:?}");
        assert!(!warning.to_string().contains(char::is_control), "{warning:?}");
    }
    match imported.manifests {
        Ok(manifests) => loads(&manifests, namespace),
        Err(errors) => {
            assert!(!errors.is_empty(), "neither manifests nor errors");
            for error in errors {
                assert!(error.line.is_none_or(|line| lines.contains(&line)), "{error} of {lines:?}");
                assert!(!error.message.is_empty() && !error.to_string().contains(char::is_control), "{error:?}");
            }
        }
    }
}

fn loads(manifests: &str, namespace: Option<&str>) {
    let loaded = manifest::parse(NAME, manifests).unwrap_or_else(|errors| panic!("{errors:#?}\n{manifests}"));
    assert!(loaded.skipped.is_empty() && !loaded.domains.is_empty(), "{manifests}");
    let expected = namespace.unwrap_or("default");
    assert!(loaded.domains.iter().all(|domain| domain.config.name.namespace == expected), "{manifests}");
}
