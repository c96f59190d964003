//! `kubectl` as a child process: whatever kubeconfig, context, proxy and login it works with, we do too.

use std::{
    io,
    process::{Command, Output, Stdio},
};

use serde::de::DeserializeOwned;

use crate::{cli::KubeArgs, failure::Failure};

const PROGRAM: &str = "kubectl";

/// As long as the API server may take to answer.
const PATIENCE: &str = "--request-timeout=30s";

/// How kubectl is called.
#[derive(Debug, Clone)]
pub(crate) struct Kubectl {
    flags: Vec<String>,
}

impl Kubectl {
    pub(crate) fn new(args: &KubeArgs) -> Self {
        let KubeArgs { namespace, context, kubeconfig } = args;
        let kubeconfig = kubeconfig.as_ref().map(|file| file.display().to_string());
        let given = [("namespace", namespace), ("context", context), ("kubeconfig", &kubeconfig)];
        let flag = |(name, value): (&str, &Option<String>)| value.as_ref().map(|value| format!("--{name}={value}"));
        Self { flags: given.into_iter().filter_map(flag).collect() }
    }

    /// What `kubectl get WORDS` finds.
    pub(crate) fn get<T: DeserializeOwned>(&self, words: &[&str]) -> Result<T, Failure> {
        self.get_if_there(words)?.ok_or_else(|| failed(&["get"], words, "it printed nothing"))
    }

    /// The same, of what may not be there: with `--ignore-not-found`.
    pub(crate) fn get_if_there<T: DeserializeOwned>(&self, words: &[&str]) -> Result<Option<T>, Failure> {
        let printed = self.run(&["get", "--output=json", PATIENCE], words)?;
        if printed.is_empty() {
            return Ok(None);
        }
        let read = serde_json::from_slice(&printed);
        read.map(Some).map_err(|error| failed(&["get"], words, format!("what it printed cannot be read: {error}")))
    }

    /// What the API server answers at a path.
    pub(crate) fn raw(&self, path: &str) -> Result<Vec<u8>, Failure> {
        self.run(&["get", PATIENCE], &["--raw", path])
    }

    /// The command itself, without its streams.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(&self.flags).args(words);
        command
    }

    fn run(&self, verb: &[&str], words: &[&str]) -> Result<Vec<u8>, Failure> {
        let all = [verb, words].concat();
        let ended = self.command(&all).stdin(Stdio::null()).output();
        let Output { status, stdout, stderr } = ended.map_err(|error| cannot_start(&error))?;
        if status.success() { Ok(stdout) } else { Err(failed(&verb[..1], words, said(&stderr))) }
    }
}

/// Why there is no child process.
pub(crate) fn cannot_start(error: &io::Error) -> Failure {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "not found: clusters are reached by it, so it has to be on the PATH".to_owned(),
        _ => error.to_string(),
    };
    Failure::Kubectl { command: PROGRAM.to_owned(), why }
}

fn failed(verb: &[&str], words: &[&str], why: impl Into<String>) -> Failure {
    Failure::Kubectl { command: [&[PROGRAM], verb, words].concat().join(" "), why: why.into() }
}

/// What it said last, without its own word for an error.
fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it failed and said nothing");
    last.trim_start_matches("error: ").trim_start_matches("Error from server ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_kubectls() {
        let args = KubeArgs { namespace: Some("n".into()), context: None, kubeconfig: Some("/k".into()) };
        let command = Kubectl::new(&args).command(&["get", "pods"]);
        let words: Vec<_> = command.get_args().collect();
        assert_eq!(words, ["--namespace=n", "--kubeconfig=/k", "get", "pods"]);
    }

    #[test]
    fn the_last_thing_it_said_is_passed_on() {
        let stderr = b"Warning: old\nError from server (Forbidden): pods is forbidden\n\n";
        assert_eq!(said(stderr), "(Forbidden): pods is forbidden");
        assert_eq!(said(b""), "it failed and said nothing");
    }
}
