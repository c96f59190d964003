//! The outer header (RFC 2473 §3.1), and what changes in the inner one on the way.

use crate::{
    DropReason, Packet,
    engine::Visit,
    flow,
    fragments::{self, Step},
    mss,
    snapshot::DomainEntry,
    to_ce::fit_mtu::{Fit, fit_mtu},
    wire::{IPV6_HEADER, Ipv4, first_word, ipv6_header, protocol, updated},
};

/// How a packet enters the tunnel.
pub(crate) struct Crossing {
    /// The CE's address.
    pub(crate) ce: [u64; 2],
    /// Both ports, for the flow label.
    pub(crate) ports: u32,
    /// The largest segment that a SYN may announce.
    pub(crate) mss_limit: Option<u16>,
    /// The inner TOS byte that leaves.
    pub(crate) tos: u8,
    /// Whether the TTL is taken here.
    pub(crate) take_ttl: bool,
}

/// Wraps the IPv4 packet that `packet` now is, cutting it where needed.
#[inline(always)]
pub(crate) fn encapsulate(
    visit: &mut Visit<'_>,
    packet: &mut Packet<'_>,
    inner: &Ipv4,
    domain: &DomainEntry,
    crossing: &Crossing,
) -> Result<(), Step> {
    let fit = fit_mtu(inner, domain)?;
    if inner.protocol == protocol::TCP {
        mss::clamp(packet.bytes_mut(), inner, crossing.mss_limit);
    }
    rewrite(packet.bytes_mut(), inner, crossing.tos, crossing.take_ttl);
    let word = first_word(domain.traffic_class(crossing.tos), flow::label(inner.addresses(), crossing.ports));
    if let Fit::Cut(how) = fit {
        return Ok(fragments::cut(visit, packet, inner, how, domain, crossing.ce, word)?);
    }
    let header = ipv6_header(word, inner.total, protocol::IPV4, domain.br_address, crossing.ce);
    *packet.prepend::<IPV6_HEADER>().ok_or(DropReason::Truncated)? = header;
    Ok(())
}

/// Sets TOS and TTL, and the header checksum with them.
#[inline(always)]
pub(crate) fn rewrite(packet: &mut [u8], inner: &Ipv4, tos: u8, take_ttl: bool) {
    let Some(header) = packet.first_chunk_mut::<20>() else { return };
    let mut checksum = u16::from_be_bytes([header[10], header[11]]);
    if tos != inner.tos {
        let word = |tos: u8| u16::from_be_bytes([header[0], tos]);
        checksum = updated(checksum, word(inner.tos), word(tos));
        header[1] = tos;
    }
    if take_ttl {
        let ttl = inner.ttl.saturating_sub(1);
        let word = |ttl: u8| u16::from_be_bytes([ttl, inner.protocol]);
        checksum = updated(checksum, word(inner.ttl), word(ttl));
        header[8] = ttl;
    }
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}
