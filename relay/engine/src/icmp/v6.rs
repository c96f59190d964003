//! ICMPv6 from the BR address: errors about tunnel packets, and echo (RFC 4443).

use super::{ICMP_HEADER, relayed};
use crate::{
    Direction, DropReason, IcmpKind, Packet, Verdict,
    engine::Visit,
    fragments::cut_own,
    from_ce::decapsulate::Outer,
    wire::{IPV6_HEADER, address, checksum_ipv6, first_word, ipv6_header, is_host, protocol, updated},
};

/// As much of a packet as an error of the least MTU has room for (RFC 4443 §2.4 c).
const EMBEDDED: usize = 1280 - IPV6_HEADER - ICMP_HEADER;

const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;

/// Turns the tunnel packet into Destination Unreachable, source address failed ingress/egress policy (RFC 4443 §3.1),
/// unless that must not be. Says which.
pub(crate) fn source_failed(visit: &Visit<'_>, packet: &mut Packet<'_>, outer: &Outer, domain: u32) -> bool {
    error(visit, packet, outer, domain, [1, 5], 0)
}

/// The same for Parameter Problem, unrecognized IPv6 option, at `pointer` bytes into the packet (RFC 4443 §3.4).
pub(crate) fn bad_option(visit: &Visit<'_>, packet: &mut Packet<'_>, outer: &Outer, pointer: u32) -> bool {
    error(visit, packet, outer, outer.domain, [4, 2], pointer)
}

/// The same for Parameter Problem, erroneous header field.
pub(crate) fn bad_field(visit: &Visit<'_>, packet: &mut Packet<'_>, outer: &Outer, pointer: u32) -> bool {
    error(visit, packet, outer, outer.domain, [4, 0], pointer)
}

fn error(
    visit: &Visit<'_>,
    packet: &mut Packet<'_>,
    outer: &Outer,
    domain: u32,
    [kind, code]: [u8; 2],
    parameter: u32,
) -> bool {
    if !may_answer(visit, outer) || !visit.may_say(domain, IcmpKind::Error, outer.source) {
        return false;
    }
    packet.truncate(outer.end.min(EMBEDDED));
    let [a, b, c, d] = parameter.to_be_bytes();
    let Some(header) = packet.prepend() else { return false };
    *header = [kind, code, 0, 0, a, b, c, d];
    let sum = checksum_ipv6(address(outer.relay), address(outer.source), protocol::ICMPV6, packet.bytes());
    packet.bytes_mut()[2..4].copy_from_slice(&sum.to_be_bytes());
    address_to_sender(packet, outer)
}

/// Whether the sender is a host, and not a relay.
fn may_answer(visit: &Visit<'_>, outer: &Outer) -> bool {
    is_host(address(outer.source)) && visit.snapshot.relay(outer.source).is_none()
}

fn address_to_sender(packet: &mut Packet<'_>, outer: &Outer) -> bool {
    let length = packet.bytes().len();
    let Some(header) = packet.prepend() else { return false };
    *header = ipv6_header(first_word(0, 0), length, protocol::ICMPV6, outer.relay, outer.source);
    true
}

/// ICMPv6 to the BR address: echo is answered, errors about tunnel packets are relayed, neighbour discovery is the host's.
pub(crate) fn to_relay(visit: &mut Visit<'_>, packet: &mut Packet<'_>, outer: &Outer) -> Verdict {
    let message = packet.bytes().get(outer.at..outer.end).unwrap_or_default();
    match message.first() {
        Some(133..=137) => visit.punted(Some(outer.domain), Direction::FromCe, DropReason::NotForRelay),
        Some(_) if message.len() < ICMP_HEADER => {
            visit.dropped(Some(outer.domain), Direction::FromCe, DropReason::Truncated, false)
        }
        Some(1..=4) => relayed::relay(visit, packet, outer),
        Some(&ECHO_REQUEST) => match echo(visit, packet, outer) {
            Ok(()) => visit.answered(outer.domain),
            Err(reason) => visit.dropped(Some(outer.domain), Direction::FromCe, reason, false),
        },
        Some(_) => visit.dropped(Some(outer.domain), Direction::FromCe, DropReason::UnsupportedIcmp, false),
        None => visit.dropped(Some(outer.domain), Direction::FromCe, DropReason::Truncated, false),
    }
}

/// Turns an echo request into its reply (RFC 4443 §4.2).
fn echo(visit: &mut Visit<'_>, packet: &mut Packet<'_>, outer: &Outer) -> Result<(), DropReason> {
    let (source, relay) = (address(outer.source), address(outer.relay));
    packet.truncate(outer.end);
    let message = packet.bytes().get(outer.at..).unwrap_or_default();
    if checksum_ipv6(source, relay, protocol::ICMPV6, message) != 0 {
        return Err(DropReason::BadChecksum);
    }
    if !visit.domain(outer.domain).answer_echo {
        return Err(DropReason::UnsupportedIcmp);
    }
    if !may_answer(visit, outer) {
        return Err(DropReason::Martian);
    }
    if !visit.may_say(outer.domain, IcmpKind::EchoReply, outer.source) {
        return Err(DropReason::RateLimited);
    }
    packet.strip(outer.at);
    let message = packet.bytes_mut();
    let sum = u16::from_be_bytes([message[2], message[3]]);
    let code = message[1];
    let word = |kind: u8, code: u8| u16::from_be_bytes([kind, code]);
    let sum = updated(sum, word(ECHO_REQUEST, code), word(ECHO_REPLY, 0));
    message[..2].copy_from_slice(&[ECHO_REPLY, 0]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let domain = visit.domain(outer.domain);
    if IPV6_HEADER + packet.bytes().len() > domain.mtu() {
        return cut_own(visit, packet, domain, outer);
    }
    address_to_sender(packet, outer);
    Ok(())
}
