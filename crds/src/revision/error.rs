//! Why a revision cannot be read, or not yet.

use mape::{DomainName, Problem};

use super::{FORMAT_VERSION, MAX_BYTES, MAX_CHUNKS};

/// Why a revision cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing has been written so far.
    #[error("there is no index yet")]
    NoIndex,
    /// Chunks are not there, or belong to an older or newer revision: they are being written.
    #[error("revision {sequence} is incomplete: {}", parts(.missing, .stale))]
    Incomplete {
        /// The number of the revision.
        sequence: u64,
        /// The files that are not there.
        missing: Vec<String>,
        /// The files that are there with other contents than the index says.
        stale: Vec<String>,
    },
    /// Written by newer code.
    #[error(
        "the revision has format {0}, and this program reads formats up to {FORMAT_VERSION}: update it to the version of \
        the operator"
    )]
    NewerFormat(u64),
    /// The index makes no sense.
    #[error("the index cannot be read: {0}")]
    BadIndex(String),
    /// The chunks together are not what gzip writes: cut off, or damaged before they were hashed.
    #[error("the domains cannot be unpacked: {0}")]
    BadGzip(String),
    /// Unpacked, the domains are longer or shorter than the index says.
    #[error("the domains unpack to {found} bytes, and the index says {promised}")]
    WrongLength {
        /// What the index says.
        promised: u64,
        /// What was found; one more than promised if there is no end to it.
        found: u64,
    },
    /// A line is no domain.
    #[error("line {line} of the domains cannot be read: {why}")]
    BadLine {
        /// The line, from 1.
        line: usize,
        /// Why.
        why: String,
    },
    /// A domain has fields that mean nothing.
    #[error("domain {name}: {}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    BadDomain {
        /// The domain.
        name: DomainName,
        /// What is wrong with it.
        problems: Vec<Problem>,
    },
    /// Two domains have one namespace and name.
    #[error("domain {0} is there twice")]
    Twice(DomainName),
    /// The index counts otherwise than the reader.
    #[error("there are {found} {what}, and the index says {promised}")]
    WrongCount {
        /// `domains` or `rules`.
        what: &'static str,
        /// What the index says.
        promised: u64,
        /// What was found.
        found: u64,
    },
    /// The bytes are those that were written, and mean something else here.
    #[error(
        "the domains hash to {found}, and the index says {promised}: this program understands them otherwise than the \
        operator; update it to the operator's version"
    )]
    WrongHash {
        /// What the index says.
        promised: String,
        /// What was found.
        found: String,
    },
    /// More than a revision may hold.
    #[error("{bytes} bytes of domains in {chunks} chunks: a revision holds {MAX_BYTES} in {MAX_CHUNKS}")]
    TooLarge {
        /// How many bytes, unpacked.
        bytes: u64,
        /// How many chunks.
        chunks: usize,
    },
    /// What is to be written is not what may be read.
    #[error("{0}")]
    Unwritable(String),
}

impl Error {
    /// Whether it may be read in a moment, as nothing is wrong with what is there: keep the last good one and look again.
    #[must_use]
    pub fn is_not_yet(&self) -> bool {
        matches!(self, Self::NoIndex | Self::Incomplete { .. })
    }
}

fn parts(missing: &[String], stale: &[String]) -> String {
    let said = |files: &[String], what: &str| (!files.is_empty()).then(|| format!("{} {what}", files.join(", ")));
    let not_there = said(missing, "not there yet");
    let other = said(stale, "of another revision");
    not_there.into_iter().chain(other).collect::<Vec<_>>().join("; ")
}
