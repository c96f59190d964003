//! `culvertctl` as people and scripts run it.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod batch;
mod check;
mod explain;
mod history;
mod import;
mod junos_table;
mod kubectl;
mod live;
mod map;
mod pcap;
mod replay;
mod scaling_page;
mod status;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// `67.91.205.2:6600` is `2001:db8:ce:29c:0:435b:cd02:9c`.
const SEED: &str = r#"apiVersion: culvert.dev/v1alpha1
kind: MapDomain
metadata: {name: isp-a, namespace: culvert-system}
spec:
  softwireAddress: "3001:db8:ffff::1"
  rules:
  - name: r1
    ipv4Prefix: 67.91.205.0/24
    mapePrefix: "2001:db8:ce::/48"
    eaBitsLength: 16
    psidOffset: 4
    psidLength: 8
"#;

/// What a run printed and how it ended.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A folder with the seed's manifest in it, in which commands run.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        bench.write("seed.yaml", SEED);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        command(self.folder.path()).args(arguments).output().unwrap().into()
    }

    fn run_with_input(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Ran {
        let mut child = command(self.folder.path())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that refuses to start reads nothing.
        let _ = child.stdin.take().unwrap().write_all(input.as_ref());
        child.wait_with_output().unwrap().into()
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_culvertctl"));
    command.current_dir(folder);
    command
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn help_names_every_command_and_exit_code() {
    let help = Bench::new().run(&["--help"]);
    assert_eq!(help.code, 0);
    for part in
        ["check", "map", "replay", "explain", "import", "history", "status", "top", "diff", "capture", "Exit codes: 0"]
    {
        assert!(help.stdout.contains(part), "{part}");
    }
    for command in ["check", "map", "replay", "explain", "import junos", "history", "status", "top", "diff", "capture"]
    {
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        assert!(Bench::new().run(&arguments).stdout.contains("Examples:"), "{command}");
    }
}

#[test]
fn a_senseless_command_line_is_exit_code_2() {
    let bench = Bench::new();
    for arguments in [
        [].as_slice(),
        &["frobnicate"],
        &["check"],
        &["map", "-f", "seed.yaml"],
        &["map", "-f", "seed.yaml", "67.91.205.2:66000"],
        &["map", "-f", "seed.yaml", "67.91.205.2", "--batch"],
        &["map", "-f", "-", "--batch"],
        &["replay", "-f", "seed.yaml", "in.pcap"],
        &["replay", "-f", "-", "-", "out.pcap"],
        &["explain", "-f", "seed.yaml"],
        &["explain", "-f", "seed.yaml", "--to-ce"],
        &["explain", "-f", "seed.yaml", "--to-ce", "--dst", "67.91.205.2"],
        &["explain", "-f", "seed.yaml", "--to-ce", "--from-ce", "--dst", "67.91.205.2:1"],
        &["explain", "-f", "seed.yaml", "--hex", "4"],
        &["import", "router.conf"],
        &["import", "junos"],
    ] {
        let ran = bench.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert!(!ran.stderr.is_empty(), "{arguments:?}");
    }
}
