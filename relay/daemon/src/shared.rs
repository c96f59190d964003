//! What the threads and the HTTP server share, and what of it they may look at.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use arc_swap::ArcSwap;
use engine::{DomainCount, Memory, Now, Snapshot};
use jiff::Timestamp;
use mape::{Fleet, Ipv4Net};
use pod::{Board, Reports};

mod lately;
mod readiness;

pub(crate) use self::readiness::{Readiness, SelfTest};
use self::{lately::Lately, readiness::DRAINING};
use crate::{
    capture::Tap,
    host::{HopView, RouteTable, Tun},
    obstacles::Obstacle,
    plan::Announcement,
    revision::{
        Source,
        api::Contact,
        choice::Refusal,
        history::{Activation, SHOWN},
    },
    self_test::{self, Notes, Round},
    workers::{Progress, Reading},
};

/// One per process.
pub(crate) struct Shared {
    /// What the workers forward by.
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) memory: Memory,
    /// What the packet path calls now is counted from here.
    pub(crate) clock: Instant,
    /// One for each worker.
    pub(crate) progress: Vec<Arc<Progress>>,
    /// What the workers saw of the self-test.
    pub(crate) notes: Arc<Notes>,
    /// What they show of packets to who asks.
    pub(crate) tap: Arc<Tap>,
    pub(crate) started: Timestamp,
    pub(crate) identity: Identity,
    /// Whether the API server answers, where it is asked.
    pub(crate) contact: Contact,
    /// What changes seldom.
    pub(crate) board: Board<Status>,
    drops: Mutex<Lately>,
}

/// Who this relay is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    /// Its `BorderRelay`.
    pub(crate) fleet: Option<String>,
    pub(crate) pod: Option<String>,
    pub(crate) node: Option<String>,
}

/// What changes seldom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Status {
    pub(crate) config: Config,
    pub(crate) device: Option<Device>,
    /// Workers that hang, by number.
    pub(crate) hung: Vec<usize>,
    pub(crate) readiness: Readiness,
    /// How the routes are announced at most.
    pub(crate) announcement: Announcement,
    /// How often they were withdrawn, by the first reason.
    pub(crate) withdrawals: BTreeMap<&'static str, u64>,
    /// Why the newest revision is not in use.
    pub(crate) refusal: Option<Refusal>,
    pub(crate) obstacles: Vec<Obstacle>,
    /// Next hops of the sides.
    pub(crate) hops: Vec<HopView>,
    /// The last activations, oldest first.
    pub(crate) history: VecDeque<Activation>,
    /// Something that was removed is still forwarded.
    pub(crate) leaving: bool,
}

/// What the operator waits for: its changes are numbered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reported {
    revision: Option<(Option<u64>, String, Source)>,
    reasons: Vec<&'static str>,
    announcement: Announcement,
    refusal: Option<Refusal>,
    obstacles: Vec<Obstacle>,
}

/// The manifests or the revision: those in use, and what happened to later ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    pub(crate) paths: Vec<PathBuf>,
    /// The revision's number.
    pub(crate) sequence: Option<u64>,
    /// Where it came from.
    pub(crate) source: Option<Source>,
    pub(crate) hash: String,
    /// The revision's format.
    pub(crate) format_version: u32,
    pub(crate) since: Option<Timestamp>,
    pub(crate) domains: Vec<DomainSummary>,
    pub(crate) routes: usize,
    pub(crate) reloads: u64,
    pub(crate) failures: u64,
    /// What was wrong with the last ones, if that is not mended.
    pub(crate) error: Option<ConfigError>,
}

#[derive(Debug, Clone)]
pub(crate) struct ConfigError {
    pub(crate) at: Timestamp,
    pub(crate) errors: Vec<String>,
}

/// A domain in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DomainSummary {
    pub(crate) name: mape::DomainName,
    pub(crate) softwire_address: std::net::Ipv6Addr,
    pub(crate) ipv4_prefixes: Vec<Ipv4Net>,
}

/// The TUN and what belongs to it.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) tun: Tun,
    pub(crate) table: RouteTable,
    pub(crate) queue_length: u32,
    pub(crate) ipv4_source: std::net::Ipv4Addr,
}

impl Shared {
    /// For this many workers; with no domain yet.
    pub(crate) fn new(workers: usize, paths: Vec<PathBuf>, identity: Identity) -> Self {
        let memory = Memory::new(workers, RandomState::new().hash_one(0));
        let empty = Snapshot::compile(&Fleet::default(), &memory, &engine::Defaults::default());
        let status = Status { config: Config { paths, ..Config::default() }, ..Status::default() };
        Self {
            snapshot: Arc::new(ArcSwap::from_pointee(empty)),
            memory,
            clock: Instant::now(),
            progress: (0..workers).map(|_| Arc::default()).collect(),
            notes: Arc::new(Notes::new(workers)),
            tap: Arc::default(),
            started: Timestamp::now(),
            identity,
            contact: Contact::default(),
            board: Board::new(status),
            drops: Mutex::default(),
        }
    }

    /// Forgets datagrams whose time is over: fragments do that too, but only when they come.
    pub(crate) fn expire_fragments(&self) {
        self.memory.expire(Now(self.clock.elapsed().as_nanos() as u64));
    }

    /// A copy of the status, and why the relay is not ready, if it is not.
    pub(crate) fn look(&self) -> (Status, Vec<&'static str>) {
        let status = self.board.read(Status::clone);
        let reasons = status.readiness.reasons(Instant::now());
        (status, reasons)
    }

    /// What the TUN is called, once it is there.
    pub(crate) fn device_name(&self) -> String {
        self.board.read(|status| status.device.as_ref().map(|device| device.tun.name.clone())).unwrap_or_default()
    }

    /// What keeps it from forwarding, and whether it is asked to leave.
    pub(crate) fn faults(&self) -> (Vec<&'static str>, bool) {
        self.board.read(|status| (status.readiness.faults(Instant::now()), status.readiness.draining))
    }

    /// Why it is not ready; empty if it is.
    pub(crate) fn reasons(&self) -> Vec<&'static str> {
        self.board.read(|status| status.readiness.reasons(Instant::now()))
    }

    /// Changes the status, and tells those who wait if that changed anything that is reported. Readiness lapses with
    /// time: so it is called every second, with nothing to change.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Status) -> T) -> T {
        self.board.update(change)
    }

    /// A round of the self-test is over.
    pub(crate) fn self_tested(&self, round: &Round) {
        self.update(|status| {
            if let Some(test) = &mut status.readiness.self_test {
                test.take(round, Instant::now());
            }
        });
    }

    /// Called all the time: a minute has to begin somewhere.
    pub(crate) fn note_drops(&self) {
        let total = dropped(&self.counts());
        self.drops.lock().unwrap_or_else(PoisonError::into_inner).note(total, Instant::now());
    }

    /// Of these counts, how many packets were dropped in the last minute.
    pub(crate) fn dropped_lately(&self, counts: &[DomainCount]) -> u64 {
        self.drops.lock().unwrap_or_else(PoisonError::into_inner).grown(dropped(counts))
    }

    /// What was counted for domains, without the relay's own.
    pub(crate) fn counts(&self) -> Vec<DomainCount> {
        let mut counts = self.memory.read();
        counts.retain(|count| !self_test::is(&count.name));
        counts
    }

    pub(crate) fn workers(&self) -> Vec<Reading> {
        self.progress.iter().map(|progress| progress.read()).collect()
    }
}

fn dropped(counts: &[DomainCount]) -> u64 {
    counts.iter().flat_map(|count| &count.dropped).map(|(_, _, count)| count.packets).sum()
}

impl Reports for Status {
    type Reported = Reported;

    fn reported(&self) -> Reported {
        let Config { sequence, source, hash, .. } = &self.config;
        Reported {
            revision: source.map(|source| (*sequence, hash.clone(), source)),
            reasons: self.readiness.reasons(Instant::now()),
            announcement: self.announcement,
            refusal: self.refusal.clone(),
            obstacles: self.obstacles.clone(),
        }
    }
}

impl Status {
    /// The gate has moved; `faults` are why, if they are.
    pub(crate) fn gate(&mut self, announcement: Announcement, faults: &[&'static str]) {
        self.announcement = announcement;
        if announcement == Announcement::Local {
            *self.withdrawals.entry(faults.first().unwrap_or(&DRAINING)).or_default() += 1;
        }
    }

    /// Another one is in use.
    pub(crate) fn remember(&mut self, activation: Activation) {
        self.history.push_back(activation);
        while self.history.len() > SHOWN {
            self.history.pop_front();
        }
    }
}

impl Config {
    /// They could not be used.
    pub(crate) fn refused(&mut self, errors: Vec<String>) {
        self.failures += 1;
        self.error = Some(ConfigError { at: Timestamp::now(), errors });
    }

    /// How many mapping rules are in use.
    pub(crate) fn rules(&self) -> usize {
        self.domains.iter().map(|domain| domain.ipv4_prefixes.len()).sum()
    }
}

impl From<&mape::Domain> for DomainSummary {
    fn from(domain: &mape::Domain) -> Self {
        Self {
            name: domain.name().clone(),
            softwire_address: domain.softwire_address(),
            ipv4_prefixes: domain.rules().iter().map(mape::Rule::ipv4_prefix).collect(),
        }
    }
}
