//! Every folder under `tests/manifests` is a case: its files are loaded, as one folder. `errors.txt` says what must be
//! reported, or `ok.json` what must come out. `UPDATE=1 cargo test -p crds --test manifests` writes them anew.
#![expect(clippy::unwrap_used, reason = "a panic is a test's way to fail")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crds::{
    MapDomainSpec,
    manifest::{Loaded, Manifest, load},
};
use serde_json::{Value, json};

#[test]
fn every_case_comes_out_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let failures: Vec<String> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(cases.len() > 30);
}

fn check(case: &Path) -> Result<(), String> {
    let (name, found) = match load(&inputs(case)) {
        Ok(loaded) => ("ok.json", format!("{:#}\n", shown(case, &loaded))),
        Err(errors) => ("errors.txt", errors.iter().map(|error| relative(case, &format!("{error}\n"))).collect()),
    };
    if env::var_os("UPDATE").is_some() {
        ["ok.json", "errors.txt"].into_iter().for_each(|name| drop(fs::remove_file(case.join(name))));
        fs::write(case.join(name), &found).unwrap();
    }
    let expected = fs::read_to_string(case.join(name)).unwrap_or_else(|_| format!("no {name}"));
    let differs = || format!("{}: expected\n{expected}but found\n{found}", case.display());
    if expected == found { Ok(()) } else { Err(differs()) }
}

/// The case's own files, or all of them as the folder `input` if there is one.
fn inputs(case: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path());
    let is_input = |path: &PathBuf| path.file_stem().is_some_and(|stem| stem != "ok" && stem != "errors");
    let mut files: Vec<PathBuf> = files.filter(is_input).collect();
    files.sort();
    files
}

fn shown(case: &Path, loaded: &Loaded) -> Value {
    let domain = |manifest: &Manifest| {
        json!({
            "name": manifest.config.name.to_string(),
            "created": manifest.config.created,
            "source": relative(case, &format!("{}:{}", manifest.source.file.display(), manifest.source.line)),
            "relayRefs": manifest.relay_refs,
            "communities": manifest.communities,
            "localPreference": manifest.local_preference,
            "spec": MapDomainSpec::from(&manifest.config),
        })
    };
    let skipped = loaded.skipped.iter().map(|skipped| {
        let place = format!("{}:{}", skipped.source.file.display(), skipped.source.line);
        format!("{}: {} {} {:?}", relative(case, &place), skipped.api_version, skipped.kind, skipped.name)
    });
    let domains: Vec<Value> = loaded.domains.iter().map(domain).collect();
    let fleets = loaded.fleets.iter().map(|fleet| {
        let place = format!("{}:{}", fleet.source.file.display(), fleet.source.line);
        json!({"source": relative(case, &place), "config": format!("{:?}", fleet.config)})
    });
    let (fleets, skipped) = (fleets.collect::<Vec<_>>(), skipped.collect::<Vec<_>>());
    json!({"domains": domains, "fleets": fleets, "skipped": skipped})
}

fn relative(case: &Path, text: &str) -> String {
    text.replace(&format!("{}/", case.display()), "").replace(&case.display().to_string(), ".")
}
