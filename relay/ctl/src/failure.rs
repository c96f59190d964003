//! Why a command could not answer.

use std::{
    fmt::Display,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::text;

/// What went wrong, as a sentence for standard error.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line asks for something that cannot be; found later than clap could.
    #[error("{0}")]
    Usage(String),
    /// The manifests are invalid. Each error has its own line, already printed.
    #[error("{}", text::count(*.count as u64, "error"))]
    Manifests {
        /// How many.
        count: usize,
    },
    /// A file that cannot be opened, read or written.
    #[error("{}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Standard input that cannot be read.
    #[error("standard input: {0}")]
    Stdin(io::Error),
    /// Standard output that cannot be written.
    #[error("standard output: {0}")]
    Stdout(io::Error),
    /// A relay that cannot be asked, or does not answer as one.
    #[error("{url}: {why}")]
    Relay {
        /// What was asked.
        url: String,
        /// Why not.
        why: String,
    },
    /// kubectl that cannot be started, or failed.
    #[error("{command}: {why}")]
    Kubectl {
        /// What was run.
        command: String,
        /// Why not, as it says itself.
        why: String,
    },
    /// It is not clear which fleet is meant, or it is not there.
    #[error("{0}")]
    Fleet(String),
    /// A fleet's revision that cannot be read.
    #[error("the revision of {fleet}: {error}")]
    Revision {
        /// Whose.
        fleet: String,
        /// Why not.
        error: crds::revision::Error,
    },
    /// Any of them, where 1 means something else: exit code 2.
    #[error("{0}")]
    Trouble(Box<Failure>),
    /// A history that cannot be read.
    #[error("{place}:{line}: {why}")]
    History {
        /// Where it is.
        place: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A capture that cannot be read to its end.
    #[error("{0}")]
    Capture(String),
}

impl Failure {
    pub(crate) fn usage(sentence: impl Display) -> Self {
        Self::Usage(sentence.to_string())
    }

    pub(crate) fn file(path: &Path, error: io::Error) -> Self {
        Self::File { path: path.to_path_buf(), error }
    }

    pub(crate) fn stdout(error: io::Error) -> Self {
        Self::Stdout(error)
    }

    /// Says it on standard error, unless the reader of our output has simply gone away, as `head` does.
    #[must_use]
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Trouble(failure) if matches!(**failure, Self::Stdout(_)) => failure.report(),
            Self::Usage(_) | Self::Trouble(_) => self.say(2),
            _ => self.say(1),
        }
    }

    fn say(&self, code: u8) -> ExitCode {
        let _ = writeln!(io::stderr(), "culvertctl: {self}");
        ExitCode::from(code)
    }
}
