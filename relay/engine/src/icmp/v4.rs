//! ICMPv4 errors (RFC 792, RFC 1191, RFC 1812 §4.3.2).

use super::{Back, ICMP_HEADER, may_report};
use crate::{
    IcmpKind, Packet,
    engine::Visit,
    flow,
    wire::{IPV4_HEADER, IPV6_HEADER, Ipv4, add, checksum, first_word, fold, ipv4_header, ipv6_header, protocol},
};

/// What an error says.
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) code: u8,
    /// The next hop's MTU in bytes, where the code has one (RFC 1191 §4).
    pub(super) mtu: u16,
}

/// As much of the packet as an error of 576 bytes has room for (RFC 1812 §4.3.2.3).
pub(super) const EMBEDDED: usize = 576 - IPV4_HEADER - ICMP_HEADER;

/// The least length of the packet in an error with extensions (RFC 4884 §4.6).
pub(super) const LEAST_EXTENDED: usize = 128;

/// Internetwork control (RFC 1812 §4.3.2.5).
pub(super) const TOS: u8 = 0xc0;

/// Turns the packet into an error about it, unless there may be none. Says which.
pub(super) fn error(
    visit: &Visit<'_>,
    packet: &mut Packet<'_>,
    inner: &Ipv4,
    domain: u32,
    back: Back,
    message: &Message,
) -> bool {
    if !may_report(packet.bytes(), inner) || !visit.may_say(domain, IcmpKind::Error, back.listener(inner)) {
        return false;
    }
    packet.truncate(inner.total.min(EMBEDDED));
    write(visit, packet, inner, domain, message).is_some() && address(visit, packet, inner, domain, back).is_some()
}

fn write(visit: &Visit<'_>, packet: &mut Packet<'_>, inner: &Ipv4, domain: u32, message: &Message) -> Option<()> {
    let mut icmp = [0; ICMP_HEADER];
    icmp[0] = message.kind;
    icmp[1] = message.code;
    icmp[6..8].copy_from_slice(&message.mtu.to_be_bytes());
    let sum = u16::from_be(!fold(add(add(0, &icmp), packet.bytes())));
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    *packet.prepend()? = icmp;
    let total = IPV4_HEADER + packet.bytes().len();
    let source = visit.domain(domain).ipv4_source;
    *packet.prepend()? = ipv4_header(TOS, total, protocol::ICMP, source, inner.source.into());
    debug_assert_eq!(checksum(&packet.bytes()[IPV4_HEADER..]), 0);
    Some(())
}

/// Puts the error on its way: bare, or into the tunnel.
fn address(visit: &Visit<'_>, packet: &mut Packet<'_>, inner: &Ipv4, domain: u32, back: Back) -> Option<()> {
    let Back::Tunnel { relay, ce } = back else { return Some(()) };
    let domain = visit.domain(domain);
    let word = first_word(domain.traffic_class(TOS), flow::label(inner.addresses(), 0));
    let length = packet.bytes().len();
    *packet.prepend::<IPV6_HEADER>()? = ipv6_header(word, length, protocol::IPV4, relay, ce);
    Some(())
}
