//! A relay and the revision that it should hold.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use crds::Revision;
use serde::Serialize;

use super::{Change, Kind, Written, by_name, changes, removed};
use crate::{
    cluster::{
        LiveFleet,
        relay::{Answer, RelayState},
    },
    text,
};

/// What a relay says that it forwards by.
#[derive(Debug, Serialize)]
pub(super) struct Relay {
    pod: String,
    /// Whether that is the fleet's revision: equal hashes forward alike.
    same: bool,
    /// Its number, if it has one.
    revision: Option<u64>,
    hash: Option<String>,
    /// From what it holds to the fleet's revision. Where it has not kept that, only which domains come and go.
    changes: Vec<Change>,
    /// Why it did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Relay {
    /// `wanted` is the fleet's revision, whose hash is made once for all of its relays.
    pub(super) fn new(answer: &Answer, wanted: &Revision, wanted_hash: &str, fleet: &LiveFleet) -> Self {
        let pod = answer.pod.clone();
        let state = match &answer.state {
            Ok(state) => state,
            Err(failure) => {
                let error = Some(failure.to_string());
                return Self { pod, same: false, revision: None, hash: None, changes: Vec::new(), error };
            }
        };
        let hash = state.revision.as_ref().map(|held| held.hash.clone());
        let same = hash.as_deref() == Some(wanted_hash);
        let held = hash.as_ref().filter(|_| !same).and_then(|hash| fleet.held(&pod, hash));
        let changes = match held {
            _ if same => Vec::new(),
            Some(held) => between(&held, wanted),
            None => names(state, wanted),
        };
        Self { pod, same, revision: state.revision.as_ref().and_then(|it| it.sequence), hash, changes, error: None }
    }

    pub(super) fn is_same(&self) -> bool {
        self.same
    }

    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { pod, same, revision, hash, changes, error } = self;
        match (error, hash) {
            (Some(error), _) => writeln!(out, "? {pod}: {error}")?,
            (None, None) => writeln!(out, "~ {pod}: holds no revision")?,
            (None, Some(_)) if *same => writeln!(out, "  {pod}: holds the revision")?,
            (None, Some(hash)) => {
                writeln!(out, "~ {pod}: holds revision {} ({hash:.12}) instead", text::or_dash(*revision))?;
            }
        }
        changes.iter().try_for_each(|change| change.print(out, "    ", "what it holds"))
    }
}

/// What a revision has become.
fn between(old: &Revision, new: &Revision) -> Vec<Change> {
    let written = new.domains.iter().map(|domain| {
        let name = domain.config.name.name.clone();
        Written { name, spec: Ok(domain.clone()), why: None }
    });
    let held = by_name(old);
    let gone = removed(&held, new.domains.iter().map(|domain| &*domain.config.name.name));
    changes(&held, written.collect()).into_iter().chain(gone).collect()
}

/// The same by the domains' names alone.
fn names(state: &RelayState, wanted: &Revision) -> Vec<Change> {
    let theirs: BTreeSet<&str> = state.domains.iter().map(|domain| &*domain.name).collect();
    let ours: BTreeSet<&str> = wanted.domains.iter().map(|domain| &*domain.config.name.name).collect();
    let change = |kind| move |name: &&str| Change { domain: (*name).to_owned(), kind, why: None, fields: Vec::new() };
    let added = ours.difference(&theirs).map(change(Kind::Added));
    added.chain(theirs.difference(&ours).map(change(Kind::Removed))).collect()
}
