//! Why a reconcile did not get to its end.

use std::time::Duration;

use crds::revision;
use kube::{core::Status, runtime::watcher};

use crate::condition::Cause;

/// Why a reconcile did not get to its end. It is tried again, later and later.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server said no, or nothing.
    #[error("cannot {verb} {what}: {}", said(.source))]
    Api {
        /// `read`, `apply`, `delete`.
        verb: &'static str,
        /// The object.
        what: String,
        /// What it said.
        source: Box<kube::Error>,
    },
    /// A kind that has to be known is not, so far.
    #[error("cannot list {kind} yet: {why}")]
    NotWatched {
        /// The kind, in the plural.
        kind: &'static str,
        /// What the API server said last, or that it has not answered.
        why: String,
    },
    /// The domains are more than a revision holds.
    #[error("the revision cannot be written: {0}")]
    Unwritable(#[from] revision::Error),
    /// Some things could not be done; the status says which.
    #[error("{0}")]
    Partly(String),
    /// It took too long.
    #[error("gave up after {} s", .0.as_secs())]
    TimedOut(Duration),
}

impl Error {
    /// What the API server said about `verb what`.
    pub fn api(verb: &'static str, what: impl Into<String>, source: kube::Error) -> Self {
        Self::Api { verb, what: what.into(), source: Box::new(source) }
    }

    /// The same for people.
    #[must_use]
    pub fn cause(&self) -> Cause {
        let reason = match self {
            Self::Api { source, .. } if code(source) == Some(403) => "Forbidden",
            Self::NotWatched { why, .. } if why.contains("forbidden") => "Forbidden",
            Self::Api { .. } | Self::NotWatched { .. } | Self::TimedOut(_) | Self::Partly(_) => "ApiError",
            Self::Unwritable(_) => "RevisionTooLarge",
        };
        Cause::new(reason, self.to_string())
    }

    /// Whether it may be over in a moment: not worth a condition yet.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.cause().reason == "ApiError"
    }
}

/// What the API server said, without the debugging that `kube` adds: a 403 names the verb and the resource.
pub(crate) fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        kube::Error::Api(status) => format!("{} {}", status.code, status.reason),
        other => root(other),
    }
}

/// The HTTP status that the API server answered with.
pub(crate) fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(Status::clone(status).code),
        _ => None,
    }
}

/// What an error comes from in the end: those around it only say that there is one.
pub(crate) fn root(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

/// What a watch met with.
pub(crate) fn watch_said(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => said(error),
        watcher::Error::WatchError(status) => status.message.clone(),
        other => root(other),
    }
}
