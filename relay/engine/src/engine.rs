//! The loop over a batch.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    Count, Direction, DropReason, Extras, IcmpKind, Now, Outcome, Packet, Snapshot, Verdict,
    classify::classify,
    fragments::{Known, Step, Waiting},
    limits::Bucket,
    memory::DomainMemory,
    snapshot::DomainEntry,
};

/// What an engine is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Who takes the one TTL that a packet loses here.
    pub ttl: Ttl,
    /// Which of the [`Memory`](crate::Memory)'s workers this is, from 0.
    pub worker: usize,
    /// A secret that makes fragment identifications unpredictable.
    pub secret: u64,
}

/// Who takes the TTL, and has checked the header of an IPv4 packet that comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// The engine: nobody has seen the packet before, nobody will after.
    Engine,
    /// The kernel forwards to and from the TUN and has taken it, or will; only a hairpin is the engine's.
    Kernel,
}

/// One worker's engine. Make one per thread; they share a [`Snapshot`].
#[derive(Debug)]
pub struct Engine {
    pub(crate) options: Options,
    /// How many packets were cut so far: with the secret it makes identifications.
    pub(crate) cut: u64,
    /// Empty between packets.
    released: VecDeque<Waiting>,
}

impl Engine {
    /// An engine that has seen nothing yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options, cut: 0, released: VecDeque::new() }
    }

    /// Judges each packet of `batch` at the moment `now`, edits it in place, and writes its verdict to the same place
    /// in `verdicts`, which must be as long; `extras` is cleared first.
    ///
    /// # Panics
    /// If `verdicts` is shorter than `batch`, or this worker is none of the snapshot's memory's: the driver's mistake.
    pub fn process(
        &mut self,
        snapshot: &Snapshot,
        now: Now,
        batch: &mut [Packet<'_>],
        verdicts: &mut [Verdict],
        extras: &mut Extras,
    ) {
        extras.clear();
        let verdicts = &mut verdicts[..batch.len()];
        let mut visit = Visit {
            options: self.options,
            cut: &mut self.cut,
            released: &mut self.released,
            snapshot,
            now,
            extras,
            cause: 0,
            load: Count::default(),
            known: Known::default(),
        };
        classify(&mut visit, batch, verdicts);
    }
}

/// One packet's way through the engine: what all steps share.
pub(crate) struct Visit<'v> {
    pub(crate) options: Options,
    /// How many packets were cut so far.
    pub(crate) cut: &'v mut u64,
    /// Packets that this one set free, to be judged after it; a datagram that it completed comes first.
    pub(crate) released: &'v mut VecDeque<Waiting>,
    pub(crate) snapshot: &'v Snapshot,
    pub(crate) now: Now,
    pub(crate) extras: &'v mut Extras,
    /// The packet's place in the batch.
    pub(crate) cause: usize,
    /// What it is counted as: the packets that it came in, and their bytes. Neither is kept up on the express way.
    pub(crate) load: Count,
    /// What is known of the datagram that it is a fragment of.
    pub(crate) known: Known,
}

impl<'v> Visit<'v> {
    #[inline(always)]
    pub(crate) fn engine_takes_ttl(&self) -> bool {
        self.options.ttl == Ttl::Engine
    }

    /// # Panics
    /// Never: every index of a domain comes from the snapshot itself.
    #[inline(always)]
    pub(crate) fn domain(&self, index: u32) -> &'v DomainEntry {
        &self.snapshot.domains[index as usize]
    }

    pub(crate) fn count_forwarded(&self, domain: u32, direction: Direction) {
        self.domain(domain).count_forwarded(self.options.worker, direction, self.load);
    }

    #[inline(always)]
    pub(crate) fn forwarded(&self, domain: u32, direction: Direction) -> Verdict {
        self.count_forwarded(domain, direction);
        Verdict::new(Outcome::Emit, Some(domain), direction)
    }

    #[cold]
    pub(crate) fn dropped(
        &self,
        domain: Option<u32>,
        direction: Direction,
        reason: DropReason,
        reply: bool,
    ) -> Verdict {
        self.memory(domain).counters.dropped(self.options.worker, direction, reason, self.load);
        Verdict::new(Outcome::Drop { reason, reply }, domain, direction)
    }

    #[cold]
    pub(crate) fn punted(&self, domain: Option<u32>, direction: Direction, reason: DropReason) -> Verdict {
        self.memory(domain).counters.dropped(self.options.worker, direction, reason, self.load);
        Verdict::new(Outcome::Punt(reason), domain, direction)
    }

    /// A packet to the relay itself, answered: counted as the message that the relay sent.
    #[cold]
    pub(crate) fn answered(&self, domain: u32) -> Verdict {
        Verdict::new(Outcome::Emit, Some(domain), Direction::FromCe)
    }

    /// A packet that does not go on now; with `reply` its buffer holds an answer. One that waits for other fragments, or
    /// has completed a datagram which comes next, is counted once their fate is known.
    #[cold]
    pub(crate) fn stopped(&self, domain: u32, direction: Direction, step: Step, reply: bool) -> Verdict {
        match step {
            Step::Drop(reason) => self.dropped(Some(domain), direction, reason, reply),
            Step::TooBig { .. } => self.dropped(Some(domain), direction, DropReason::TooBig, reply),
            Step::Held => Verdict::new(Outcome::Hold, Some(domain), direction),
            Step::Joined => Verdict::new(Outcome::Joined, Some(domain), direction),
        }
    }

    /// Whether the relay may say something of its own for this domain to this destination now; counted either way.
    #[cold]
    pub(crate) fn may_say(&self, domain: u32, kind: IcmpKind, destination: [u64; 2]) -> bool {
        let entry = self.domain(domain);
        let (bucket, rate): (&Bucket, u32) = match kind {
            IcmpKind::Error | IcmpKind::RelayedError => (&entry.memory.errors, entry.errors_per_second),
            IcmpKind::EchoReply => (&entry.memory.echo, entry.echo_per_second),
        };
        let listener = self.snapshot.destinations.bucket(destination, kind == IcmpKind::EchoReply);
        let allowed = bucket.take(rate, self.now) && listener.take(rate, self.now);
        entry.memory.counters.icmp(self.options.worker, kind, allowed);
        allowed
    }

    fn memory(&self, domain: Option<u32>) -> &Arc<DomainMemory> {
        domain.map_or(&self.snapshot.unattributed, |index| &self.domain(index).memory)
    }
}
