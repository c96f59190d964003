//! Where the fields of the headers are, and Internet checksums. Readers check lengths once, in `parse`.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::DropReason;

/// Length of an IPv6 header.
pub const IPV6_HEADER: usize = 40;

/// Length of an IPv4 header without options.
pub const IPV4_HEADER: usize = 20;

/// Length of an IPv6 Fragment header (RFC 8200 §4.5).
pub(crate) const FRAGMENT_HEADER: usize = 8;

/// The largest IPv4 packet, and the largest payload of an IPv6 one.
pub(crate) const LARGEST: usize = 65_535;

/// Protocol and next header numbers (IANA).
#[expect(missing_docs, reason = "the names say it")]
pub mod protocol {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const IPV4: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const DCCP: u8 = 33;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const ICMPV6: u8 = 58;
    pub const DESTINATION_OPTIONS: u8 = 60;
    pub const SCTP: u8 = 132;
    pub const UDP_LITE: u8 = 136;
}

/// The part of an IPv4 header that a relay needs. `parse` checks every length; nothing after it has to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ipv4 {
    /// 20 to 60.
    pub(crate) header: usize,
    /// Header and payload, at least `header`.
    pub(crate) total: usize,
    pub(crate) tos: u8,
    pub(crate) identification: u16,
    /// Flags and offset as they stand in the header.
    pub(crate) fragment: u16,
    pub(crate) ttl: u8,
    pub(crate) protocol: u8,
    pub(crate) source: u32,
    pub(crate) destination: u32,
}

/// The place of the payload length in an IPv6 header.
pub(crate) const PAYLOAD_LENGTH: usize = 4;

/// The DF bit in [`Ipv4::fragment`].
pub(crate) const DONT_FRAGMENT: u16 = 0x4000;

/// The MF bit in [`Ipv4::fragment`].
pub(crate) const MORE_FRAGMENTS: u16 = 0x2000;

/// The offset in [`Ipv4::fragment`], in units of 8 bytes.
pub(crate) const FRAGMENT_OFFSET: u16 = 0x1fff;

impl Ipv4 {
    /// Reads the header at the front of `packet`; with `verify` its checksum too.
    #[inline(always)]
    pub(crate) fn parse(packet: &[u8], verify: bool) -> Result<Self, DropReason> {
        let read = Self::read(packet)?;
        if read.total > packet.len() {
            return Err(DropReason::Truncated);
        }
        if verify && fold(add(0, &packet[..read.header])) != 0xffff {
            return Err(DropReason::BadChecksum);
        }
        Ok(read)
    }

    /// Reads the fixed part of the header.
    #[inline(always)]
    fn read(packet: &[u8]) -> Result<Self, DropReason> {
        let Some(fixed) = packet.first_chunk::<IPV4_HEADER>() else { return Err(DropReason::Truncated) };
        let header = usize::from(fixed[0] & 15) * 4;
        let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        if fixed[0] >> 4 != 4 || header < IPV4_HEADER || total < header {
            return Err(DropReason::BadHeader);
        }
        Ok(Self {
            header,
            total,
            tos: fixed[1],
            identification: u16::from_be_bytes([fixed[4], fixed[5]]),
            fragment: u16::from_be_bytes([fixed[6], fixed[7]]),
            ttl: fixed[8],
            protocol: fixed[9],
            source: u32::from_be_bytes([fixed[12], fixed[13], fixed[14], fixed[15]]),
            destination: u32::from_be_bytes([fixed[16], fixed[17], fixed[18], fixed[19]]),
        })
    }

    /// Reads the header of a packet that an ICMP error quotes, which may be cut anywhere behind it. `None` if it is not sound.
    pub(crate) fn parse_quoted(packet: &[u8]) -> Option<Self> {
        let quoted = Self::read(packet).ok()?;
        let is_there = quoted.header <= packet.len();
        quoted.with_sound_addresses().ok().filter(|_| is_there)
    }

    /// Refuses what no packet on the Internet may carry as an address, source or destination (RFC 1812 §5.3.7).
    #[inline(always)]
    pub(crate) fn with_sound_addresses(self) -> Result<Self, DropReason> {
        if is_martian((self.source >> 24) as u8) || is_martian((self.destination >> 24) as u8) {
            Err(DropReason::Martian)
        } else {
            Ok(self)
        }
    }

    /// Source and destination, as they lie in the header.
    #[inline(always)]
    pub(crate) fn addresses(&self) -> u64 {
        u64::from_le_bytes((u64::from(self.source) << 32 | u64::from(self.destination)).to_be_bytes())
    }

    #[inline(always)]
    pub(crate) fn is_fragment(&self) -> bool {
        self.fragment & (MORE_FRAGMENTS | FRAGMENT_OFFSET) != 0
    }

    /// A fragment that is not the first: its payload begins with no transport header.
    #[inline(always)]
    pub(crate) fn is_later_fragment(&self) -> bool {
        self.fragment & FRAGMENT_OFFSET != 0
    }

    /// Where in its datagram the payload stands, in bytes.
    pub(crate) fn offset(&self) -> usize {
        usize::from(self.fragment & FRAGMENT_OFFSET) * 8
    }

    #[inline(always)]
    pub(crate) fn may_fragment(&self) -> bool {
        self.fragment & DONT_FRAGMENT == 0
    }
}

/// 0/8, 127/8, 224/4 and 240/4, by the first octet.
#[inline(always)]
pub(crate) fn is_martian(first: u8) -> bool {
    first.wrapping_sub(1) >= 223 || first == 127
}

/// Whether an IPv6 source is one host's, so that it may be answered (RFC 4443 §2.4 e).
pub(crate) fn is_host(address: Ipv6Addr) -> bool {
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast())
}

/// Reads a 16-bit field, `None` past the end.
#[inline(always)]
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|field| u16::from_be_bytes(*field))
}

/// Reads a 32-bit field, `None` past the end.
#[inline(always)]
pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|field| u32::from_be_bytes(*field))
}

/// Reads half an IPv6 address of a header.
#[inline(always)]
pub(crate) fn be64(header: &[u8; IPV6_HEADER], at: usize) -> u64 {
    header[at..].first_chunk().map_or(0, |half| u64::from_be_bytes(*half))
}

/// Changes a 16-bit word, and the checksum over it, without reading the rest (RFC 1624, equation 3).
#[inline(always)]
pub(crate) fn updated(checksum: u16, from: u16, to: u16) -> u16 {
    let sum = u32::from(!checksum) + u32::from(!from) + u32::from(to);
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
}

/// Adds bytes to a sum in native order; an odd last byte is padded with a zero (RFC 1071).
#[must_use]
pub fn add(sum: u64, bytes: &[u8]) -> u64 {
    let (words, last) = bytes.as_chunks::<4>();
    let sum = words.iter().fold(sum, |sum, word| sum + u64::from(u32::from_ne_bytes(*word)));
    let mut padded = [0; 4];
    padded[..last.len()].copy_from_slice(last);
    sum + u64::from(u32::from_ne_bytes(padded))
}

/// Folds a sum to 16 bits, still in native order: 0xffff over a header with a right checksum.
#[inline(always)]
#[must_use]
pub fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// The checksum of `bytes` in network order, ready to be stored with `to_be_bytes`.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u16 {
    u16::from_be(!fold(add(0, bytes)))
}

/// Gives an IPv4 header the checksum that it should have.
pub fn seal(header: &mut [u8]) {
    header[10..12].fill(0);
    let checksum = checksum(header);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}

/// The checksum of an upper-layer message over IPv6 (RFC 8200 §8.1).
#[must_use]
pub fn checksum_ipv6(source: Ipv6Addr, destination: Ipv6Addr, next_header: u8, message: &[u8]) -> u16 {
    let mut sum = add(add(0, &source.octets()), &destination.octets());
    sum = add(sum, &(message.len() as u32).to_be_bytes());
    sum = add(sum, &[0, 0, 0, next_header]);
    u16::from_be(!fold(add(sum, message)))
}

/// An IPv4 header of the relay's own: no options, not to be fragmented (its identification means nothing, RFC 6864).
#[must_use]
pub fn ipv4_header(tos: u8, total: usize, protocol: u8, source: Ipv4Addr, destination: Ipv4Addr) -> [u8; IPV4_HEADER] {
    let mut header = [0; IPV4_HEADER];
    header[0] = 0x45;
    header[1] = tos;
    header[2..4].copy_from_slice(&(total as u16).to_be_bytes());
    header[6..8].copy_from_slice(&DONT_FRAGMENT.to_be_bytes());
    header[8] = HOP_LIMIT;
    header[9] = protocol;
    header[12..16].copy_from_slice(&source.octets());
    header[16..20].copy_from_slice(&destination.octets());
    seal(&mut header);
    header
}

/// The hop limit of tunnel packets and the TTL of what the relay says itself (RFC 1700's default of 64).
pub const HOP_LIMIT: u8 = 64;

/// An IPv6 header. `first_word` is version, traffic class and flow label.
#[inline(always)]
#[must_use]
pub fn ipv6_header(
    first_word: u32,
    payload: usize,
    next_header: u8,
    source: [u64; 2],
    destination: [u64; 2],
) -> [u8; IPV6_HEADER] {
    let mut header = [0; IPV6_HEADER];
    header[0..4].copy_from_slice(&first_word.to_be_bytes());
    header[4..6].copy_from_slice(&(payload as u16).to_be_bytes());
    header[6] = next_header;
    header[7] = HOP_LIMIT;
    header[8..16].copy_from_slice(&source[0].to_be_bytes());
    header[16..24].copy_from_slice(&source[1].to_be_bytes());
    header[24..32].copy_from_slice(&destination[0].to_be_bytes());
    header[32..40].copy_from_slice(&destination[1].to_be_bytes());
    header
}

/// Version 6, a traffic class and a flow label, as the first word of a header.
#[inline(always)]
#[must_use]
pub fn first_word(traffic_class: u8, flow_label: u32) -> u32 {
    6 << 28 | u32::from(traffic_class) << 20 | flow_label & 0xf_ffff
}

/// An address as two halves.
#[inline(always)]
#[must_use]
pub fn halves(address: Ipv6Addr) -> [u64; 2] {
    let bits = address.to_bits();
    [(bits >> 64) as u64, bits as u64]
}

/// Two halves as an address.
#[must_use]
pub fn address(halves: [u64; 2]) -> Ipv6Addr {
    Ipv6Addr::from_bits(u128::from(halves[0]) << 64 | u128::from(halves[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1071 §3.
    #[test]
    fn the_rfc_example_sums_up() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    /// A carry may bring another one.
    #[test]
    fn a_sum_is_folded_to_the_end() {
        assert_eq!(fold(0x1_ffff), 1);
        assert_eq!(fold(0x1_ffff_ffff), 1);
        assert_eq!(updated(0, 0, 1), 0xfffe, "0xffff + 0xffff + 1");
    }

    #[test]
    fn a_changed_word_changes_the_checksum_alike() {
        let source = Ipv4Addr::new(192, 0, 2, 1);
        let mut header = ipv4_header(0, 20, 17, source, Ipv4Addr::new(192, 0, 2, 2));
        for to in [0u16, 1, 0x3fff, 0x4000, 0xffff] {
            let from = u16::from_be_bytes([header[8], header[9]]);
            let before = u16::from_be_bytes([header[10], header[11]]);
            header[8..10].copy_from_slice(&to.to_be_bytes());
            header[10..12].copy_from_slice(&updated(before, from, to).to_be_bytes());
            assert_eq!(fold(add(0, &header)), 0xffff, "{to:#x}");
        }
    }
}
