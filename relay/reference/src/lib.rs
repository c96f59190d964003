//! A slow, obvious model of the relay: what `relay/PACKETS.md` and the RFCs say, in another style than the engine's.
//!
//! Whole packets, owned buffers, no tables: every packet is taken apart into a struct and put together again, every rule
//! is looked at, addresses are lists of bits. It depends on nothing, so it shares no mistake with the engine, and the
//! differential test compares the two packet by packet. Where the contract leaves the choice (flow labels, IPv6
//! identifications) it counts up.
#![forbid(unsafe_code)]

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

mod bits;
mod counts;
mod cut;
mod domain;
mod fragments;
mod from_ce;
mod headers;
mod icmp;
mod ipv4;
mod ipv6;
mod limits;
mod mss;
mod outer_fragments;
mod passage;
mod ports;
mod reassembly;
mod relayed;
mod room;
mod rules;
mod to_ce;

pub use counts::{Count, Counts, Direction, Message};
pub use domain::{Domain, Fragmentation, Options, ReassemblyV4, Rule, Ttl, Version};

use fragments::{InnerKey, Waiting};
use outer_fragments::{OuterHead, OuterKey};
use passage::{Arrival, Passage};
use ports::Flow;
use reassembly::Partial;

/// What became of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// One of `emit`, `joined`, `drop`, `hold`, `punt`.
    pub verdict: &'static str,
    /// Why it went no further.
    pub reason: Option<&'static str>,
    /// The domain that it was counted for.
    pub domain: Option<usize>,
    /// All packets that leave, in order.
    pub out: Vec<Vec<u8>>,
}

/// A relay: its domains, the oldest first, and everything it remembers.
#[derive(Debug)]
pub struct Model {
    domains: Vec<Domain>,
    ttl: Ttl,
    now: u64,
    out: Vec<Vec<u8>>,
    counts: Counts,
    waiting: BTreeMap<InnerKey, Waiting>,
    /// Fragments that have waited long enough: they go on behind the packet that set them free.
    released: VecDeque<(Passage, Flow, usize)>,
    inner: BTreeMap<InnerKey, Partial<Passage>>,
    outer: BTreeMap<OuterKey, Partial<OuterHead>>,
    domain_buckets: BTreeMap<(usize, bool), limits::Bucket>,
    destination_buckets: BTreeMap<(IpAddr, bool), limits::Bucket>,
    labels: Vec<Option<(Ipv4Addr, Ipv4Addr, Vec<u8>)>>,
    identification: u32,
    /// How many datagrams were kept so far.
    born: u64,
}

/// What is known of a packet's fate while it is on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verdict {
    word: &'static str,
    reason: Option<&'static str>,
    domain: Option<usize>,
}

impl Model {
    /// A relay that has seen nothing yet.
    #[must_use]
    pub fn new(domains: Vec<Domain>, ttl: Ttl) -> Self {
        Self {
            domains,
            ttl,
            now: 0,
            out: Vec::new(),
            counts: Counts::default(),
            waiting: BTreeMap::new(),
            released: VecDeque::new(),
            inner: BTreeMap::new(),
            outer: BTreeMap::new(),
            domain_buckets: BTreeMap::new(),
            destination_buckets: BTreeMap::new(),
            labels: Vec::new(),
            identification: 0,
            born: 0,
        }
    }

    /// Judges one packet at a moment, in nanoseconds; time never goes back.
    pub fn process(&mut self, now: u64, packet: &[u8]) -> Outcome {
        self.now = now;
        self.out.clear();
        self.forget_the_old();
        let Verdict { word, reason, domain } = self.judge(packet, Arrival::of(packet));
        while let Some((later, flow, length)) = self.released.pop_front() {
            self.pass_later(later, &flow, length);
        }
        Outcome { verdict: word, reason, domain, out: std::mem::take(&mut self.out) }
    }

    /// The incomplete datagrams that a domain keeps at a moment, and the bytes of their fragments.
    pub fn kept(&mut self, now: u64, domain: usize) -> (usize, usize) {
        self.now = now;
        self.forget_the_old();
        let kept = self.kept_by(domain);
        (kept.len(), kept.iter().map(|datagram| datagram.bytes).sum())
    }

    /// All that was counted so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(crate) fn judge(&mut self, packet: &[u8], arrival: Arrival) -> Verdict {
        match packet.first().map(|byte| byte >> 4) {
            None => self.dropped(&arrival, "Truncated"),
            Some(4) => self.packet_to_ce(packet, arrival),
            Some(6) => self.packet_from_ce(packet, arrival),
            Some(_) => self.dropped(&arrival, "BadHeader"),
        }
    }

    /// The oldest domain with this BR address.
    pub(crate) fn relay(&self, address: Ipv6Addr) -> Option<usize> {
        self.domains.iter().position(|domain| domain.br_address == address)
    }

    /// Datagrams whose time is up: what was kept of them is dropped.
    fn forget_the_old(&mut self) {
        let now = self.now;
        let waiting: Vec<_> = self.waiting.extract_if(.., |_, entry| entry.until <= now).collect();
        let inner: Vec<_> = self.inner.extract_if(.., |_, entry| entry.until <= now).collect();
        let outer: Vec<_> = self.outer.extract_if(.., |_, entry| entry.until <= now).collect();
        let held = waiting.into_iter().flat_map(|(key, entry)| entry.lost(key.domain));
        let inner = inner.into_iter().flat_map(|(_, entry)| entry.lost());
        let outer = outer.into_iter().flat_map(|(_, entry)| entry.lost());
        for arrival in held.chain(inner).chain(outer).collect::<Vec<_>>() {
            self.dropped(&arrival, "ReassemblyTimeout");
        }
    }

    pub(crate) fn forwarded(&mut self, arrival: &Arrival) -> Verdict {
        self.counts.forwarded.entry((arrival.domain, arrival.direction)).or_default().add(&arrival.lengths);
        self.answered(arrival)
    }

    /// Something leaves that is counted as a message of the relay's own.
    pub(crate) fn answered(&self, arrival: &Arrival) -> Verdict {
        Verdict { word: if arrival.joined { "joined" } else { "emit" }, reason: None, domain: arrival.domain }
    }

    pub(crate) fn dropped(&mut self, arrival: &Arrival, reason: &'static str) -> Verdict {
        self.counts.dropped.entry((arrival.domain, arrival.direction, reason)).or_default().add(&arrival.lengths);
        Verdict { word: "drop", reason: Some(reason), domain: arrival.domain }
    }

    pub(crate) fn punted(&mut self, arrival: &Arrival, reason: &'static str) -> Verdict {
        Verdict { word: "punt", ..self.dropped(arrival, reason) }
    }
}
