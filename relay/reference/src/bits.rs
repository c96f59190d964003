//! Numbers as bits, the most significant first, and Internet checksums word by word.

use std::net::Ipv6Addr;

pub(crate) fn bits(value: u128, width: usize) -> Vec<bool> {
    (0..width).rev().map(|place| value >> place & 1 == 1).collect()
}

pub(crate) fn number(bits: &[bool]) -> u128 {
    bits.iter().fold(0, |value, bit| value << 1 | u128::from(*bit))
}

/// The big-endian number in `bytes`.
pub(crate) fn be(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

pub(crate) fn be16(bytes: &[u8], at: usize) -> u16 {
    be(&bytes[at..at + 2]) as u16
}

/// The ones' complement sum of 16-bit words (RFC 1071), an odd byte padded with zero.
pub(crate) fn sum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for word in bytes.chunks(2) {
        sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// What to write into a checksum field that is zero in `bytes`.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    !sum(bytes)
}

/// An ICMPv6 message behind its pseudo-header (RFC 8200 section 8.1).
pub(crate) fn with_pseudo_header(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u32).to_be_bytes();
    [&source.octets()[..], &destination.octets(), &length, &[0, 0, 0, 58], message].concat()
}
