//! The relays of a fleet, and how far each is.

use std::collections::BTreeSet;

use crds::border_relay::RelayState;

use super::trouble::trouble;
use crate::{
    condition::Cause,
    fleet::found::{Found, Held, RelayPod},
    relay::Revision,
    speaker::{self, Session},
};

/// The relays of a fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relays {
    /// One by one, those that have ended for good included.
    pub all: Vec<Relay>,
    /// How many relays there should be that are not draining.
    pub total: usize,
    /// How many pods there are.
    pub pods: usize,
    /// The revision that they should forward by.
    pub current: Option<Revision>,
}

/// A relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// Its pod.
    pub pod: String,
    /// The node it is on.
    pub node: Option<String>,
    /// What it forwards by.
    pub revision: Option<Revision>,
    /// What it is up to.
    pub state: RelayState,
    /// The sessions of its speaker.
    pub sessions: Vec<Session>,
    /// Whether routers have been told all that it serves by the current revision.
    pub announces: bool,
    /// How many packets it has dropped in the last minute.
    pub dropped: u64,
    /// What is wrong with it.
    pub trouble: Option<Cause>,
    /// Whether it has ended for good: a pod that only its trouble is left of.
    pub has_ended: bool,
}

impl Relays {
    /// Looks at each of the pods.
    #[must_use]
    pub fn look(found: &Found, leaving: &BTreeSet<String>, replicas: usize, held: Option<&Held>) -> Self {
        let current = held.map(|held| Revision { sequence: held.revision.sequence, hash: held.hash.clone() });
        let number = current.as_ref().map_or(0, |current| current.sequence);
        let all: Vec<Relay> = found.pods.iter().map(|pod| Relay::look(pod, leaving, number)).collect();
        let alive = || all.iter().filter(|relay| !relay.has_ended);
        let stay = alive().filter(|relay| relay.state != RelayState::Draining).count();
        // Who drains because of its node still has a place in the Deployment; who is being deleted has been replaced.
        let deleted = found.pods.iter().filter(|pod| pod.is_leaving() && !pod.has_ended()).count();
        let drained = alive().count() - stay - deleted.min(alive().count() - stay);
        Self { total: stay.max(replicas.saturating_sub(drained)), pods: alive().count(), current, all }
    }

    /// Those that are not draining.
    pub fn staying(&self) -> impl Iterator<Item = &Relay> {
        self.all.iter().filter(|relay| relay.state != RelayState::Draining && !relay.has_ended)
    }

    /// How many of them carry traffic.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.staying().filter(|relay| relay.state == RelayState::Ready).count()
    }

    /// How many of them forward by the current revision.
    #[must_use]
    pub fn programmed(&self) -> usize {
        self.current.as_ref().map_or(0, |current| self.staying().filter(|it| self.holds(it, current.sequence)).count())
    }

    /// How many of them routers have been told of.
    #[must_use]
    pub fn advertised(&self) -> usize {
        self.staying().filter(|relay| relay.announces).count()
    }

    /// The sessions of those that are not draining.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.staying().flat_map(|relay| &relay.sessions)
    }

    /// How many of them forward by a revision with at least this number.
    #[must_use]
    pub fn holding(&self, since: u64) -> usize {
        self.staying().filter(|relay| self.holds(relay, since)).count()
    }

    /// How many of these carry traffic.
    #[must_use]
    pub fn carrying(&self, since: u64) -> usize {
        self.staying().filter(|relay| relay.state == RelayState::Ready && self.holds(relay, since)).count()
    }

    /// How many of these routers have been told of.
    #[must_use]
    pub fn announcing(&self, since: u64) -> usize {
        self.staying().filter(|relay| relay.announces && self.holds(relay, since)).count()
    }

    /// Whether a relay has a revision with at least this number. One with the current number and another hash has
    /// something that nobody wrote.
    #[must_use]
    pub fn holds(&self, relay: &Relay, since: u64) -> bool {
        let same = |held: &&Revision| {
            self.current.as_ref().is_none_or(|current| held.sequence != current.sequence || held.hash == current.hash)
        };
        relay.revision.as_ref().filter(same).is_some_and(|held| held.sequence >= since)
    }
}

impl Relay {
    fn look(found: &RelayPod, leaving: &BTreeSet<String>, current: u64) -> Self {
        let (said, spoken) = (found.state(), found.spoken());
        let knows = |it: &&speaker::State| it.revision.as_ref().is_some_and(|held| held.sequence >= current);
        let drains = found.is_leaving() || leaving.contains(found.name()) || said.is_some_and(|state| state.draining);
        let state = match (drains, found.is_ready()) {
            (true, _) => RelayState::Draining,
            (false, true) => RelayState::Ready,
            (false, false) => RelayState::NotReady,
        };
        Self {
            pod: found.name().to_owned(),
            node: found.node().map(str::to_owned),
            revision: said.and_then(|state| state.revision.clone()),
            state,
            sessions: spoken.map(|it| it.sessions.clone()).unwrap_or_default(),
            announces: spoken
                .filter(knows)
                .is_some_and(|it| it.announces() && it.sessions.iter().any(|session| session.up)),
            dropped: said.map_or(0, |state| state.dropped_last_minute),
            trouble: trouble(found),
            has_ended: found.has_ended(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{
        build::next,
        fixtures::{holding, pod},
        found::Current,
    };

    fn look(pods: Vec<RelayPod>, leaving: &[&str], replicas: usize) -> Relays {
        let held = next(&Current { highest: 4, held: None }, "f", &[], None).unwrap();
        let leaving = leaving.iter().map(|&name| name.to_owned()).collect();
        Relays::look(&Found { pods, ..Found::default() }, &leaving, replicas, Some(&held))
    }

    fn hash() -> String {
        next(&Current::default(), "f", &[], None).unwrap().hash
    }

    #[test]
    fn a_relay_counts_with_the_current_revision_or_a_newer_one() {
        let with = |sequence, hash: &str| look(vec![holding(pod("a", None), sequence, hash)], &[], 1).programmed();
        assert_eq!(with(4, "older"), 0);
        assert_eq!(with(5, &hash()), 1);
        assert_eq!(with(5, "another"), 0);
        assert_eq!(with(6, "newer"), 1);
        assert_eq!(look(vec![pod("a", None)], &[], 1).programmed(), 0);
    }

    #[test]
    fn who_drains_is_not_waited_for() {
        let pods = || vec![holding(pod("a", None), 5, &hash()), holding(pod("b", None), 4, "older")];
        let all = look(pods(), &[], 2);
        assert_eq!((all.programmed(), all.total), (1, 2));
        let one_drains = look(pods(), &["b"], 2);
        assert_eq!((one_drains.programmed(), one_drains.total), (1, 1));
    }

    #[test]
    fn relays_that_are_not_there_yet_are_waited_for() {
        let few = look(vec![holding(pod("a", None), 5, &hash())], &[], 3);
        assert_eq!((few.programmed(), few.total, few.pods), (1, 3, 1));
    }
}
