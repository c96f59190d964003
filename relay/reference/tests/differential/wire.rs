//! Headers as bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const ICMPV6: u8 = 58;
pub(crate) const FRAGMENT: u8 = 44;

/// What is left to choose in an IPv4 header.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ipv4Fields {
    pub(crate) tos: u8,
    pub(crate) identification: u16,
    /// DF, MF and the offset in units of 8 bytes, as they stand there.
    pub(crate) fragment: u16,
    pub(crate) ttl: u8,
    pub(crate) protocol: u8,
    pub(crate) options: Vec<u8>,
}

pub(crate) fn ipv4(fields: &Ipv4Fields, source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let header = 20 + fields.options.len().next_multiple_of(4);
    let mut packet = vec![0x40 | (header / 4) as u8, fields.tos];
    packet.extend(((header + payload.len()) as u16).to_be_bytes());
    packet.extend(fields.identification.to_be_bytes());
    packet.extend(fields.fragment.to_be_bytes());
    packet.extend([fields.ttl, fields.protocol, 0, 0]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(&fields.options);
    packet.resize(header, 0);
    packet.extend(payload);
    seal_ipv4(&mut packet);
    packet
}

/// Makes the header checksum right, if there is a header.
pub(crate) fn seal_ipv4(packet: &mut [u8]) {
    let header = packet.first().map_or(0, |first| usize::from(first & 15) * 4);
    if header < 20 || packet.len() < header {
        return;
    }
    packet[10..12].fill(0);
    let checksum = checksum(&packet[..header]);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
}

pub(crate) fn ipv6(traffic_class: u8, next: u8, source: Ipv6Addr, destination: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
    let mut packet = (6u32 << 28 | u32::from(traffic_class) << 20).to_be_bytes().to_vec();
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 63]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(payload);
    packet
}

/// An ICMPv4 message with a right checksum.
pub(crate) fn icmp(kind: u8, code: u8, rest: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0];
    message.extend(rest);
    message.extend(body);
    let checksum = checksum(&message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// Makes the checksum of an ICMPv6 message right.
pub(crate) fn seal_icmp6(message: &mut [u8], source: Ipv6Addr, destination: Ipv6Addr) {
    message[2..4].fill(0);
    let length = (message.len() as u32).to_be_bytes();
    let pseudo = [&source.octets()[..], &destination.octets(), &length, &[0, 0, 0, ICMPV6], message].concat();
    message[2..4].copy_from_slice(&checksum(&pseudo).to_be_bytes());
}

pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| u64::from(word[0]) << 8 | u64::from(*word.get(1).unwrap_or(&0)));
    let mut sum = words.sum::<u64>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The address in a header.
pub(crate) fn ipv6_address(packet: &[u8], at: usize) -> Ipv6Addr {
    Ipv6Addr::from_bits(packet[at..at + 16].iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte)))
}
