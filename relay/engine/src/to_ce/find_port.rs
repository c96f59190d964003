//! The port that tells the CEs of a shared address apart (RFC 7597 §5.1, §8.2).

use crate::wire::{FRAGMENT_OFFSET, IPV4_HEADER, Ipv4, be16, be32, checksum, protocol};

/// Whose port: to a CE it is the packet's destination, from a CE its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Source,
    Destination,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Source => Self::Destination,
            Self::Destination => Self::Source,
        }
    }
}

/// What the transport header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flow {
    /// The port, or what stands for it in ICMP.
    pub(crate) port: Option<u16>,
    /// Both ports as they stand in the header, 0 where there are none: for the flow label.
    pub(crate) ports: u32,
    /// An ICMP error is about a packet of somebody else's.
    pub(crate) foreign: bool,
    /// The checksum of an ICMP error is wrong (RFC 5508 §4.2): what it says of a port is worth nothing.
    pub(crate) corrupt: bool,
}

impl Flow {
    /// Nothing to tell CEs apart by.
    pub(crate) const NONE: Self = Self { port: None, ports: 0, foreign: false, corrupt: false };
}

/// Finds the port on `side` of a packet that is no later fragment; `payload` is what follows its header.
#[inline(always)]
pub(crate) fn find_port(inner: &Ipv4, payload: &[u8], side: Side) -> Flow {
    if has_ports(inner.protocol) {
        let ports = be32(payload, 0);
        let port = ports.map(|ports| if side == Side::Source { (ports >> 16) as u16 } else { ports as u16 });
        return Flow { port, ports: ports.unwrap_or(0), ..Flow::NONE };
    }
    if inner.protocol == protocol::ICMP {
        let ce = if side == Side::Source { inner.source } else { inner.destination };
        return icmp(payload, side, ce, !inner.is_fragment());
    }
    Flow::NONE
}

/// Whether packets of this protocol can have one.
pub(crate) fn may_have_port(number: u8) -> bool {
    has_ports(number) || number == protocol::ICMP
}

/// TCP, UDP, UDP-Lite, SCTP and DCCP: all have both ports in their first four bytes.
#[inline(always)]
fn has_ports(protocol: u8) -> bool {
    use protocol::{DCCP, SCTP, TCP, UDP, UDP_LITE};
    matches!(protocol, TCP | UDP | UDP_LITE | SCTP | DCCP)
}

/// An ICMP query has its identifier; an error is about a packet that went the other way.
fn icmp(message: &[u8], side: Side, ce: u32, is_whole: bool) -> Flow {
    match message.first() {
        Some(kind) if is_query(*kind) => Flow { port: be16(message, 4), ..Flow::NONE },
        Some(kind) if is_error(*kind) => {
            let corrupt = is_whole && checksum(message) != 0;
            Flow { corrupt, ..embedded(message.get(8..).unwrap_or_default(), side.other(), ce) }
        }
        _ => Flow::NONE,
    }
}

/// The port of the packet inside an ICMP error. It may be cut anywhere behind its header and the first eight bytes
/// (RFC 792), so its total length promises nothing.
fn embedded(packet: &[u8], side: Side, ce: u32) -> Flow {
    let Some(fixed) = packet.first_chunk::<IPV4_HEADER>() else { return Flow::NONE };
    let header = usize::from(fixed[0] & 15) * 4;
    if fixed[0] >> 4 != 4 || header < IPV4_HEADER {
        return Flow::NONE;
    }
    let address = be32(fixed, if side == Side::Source { 12 } else { 16 });
    if address != Some(ce) {
        return Flow { foreign: true, ..Flow::NONE };
    }
    let is_later_fragment = u16::from_be_bytes([fixed[6], fixed[7]]) & FRAGMENT_OFFSET != 0;
    let Some(payload) = packet.get(header..).filter(|_| !is_later_fragment) else { return Flow::NONE };
    let port = match fixed[9] {
        number if has_ports(number) => be16(payload, if side == Side::Source { 0 } else { 2 }),
        protocol::ICMP if payload.first().is_some_and(|kind| is_query(*kind)) => be16(payload, 4),
        _ => None,
    };
    Flow { port, ..Flow::NONE }
}

/// Echo, timestamp, information and address mask: requests and replies with an identifier (RFC 792, RFC 950).
fn is_query(kind: u8) -> bool {
    matches!(kind, 0 | 8 | 13..=18)
}

/// Unreachable, source quench, redirect, time exceeded and parameter problem (RFC 792).
pub(crate) fn is_error(kind: u8) -> bool {
    matches!(kind, 3..=5 | 11 | 12)
}
