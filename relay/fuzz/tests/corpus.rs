//! Every target on every input of its corpus, once, without a fuzzer.
#![forbid(unsafe_code)]

use std::{
    fs,
    path::{Path, PathBuf},
};

#[test]
fn process() {
    play("process", fuzz::process::run);
}

#[test]
fn parse() {
    play("parse", fuzz::parse::run);
}

#[test]
fn manifests() {
    play("manifests", fuzz::manifests::run);
}

#[test]
fn pcap() {
    play("pcap", fuzz::pcap::run);
}

#[test]
fn junos() {
    play("junos", fuzz::junos::run);
}

fn play(target: &str, run: fn(&[u8])) {
    let files = inputs(target);
    assert!(files.len() >= 10, "{target} starts from {} inputs", files.len());
    for file in files {
        // Shown if it fails.
        println!("{}", file.display());
        // A link that leads nowhere fails here.
        run(&fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())));
    }
}

fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}
