//! What ends the relay, or keeps it from starting, and the exit code that says so.

use std::process::ExitCode;

/// Why the process ends other than by a signal. Each text is a whole sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Something broke while running.
    Broken(String),
    /// The manifests are wrong; all that is wrong with them.
    Config(Vec<String>),
    /// The box is not as it must be.
    Host(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Broken(_) => 1,
            Self::Config(_) => 3,
            Self::Host(_) => 4,
        })
    }

    /// One log line for each thing that is wrong.
    pub(crate) fn log(&self) {
        for line in self.lines() {
            tracing::error!("{line}");
        }
    }

    /// All that is wrong.
    pub(crate) fn lines(&self) -> &[String] {
        match self {
            Self::Broken(line) | Self::Host(line) => std::slice::from_ref(line),
            Self::Config(lines) => lines,
        }
    }
}

/// A sentence about an error from the operating system: what was tried, and what it said.
pub(crate) fn host(attempt: impl std::fmt::Display, error: impl std::fmt::Display) -> Failure {
    Failure::Host(format!("{attempt}: {error}"))
}
