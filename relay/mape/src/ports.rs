//! Which ports of a shared IPv4 address a CE owns: the generalized modulus algorithm of RFC 7597 §5.1.

use core::ops::RangeInclusive;

/// Which share of an IPv4 address's ports a CE owns (RFC 7597 §5.1), right-aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Psid(pub u16);

/// How the 16 bits of a port are split: `a` offset bits, `k` PSID bits, and the rest (RFC 7597 §5.1, figure 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PortLayout {
    offset: u8,
    length: u8,
}

impl PortLayout {
    /// A layout of `offset` (a) and `length` (k) bits, or `None` if together they exceed the 16 bits of a port.
    #[must_use]
    pub fn new(offset: u8, length: u8) -> Option<Self> {
        let fits = u16::from(offset) + u16::from(length) <= 16;
        fits.then_some(Self { offset, length })
    }

    /// The PSID offset `a`, 0 to 16 bits.
    #[must_use]
    pub fn offset(self) -> u8 {
        self.offset
    }

    /// The PSID length `k`, 0 to 16 bits.
    #[must_use]
    pub fn length(self) -> u8 {
        self.length
    }

    /// Whether several CEs share an address: with `k` = 0 one CE owns every port, the low ones too (RFC 7597 §5.2).
    #[must_use]
    pub fn is_shared(self) -> bool {
        self.length > 0
    }

    /// How many CEs share one address: 2^k.
    #[must_use]
    pub fn sharing_ratio(self) -> u32 {
        1 << self.length
    }

    /// The owner of `port`, or `None` for a low port that no CE owns: A = 0 when a > 0 and k > 0.
    #[must_use]
    pub fn psid_of(self, port: u16) -> Option<Psid> {
        (!self.is_reserved(port)).then(|| {
            let shifted = u32::from(port) >> (16 - self.offset - self.length);
            Psid((shifted & (self.sharing_ratio() - 1)) as u16)
        })
    }

    /// Whether `port` belongs to no CE: the offset bits exclude the system ports (RFC 7597 §5.1).
    #[must_use]
    pub fn is_reserved(self, port: u16) -> bool {
        self.is_shared() && self.offset > 0 && u32::from(port) >> (16 - self.offset) == 0
    }

    /// The port ranges of `psid`, ascending: 2^a - 1 of them, one if a = 0, all ports if k = 0.
    pub fn ranges(self, psid: Psid) -> impl Iterator<Item = RangeInclusive<u16>> {
        let low_bits = 16 - self.offset - self.length;
        let (first, blocks) = match (self.is_shared(), self.offset) {
            (false, _) | (true, 0) => (0, 1),
            (true, offset) => (1, 1u32 << offset),
        };
        let last = if self.is_shared() { (1u32 << low_bits) - 1 } else { u32::from(u16::MAX) };
        let psid = if self.is_shared() { u32::from(psid.0) << low_bits } else { 0 };
        (first..blocks).map(move |block| {
            let start = if block == 0 { psid } else { block << (16 - self.offset) | psid };
            start as u16..=(start + last) as u16
        })
    }

    /// How many ports a CE owns, 1 to 65,536.
    #[must_use]
    pub fn ports_per_ce(self) -> u32 {
        if !self.is_shared() {
            return 1 << 16;
        }
        let blocks = if self.offset == 0 { 1 } else { (1u32 << self.offset) - 1 };
        blocks << (16 - self.offset - self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// RFC 7597, appendix A, example 1.
    #[test]
    fn psid_0x34_owns_the_ports_the_rfc_lists() {
        let layout = PortLayout::new(6, 8).unwrap();
        let owns = |port: &u16| layout.psid_of(*port) == Some(Psid(0x34));
        let owned: Vec<u16> = (0..=u16::MAX).filter(owns).collect();
        assert_eq!(owned[..5], [1232, 1233, 1234, 1235, 2256]);
        assert_eq!(owned.len(), 63 * 4);
    }

    /// Every layout there is: the ranges of a PSID are exactly the ports that `psid_of` gives it.
    #[test]
    fn ranges_and_owners_agree_for_every_layout() {
        for (offset, length) in (0..=16).flat_map(|a| (0..=16 - a).map(move |k| (a, k))) {
            let layout = PortLayout::new(offset, length).unwrap();
            for psid in [0, 1, layout.sharing_ratio() / 2, layout.sharing_ratio() - 1] {
                let psid = Psid((psid % layout.sharing_ratio()) as u16);
                let owned: Vec<u16> = (0..=u16::MAX).filter(|port| layout.psid_of(*port) == Some(psid)).collect();
                let listed: Vec<u16> = layout.ranges(psid).flatten().collect();
                assert_eq!(owned, listed, "a {offset}, k {length}, {psid:?}");
                assert_eq!(owned.len() as u32, layout.ports_per_ce(), "a {offset}, k {length}");
            }
        }
    }

    #[test]
    fn more_than_sixteen_bits_are_no_layout() {
        assert_eq!(PortLayout::new(9, 8), None);
        assert_eq!(PortLayout::new(255, 255), None);
    }
}
