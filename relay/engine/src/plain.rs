//! Plain packets: IPv4 without options, whole, with TCP or UDP and nothing special about them. Nearly all are, and for
//! them each direction has an `express` way of few instructions. It forwards exactly as the full way would, or leaves the
//! packet alone; it never drops. A test plays every packet both ways.

use crate::wire::{IPV4_HEADER, protocol};

/// How far into an IPv4 packet the express way looks: TCP's flags are the last it needs.
pub(crate) const LOOK: usize = IPV4_HEADER + 14;

/// The front of such a packet: the first words of its header, as they lie in memory, and where to find the rest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain<'p> {
    first: u64,
    second: u64,
    front: &'p [u8; LOOK],
}

/// In the first word: version, header length, MF and offset. DF may be either.
const SHAPE_MASK: u64 = u64::from_le_bytes([0xff, 0, 0, 0, 0, 0, 0x3f, 0xff]);

/// Version 4, five words, no fragment.
const SHAPE: u64 = 0x45;

/// An IPv4 and a UDP header.
const LEAST: usize = IPV4_HEADER + 8;

/// In the second word.
const UDP: u64 = (protocol::UDP as u64) << 8;

/// In the second word.
const TCP: u64 = (protocol::TCP as u64) << 8;

const SYN: u8 = 0x02;

impl<'p> Plain<'p> {
    /// Reads the front of a packet of which `length` bytes are there; `None` if it needs a closer look.
    #[inline(always)]
    pub(crate) fn read(front: &'p [u8; LOOK], length: usize) -> Option<Self> {
        let plain = Self { first: le64(front, 0), second: le64(front, 8), front };
        if plain.first & SHAPE_MASK != SHAPE || plain.total() > length || !plain.has_sound_checksum() {
            return None;
        }
        // A TCP header cut before its flags has no option to be changed either, whatever lies behind it.
        let protocol = plain.second & 0xff00;
        let is_plain = protocol == UDP || protocol == TCP && front[IPV4_HEADER + 13] & SYN == 0;
        (is_plain && plain.total() >= LEAST).then_some(plain)
    }

    #[inline(always)]
    pub(crate) fn total(self) -> usize {
        ((self.first >> 16) as u16).swap_bytes().into()
    }

    #[inline(always)]
    pub(crate) fn tos(self) -> u8 {
        (self.first >> 8) as u8
    }

    #[inline(always)]
    pub(crate) fn source(self) -> u32 {
        le32(self.front, 12).swap_bytes()
    }

    #[inline(always)]
    pub(crate) fn destination(self) -> u32 {
        le32(self.front, 16).swap_bytes()
    }

    /// Source and destination, as they lie in the header.
    #[inline(always)]
    pub(crate) fn addresses(self) -> u64 {
        le64(self.front, 12)
    }

    /// Both ports.
    #[inline(always)]
    pub(crate) fn ports(self) -> u32 {
        le32(self.front, 20).swap_bytes()
    }

    /// TTL, protocol and checksum once a TTL has been taken: the checksum grows by what the TTL loses (RFC 1141). `None` if
    /// there is none left, or if the checksum would run over.
    #[inline(always)]
    pub(crate) fn with_ttl_taken(self) -> Option<[u8; 4]> {
        let word = self.second as u32;
        if self.second & 0xfe == 0 {
            return None;
        }
        if word >= 0xfffe_0000 { None } else { Some((word + 0xffff).to_le_bytes()) }
    }

    /// The words of a header with a right checksum add up to a multiple of 65,535: that is what ones' complement sums
    /// are (RFC 1071), and 2^16, 2^32 and 2^64 all leave 1.
    #[inline(always)]
    fn has_sound_checksum(self) -> bool {
        let (sum, carry) = self.first.overflowing_add(self.second);
        let (sum, more) = sum.overflowing_add(u64::from(le32(self.front, 16)) + u64::from(carry));
        (sum + u64::from(more)).is_multiple_of(0xffff)
    }
}

#[inline(always)]
fn le64(bytes: &[u8; LOOK], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

#[inline(always)]
fn le32(bytes: &[u8; LOOK], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Ipv4, add, fold, ipv4_header, seal};

    /// The front of a packet of `total` bytes, from 198.51.191.255 port 53 to 67.91.205.254 port 6600, after some changes.
    fn front(protocol: u8, total: usize, change: impl Fn(&mut [u8; LOOK])) -> [u8; LOOK] {
        let mut front = [0; LOOK];
        let header = ipv4_header(0xb8, total, protocol, [198, 51, 191, 255].into(), [67, 91, 205, 254].into());
        front[..IPV4_HEADER].copy_from_slice(&header);
        front[IPV4_HEADER..24].copy_from_slice(&[0, 53, 6600u16.to_be_bytes()[0], 6600u16.to_be_bytes()[1]]);
        change(&mut front);
        seal(&mut front[..IPV4_HEADER]);
        front
    }

    /// What is special about a packet, and how it is made so.
    type Special = (&'static str, fn(&mut [u8; LOOK]));

    fn is_plain(front: &[u8; LOOK], length: usize) -> bool {
        Plain::read(front, length).is_some()
    }

    /// The express way is no use if it leaves packets alone that it need not.
    #[test]
    fn nearly_all_packets_are_plain() {
        let front = |protocol: u8, total: usize| front(protocol, total, |_| ());
        assert!(is_plain(&front(protocol::UDP, 28), 28), "an empty UDP datagram");
        assert!(is_plain(&front(protocol::UDP, 65_535), 65_535));
        assert!(is_plain(&front(protocol::TCP, 28), 46), "link padding");
        let change = |change: fn(&mut [u8; LOOK])| self::front(protocol::TCP, 1460, change);
        assert!(is_plain(&change(|front| front[6] = 0), 1460), "without DF");
        assert!(is_plain(&change(|front| front[33] = 0x10), 1460), "ACK");
        assert!(is_plain(&change(|front| front[33] = 0xfd), 1460), "all flags but SYN");
    }

    #[test]
    fn what_is_special_needs_a_closer_look() {
        let special: [Special; 8] = [
            ("version 6", |front| front[0] = 0x65),
            ("options", |front| front[0] = 0x46),
            ("a first fragment", |front| front[6] = 0x20),
            ("a later fragment", |front| front[7] = 1),
            ("the last fragment of a long datagram", |front| front[6] = 0x10),
            ("ICMP", |front| front[9] = protocol::ICMP),
            ("a SYN", |front| front[33] = 0x12),
            ("no room for a header", |front| front[3] = 27),
        ];
        for (what, change) in special {
            assert!(!is_plain(&front(protocol::TCP, 40, change), 40), "{what}");
        }
        assert!(!is_plain(&front(protocol::UDP, 40, |_| ()), 39), "a packet cut short");
    }

    #[test]
    fn a_plain_packet_says_what_its_header_says() {
        let front = front(protocol::UDP, 1234, |_| ());
        let (plain, inner) = (Plain::read(&front, 1234).unwrap(), Ipv4::parse(&front, false));
        assert_eq!(inner.err(), Some(crate::DropReason::Truncated), "only the front is there");
        assert_eq!((plain.total(), plain.tos()), (1234, 0xb8));
        assert_eq!((plain.source(), plain.destination()), (0xc633_bfff, 0x435b_cdfe));
        assert_eq!(plain.addresses().to_le_bytes(), [198, 51, 191, 255, 67, 91, 205, 254]);
        assert_eq!(plain.ports(), 53 << 16 | 6600);
    }

    /// With every identification; 0x39cc is one with which the sum of the words runs over, and again with what ran over.
    #[test]
    fn a_right_checksum_is_told_from_a_wrong_one() {
        for identification in 0..=u16::MAX {
            let right = front(protocol::UDP, 28, |front| front[4..6].copy_from_slice(&identification.to_be_bytes()));
            assert!(is_plain(&right, 28), "{identification:#06x}");
            let bit = usize::from(identification) % 64;
            let mut wrong = right;
            wrong[12 + bit / 8] ^= 1 << (bit % 8);
            assert!(!is_plain(&wrong, 28), "{identification:#06x}, bit {bit} of the addresses");
        }
    }

    #[test]
    fn a_ttl_is_taken_with_its_checksum() {
        let mut left_alone = 0;
        for (identification, ttl) in (0..=u16::MAX).zip((2..=255).cycle()) {
            let mut front = front(protocol::UDP, 28, |front| {
                front[4..6].copy_from_slice(&identification.to_be_bytes());
                front[8] = ttl;
            });
            let Some(taken) = Plain::read(&front, 28).unwrap().with_ttl_taken() else {
                left_alone += 1;
                continue;
            };
            front[8..12].copy_from_slice(&taken);
            assert_eq!((front[8], front[9]), (ttl - 1, protocol::UDP));
            assert_eq!(fold(add(0, &front[..IPV4_HEADER])), 0xffff, "{identification:#06x}, TTL {ttl}");
        }
        assert!(left_alone < 4, "{left_alone} packets left alone");
        for ttl in [0, 1] {
            let front = front(protocol::UDP, 28, |front| front[8] = ttl);
            assert_eq!(Plain::read(&front, 28).unwrap().with_ttl_taken(), None);
        }
    }
}
