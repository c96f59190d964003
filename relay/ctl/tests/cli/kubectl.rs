//! A kubectl that answers what it was told to, instead of a cluster's.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Output};

use super::{Bench, Ran, command};

/// Each answer is a file named by the words of the command; who asks anything else is refused as by an API server.
const SCRIPT: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 9
echo "$*" >> calls
answer=$(printf %s "$*" | tr -c 'A-Za-z0-9.' _)
[ -f "$answer" ] && exec cat "$answer"
echo "Error from server (Forbidden): nobody may $*" >&2
exit 1
"#;

impl Bench {
    /// A folder with a kubectl.
    pub(crate) fn with_kubectl() -> Self {
        let bench = Self::new();
        fs::create_dir(bench.path("bin")).unwrap();
        bench.write("bin/kubectl", SCRIPT);
        fs::set_permissions(bench.path("bin/kubectl"), fs::Permissions::from_mode(0o755)).unwrap();
        bench
    }

    /// What `kubectl WORDS` prints.
    pub(crate) fn answer(&self, words: &str, printed: impl AsRef<[u8]>) {
        fs::write(self.answer_file(words), printed).unwrap();
    }

    /// `kubectl WORDS` is refused from now on.
    pub(crate) fn refuse(&self, words: &str) {
        fs::remove_file(self.answer_file(words)).unwrap();
    }

    fn answer_file(&self, words: &str) -> PathBuf {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '.';
        self.path("bin").join(words.replace(|letter| !plain(letter), "_"))
    }

    /// What `kubectl get WORDS` finds, as the command calls it.
    pub(crate) fn finds(&self, flags: &str, words: &str, found: &serde_json::Value) {
        let flags = if flags.is_empty() { String::new() } else { format!("{flags} ") };
        self.answer(&format!("{flags}get --output=json --request-timeout=30s {words}"), found.to_string());
    }

    /// Runs with this kubectl alone.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Ran {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let output: Output = command(self.folder.path()).env("PATH", path).args(arguments).output().unwrap();
        output.into()
    }
}

#[test]
fn as_a_plugin_of_kubectl_it_has_its_name() {
    let bench = Bench::new();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_culvertctl"), bench.path("kubectl-culvert")).unwrap();
    let output = std::process::Command::new(bench.path("kubectl-culvert")).args(["status", "--help"]).output().unwrap();
    let ran = Ran::from(output);
    assert!(ran.code == 0 && ran.stdout.contains("Usage: kubectl culvert status"), "{}", ran.stdout);
    assert!(bench.run(&["status", "--help"]).stdout.contains("Usage: culvertctl status"));
}
