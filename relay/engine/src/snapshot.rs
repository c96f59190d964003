//! A fleet, compiled: everything a relay forwards by. Swapped whole, loaded once per batch.

use std::{net::Ipv4Addr, sync::Arc};

use mape::{
    Domain, DomainName, Fleet,
    options::{Answer, DscpFromCe, DscpToCe, Fragmentation, ReassemblyV4, SourceCheck, TUNNEL_OVERHEAD, Toggle},
};

use crate::{
    Count, Direction, Memory,
    counters::Block,
    memory::{Destinations, DomainMemory},
    tables::Tables,
    wire,
};

/// What a domain may leave open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    /// The source of ICMPv4 errors where `icmp.ipv4Source` says nothing: the address of the relay's IPv4 side.
    pub ipv4_source: Ipv4Addr,
}

impl Default for Defaults {
    /// The IPv4 dummy address, for relays that have no other (RFC 7600 §4.5 D).
    fn default() -> Self {
        Self { ipv4_source: Ipv4Addr::new(192, 0, 0, 8) }
    }
}

/// Everything a relay forwards by. Immutable; share it between workers.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) tables: Tables,
    pub(crate) domains: Vec<DomainEntry>,
    pub(crate) unattributed: Arc<DomainMemory>,
    pub(crate) destinations: Arc<Destinations>,
    names: Vec<DomainName>,
    relays: RelayAddresses,
}

impl Snapshot {
    /// Compiles a fleet. It cannot fail: [`Fleet::new`] has checked everything.
    #[must_use]
    pub fn compile(fleet: &Fleet, memory: &Memory, defaults: &Defaults) -> Self {
        let names: Vec<DomainName> = fleet.domains().iter().map(|domain| domain.name().clone()).collect();
        let memories =
            memory.register(fleet.domains().iter().map(|domain| (domain.name(), &domain.options().reassembly)));
        let entry = |(domain, memory)| DomainEntry::new(domain, memory, defaults);
        let domains: Vec<DomainEntry> = fleet.domains().iter().zip(memories).map(entry).collect();
        let relays = RelayAddresses::new(domains.iter().map(|domain| domain.br_address));
        Self {
            tables: Tables::compile(fleet),
            domains,
            unattributed: memory.unattributed(),
            destinations: memory.destinations(),
            names,
            relays,
        }
    }

    /// The domains, oldest first: what [`Verdict::domain`](crate::Verdict::domain) counts.
    #[must_use]
    pub fn domains(&self) -> &[DomainName] {
        &self.names
    }

    /// The name of a domain.
    #[must_use]
    pub fn domain_name(&self, index: u32) -> Option<&DomainName> {
        self.names.get(index as usize)
    }

    /// The lookup tables, for their size and for other dataplanes.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The oldest domain with this BR address.
    #[inline(always)]
    pub(crate) fn relay(&self, address: [u64; 2]) -> Option<u32> {
        self.relays.find(address)
    }
}

/// A domain's options as the packet path wants them.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct DomainEntry {
    pub(crate) br_address: [u64; 2],
    /// The same as it stands in a header.
    pub(crate) br_octets: [u8; 16],
    /// The largest IPv4 packet that fits the tunnel.
    pub(crate) payload_mtu: usize,
    pub(crate) mss_limit: Option<u16>,
    /// The outer traffic class is `inner & keep | set`.
    pub(crate) tos_keep: u32,
    pub(crate) tos_set: u32,
    pub(crate) dscp_from_ce: DscpFromCe,
    pub(crate) fragmentation: Fragmentation,
    pub(crate) strict: bool,
    pub(crate) hairpin: bool,
    pub(crate) answer_source_check: bool,
    pub(crate) answer_echo: bool,
    pub(crate) errors_per_second: u32,
    pub(crate) echo_per_second: u32,
    pub(crate) ipv4_source: Ipv4Addr,
    pub(crate) reassembly_v4: ReassemblyV4,
    pub(crate) reassembly_v6: bool,
    pub(crate) memory: Arc<DomainMemory>,
    /// The counters in `memory`, a step nearer.
    pub(crate) blocks: Arc<[Block]>,
}

impl DomainEntry {
    #[inline(always)]
    pub(crate) fn count_forwarded(&self, worker: usize, direction: Direction, load: Count) {
        if let Some(block) = self.blocks.get(worker) {
            block.forwarded(direction, load);
        }
    }

    /// The largest tunnel packet.
    pub(crate) fn mtu(&self) -> usize {
        self.payload_mtu + usize::from(TUNNEL_OVERHEAD)
    }

    /// The outer traffic class for an inner TOS byte.
    #[inline(always)]
    pub(crate) fn traffic_class(&self, tos: u8) -> u8 {
        (u32::from(tos) & self.tos_keep | self.tos_set) as u8
    }

    fn new(domain: &Domain, memory: Arc<DomainMemory>, defaults: &Defaults) -> Self {
        let options = domain.options();
        let (tos_keep, tos_set) = match options.dscp.to_ce {
            DscpToCe::Copy => (0xff, 0),
            DscpToCe::Fixed(dscp) => (0x03, u32::from(dscp) << 2),
        };
        Self {
            br_address: wire::halves(domain.softwire_address()),
            br_octets: domain.softwire_address().octets(),
            payload_mtu: options.mtu.payload().into(),
            mss_limit: options.tcp_mss_clamp.limit(options.mtu),
            tos_keep,
            tos_set,
            dscp_from_ce: options.dscp.from_ce,
            fragmentation: options.fragmentation,
            strict: options.source_check == SourceCheck::Strict,
            hairpin: options.hairpin == Toggle::Enabled,
            answer_source_check: options.icmp.source_check_errors == Answer::Answer,
            answer_echo: options.icmp.echo == Answer::Answer,
            errors_per_second: options.icmp.errors_per_second,
            echo_per_second: options.icmp.echo_per_second,
            ipv4_source: options.icmp.ipv4_source.unwrap_or(defaults.ipv4_source),
            reassembly_v4: options.reassembly.v4,
            reassembly_v6: options.reassembly.v6 == Toggle::Enabled,
            blocks: memory.counters.blocks(),
            memory,
        }
    }
}

/// The BR addresses in an open-addressed hash table, at most half full: as quick for 1,000 domains as for one.
#[derive(Debug)]
struct RelayAddresses {
    slots: Vec<Option<([u64; 2], u32)>>,
}

impl RelayAddresses {
    fn new(addresses: impl ExactSizeIterator<Item = [u64; 2]>) -> Self {
        let mut slots = vec![None; (2 * addresses.len() + 1).next_power_of_two()];
        for (domain, address) in (0u32..).zip(addresses) {
            let mut at = hash(address);
            let mask = slots.len() - 1;
            while slots[at & mask].is_some_and(|(taken, _)| taken != address) {
                at += 1;
            }
            slots[at & mask].get_or_insert((address, domain));
        }
        Self { slots }
    }

    #[inline(always)]
    fn find(&self, address: [u64; 2]) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut at = hash(address);
        loop {
            match self.slots.get(at & mask)? {
                Some((found, domain)) if *found == address => return Some(*domain),
                Some(_) => at += 1,
                None => return None,
            }
        }
    }
}

#[inline(always)]
fn hash(address: [u64; 2]) -> usize {
    ((address[0] ^ address[1].rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize
}
