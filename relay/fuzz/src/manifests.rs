//! Arbitrary bytes as manifests: every error has a place that exists; what loads compiles, and reads the same when it is
//! written, as YAML and as JSON.

use std::{
    io::Write,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use crds::{
    MapDomain,
    manifest::{Error, Loaded, Manifest, load, parse},
    map_domain::RelayRef,
};
use engine::{Defaults, Memory, Snapshot};

const NAME: &str = "any.yaml";

/// Loads one input.
pub fn run(bytes: &[u8]) {
    let lines = 1 + bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    let (name, result) = match str::from_utf8(bytes) {
        Ok(text) => (PathBuf::from(NAME), parse(NAME, text)),
        Err(_) => load_file(bytes),
    };
    match result {
        Ok(loaded) => sound(&loaded),
        Err(errors) => {
            assert!(!errors.is_empty(), "neither domains nor errors");
            errors.iter().for_each(|error| placed(error, &name, lines));
        }
    }
}

/// Only a file can hold what is no text.
fn load_file(bytes: &[u8]) -> (PathBuf, Result<Loaded, Vec<Error>>) {
    let mut file = tempfile::tempfile().expect("a file without a name");
    file.write_all(bytes).expect("room for it");
    let name = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let result = load(std::slice::from_ref(&name));
    (name, result)
}

fn placed(error: &Error, name: &Path, lines: usize) {
    assert_eq!(error.file, name, "{error}");
    assert!(error.line.is_none_or(|line| (1..=lines).contains(&line)), "{error} of {lines} lines");
    assert!(!error.message.is_empty() && !error.to_string().contains(char::is_control), "{error:?}");
}

fn sound(loaded: &Loaded) {
    assert!(!loaded.domains.is_empty(), "nothing to forward by");
    let snapshot = Snapshot::compile(&loaded.fleet, &Memory::new(1, 0), &Defaults::default());
    assert!((0..loaded.domains.len()).all(|at| snapshot.domain_name(at as u32).is_some()), "a domain is lost");
    let domains: Vec<MapDomain> = loaded.domains.iter().map(written).collect();
    let yaml = domains.iter().map(|domain| serde_saphyr::to_string(domain).expect("a domain has a YAML form"));
    same(loaded, &yaml.collect::<Vec<_>>().join("\n---\n"));
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": domains});
    same(loaded, &list.to_string());
}

fn written(manifest: &Manifest) -> MapDomain {
    let mut domain = MapDomain::from(&manifest.config);
    domain.spec.relay_refs = manifest.relay_refs.iter().map(|name| RelayRef { name: name.clone() }).collect();
    domain.spec.advertise.communities.clone_from(&manifest.communities);
    domain.spec.advertise.local_preference = manifest.local_preference.map(i64::from);
    domain
}

fn same(loaded: &Loaded, text: &str) {
    let again = parse(NAME, text).unwrap_or_else(|errors| panic!("{errors:#?}\n{text}"));
    assert_eq!(loaded.hash, again.hash, "{text}");
    assert_eq!(loaded.fleet, again.fleet, "{text}");
    let said = |loaded: &Loaded| -> Vec<Manifest> {
        let source = crds::manifest::Source { file: NAME.into(), line: 1 };
        loaded.domains.iter().map(|manifest| Manifest { source: source.clone(), ..manifest.clone() }).collect()
    };
    assert_eq!(said(loaded), said(&again), "{text}");
}
