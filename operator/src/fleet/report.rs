//! What to say about it: the fleet's status, and what domains have to know. Pure but for [`write`].

use std::{collections::BTreeMap, sync::Arc};

use crds::{
    BorderRelay, BorderRelayStatus, MapDomain,
    border_relay::{RelayState, RelayStatus, RevisionStatus},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use mape::{DomainName, Problem};

use super::{
    found::{Found, Held},
    validate::{Refusal, Valid, name_of},
};
use crate::{
    condition::{Cause, Finding, conditions, listed},
    names,
    speaker::Session,
};

mod findings;
mod relays;
mod trouble;

pub use relays::{Relay, Relays};

/// What became of a fleet, for its status and for its domains.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What it makes of its domains.
    pub standing: Standing,
    /// Its relays.
    pub relays: Relays,
    /// What keeps some of them from carrying traffic, or from forwarding by the current revision.
    pub hurdle: Option<Cause>,
    /// Its conditions.
    pub conditions: Vec<Condition>,
}

impl Outcome {
    /// The domains, of these, for which it is other news than `before` was.
    pub fn is_news_to<'d>(
        &'d self,
        before: Option<&'d Self>,
        domains: &'d [Arc<MapDomain>],
    ) -> impl Iterator<Item = &'d Arc<MapDomain>> {
        let same_for_all = before.is_some_and(|before| {
            let relays = (&self.relays.all, self.relays.total) == (&before.relays.all, before.relays.total);
            relays && self.hurdle == before.hurdle && self.advertised() == before.advertised()
        });
        let is_news = move |name: &DomainName| match (&self.standing, before.map(|before| &before.standing)) {
            (Standing::Judged(now), Some(Standing::Judged(before))) => now.of(name) != before.of(name),
            (now, before) => before != Some(now),
        };
        domains.iter().filter(move |domain| !same_for_all || is_news(&name_of(domain)))
    }

    /// What it says about announcements.
    fn advertised(&self) -> Option<(&str, &str)> {
        let condition = self.conditions.iter().find(|condition| condition.type_ == "Advertised")?;
        Some((&condition.reason, &condition.message))
    }
}

impl Judged {
    fn of(&self, name: &DomainName) -> (Option<&Seen>, Option<&Refusal>, Option<&u64>) {
        (self.seen.get(name), self.refused.get(name), self.since.get(name))
    }
}

/// What a fleet makes of its domains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing: the fleet itself is wrong, or cannot be looked after.
    None(Cause),
    /// These were looked at.
    Judged(Judged),
}

/// The domains as they were looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// Which state of each domain it was.
    pub seen: BTreeMap<DomainName, Seen>,
    /// Those that the fleet does not serve.
    pub refused: BTreeMap<DomainName, Refusal>,
    /// The others, with the number of the revision since which they are as they are. Empty if it could not be written.
    pub since: BTreeMap<DomainName, u64>,
}

/// Which state of an object it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Another object of the same name has another.
    pub uid: Option<String>,
    /// It grows with every change of the spec.
    pub generation: Option<i64>,
}

/// What was done about a fleet.
pub struct Done<'a> {
    /// What was found before.
    pub found: &'a Found,
    /// What may be.
    pub valid: &'a Valid,
    /// The revision that relays should forward by, if it is written down.
    pub held: Option<&'a Held>,
    /// What could not be done.
    pub failures: Vec<Cause>,
}

/// The outcome for a fleet that may be.
#[must_use]
pub fn outcome(relay: &BorderRelay, done: &Done<'_>, now: Timestamp) -> Outcome {
    let relays = Relays::look(done.found, &done.valid.leaving, done.valid.fleet.replicas.into(), done.held);
    let found = findings::findings(done, &relays);
    let seen = |domain: &Arc<MapDomain>| {
        let metadata = &domain.metadata;
        (name_of(domain), Seen { uid: metadata.uid.clone(), generation: metadata.generation })
    };
    let judged = Judged {
        seen: done.found.domains.iter().map(seen).collect(),
        refused: done.valid.refused.clone(),
        since: done.held.map(|held| held.since.clone()).unwrap_or_default(),
    };
    let hurdle = findings::hurdle(done, &relays);
    Outcome { standing: Standing::Judged(judged), conditions: said(relay, found, now), relays, hurdle }
}

/// The outcome for a fleet that makes no sense: all that it was stays as it is.
#[must_use]
pub fn invalid(relay: &BorderRelay, problems: &[Problem], now: Timestamp) -> Outcome {
    let cause = Cause::new("Invalid", listed(problems));
    let mut found = vec![Finding::is_not("Accepted", cause.clone())];
    let stays = Cause::new("Invalid", "the spec is not accepted; relays go on with what they have");
    found.extend(["Programmed", "Advertised", "Ready"].map(|about| Finding::is_unknown(about, stays.clone())));
    let name = relay.name_any();
    let told = Cause::new("FleetInvalid", format!("BorderRelay {name} is not accepted: {}", cause.message));
    none(told, said(relay, found, now))
}

/// The outcome for a fleet that could not be looked after: what was true before may still be.
#[must_use]
pub fn failed(relay: &BorderRelay, cause: &Cause, now: Timestamp) -> Outcome {
    let before = relay.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
    let unknown = |about| Finding::is_unknown(about, cause.clone());
    let missing = |about: &&str| !before.iter().any(|condition| condition.type_ == **about);
    let mut found: Vec<Finding> = ["Accepted", "Programmed", "Advertised", "Ready"]
        .into_iter()
        .filter(|about| missing(about))
        .map(unknown)
        .collect();
    found.push(Finding::is("Degraded", cause.clone()));
    let mut kept: Vec<Condition> = before.into_iter().filter(|condition| condition.type_ != "Degraded").collect();
    kept.extend(said(relay, found, now));
    let name = relay.name_any();
    let told = Cause { message: format!("BorderRelay {name}: {}", cause.message), ..cause.clone() };
    none(told, kept)
}

fn none(told: Cause, conditions: Vec<Condition>) -> Outcome {
    Outcome { standing: Standing::None(told), relays: Relays::default(), hurdle: None, conditions }
}

fn said(relay: &BorderRelay, found: Vec<Finding>, now: Timestamp) -> Vec<Condition> {
    let before = relay.status.as_ref().map(|status| &*status.conditions).unwrap_or_default();
    conditions(before, found, relay.metadata.generation.unwrap_or_default(), now)
}

/// The status of a fleet with this outcome.
#[must_use]
pub fn status(relay: &BorderRelay, outcome: &Outcome, held: Option<&Held>) -> BorderRelayStatus {
    let before = relay.status.clone().unwrap_or_default();
    let observed_generation = relay.metadata.generation;
    let conditions = outcome.conditions.clone();
    if matches!(outcome.standing, Standing::None(_)) {
        return BorderRelayStatus { observed_generation, conditions, ..before };
    }
    let relays = &outcome.relays;
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    BorderRelayStatus {
        observed_generation,
        conditions,
        replicas: count(relays.pods),
        ready_replicas: count(relays.ready()),
        programmed_replicas: count(relays.programmed()),
        advertised_replicas: count(relays.advertised()),
        sessions: sessions(relays.sessions()),
        selector: Some(selector(&relay.name_any())),
        revision: held.map(revision).or(before.revision),
        relays: relays.all.iter().take(1024).map(line).collect(),
    }
}

fn selector(fleet: &str) -> String {
    let pairs: Vec<String> = names::selector(fleet).iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

fn revision(held: &Held) -> RevisionStatus {
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    RevisionStatus {
        sequence: held.revision.sequence.try_into().unwrap_or(i64::MAX),
        hash: held.hash.clone(),
        domains: count(held.revision.domains.len()),
        rules: count(held.revision.rules()),
    }
}

/// `3/4`; nothing where there are none.
fn sessions<'s>(all: impl Iterator<Item = &'s Session>) -> Option<String> {
    let (up, total) = all.fold((0, 0), |(up, total), session| (up + usize::from(session.up), total + 1));
    (total > 0).then(|| format!("{up}/{total}"))
}

/// To two digits: the status is not written anew for every packet.
fn rounded(number: u64) -> u64 {
    let unit = 10_u64.pow(number.checked_ilog10().unwrap_or_default().saturating_sub(1));
    number / unit * unit
}

fn line(relay: &Relay) -> RelayStatus {
    let why = relay.trouble.as_ref().filter(|_| relay.state != RelayState::Draining);
    RelayStatus {
        pod: relay.pod.clone(),
        node: relay.node.clone(),
        revision: relay.revision.as_ref().and_then(|held| held.sequence.try_into().ok()),
        sessions: sessions(relay.sessions.iter()),
        dropped_last_minute: i64::try_from(rounded(relay.dropped)).ok().filter(|dropped| *dropped > 0),
        state: relay.state,
        reason: why.map(|cause| cause.reason.clone().into_owned()),
        message: why.map(|cause| cause.message.clone()),
    }
}
