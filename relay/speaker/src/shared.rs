//! What the speaker knows, for those who ask: the HTTP server, and the relay on its socket.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use pod::{
    FleetName,
    api::Contact,
    choice::{Identity, Refusal},
};
use tokio::sync::watch;

use crate::plan::{Family, Obstacle};

/// For as long without a round of the main loop the process is taken for hung: longer than BIRD may take to answer.
const HUNG: Duration = Duration::from_secs(60);

/// One per process.
pub(crate) struct Shared {
    pub(crate) started: Timestamp,
    pub(crate) fleet: FleetName,
    pub(crate) pod: String,
    pub(crate) node: String,
    /// Whether the API server answers, where it is asked.
    pub(crate) contact: Contact,
    status: Mutex<Status>,
    /// The number of the last change of what is reported.
    sequence: watch::Sender<u64>,
    /// Sessions for the relay, sent again at each look at BIRD.
    pub(crate) peers: watch::Sender<Peers>,
}

/// Everything that changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Status {
    /// The generation of the fleet that BIRD works by.
    pub(crate) fleet_generation: Option<i64>,
    /// The revision that BIRD works by.
    pub(crate) revision: Option<Identity>,
    /// Why a newer one is not in use.
    pub(crate) refusal: Option<Refusal>,
    pub(crate) obstacles: Vec<Obstacle>,
    pub(crate) bird: Bird,
    /// BIRD has not taken what it should work by.
    pub(crate) is_behind: bool,
    /// Families that have peers here.
    pub(crate) families: BTreeSet<Family>,
    pub(crate) sessions: Vec<SessionState>,
    /// What is announced to anybody.
    pub(crate) announced: Announced,
    /// How many prefixes could be.
    pub(crate) wanted: Count,
    /// The pod is asked to leave, by SIGTERM or by the drain list.
    pub(crate) draining: bool,
    /// SIGTERM has come.
    pub(crate) ending: bool,
    pub(crate) counts: Counts,
    /// When the main loop was last seen at work.
    pub(crate) alive: Option<Instant>,
    reported: Reported,
}

/// BIRD as a process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bird {
    pub(crate) version: String,
    pub(crate) running: bool,
    /// Since when it runs, or does not.
    pub(crate) since: Option<Timestamp>,
}

/// A session, as BIRD has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionState {
    pub(crate) peer: String,
    /// A router on a link without addresses has none until it calls.
    pub(crate) address: Option<IpAddr>,
    pub(crate) interface: String,
    pub(crate) local: IpAddr,
    pub(crate) asn: u32,
    /// BIRD's word.
    pub(crate) state: String,
    pub(crate) since: Timestamp,
    /// BIRD's word, if it has BFD.
    pub(crate) bfd: Option<String>,
    /// Packets can be sent there.
    pub(crate) up: bool,
    pub(crate) last_error: Option<String>,
    pub(crate) families: BTreeSet<Family>,
    pub(crate) announced: Count,
}

/// A number for each family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Count {
    pub(crate) ipv4: u64,
    pub(crate) ipv6: u64,
}

/// Prefixes of each family.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Announced {
    pub(crate) ipv4: Vec<String>,
    pub(crate) ipv6: Vec<String>,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// Configurations that BIRD took, and that it did not.
    pub(crate) configured: u64,
    pub(crate) refused: u64,
    /// How often BIRD was started.
    pub(crate) starts: u64,
}

/// What a relay is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peers {
    /// Grows with every change.
    pub(crate) sequence: u64,
    pub(crate) sessions: Vec<SessionState>,
}

/// What the operator waits for: its changes are numbered.
#[derive(Debug, Clone, PartialEq, Default)]
struct Reported {
    revision: Option<Identity>,
    fleet_generation: Option<i64>,
    reasons: Vec<&'static str>,
    obstacles: Vec<Obstacle>,
    draining: bool,
    bird: Bird,
    sessions: Vec<SessionState>,
    announced: Announced,
    wanted: Count,
}

impl Shared {
    pub(crate) fn new(fleet: FleetName, pod: String, node: String) -> Self {
        Self {
            started: Timestamp::now(),
            fleet,
            pod,
            node,
            contact: Contact::default(),
            status: Mutex::default(),
            sequence: watch::Sender::new(1),
            peers: watch::Sender::new(Peers::default()),
        }
    }

    /// A copy of what there is.
    pub(crate) fn look(&self) -> Status {
        self.lock().clone()
    }

    /// Changes it, and tells those who wait if that changed anything that is reported.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Status) -> T) -> T {
        let mut status = self.lock();
        let result = change(&mut status);
        let now = Reported::of(&status);
        if now != status.reported {
            status.reported = now;
            self.sequence.send_modify(|sequence| *sequence += 1);
        }
        result
    }

    /// The number of the last change, and those to come.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.sequence.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Status {
    /// Why the pod does not announce as it should, a word each; empty if it does.
    pub(crate) fn reasons(&self) -> Vec<&'static str> {
        let is_up = |family| self.sessions.iter().any(|it| it.up && it.families.contains(&family));
        let is_down = |family| self.families.contains(&family) && !is_up(family);
        let all = [
            (self.ending, "Ending"),
            (self.fleet_generation.is_none(), "NoFleet"),
            (self.revision.is_none(), "NoRevision"),
            (self.fleet_generation.is_some() && !self.bird.running, "BirdDown"),
            (self.is_behind, "NotConfigured"),
            (is_down(Family::Ipv4), "IPv4SessionsDown"),
            (is_down(Family::Ipv6), "IPv6SessionsDown"),
        ];
        all.into_iter().filter_map(|(is_so, word)| is_so.then_some(word)).collect()
    }

    /// Everything that is missing.
    pub(crate) fn all_obstacles(&self) -> Vec<Obstacle> {
        let refusal = self.refusal.as_ref().map(|it| Obstacle::new(it.reason, it.message.clone()));
        self.obstacles.iter().cloned().chain(refusal).collect()
    }

    /// Whether the main loop is at work.
    pub(crate) fn is_hung(&self) -> bool {
        self.alive.is_some_and(|alive| alive.elapsed() > HUNG)
    }
}

impl Reported {
    fn of(status: &Status) -> Self {
        Self {
            revision: status.revision.clone(),
            fleet_generation: status.fleet_generation,
            reasons: status.reasons(),
            obstacles: status.all_obstacles(),
            draining: status.draining,
            bird: status.bird.clone(),
            sessions: status.sessions.clone(),
            announced: status.announced.clone(),
            wanted: status.wanted,
        }
    }
}

impl Count {
    pub(crate) fn of(mut count: impl FnMut(Family) -> u64) -> Self {
        Self { ipv4: count(Family::Ipv4), ipv6: count(Family::Ipv6) }
    }

    pub(crate) fn get(self, family: Family) -> u64 {
        match family {
            Family::Ipv4 => self.ipv4,
            Family::Ipv6 => self.ipv6,
        }
    }
}
