//! A packet on its way, with all that must not be forgotten about where it came from.

use std::net::Ipv6Addr;

use crate::{Direction, ipv4::Ipv4Packet};

/// How it came, for the counters: a joined datagram came as several packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) direction: Direction,
    pub(crate) domain: Option<usize>,
    pub(crate) lengths: Vec<usize>,
    pub(crate) joined: bool,
}

impl Arrival {
    /// A packet, without link padding.
    pub(crate) fn of(packet: &[u8]) -> Self {
        let version = packet.first().map_or(0, |byte| byte >> 4);
        let field = |at: usize| packet.get(at..at + 2).map(|field| usize::from(field[0]) << 8 | usize::from(field[1]));
        let claimed = match version {
            4 => field(2),
            6 => field(4).map(|payload| payload + 40),
            _ => None,
        };
        let length = packet.len().min(claimed.unwrap_or(usize::MAX));
        let direction = if version == 6 { Direction::FromCe } else { Direction::ToCe };
        Self { direction, domain: None, lengths: vec![length], joined: false }
    }

    /// The packets of a datagram together, which goes the way that `self` went.
    pub(crate) fn joined<'a>(&self, all: impl Iterator<Item = &'a Self>) -> Self {
        let lengths = all.flat_map(|arrival| arrival.lengths.iter().copied()).collect();
        Self { lengths, joined: true, ..self.clone() }
    }
}

/// The tunnel that an IPv4 packet came out of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tunnel {
    pub(crate) source: Ipv6Addr,
    /// The BR address that it was sent to.
    pub(crate) relay: Ipv6Addr,
    pub(crate) traffic_class: u8,
    /// The oldest domain with that BR address.
    pub(crate) domain: usize,
    /// The whole tunnel packet, for errors about it.
    pub(crate) packet: Vec<u8>,
    /// The length of its headers, up to what it carries.
    pub(crate) headers: usize,
}

/// An IPv4 packet between its checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passage {
    /// As it came.
    pub(crate) packet: Ipv4Packet,
    /// The TOS that will leave.
    pub(crate) tos: u8,
    pub(crate) way: Way,
    pub(crate) arrival: Arrival,
}

/// Where it comes from and what is next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the Internet into a tunnel.
    ToCe,
    /// Out of a tunnel, its source not yet proven.
    FromCe(Tunnel),
    /// Out of a tunnel, its source proven, on to another one.
    Hairpin(Tunnel),
}

impl Passage {
    /// The same, kept: what is lost of that is counted for the domain that kept it.
    pub(crate) fn kept_by(mut self, domain: usize) -> Self {
        self.arrival.domain = Some(domain);
        self
    }

    /// Its length with all outer headers.
    pub(crate) fn length(&self) -> usize {
        self.tunnel().map_or(0, |tunnel| tunnel.headers) + self.packet.total()
    }

    /// The tunnel that it came out of.
    pub(crate) fn tunnel(&self) -> Option<&Tunnel> {
        match &self.way {
            Way::ToCe => None,
            Way::FromCe(tunnel) | Way::Hairpin(tunnel) => Some(tunnel),
        }
    }
}
