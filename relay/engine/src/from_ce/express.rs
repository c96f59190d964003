//! The way of a plain packet from a CE.

use crate::{
    Count, Direction, Outcome, Packet, Verdict,
    engine::Visit,
    plain::Plain,
    wire::{IPV6_HEADER, protocol},
};

/// In the first word of the outer header: version and next header.
const SHAPE_MASK: u64 = 0xf000_0000_0000_ff00;

/// Version 6, and IPv4 within.
const SHAPE: u64 = 6 << 60 | (protocol::IPV4 as u64) << 8;

/// Decapsulates the packet, or leaves it alone for the full way.
#[inline(always)]
pub(crate) fn express<const TAKE_TTL: bool>(visit: &Visit<'_>, packet: &mut Packet<'_>) -> Option<Verdict> {
    let length = packet.place().1;
    let (_, tunnelled) = packet.window()?.split_first_chunk_mut::<IPV6_HEADER>()?;
    let (header, inner) = tunnelled.split_first_chunk_mut::<IPV6_HEADER>()?;
    let word = u64::from_be_bytes(*header.first_chunk()?);
    let payload = usize::from((word >> 16) as u16);
    if word & SHAPE_MASK != SHAPE || IPV6_HEADER + payload > length {
        return None;
    }
    let plain = Plain::read(inner.first_chunk()?, payload)?;
    let tables = &visit.snapshot.tables;
    let rule = tables.find_plain(plain.source())?;
    let port = (plain.ports() >> 16) as u16;
    let domain = visit.snapshot.domains.get(rule.domain as usize)?;
    // Who has the CE's whole address may send, whatever the domain compares; a BR address is never a CE's.
    let [upper, lower] = rule.plain_ce_address(plain.source(), port);
    let is_ce = header[8..16] == upper.to_be_bytes() && header[16..24] == lower.to_be_bytes();
    if !is_ce || header[24..40] != domain.br_octets || port < rule.reserved_below {
        return None;
    }
    // Equal ECN fields combine to the same; all others in the full way, as hairpins go.
    let ecn = ((word >> 52) as u8 ^ plain.tos()) & 3;
    if ecn != 0 || !tables.is_on_internet(plain.destination()) {
        return None;
    }
    let total = plain.total();
    if TAKE_TTL {
        let taken = plain.with_ttl_taken()?;
        inner[8..12].copy_from_slice(&taken);
    }
    packet.unwrapped(IPV6_HEADER, total);
    domain.count_forwarded(visit.options.worker, Direction::FromCe, Count::one(IPV6_HEADER + payload));
    Some(Verdict::new(Outcome::Emit, Some(rule.domain), Direction::FromCe))
}
