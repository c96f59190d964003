//! Each folder in `cases` is a cluster, and what the operator made of it. Adding one needs no Rust; see `cases/README.md`.

use std::{
    fs,
    path::{Path, PathBuf},
};

#[path = "support/play.rs"]
mod play;

use play::Played;

/// Set to write what came out into the cases instead of comparing it: then read the difference.
const BLESS: &str = "CULVERT_BLESS";

#[test]
fn every_case_ends_as_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let folders = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut folders: Vec<PathBuf> = folders.collect();
    folders.sort();
    assert!(folders.len() > 10, "only {} cases found", folders.len());
    let failed: Vec<String> = folders.iter().flat_map(|folder| run(folder)).collect();
    assert!(failed.is_empty(), "{}\nin {} cases", failed.join("\n"), folders.len());
}

fn run(folder: &Path) -> Vec<String> {
    let input = fs::read_to_string(folder.join("input.yaml")).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let Played { objects, status } = play::play(&input);
    let mut outputs = vec![("status.yaml", status)];
    // Objects are long: only the cases that are about them have the file.
    if folder.join("objects.yaml").exists() {
        outputs.push(("objects.yaml", objects));
    }
    outputs.into_iter().filter_map(|(file, text)| compare(&folder.join(file), &text)).collect()
}

fn compare(file: &Path, text: &str) -> Option<String> {
    if std::env::var_os(BLESS).is_some() {
        fs::write(file, text).expect("a case");
    }
    let written = fs::read_to_string(file).unwrap_or_default();
    (written != text).then(|| format!("{}:\n{}", file.display(), difference(&written, text)))
}

fn difference(written: &str, text: &str) -> String {
    let line = |(written, text): (&str, &str)| (written != text).then(|| format!("- {written}\n+ {text}\n"));
    let end = std::iter::repeat("");
    let both = written.lines().chain(end.clone()).zip(text.lines().chain(end));
    both.take(written.lines().count().max(text.lines().count())).filter_map(line).take(20).collect()
}
