//! What the threads and the HTTP server share, and what of it they may look at.

use std::{
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

use arc_swap::ArcSwap;
use engine::{Memory, Now, Snapshot};
use jiff::Timestamp;
use mape::{Fleet, Ipv4Net};

use crate::{
    host::{RouteTable, Tun},
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
    pub(crate) started: Timestamp,
    /// Routes lead here, and the relay is not about to end.
    ready: AtomicBool,
    status: Mutex<Status>,
}

/// What changes seldom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Status {
    pub(crate) config: Config,
    pub(crate) device: Option<Device>,
    /// Workers that hang, by number.
    pub(crate) hung: Vec<usize>,
}

/// The manifests: those in use, and what happened to later ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) hash: String,
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
    pub(crate) fn new(workers: usize, paths: Vec<PathBuf>) -> Self {
        let memory = Memory::new(workers, RandomState::new().hash_one(0));
        let empty = Snapshot::compile(&Fleet::default(), &memory, &engine::Defaults::default());
        let status = Status { config: Config { paths, ..Config::default() }, ..Status::default() };
        Self {
            snapshot: Arc::new(ArcSwap::from_pointee(empty)),
            memory,
            clock: Instant::now(),
            progress: (0..workers).map(|_| Arc::default()).collect(),
            started: Timestamp::now(),
            ready: AtomicBool::new(false),
            status: Mutex::new(status),
        }
    }

    /// Forgets datagrams whose time is over: fragments do that too, but only when they come.
    pub(crate) fn expire_fragments(&self) {
        self.memory.expire(Now(self.clock.elapsed().as_nanos() as u64));
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Relaxed)
    }

    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Relaxed);
    }

    pub(crate) fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn workers(&self) -> Vec<Reading> {
        self.progress.iter().map(|progress| progress.read()).collect()
    }
}

impl Config {
    /// Other manifests are in use from now on.
    pub(crate) fn activated(&mut self, hash: String, fleet: &Fleet, routes: usize) {
        self.hash = hash;
        self.since = Some(Timestamp::now());
        self.domains = fleet.domains().iter().map(DomainSummary::from).collect();
        self.routes = routes;
    }

    /// They could not be used.
    pub(crate) fn refused(&mut self, errors: Vec<String>) {
        self.failures += 1;
        self.error = Some(ConfigError { at: Timestamp::now(), errors });
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
