//! BIRD as a child: it ends with its parent, and what it logs is logged.

use std::{io, os::unix::process::CommandExt, path::Path, process::Stdio, time::Duration};

use jiff::Timestamp;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStderr, Command},
    sync::mpsc::Sender,
    time::timeout,
};

use super::Files;

/// As long as BIRD may take to check a configuration before there is one that runs.
const PATIENCE: Duration = Duration::from_secs(30);

/// The process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) since: Timestamp,
}

impl Process {
    /// Starts BIRD on the configuration in use. `news`: something has happened; BIRD logs whatever changes a session.
    pub(crate) fn start(bird: &Path, files: &Files, news: Sender<()>) -> io::Result<Self> {
        drop(std::fs::remove_file(&files.socket));
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bird", "--parent", &std::process::id().to_string(), "--"]).arg(bird).arg("-f");
        command.arg("-c").arg(&files.config).arg("-s").arg(&files.socket);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        if let Some(log) = child.stderr.take() {
            tokio::spawn(pass_on(log, news));
        }
        Ok(Self { child, since: Timestamp::now() })
    }

    /// Returns when it has ended.
    pub(crate) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Ends it at once.
    pub(crate) async fn kill(&mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::error!(%error, "BIRD cannot be ended");
        }
    }
}

/// Whether BIRD would take the next configuration, asked of a BIRD that does nothing else.
///
/// # Errors
/// What it says about it.
pub(crate) async fn check(bird: &Path, files: &Files) -> Result<(), String> {
    let mut command = Command::new(bird);
    command.arg("-p").arg("-c").arg(&files.next).stdin(Stdio::null()).kill_on_drop(true);
    let output = match timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(format!("{}: {error}", bird.display())),
        Err(_) => return Err(format!("no answer in {} s", PATIENCE.as_secs())),
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().last().unwrap_or("BIRD says nothing").trim().to_owned())
}

/// Becomes BIRD, which ends with the process that asked for it.
pub(crate) fn become_bird(parent: u32, command: &[String]) -> io::Error {
    // Before the look: a parent that ends in between ends this one too.
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    if getppid().map(|parent| parent.as_raw_nonzero().get().cast_unsigned()) != Some(parent) {
        return io::Error::other("whoever asked for BIRD is gone");
    }
    let (program, arguments) = command.split_first().expect("the command line asks for one");
    std::process::Command::new(program).args(arguments).exec()
}

/// Logs what BIRD logs, and tells that there was something.
async fn pass_on(log: ChildStderr, news: Sender<()>) {
    let mut lines = BufReader::new(log).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let (level, text) = split(&line);
        match level {
            "TRACE" | "DEBUG" => tracing::debug!("bird: {text}"),
            "WARN" | "REMOTE" | "AUTH" => tracing::warn!("bird: {text}"),
            "ERR" | "FATAL" | "BUG" => tracing::error!("bird: {text}"),
            _ => tracing::info!("bird: {text}"),
        }
        // One waiting notice is enough.
        let _ = news.try_send(());
    }
}

/// `2026-11-24 18:08:53.213 <INFO> Started`: how severe it is, and what it says.
fn split(line: &str) -> (&str, &str) {
    let parts = line.split_once('<').and_then(|(_, rest)| rest.split_once("> "));
    parts.unwrap_or(("", line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_says_how_severe_it_is() {
        assert_eq!(split("2026-11-24 18:08:53.213 <INFO> Started"), ("INFO", "Started"));
        assert_eq!(split("bird: cannot open x: <y>"), ("", "bird: cannot open x: <y>"));
    }

    #[test]
    fn nobody_becomes_bird_for_a_parent_that_is_gone() {
        let error = become_bird(1, &["true".to_owned()]);
        assert!(error.to_string().contains("gone"), "{error}");
        set_parent_process_death_signal(None).unwrap();
    }
}
