//! Counters by domain, direction and outcome. Each worker writes its own, plainly; a reader adds them up.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use mape::DomainName;

use crate::{DropReason, limits::Bucket};

/// Which way a packet crosses the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// IPv4 in, IPv6 out: encapsulation.
    ToCe,
    /// IPv6 in, IPv4 out: decapsulation; a hairpinned packet too.
    FromCe,
}

impl Direction {
    /// Its metric label.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ToCe => "to_ce",
            Self::FromCe => "from_ce",
        }
    }
}

/// What the relay says of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IcmpKind {
    /// An error about a packet.
    Error,
    /// An answer to an echo request.
    EchoReply,
}

impl IcmpKind {
    /// Its metric label.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::EchoReply => "echo_reply",
        }
    }
}

/// Packets, and bytes of the packets as they came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// How many.
    pub packets: u64,
    /// How large together.
    pub bytes: u64,
}

/// One domain's counts, all workers together; only what has counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainCount {
    /// Whose; empty names for packets that belong to no domain.
    pub name: DomainName,
    /// Packets that went on.
    pub forwarded: Vec<(Direction, Count)>,
    /// Packets that did not.
    pub dropped: Vec<(Direction, DropReason, Count)>,
    /// ICMP messages that the relay sent of its own.
    pub icmp_sent: Vec<(IcmpKind, u64)>,
    /// ICMP messages that a rate limit held back.
    pub icmp_suppressed: Vec<(IcmpKind, u64)>,
}

/// The counters of all domains for all workers. They outlive snapshots: a domain that stays keeps its counts.
#[derive(Debug)]
pub struct Counters {
    workers: usize,
    domains: Mutex<BTreeMap<DomainName, Arc<DomainCounters>>>,
    unattributed: Arc<DomainCounters>,
}

impl Counters {
    /// Counters for this many workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        let nobody = DomainName { namespace: String::new(), name: String::new() };
        let unattributed = Arc::new(DomainCounters::new(nobody, workers));
        Self { workers, domains: Mutex::default(), unattributed }
    }

    /// What every domain has counted so far, by namespace and name; packets of no domain first.
    #[must_use]
    pub fn read(&self) -> Vec<DomainCount> {
        let domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::once(&self.unattributed).chain(domains.values()).map(|domain| domain.read()).collect()
    }

    /// The counters for these domains, new ones where needed; those of domains no longer named are forgotten.
    pub(crate) fn register<'n>(&self, names: impl Iterator<Item = &'n DomainName>) -> Vec<Arc<DomainCounters>> {
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = BTreeMap::new();
        let registered = names
            .map(|name| {
                let known = domains.get(name).cloned();
                let counters = known.unwrap_or_else(|| Arc::new(DomainCounters::new(name.clone(), self.workers)));
                kept.insert(name.clone(), Arc::clone(&counters));
                counters
            })
            .collect();
        *domains = kept;
        registered
    }

    pub(crate) fn unattributed(&self) -> Arc<DomainCounters> {
        Arc::clone(&self.unattributed)
    }
}

/// Outcomes a direction can have: forwarded, and up to 31 drop reasons.
const OUTCOMES: usize = 32;

/// The place of forwarded packets; drop reasons have their numbers.
const FORWARDED: u8 = 0;

/// One domain's counters, and the buckets that all workers share.
#[derive(Debug)]
pub(crate) struct DomainCounters {
    name: DomainName,
    workers: Arc<[Block]>,
    pub(crate) errors: Bucket,
    pub(crate) echo: Bucket,
}

impl DomainCounters {
    fn new(name: DomainName, workers: usize) -> Self {
        let workers = (0..workers).map(|_| Block::default()).collect();
        Self { name, workers, errors: Bucket::default(), echo: Bucket::default() }
    }

    /// Each worker's cells.
    pub(crate) fn blocks(&self) -> Arc<[Block]> {
        Arc::clone(&self.workers)
    }

    pub(crate) fn dropped(&self, worker: usize, direction: Direction, reason: DropReason, bytes: usize) {
        self.workers[worker].outcomes[direction as usize][usize::from(reason.number()) % OUTCOMES].add(bytes);
    }

    /// Counts an ICMP message of the relay's own: sent, or held back by a limit.
    pub(crate) fn icmp(&self, worker: usize, kind: IcmpKind, sent: bool) {
        self.workers[worker].icmp[kind as usize][usize::from(sent)].add(0);
    }

    fn read(&self) -> DomainCount {
        let directions = [Direction::ToCe, Direction::FromCe];
        let kinds = [IcmpKind::Error, IcmpKind::EchoReply];
        let outcome = |direction: Direction, number: u8| {
            self.sum(|block| &block.outcomes[direction as usize][usize::from(number)]).filter(|c| c.packets > 0)
        };
        let icmp = |kind: IcmpKind, sent: bool| {
            self.sum(|block| &block.icmp[kind as usize][usize::from(sent)]).filter(|c| c.packets > 0)
        };
        let forwarded = directions.into_iter().filter_map(|way| Some((way, outcome(way, FORWARDED)?)));
        let dropped = directions.into_iter().flat_map(|way| {
            let counted = move |reason: DropReason| Some((way, reason, outcome(way, reason.number())?));
            DropReason::ALL.into_iter().filter_map(counted)
        });
        let said = |sent: bool| kinds.into_iter().filter_map(move |kind| Some((kind, icmp(kind, sent)?.packets)));
        DomainCount {
            name: self.name.clone(),
            forwarded: forwarded.collect(),
            dropped: dropped.collect(),
            icmp_sent: said(true).collect(),
            icmp_suppressed: said(false).collect(),
        }
    }

    fn sum<'c>(&'c self, cell: impl Fn(&'c Block) -> &'c Cell) -> Option<Count> {
        self.workers
            .iter()
            .map(|block| cell(block).read())
            .reduce(|a, b| Count { packets: a.packets.wrapping_add(b.packets), bytes: a.bytes.wrapping_add(b.bytes) })
    }
}

/// One worker's counters for one domain, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Block {
    outcomes: [[Cell; OUTCOMES]; 2],
    icmp: [[Cell; 2]; 2],
}

impl Block {
    #[inline(always)]
    pub(crate) fn forwarded(&self, direction: Direction, bytes: usize) {
        self.outcomes[direction as usize][usize::from(FORWARDED)].add(bytes);
    }
}

/// Written by one thread only, so a plain load and store will do; atomic so that a reader may look on.
#[derive(Debug, Default)]
struct Cell {
    packets: AtomicU64,
    bytes: AtomicU64,
}

impl Cell {
    #[inline]
    fn add(&self, bytes: usize) {
        self.packets.store(self.packets.load(Relaxed).wrapping_add(1), Relaxed);
        self.bytes.store(self.bytes.load(Relaxed).wrapping_add(bytes as u64), Relaxed);
    }

    fn read(&self) -> Count {
        Count { packets: self.packets.load(Relaxed), bytes: self.bytes.load(Relaxed) }
    }
}
