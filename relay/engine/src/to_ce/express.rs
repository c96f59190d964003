//! The way of a plain packet to a CE.

use crate::{
    Count, Direction, Outcome, Packet, Verdict,
    engine::Visit,
    flow,
    plain::Plain,
    wire::{HOP_LIMIT, IPV6_HEADER, first_word, is_martian, protocol},
};

/// Encapsulates the packet, or leaves it alone for the full way.
#[inline(always)]
pub(crate) fn express<const TAKE_TTL: bool>(visit: &Visit<'_>, packet: &mut Packet<'_>) -> Option<Verdict> {
    let length = packet.place().1;
    let (header, inner) = packet.window()?.split_first_chunk_mut::<IPV6_HEADER>()?;
    let plain = Plain::read(inner.first_chunk()?, length)?;
    // A destination in a rule is no martian: mape has no such rules.
    let rule = visit.snapshot.tables.find_plain(plain.destination())?;
    let port = plain.ports() as u16;
    let domain = visit.snapshot.domains.get(rule.domain as usize)?;
    if port < rule.reserved_below || plain.total() > domain.payload_mtu || is_martian(inner[12]) {
        return None;
    }
    let [upper, lower] = rule.plain_ce_address(plain.destination(), port);
    let word = first_word(domain.traffic_class(plain.tos()), flow::label(plain.addresses(), plain.ports()));
    let total = plain.total();
    if TAKE_TTL {
        let taken = plain.with_ttl_taken()?;
        inner[8..12].copy_from_slice(&taken);
    }
    let rest = (total as u32) << 16 | u32::from(protocol::IPV4) << 8 | u32::from(HOP_LIMIT);
    header[0..8].copy_from_slice(&(u64::from(word) << 32 | u64::from(rest)).to_be_bytes());
    header[8..24].copy_from_slice(&domain.br_octets);
    header[24..32].copy_from_slice(&upper.to_be_bytes());
    header[32..40].copy_from_slice(&lower.to_be_bytes());
    packet.wrapped(IPV6_HEADER, total);
    domain.count_forwarded(visit.options.worker, Direction::ToCe, Count::one(total));
    Some(Verdict::new(Outcome::Emit, Some(rule.domain), Direction::ToCe))
}
