//! The way of a plain packet from a CE.

use crate::{
    Direction, Packet, Verdict,
    engine::Visit,
    plain::Plain,
    wire::{IPV6_HEADER, is_martian, protocol},
};

/// Decapsulates the packet, or leaves it alone for the full way.
#[inline(always)]
pub(crate) fn express(visit: &Visit<'_>, packet: &mut Packet<'_>) -> Option<Verdict> {
    let length = packet.place().1;
    let (_, tunnelled) = packet.window()?.split_first_chunk_mut::<IPV6_HEADER>()?;
    let (header, inner) = tunnelled.split_first_chunk_mut::<IPV6_HEADER>()?;
    let payload = usize::from(u16::from_be_bytes([header[4], header[5]]));
    if header[0] >> 4 != 6 || header[6] != protocol::IPV4 || IPV6_HEADER + payload > length {
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
    if !is_ce || header[24..40] != domain.br_octets || port < rule.reserved_below || !domain.keeps_dscp {
        return None;
    }
    // Equal ECN fields combine to the same; all others in the full way.
    let ecn = (header[1] >> 4 ^ plain.tos()) & 3;
    if ecn != 0 || is_martian(inner[16]) || !tables.is_nobodys(plain.destination()) {
        return None;
    }
    let total = plain.total();
    if visit.engine_takes_ttl() {
        let taken = plain.with_ttl_taken()?;
        inner[8..12].copy_from_slice(&taken);
    }
    packet.unwrapped(IPV6_HEADER, total);
    Some(visit.expressed(rule.domain, Direction::FromCe, IPV6_HEADER + payload))
}
