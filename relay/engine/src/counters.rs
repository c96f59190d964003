//! Counters by domain, direction and outcome. Each worker writes its own, plainly; a reader adds them up.

use std::{
    ops::AddAssign,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use mape::DomainName;

use crate::DropReason;

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
    /// An ICMPv6 error about a tunnel packet, told to the sender of the inner packet.
    RelayedError,
}

impl IcmpKind {
    const ALL: [Self; 3] = [Self::Error, Self::EchoReply, Self::RelayedError];

    /// Its metric label.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::EchoReply => "echo_reply",
            Self::RelayedError => "relayed_error",
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

impl Count {
    /// One packet.
    #[inline(always)]
    pub(crate) fn one(bytes: usize) -> Self {
        Self { packets: 1, bytes: bytes as u64 }
    }
}

impl AddAssign for Count {
    #[inline(always)]
    fn add_assign(&mut self, more: Self) {
        self.packets = self.packets.wrapping_add(more.packets);
        self.bytes = self.bytes.wrapping_add(more.bytes);
    }
}

/// Incomplete datagrams that a domain keeps now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept {
    /// How many.
    pub datagrams: u64,
    /// Memory of their fragments, as `maxDatagrams` bounds it.
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
    /// What waits for further fragments.
    pub reassembly: Kept,
}

/// Outcomes a direction can have: forwarded, and up to 31 drop reasons.
const OUTCOMES: usize = 32;

/// The place of forwarded packets; drop reasons have their numbers.
const FORWARDED: u8 = 0;

/// One domain's counters.
#[derive(Debug)]
pub(crate) struct DomainCounters {
    workers: Arc<[Block]>,
}

impl DomainCounters {
    /// For this many writers.
    pub(crate) fn new(workers: usize) -> Self {
        Self { workers: (0..workers).map(|_| Block::default()).collect() }
    }

    /// Each worker's cells.
    pub(crate) fn blocks(&self) -> Arc<[Block]> {
        Arc::clone(&self.workers)
    }

    pub(crate) fn dropped(&self, worker: usize, direction: Direction, reason: DropReason, load: Count) {
        self.workers[worker].outcomes[direction as usize][usize::from(reason.number()) % OUTCOMES].add(load);
    }

    /// Counts an ICMP message of the relay's own: sent, or held back by a limit.
    pub(crate) fn icmp(&self, worker: usize, kind: IcmpKind, sent: bool) {
        self.workers[worker].icmp[kind as usize][usize::from(sent)].add(Count::one(0));
    }

    /// What was counted for the domain of this name.
    pub(crate) fn read(&self, name: &DomainName, reassembly: Kept) -> DomainCount {
        let directions = [Direction::ToCe, Direction::FromCe];
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
        let said =
            |sent: bool| IcmpKind::ALL.into_iter().filter_map(move |kind| Some((kind, icmp(kind, sent)?.packets)));
        DomainCount {
            name: name.clone(),
            forwarded: forwarded.collect(),
            dropped: dropped.collect(),
            icmp_sent: said(true).collect(),
            icmp_suppressed: said(false).collect(),
            reassembly,
        }
    }

    fn sum<'c>(&'c self, cell: impl Fn(&'c Block) -> &'c Cell) -> Option<Count> {
        self.workers.iter().map(|block| cell(block).read()).reduce(|mut sum, count| {
            sum += count;
            sum
        })
    }
}

/// One worker's counters for one domain, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Block {
    outcomes: [[Cell; OUTCOMES]; 2],
    icmp: [[Cell; 2]; 3],
}

impl Block {
    #[inline(always)]
    pub(crate) fn forwarded(&self, direction: Direction, load: Count) {
        self.outcomes[direction as usize][usize::from(FORWARDED)].add(load);
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
    fn add(&self, load: Count) {
        self.packets.store(self.packets.load(Relaxed).wrapping_add(load.packets), Relaxed);
        self.bytes.store(self.bytes.load(Relaxed).wrapping_add(load.bytes), Relaxed);
    }

    fn read(&self) -> Count {
        Count { packets: self.packets.load(Relaxed), bytes: self.bytes.load(Relaxed) }
    }
}
