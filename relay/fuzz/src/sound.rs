//! What must hold for everything that comes out.

use std::net::{Ipv4Addr, Ipv6Addr};

use engine::{Outcome as Verdict, Ttl, wire};
use mape::Fleet;

use crate::process::Outcome;

/// Checks all that came out for `packet`.
pub(crate) fn check(fleet: &Fleet, ttl: Ttl, packet: &[u8], outcome: &Outcome) {
    assert_eq!(outcome.verdict.leaves(), !outcome.packets.is_empty(), "what leaves is there, and nothing else");
    // The kernel has verified the checksum of the IPv4 packets that it forwards to a TUN, so the engine does not.
    let verified = ttl == Ttl::Engine || is_ipv6(packet);
    for emitted in &outcome.packets {
        if is_ipv6(emitted) { ipv6(emitted, verified) } else { ipv4(emitted, true) }
    }
    if let (Verdict::Emit, [only]) = (outcome.verdict.outcome, outcome.packets.as_slice()) {
        ce(fleet, packet, only);
    }
}

fn is_ipv6(packet: &[u8]) -> bool {
    packet.first().is_some_and(|byte| byte >> 4 == 6)
}

fn ipv6(packet: &[u8], verified: bool) {
    let (header, payload) = packet.split_at(wire::IPV6_HEADER);
    assert_eq!(be16(header, 4), payload.len(), "payload length of {packet:02x?}");
    match header[6] {
        wire::protocol::IPV4 => ipv4(payload, verified),
        wire::protocol::ICMPV6 => {
            let sum = wire::checksum_ipv6(address(packet, 8), address(packet, 24), wire::protocol::ICMPV6, payload);
            assert_eq!(sum, 0, "ICMPv6 checksum of {packet:02x?}");
            assert!(payload[0] >= 128 || packet.len() <= 1280, "an error that may not fit: {}", packet.len());
        }
        wire::protocol::FRAGMENT => {
            let more = payload[3] & 1 != 0;
            assert!(payload.len() > 8 && (!more || payload.len() % 8 == 0), "fragment {packet:02x?}");
        }
        other => panic!("next header {other} in {packet:02x?}"),
    }
}

fn ipv4(packet: &[u8], verified: bool) {
    let header = usize::from(packet[0] & 15) * 4;
    assert!(packet[0] >> 4 == 4 && (20..=packet.len()).contains(&header), "IPv4 header of {packet:02x?}");
    assert_eq!(be16(packet, 2), packet.len(), "total length of {packet:02x?}");
    let sum = wire::fold(wire::add(0, &packet[..header]));
    assert!(!verified || sum == 0xffff, "header checksum of {packet:02x?}");
}

/// The CE that `mape` says, for whole TCP and UDP packets.
fn ce(fleet: &Fleet, packet: &[u8], emitted: &[u8]) {
    if is_ipv6(emitted) && emitted[6] == wire::protocol::IPV4 {
        let (destination, port) = (ipv4_address(emitted, 56), port(&emitted[40..], 2));
        let Some(port) = port else { return };
        let target = fleet.to_ce(destination, Some(port)).expect("what is sent to a CE has one");
        assert_eq!(address(emitted, 24), target.ce_address, "to {destination}:{port}");
        assert_eq!(address(emitted, 8), target.domain.softwire_address(), "to {destination}:{port}");
    }
    if is_ipv6(packet) && packet[6] == wire::protocol::IPV4 && packet.len() > 60 {
        let (source, port) = (ipv4_address(packet, 52), port(&packet[40..], 0));
        let Some(port) = port else { return };
        fleet
            .check_source(address(packet, 8), Some(address(packet, 24)), source, Some(port))
            .unwrap_or_else(|refusal| panic!("{source}:{port} passed, but {refusal}"));
    }
}

/// A port of a whole TCP or UDP packet: the source's at 0, the destination's at 2.
fn port(ipv4: &[u8], at: usize) -> Option<u16> {
    let is_fragment = be16(ipv4, 6) & 0x3fff != 0;
    let has_ports = matches!(ipv4[9], wire::protocol::TCP | wire::protocol::UDP) && !is_fragment;
    let at = usize::from(ipv4[0] & 15) * 4 + at;
    ipv4.get(at..at + 2).filter(|_| has_ports).map(|port| u16::from_be_bytes([port[0], port[1]]))
}

fn be16(bytes: &[u8], at: usize) -> usize {
    u16::from_be_bytes([bytes[at], bytes[at + 1]]).into()
}

fn ipv4_address(bytes: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3])
}

fn address(bytes: &[u8], at: usize) -> Ipv6Addr {
    std::array::from_fn::<u8, 16, _>(|byte| bytes[at + byte]).into()
}
