//! IPv4 packets (RFC 791), taken apart and put together again.

use std::net::Ipv4Addr;

use crate::bits::{be, be16, checksum, sum};

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const DCCP: u8 = 33;
pub(crate) const SCTP: u8 = 132;
pub(crate) const UDP_LITE: u8 = 136;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ipv4Packet {
    pub(crate) tos: u8,
    pub(crate) identification: u16,
    pub(crate) reserved_flag: bool,
    pub(crate) dont_fragment: bool,
    pub(crate) more_fragments: bool,
    /// In bytes.
    pub(crate) offset: usize,
    pub(crate) ttl: u8,
    pub(crate) protocol: u8,
    /// As it came: where the kernel has looked at it, it is carried on as it is.
    pub(crate) checksum: u16,
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) options: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl Ipv4Packet {
    /// Takes a whole packet apart; link padding is left behind.
    pub(crate) fn parse(bytes: &[u8], verify: bool) -> Result<Self, &'static str> {
        if bytes.len() < 20 {
            return Err("Truncated");
        }
        let (version, header) = (bytes[0] >> 4, usize::from(bytes[0] & 15) * 4);
        let total = usize::from(be16(bytes, 2));
        if version != 4 || header < 20 || total < header {
            return Err("BadHeader");
        }
        if total > bytes.len() {
            return Err("Truncated");
        }
        if verify && sum(&bytes[..header]) != 0xffff {
            return Err("BadChecksum");
        }
        Ok(Self::read(bytes, header, total))
    }

    /// Takes apart what an ICMP error quotes: all of the header must be there, of the rest what is.
    pub(crate) fn parse_quoted(bytes: &[u8]) -> Option<Self> {
        let header = usize::from(bytes.first()? & 15) * 4;
        if bytes[0] >> 4 != 4 || header < 20 || header > bytes.len() {
            return None;
        }
        Some(Self::read(bytes, header, bytes.len()))
    }

    fn read(bytes: &[u8], header: usize, total: usize) -> Self {
        let flags = be16(bytes, 6);
        Self {
            tos: bytes[1],
            identification: be16(bytes, 4),
            reserved_flag: flags & 0x8000 != 0,
            dont_fragment: flags & 0x4000 != 0,
            more_fragments: flags & 0x2000 != 0,
            offset: usize::from(flags & 0x1fff) * 8,
            ttl: bytes[8],
            protocol: bytes[9],
            checksum: be16(bytes, 10),
            source: Ipv4Addr::from(be(&bytes[12..16])),
            destination: Ipv4Addr::from(be(&bytes[16..20])),
            options: bytes[20..header].to_vec(),
            payload: bytes[header..total].to_vec(),
        }
    }

    /// A packet of the relay's own: an ICMP message.
    pub(crate) fn icmp(source: Ipv4Addr, destination: Ipv4Addr, message: Vec<u8>) -> Self {
        let packet = Self {
            tos: 0xc0,
            identification: 0,
            reserved_flag: false,
            dont_fragment: true,
            more_fragments: false,
            offset: 0,
            ttl: 64,
            protocol: ICMP,
            checksum: 0,
            source,
            destination,
            options: Vec::new(),
            payload: message,
        };
        packet.sealed()
    }

    /// The same with a right checksum.
    pub(crate) fn sealed(mut self) -> Self {
        self.checksum = 0;
        self.checksum = checksum(&self.to_bytes()[..self.header()]);
        self
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.to_bytes_of_length(self.total())
    }

    /// The bytes of a packet whose header claims another length than what is there.
    pub(crate) fn to_bytes_of_length(&self, total: usize) -> Vec<u8> {
        let flag = |set: bool, bit: u16| if set { bit } else { 0 };
        let flags = flag(self.reserved_flag, 0x8000) | flag(self.dont_fragment, 0x4000);
        let fragment = flags | flag(self.more_fragments, 0x2000) | (self.offset / 8) as u16;
        let mut bytes = vec![0x40 | (self.header() / 4) as u8, self.tos];
        bytes.extend((total as u16).to_be_bytes());
        bytes.extend(self.identification.to_be_bytes());
        bytes.extend(fragment.to_be_bytes());
        bytes.extend([self.ttl, self.protocol]);
        bytes.extend(self.checksum.to_be_bytes());
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        bytes.extend(&self.options);
        bytes.extend(&self.payload);
        bytes
    }

    pub(crate) fn header(&self) -> usize {
        20 + self.options.len()
    }

    pub(crate) fn total(&self) -> usize {
        self.header() + self.payload.len()
    }

    pub(crate) fn is_fragment(&self) -> bool {
        self.more_fragments || self.offset > 0
    }

    pub(crate) fn has_martian(&self) -> bool {
        is_martian(self.source) || is_martian(self.destination)
    }

    /// An ICMP error, or an ICMP message without a type: nothing is ever said about one, nor about a later fragment.
    pub(crate) fn may_be_reported(&self) -> bool {
        let is_error = self.protocol == ICMP && self.payload.first().is_none_or(|kind| is_icmp_error(*kind));
        self.offset == 0 && !is_error
    }
}

/// 0/8, 127/8, 224/4, 240/4.
fn is_martian(address: Ipv4Addr) -> bool {
    matches!(address.octets()[0], 0 | 127 | 224..=255)
}

/// Destination Unreachable, Source Quench, Redirect, Time Exceeded, Parameter Problem (RFC 792).
pub(crate) fn is_icmp_error(kind: u8) -> bool {
    [3, 4, 5, 11, 12].contains(&kind)
}

/// Echo, Timestamp, Information, Address Mask: those with an identifier (RFC 792, RFC 950).
pub(crate) fn is_icmp_query(kind: u8) -> bool {
    [0, 8, 13, 14, 15, 16, 17, 18].contains(&kind)
}
