//! The port that tells CEs apart (RFC 7597 sections 5.1 and 8.2).

use std::net::Ipv4Addr;

use crate::{
    bits::{be16, sum},
    ipv4::{DCCP, ICMP, Ipv4Packet, SCTP, TCP, UDP, UDP_LITE, is_icmp_error, is_icmp_query},
};

/// Whose port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Source,
    Destination,
}

/// What a transport header says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flow {
    /// The port of that side, or what stands for it.
    pub(crate) port: Option<u16>,
    /// Both ports as they stand there; none in ICMP.
    pub(crate) both: Vec<u8>,
    /// The packet is an ICMP error about a packet that is not of that side.
    pub(crate) foreign: bool,
    /// The packet is an ICMP error, whole, and its checksum is wrong.
    pub(crate) broken: bool,
}

pub(crate) fn has_ports(protocol: u8) -> bool {
    [TCP, UDP, UDP_LITE, SCTP, DCCP].contains(&protocol)
}

/// Reads the front of a packet's payload.
pub(crate) fn flow(packet: &Ipv4Packet, side: Side) -> Flow {
    let payload = &packet.payload;
    if has_ports(packet.protocol) && payload.len() >= 4 {
        return Flow { port: port(payload, side), both: payload[..4].to_vec(), ..Flow::default() };
    }
    if packet.protocol != ICMP || payload.is_empty() {
        return Flow::default();
    }
    if is_icmp_query(payload[0]) {
        return Flow { port: identifier(payload), ..Flow::default() };
    }
    if !is_icmp_error(payload[0]) {
        return Flow::default();
    }
    let whose = if side == Side::Source { packet.source } else { packet.destination };
    let broken = !packet.is_fragment() && sum(payload) != 0xffff;
    Flow { broken, ..quoted(payload.get(8..).unwrap_or_default(), side, whose) }
}

/// The port of `whose` in a packet that an error, sent on `side`, is about: it went the other way.
fn quoted(bytes: &[u8], side: Side, whose: Ipv4Addr) -> Flow {
    let header = usize::from(bytes.first().unwrap_or(&0) & 15) * 4;
    if bytes.len() < 20 || bytes[0] >> 4 != 4 || header < 20 {
        return Flow::default();
    }
    let (at, other) = if side == Side::Source { (16, Side::Destination) } else { (12, Side::Source) };
    if bytes[at..at + 4] != whose.octets() {
        return Flow { foreign: true, ..Flow::default() };
    }
    let Some(payload) = bytes.get(header..).filter(|_| be16(bytes, 6) & 0x1fff == 0) else { return Flow::default() };
    let port = match bytes[9] {
        protocol if has_ports(protocol) => port(payload, other),
        ICMP if payload.first().is_some_and(|kind| is_icmp_query(*kind)) => identifier(payload),
        _ => None,
    };
    Flow { port, ..Flow::default() }
}

fn port(payload: &[u8], side: Side) -> Option<u16> {
    let at = if side == Side::Source { 0 } else { 2 };
    (payload.len() >= at + 2).then(|| be16(payload, at))
}

fn identifier(message: &[u8]) -> Option<u16> {
    (message.len() >= 6).then(|| be16(message, 4))
}

/// How long a transport header is at least: what a later fragment must not overlap.
pub(crate) fn transport_header(protocol: u8) -> usize {
    match protocol {
        TCP => 20,
        SCTP | DCCP => 12,
        _ => 8,
    }
}
