//! A fleet in the status: its numbers, what is wrong, its relays, its domains.

use std::io::{self, Write};

use crds::{
    BorderRelay, MapDomain,
    border_relay::{RelayState, RelayStatus, RevisionStatus},
};
use serde::Serialize;

use super::{
    domain::{self, Domain},
    trouble::{Trouble, troubles},
};
use crate::{
    cluster::{self, Cluster},
    failure::Failure,
    text, top,
};

/// A fleet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fleet {
    namespace: String,
    name: String,
    /// How many relays there should be.
    wanted: i64,
    ready: i64,
    programmed: i64,
    advertised: i64,
    /// How many BGP sessions are up, of how many; absent without BGP.
    sessions: Option<String>,
    revision: Option<RevisionStatus>,
    troubles: Vec<Trouble>,
    relays: Vec<RelayStatus>,
    domains: Vec<Domain>,
}

/// Whether the domain names the fleet.
pub(super) fn serves(fleet: &BorderRelay, domain: &MapDomain) -> bool {
    fleet.metadata.namespace == domain.metadata.namespace
        && fleet.metadata.name.as_ref().is_some_and(|name| cluster::serves(name, domain))
}

impl Fleet {
    pub(super) fn new(fleet: &BorderRelay, domains: &[MapDomain]) -> Self {
        let status = fleet.status.clone().unwrap_or_default();
        Self {
            namespace: fleet.metadata.namespace.clone().unwrap_or_default(),
            name: fleet.metadata.name.clone().unwrap_or_default(),
            wanted: fleet.spec.replicas,
            ready: status.ready_replicas,
            programmed: status.programmed_replicas,
            advertised: status.advertised_replicas,
            sessions: status.sessions,
            revision: status.revision,
            troubles: troubles(&status.conditions, fleet.metadata.generation),
            relays: status.relays,
            domains: domains.iter().filter(|domain| serves(fleet, domain)).map(Domain::new).collect(),
        }
    }

    /// Asks its relays how fast they are; one without relays is not.
    pub(super) fn measure(&mut self, cluster: &Cluster) -> Result<(), Failure> {
        if self.relays.is_empty() {
            return Ok(());
        }
        let rates = top::measure(&cluster.fleet(&self.namespace, &self.name))?;
        self.domains.iter_mut().for_each(|domain| domain.measured(&rates));
        Ok(())
    }

    pub(super) fn is_well(&self) -> bool {
        self.troubles.is_empty()
            && self.domains.iter().all(Domain::is_well)
            && self.relays.iter().all(|relay| relay.state != RelayState::NotReady)
    }

    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { namespace, name, wanted, ready, programmed, advertised, .. } = self;
        writeln!(out, "Fleet {namespace}/{name}: {}", self.revision_text())?;
        let sessions = self.sessions.as_ref().map(|it| format!(", {it} BGP sessions up")).unwrap_or_default();
        writeln!(
            out,
            "{}: {ready} ready, {programmed} programmed, {advertised} advertised{sessions}",
            text::count(u64::try_from(*wanted).unwrap_or_default(), "relay")
        )?;
        for Trouble { about, status, reason, message } in &self.troubles {
            writeln!(out, "  {about}={status} {reason}: {message}")?;
        }
        if !self.relays.is_empty() {
            writeln!(out)?;
            let rows: Vec<_> = self.relays.iter().map(row).collect();
            text::table(out, ["RELAY", "NODE", "STATE", "REVISION", "SESSIONS", "DROPS/MIN", "WHY-NOT"], &rows)?;
        }
        if !self.domains.is_empty() {
            writeln!(out)?;
            domain::print(out, &self.domains)?;
        }
        Ok(())
    }

    fn revision_text(&self) -> String {
        let Some(RevisionStatus { sequence, hash, domains, rules }) = &self.revision else {
            return "no revision yet".to_owned();
        };
        let count = |number: &i64, noun| text::count(u64::try_from(*number).unwrap_or_default(), noun);
        format!("revision {sequence} ({hash:.12}), {}, {}", count(domains, "domain"), count(rules, "rule"))
    }
}

fn row(relay: &RelayStatus) -> [String; 7] {
    let state = match relay.state {
        RelayState::Ready => "Ready",
        RelayState::NotReady => "NotReady",
        RelayState::Draining => "Draining",
    };
    let why = match (&relay.reason, &relay.message) {
        (Some(reason), Some(message)) => format!("{reason}: {message}"),
        (reason, message) => reason.clone().or_else(|| message.clone()).unwrap_or_default(),
    };
    [
        relay.pod.clone(),
        text::or_dash(relay.node.as_ref()),
        state.to_owned(),
        text::or_dash(relay.revision),
        text::or_dash(relay.sessions.as_ref()),
        relay.dropped_last_minute.unwrap_or_default().to_string(),
        why,
    ]
}
