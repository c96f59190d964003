//! A relay and the revision that it should hold.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use crds::Revision;
use serde::Serialize;

use crate::{
    cluster::relay::{Answer, RelayState},
    text,
};

/// What a relay says that it forwards by. Equal hashes forward alike; where they differ, the domains' names are all that it
/// tells of.
#[derive(Debug, Serialize)]
pub(super) struct Relay {
    pod: String,
    same: bool,
    /// Its revision, if it has one.
    revision: Option<u64>,
    hash: Option<String>,
    /// Domains of the revision that it does not have.
    missing: Vec<String>,
    /// Domains that it has and the revision does not.
    extra: Vec<String>,
    /// Why it did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Relay {
    pub(super) fn new(answer: &Answer, wanted: &Revision) -> Self {
        match &answer.state {
            Ok(state) => Self::holding(&answer.pod, state, wanted),
            Err(failure) => Self { error: Some(failure.to_string()), ..Self::nothing(&answer.pod) },
        }
    }

    fn nothing(pod: &str) -> Self {
        Self {
            pod: pod.to_owned(),
            same: false,
            revision: None,
            hash: None,
            missing: Vec::new(),
            extra: Vec::new(),
            error: None,
        }
    }

    fn holding(pod: &str, state: &RelayState, wanted: &Revision) -> Self {
        let theirs: BTreeSet<&str> = state.domains.iter().map(|domain| &*domain.name).collect();
        let ours: BTreeSet<&str> = wanted.domains.iter().map(|domain| &*domain.config.name.name).collect();
        let owned = |names: Vec<&&str>| names.into_iter().map(|name| (*name).to_owned()).collect();
        let hash = state.revision.as_ref().map(|held| held.hash.clone());
        Self {
            same: hash.as_ref() == Some(&wanted.hash()),
            revision: state.revision.as_ref().and_then(|held| held.sequence),
            hash,
            missing: owned(ours.difference(&theirs).collect()),
            extra: owned(theirs.difference(&ours).collect()),
            ..Self::nothing(pod)
        }
    }

    pub(super) fn is_same(&self) -> bool {
        self.same
    }

    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { pod, same, revision, hash, missing, extra, error } = self;
        match (error, hash) {
            (Some(error), _) => return writeln!(out, "? {pod}: {error}"),
            (None, None) => return writeln!(out, "~ {pod}: holds no revision"),
            (None, Some(_)) if *same => return writeln!(out, "  {pod}: holds the revision"),
            (None, Some(hash)) => {
                let other = text::or_dash(*revision);
                write!(out, "~ {pod}: holds revision {other} ({hash:.12}) instead")?;
            }
        }
        for (word, names) in [("without", missing), ("with", extra)] {
            if !names.is_empty() {
                write!(out, ", {word} {}", text::list(names.iter().cloned()))?;
            }
        }
        writeln!(out)
    }
}
