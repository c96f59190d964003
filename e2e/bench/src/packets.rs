//! UDP packets of 84 bytes, a ping's size, for the domain that `run` gives to relays: 10.0.0.0/12, 2001:db8::/36, EA
//! length 28, PSID offset 6, PSID length 8, BR address 2001:db8:ffff::1.

use std::net::{Ipv4Addr, Ipv6Addr};

const LENGTH: usize = 84;
const INTERNET: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);
const BR_ADDRESS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);

/// The one IPv4 address that `run` has tayga map (stateless translation needs an entry for each).
const MAPPED: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);

/// Different flows, enough that no cache line stays warm by itself.
pub(crate) fn many(make: impl Fn(u32) -> Vec<u8>) -> Vec<Vec<u8>> {
    (0..1024).map(make).collect()
}

pub(crate) fn to_ce(number: u32) -> Vec<u8> {
    let (address, port) = ce(number);
    ipv4((INTERNET, 443), (address, port))
}

pub(crate) fn siit(number: u32) -> Vec<u8> {
    ipv4((INTERNET, 443), (MAPPED, ce(number).1))
}

pub(crate) fn from_ce(number: u32) -> Vec<u8> {
    let (address, port) = ce(number);
    let mut packet = vec![0x60, 0, 0, 0, 0, LENGTH as u8, 4, 64];
    packet.extend(ce_address(address, port).octets());
    packet.extend(BR_ADDRESS.octets());
    packet.extend(ipv4((address, port), (INTERNET, 443)));
    packet
}

/// A CE's address and one of its ports.
fn ce(number: u32) -> (Ipv4Addr, u16) {
    let spread = number.wrapping_mul(0x9e37_79b1);
    ((10 << 24 | spread >> 12).into(), 1024 | spread as u16)
}

/// The address of the CE (RFC 7597 §5.3, §6): 36 bits of prefix, 20 of the IPv4 address, 8 of PSID; then both again.
fn ce_address(ipv4: Ipv4Addr, port: u16) -> Ipv6Addr {
    let (ipv4, psid) = (u128::from(ipv4.to_bits()), u128::from(port >> 2 & 0xff));
    (0x2001_0db8 << 96 | (ipv4 & 0xf_ffff) << 72 | psid << 64 | ipv4 << 16 | psid).into()
}

fn ipv4(source: (Ipv4Addr, u16), destination: (Ipv4Addr, u16)) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, LENGTH as u8, 0, 0, 0x40, 0, 64, 17, 0, 0];
    packet.extend(source.0.octets());
    packet.extend(destination.0.octets());
    let header = checksum(&packet, 0);
    packet[10..12].copy_from_slice(&header.to_be_bytes());
    packet.extend(source.1.to_be_bytes());
    packet.extend(destination.1.to_be_bytes());
    packet.extend([0, (LENGTH - 20) as u8, 0, 0]);
    packet.resize(LENGTH, 0);
    // The pseudo header is the addresses, which stand before the ports, the protocol and the length.
    let udp = checksum(&packet[12..], 17 + (LENGTH as u32 - 20));
    packet[26..28].copy_from_slice(&udp.to_be_bytes());
    packet
}

/// RFC 1071, for an even number of bytes.
fn checksum(bytes: &[u8], first: u32) -> u16 {
    let words = bytes.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum = first + words.sum::<u32>();
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
}
