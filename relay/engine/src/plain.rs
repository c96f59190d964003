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
