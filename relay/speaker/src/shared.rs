//! What the speaker knows, for those who ask: the HTTP server, and the relay on its socket.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use pod::{
    Board, FleetName, Reports,
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
    /// Everything that changes.
    pub(crate) board: Board<Status>,
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
    /// The TCP port that it listens on.
    pub(crate) port: u16,
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
#[derive(Debug, PartialEq)]
pub(crate) struct Reported {
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
            board: Board::new(Status::default()),
            peers: watch::Sender::new(Peers::default()),
        }
    }

    /// A copy of what there is.
    pub(crate) fn look(&self) -> Status {
        self.board.read(Status::clone)
    }

    /// Changes it.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Status) -> T) -> T {
        self.board.update(change)
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

impl Reports for Status {
    type Reported = Reported;

    fn reported(&self) -> Reported {
        Reported {
            revision: self.revision.clone(),
            fleet_generation: self.fleet_generation,
            reasons: self.reasons(),
            obstacles: self.all_obstacles(),
            draining: self.draining,
            bird: self.bird.clone(),
            sessions: self.sessions.clone(),
            announced: self.announced.clone(),
            wanted: self.wanted,
        }
    }
}

impl Announced {
    pub(crate) fn count(&self) -> Count {
        Count { ipv4: self.ipv4.len() as u64, ipv6: self.ipv6.len() as u64 }
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
