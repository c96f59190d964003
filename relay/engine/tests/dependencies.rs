//! The two crates at the core stay free of sockets, clocks and runtimes: their dependencies are lists in the repository.

use std::{collections::BTreeSet, path::Path, process::Command};

#[test]
fn mape_is_built_of_what_its_list_says() {
    compare("mape");
}

#[test]
fn engine_is_built_of_what_its_list_says() {
    compare("engine");
}

fn compare(package: &str) {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("dependencies.txt");
    let list = std::fs::read_to_string(&list).expect("the list is committed beside the crate's manifest");
    let listed: BTreeSet<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
    let tree = tree(package);
    let mut found: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(found.remove(package), "cargo tree shows the package itself first:\n{tree}");
    assert_eq!(found, listed, "if that is meant, change relay/{package}/dependencies.txt");
}

/// All that a package is built of, one a line, by name and version.
fn tree(package: &str) -> String {
    let arguments = ["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--no-dedupe"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.expect("cargo runs this test, so it can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
