//! A folder is a case: `input.yaml` and `pod.yaml` become `bird.conf` (and `missing.txt`, what keeps sessions away), and BIRD
//! itself takes it. After a change of what is rendered, `UPDATE=1 cargo test -p culvert-speaker --test golden` writes
//! the files anew: read what changed.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, and how its helpers do")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

#[test]
fn every_case_is_as_written_and_bird_takes_it() {
    let mut cases: Vec<PathBuf> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    assert!(cases.len() >= 7, "{cases:?}");
    for case in cases {
        let output = render(&case);
        assert!(output.status.success(), "{}: {output:?}", case.display());
        same(&case.join("bird.conf"), &output.stdout);
        same(&case.join("missing.txt"), &output.stderr);
        taken(&case.join("bird.conf"));
    }
}

/// The same files, the same text: nothing but them is in it.
#[test]
fn it_is_a_function_of_the_files() {
    let case = folder().join("attributes");
    assert_eq!(render(&case).stdout, render(&case).stdout);
}

#[test]
fn what_is_wrong_names_the_file() {
    let pod = tempfile::NamedTempFile::new().unwrap();
    let manifest = folder().join("by-address/input.yaml");
    for (text, says) in [
        ("name: a\n", "missing field `node`"),
        ("name: a\nnode: b\ninterfaces: {net1: [x]}\n", "interfaces.net1: `x`"),
        ("name: a\nnode: b\nnodes: c\n", "nodes"),
        ("name: a\nnode: b\nways: {x: {interface: net1, source: 192.0.2.1}}\n", "ways.x: `x`"),
    ] {
        fs::write(&pod, text).unwrap();
        let output = speaker(&[manifest.to_str().unwrap(), "--pod", pod.path().to_str().unwrap()]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains(says) && said.starts_with(pod.path().to_str().unwrap()), "{said}");
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn render(case: &Path) -> Output {
    speaker(&[case.join("input.yaml").to_str().unwrap(), "--pod", case.join("pod.yaml").to_str().unwrap()])
}

fn speaker(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_culvert-speaker")).arg("render").args(arguments).output().unwrap()
}

fn same(file: &Path, text: &[u8]) {
    if std::env::var_os("UPDATE").is_some() {
        if text.is_empty() { drop(fs::remove_file(file)) } else { fs::write(file, text).unwrap() }
    }
    let written = if text.is_empty() && !file.exists() { Vec::new() } else { fs::read(file).unwrap() };
    let (written, found) = (String::from_utf8(written).unwrap(), String::from_utf8(text.to_vec()).unwrap());
    assert_eq!(written, found, "{}", file.display());
}

/// Debian's BIRD has the last word.
fn taken(file: &Path) {
    let path = format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap());
    let output = Command::new("bird").env("PATH", path).args(["-p", "-c"]).arg(file).output();
    let output = output.expect("bird is needed: scripts/install-tools installs Debian's bird2");
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
}
