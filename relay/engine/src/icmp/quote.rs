//! The packet that an ICMPv6 error quotes: is it ours?

use std::ops::Range;

use super::{
    ICMP_HEADER,
    v4::{EMBEDDED, LEAST_EXTENDED},
};
use crate::{
    DropReason, Snapshot,
    from_ce::decapsulate::Outer,
    to_ce::{
        choose_ce::choose_ce,
        find_port::{Flow, Side, find_port},
    },
    wire::{FRAGMENT_HEADER, IPV6_HEADER, Ipv4, address, be16, be64, checksum, checksum_ipv6, protocol},
};

/// A quoted tunnel packet of ours, by places in the packet that carries the error.
#[derive(Debug)]
pub(super) struct Quote {
    /// The whole ICMPv6 message.
    pub(super) message: Range<usize>,
    /// The inner packet, as far as it is there.
    pub(super) packet: Range<usize>,
    /// RFC 4884 extensions with their header, or nothing.
    pub(super) extensions: Range<usize>,
    pub(super) inner: Ipv4,
    /// The domain of the CE that it went to.
    pub(super) domain: u32,
}

impl Quote {
    /// Reads what an error to the relay quotes, and refuses what the relay cannot have sent: the reason, and the domain
    /// that it is counted for.
    pub(super) fn read(snapshot: &Snapshot, packet: &[u8], outer: &Outer) -> Result<Self, (u32, DropReason)> {
        let refused = |reason: DropReason| (outer.domain, reason);
        let forged = || refused(DropReason::ForgedIcmp);
        let message = &packet[outer.at..outer.end];
        if checksum_ipv6(address(outer.source), address(outer.relay), protocol::ICMPV6, message) != 0 {
            return Err(refused(DropReason::BadChecksum));
        }
        let original = outer.at + ICMP_HEADER..outer.at + extensions(message);
        // Too many for an ICMPv4 error: they stay behind.
        let fit = outer.end - original.end <= EMBEDDED - LEAST_EXTENDED;
        let extensions = if fit { original.end..outer.end } else { outer.end..outer.end };
        let tunnel = Tunnel::read(&packet[original.clone()], outer.relay).ok_or_else(forged)?;
        let start = original.start + tunnel.at;
        let inner = Ipv4::parse_quoted(&packet[start..original.start + tunnel.end]).ok_or_else(forged)?;
        let end = (original.start + tunnel.end).min(start + inner.total);
        let domain = owner(snapshot, &packet[start..end], &inner, &tunnel, outer).map_err(refused)?;
        Ok(Self { message: outer.at..outer.end, packet: start..end, extensions, inner, domain })
    }
}

/// The outer header of a quoted packet.
struct Tunnel {
    ce: [u64; 2],
    /// Where the inner packet begins.
    at: usize,
    /// Where what is there of it ends.
    end: usize,
}

impl Tunnel {
    /// Reads the header of a packet from `relay` that carries IPv4, or a first fragment of one.
    fn read(original: &[u8], relay: [u64; 2]) -> Option<Self> {
        let fixed = original.first_chunk::<IPV6_HEADER>()?;
        if fixed[0] >> 4 != 6 || [be64(fixed, 8), be64(fixed, 16)] != relay {
            return None;
        }
        let at = match fixed[6] {
            protocol::IPV4 => IPV6_HEADER,
            protocol::FRAGMENT => {
                let header = original.get(IPV6_HEADER..IPV6_HEADER + FRAGMENT_HEADER)?;
                let is_first = be16(header, 2)? & 0xfff8 == 0;
                (is_first && header[0] == protocol::IPV4).then_some(IPV6_HEADER + FRAGMENT_HEADER)?
            }
            _ => return None,
        };
        let claimed = IPV6_HEADER + usize::from(be16(fixed, 4)?);
        let end = original.len().min(claimed);
        (at <= end).then_some(Self { ce: [be64(fixed, 24), be64(fixed, 32)], at, end })
    }
}

/// The domain whose CE the inner packet leads to, if that is where the quoted packet went.
fn owner(snapshot: &Snapshot, packet: &[u8], inner: &Ipv4, tunnel: &Tunnel, outer: &Outer) -> Result<u32, DropReason> {
    let found = snapshot.tables.find(inner.destination).ok_or(DropReason::ForgedIcmp)?;
    if found.needs_port() && inner.is_later_fragment() {
        return Err(DropReason::IcmpNotRelayed);
    }
    let payload = packet.get(inner.header..).unwrap_or_default();
    // It is cut short, so a checksum in it says nothing.
    let flow = Flow { corrupt: false, ..find_port(inner, payload, Side::Destination) };
    let chosen = choose_ce(&snapshot.tables, found, inner.destination, &flow);
    let (rule, ce) = chosen.map_err(|_| DropReason::ForgedIcmp)?;
    let is_its_relay = snapshot.domains[rule.domain as usize].br_address == outer.relay;
    if is_its_relay && ce == tunnel.ce { Ok(rule.domain) } else { Err(DropReason::ForgedIcmp) }
}

/// Where in an ICMPv6 message RFC 4884 extensions begin; its end if there are none that are sound.
fn extensions(message: &[u8]) -> usize {
    let place = ICMP_HEADER + usize::from(message[4]) * 8;
    let has_length = matches!(message[0], 1 | 3) && place >= ICMP_HEADER + LEAST_EXTENDED;
    let Some(structure) = message.get(place..).filter(|_| has_length) else { return message.len() };
    let is_sound =
        structure.len() >= 4 && structure[0] >> 4 == 2 && (structure[2..4] == [0, 0] || checksum(structure) == 0);
    if is_sound { place } else { message.len() }
}
