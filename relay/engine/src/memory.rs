//! What outlives packets and snapshots: counters, rate limits, and the fragments of incomplete datagrams. All workers
//! share it; a plain packet only ever touches its own worker's counters.

use std::{
    collections::BTreeMap,
    hash::BuildHasher,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mape::{DomainName, options::Reassembly};

use crate::{
    DomainCount, Now,
    counters::{DomainCounters, Kept},
    fragments::{Keyed, Limits, Losses, Store},
    limits::Bucket,
};

/// The memory of one relay. A domain that stays in the fleet keeps what it has.
#[derive(Debug)]
pub struct Memory {
    workers: usize,
    secret: u64,
    domains: Mutex<BTreeMap<DomainName, Arc<DomainMemory>>>,
    unattributed: Arc<DomainMemory>,
    destinations: Arc<Destinations>,
}

impl Memory {
    /// An empty memory for this many workers. `secret` keeps others from choosing which datagrams and destinations
    /// meet in one place.
    #[must_use]
    pub fn new(workers: usize, secret: u64) -> Self {
        let nobody = DomainName { namespace: String::new(), name: String::new() };
        Self {
            workers,
            secret,
            domains: Mutex::default(),
            unattributed: Arc::new(DomainMemory::new(nobody, workers, secret)),
            destinations: Arc::new(Destinations::new(secret)),
        }
    }

    /// What every domain has counted so far, by namespace and name; packets of no domain first.
    #[must_use]
    pub fn read(&self) -> Vec<DomainCount> {
        let domains = self.domains();
        std::iter::once(&self.unattributed).chain(domains.values()).map(|domain| domain.read()).collect()
    }

    /// Forgets the datagrams whose time is over, and counts them. Workers do so as fragments come; call it now and
    /// then, so that the counters are right when none come.
    pub fn expire(&self, now: Now) {
        // The lock makes this the only writer of the last block of counters.
        for domain in self.domains().values() {
            domain.with_fragments(self.workers, now, |_, _| ());
        }
    }

    /// The memories of these domains, new ones where needed; those of domains no longer named are forgotten.
    pub(crate) fn register<'n>(
        &self,
        named: impl Iterator<Item = (&'n DomainName, &'n Reassembly)>,
    ) -> Vec<Arc<DomainMemory>> {
        let mut domains = self.domains();
        let mut kept = BTreeMap::new();
        let registered = named
            .map(|(name, reassembly)| {
                let known = domains.get(name).cloned();
                let memory =
                    known.unwrap_or_else(|| Arc::new(DomainMemory::new(name.clone(), self.workers, self.secret)));
                memory.fragments().limit(Limits::new(reassembly));
                kept.insert(name.clone(), Arc::clone(&memory));
                memory
            })
            .collect();
        *domains = kept;
        registered
    }

    pub(crate) fn unattributed(&self) -> Arc<DomainMemory> {
        Arc::clone(&self.unattributed)
    }

    pub(crate) fn destinations(&self) -> Arc<Destinations> {
        Arc::clone(&self.destinations)
    }

    fn domains(&self) -> MutexGuard<'_, BTreeMap<DomainName, Arc<DomainMemory>>> {
        self.domains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is remembered of one domain.
#[derive(Debug)]
pub(crate) struct DomainMemory {
    name: DomainName,
    pub(crate) counters: DomainCounters,
    pub(crate) errors: Bucket,
    pub(crate) echo: Bucket,
    fragments: Mutex<Store>,
}

impl DomainMemory {
    fn new(name: DomainName, workers: usize, secret: u64) -> Self {
        Self {
            name,
            // One more for `Memory::expire`.
            counters: DomainCounters::new(workers + 1),
            errors: Bucket::default(),
            echo: Bucket::default(),
            fragments: Mutex::new(Store::new(Keyed::new(secret))),
        }
    }

    /// Does something to the incomplete datagrams as they are now. What was kept and is lost is counted for `worker`.
    pub(crate) fn with_fragments<T>(
        &self,
        worker: usize,
        now: Now,
        act: impl FnOnce(&mut Store, &mut Losses) -> T,
    ) -> T {
        let mut losses = Losses::default();
        let mut store = self.fragments();
        store.expire(now, &mut losses);
        let result = act(&mut store, &mut losses);
        drop(store);
        for (direction, reason, load) in losses.counts() {
            self.counters.dropped(worker, direction, reason, load);
        }
        result
    }

    /// Only fragments ever wait for this lock.
    fn fragments(&self) -> MutexGuard<'_, Store> {
        self.fragments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> DomainCount {
        let kept: Kept = self.fragments().kept();
        self.counters.read(&self.name, kept)
    }
}

/// Rate limits by who hears the relay, whatever domain it speaks for: nobody can have it flood a third party through
/// many domains. A table of fixed size: two destinations may share a place.
#[derive(Debug)]
pub(crate) struct Destinations {
    keyed: Keyed,
    buckets: Box<[Bucket]>,
}

const DESTINATIONS: usize = 1 << 13;

impl Destinations {
    fn new(secret: u64) -> Self {
        Self { keyed: Keyed::new(secret), buckets: (0..DESTINATIONS).map(|_| Bucket::default()).collect() }
    }

    /// Echo replies and errors have limits of their own.
    pub(crate) fn bucket(&self, destination: [u64; 2], is_echo: bool) -> &Bucket {
        &self.buckets[self.keyed.hash_one((destination, is_echo)) as usize % DESTINATIONS]
    }
}
