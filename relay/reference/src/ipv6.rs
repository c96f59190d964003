//! IPv6 packets (RFC 8200): the fixed header, and all behind it as bytes.

use std::net::Ipv6Addr;

use crate::bits::{be, be16, checksum, with_pseudo_header};

pub(crate) const HOP_BY_HOP: u8 = 0;
pub(crate) const IPV4: u8 = 4;
pub(crate) const ROUTING: u8 = 43;
pub(crate) const FRAGMENT: u8 = 44;
pub(crate) const ICMPV6: u8 = 58;
pub(crate) const DESTINATION_OPTIONS: u8 = 60;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ipv6Packet {
    pub(crate) traffic_class: u8,
    pub(crate) flow_label: u32,
    pub(crate) next_header: u8,
    pub(crate) hop_limit: u8,
    pub(crate) source: Ipv6Addr,
    pub(crate) destination: Ipv6Addr,
    pub(crate) payload: Vec<u8>,
}

impl Ipv6Packet {
    /// Takes a packet apart as far as its payload is there; the header must be.
    pub(crate) fn parse_quoted(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < 40 || bytes[0] >> 4 != 6 {
            return None;
        }
        let word = be(&bytes[..4]);
        let end = bytes.len().min(40 + usize::from(be16(bytes, 4)));
        Some(Self {
            traffic_class: (word >> 20) as u8,
            flow_label: word & 0xf_ffff,
            next_header: bytes[6],
            hop_limit: bytes[7],
            source: address(&bytes[8..24]),
            destination: address(&bytes[24..40]),
            payload: bytes[40..end].to_vec(),
        })
    }

    /// A packet of the relay's own.
    pub(crate) fn new(source: Ipv6Addr, destination: Ipv6Addr, next_header: u8, payload: Vec<u8>) -> Self {
        Self { traffic_class: 0, flow_label: 0, next_header, hop_limit: 64, source, destination, payload }
    }

    /// An ICMPv6 message, whose checksum is filled in.
    pub(crate) fn icmp(source: Ipv6Addr, destination: Ipv6Addr, mut message: Vec<u8>) -> Self {
        message[2..4].fill(0);
        let checksum = checksum(&with_pseudo_header(source, destination, &message));
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
        Self::new(source, destination, ICMPV6, message)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let word = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label;
        let mut bytes = word.to_be_bytes().to_vec();
        bytes.extend((self.payload.len() as u16).to_be_bytes());
        bytes.extend([self.next_header, self.hop_limit]);
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        bytes.extend(&self.payload);
        bytes
    }
}

pub(crate) fn address(bytes: &[u8]) -> Ipv6Addr {
    Ipv6Addr::from_bits(bytes.iter().fold(0, |value, byte| value << 8 | u128::from(*byte)))
}

/// Whether one host may have it (RFC 4443 section 2.4 e).
pub(crate) fn is_host(address: Ipv6Addr) -> bool {
    !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
}
