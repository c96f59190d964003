//! The IP packet in a captured frame (<https://www.tcpdump.org/linktypes.html>).

/// How frames of a capture begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// With the IP header.
    Raw,
    /// With two MAC addresses and an EtherType.
    Ethernet,
    /// With the address family in four bytes, of either order: BSD's loopback.
    Loopback,
    /// As `tcpdump -i any` writes them.
    LinuxCooked,
    /// The newer form of it.
    LinuxCooked2,
}

impl Link {
    /// What a capture's LINKTYPE means; `None` for those that are not understood.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            // 12 and 14 are what older systems wrote for 101.
            12 | 14 | 101 | 228 | 229 => Some(Self::Raw),
            1 => Some(Self::Ethernet),
            0 | 108 => Some(Self::Loopback),
            113 => Some(Self::LinuxCooked),
            276 => Some(Self::LinuxCooked2),
            _ => None,
        }
    }

    /// The names of those that are understood, for a message about one that is not.
    pub const UNDERSTOOD: &str = "RAW (101), IPV4 (228), IPV6 (229), ETHERNET (1), LINUX_SLL (113), \
        LINUX_SLL2 (276), NULL (0) and LOOP (108)";
}

/// What was in a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Framed<'d> {
    /// An IP packet, and whatever padding follows it.
    Ip(&'d [u8]),
    /// ARP and the like.
    NotIp,
    /// The frame ends before it says.
    CutShort,
}

/// Finds the IP packet in a frame.
#[must_use]
pub fn unwrap(link: Link, frame: &[u8]) -> Framed<'_> {
    match link {
        Link::Raw => Framed::Ip(frame),
        Link::Ethernet => frame.get(12..).map_or(Framed::CutShort, ether_type),
        Link::Loopback => loopback(frame),
        Link::LinuxCooked => frame.get(14..).map_or(Framed::CutShort, ether_type),
        Link::LinuxCooked2 => linux_cooked_2(frame),
    }
}

/// Reads an EtherType, and what follows it, past any VLAN tags (IEEE 802.1Q, 802.1ad and its forerunner).
fn ether_type(mut rest: &[u8]) -> Framed<'_> {
    loop {
        let Some((number, payload)) = rest.split_first_chunk() else { return Framed::CutShort };
        match u16::from_be_bytes(*number) {
            0x0800 | 0x86dd => return Framed::Ip(payload),
            0x8100 | 0x88a8 | 0x9100 => rest = payload.get(2..).unwrap_or_default(),
            _ => return Framed::NotIp,
        }
    }
}

fn linux_cooked_2(frame: &[u8]) -> Framed<'_> {
    let (Some(number), Some(payload)) = (frame.first_chunk(), frame.get(20..)) else { return Framed::CutShort };
    match u16::from_be_bytes(*number) {
        0x0800 | 0x86dd => Framed::Ip(payload),
        0x8100 | 0x88a8 | 0x9100 => ether_type(payload.get(2..).unwrap_or_default()),
        _ => Framed::NotIp,
    }
}

/// AF_INET is 2 everywhere; AF_INET6 is 10, 24, 28 or 30, by system.
fn loopback(frame: &[u8]) -> Framed<'_> {
    let Some((family, payload)) = frame.split_first_chunk::<4>() else { return Framed::CutShort };
    let family = u32::from_be_bytes(*family);
    match family.min(family.swap_bytes()) {
        2 | 10 | 24 | 28 | 30 => Framed::Ip(payload),
        _ => Framed::NotIp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IP: &[u8] = &[0x45, 0, 0, 20];

    fn ethernet(tail: &[u8]) -> Vec<u8> {
        [[0u8; 12].as_slice(), tail, IP].concat()
    }

    #[test]
    fn vlan_tags_are_skipped() {
        for tail in [
            [0x08, 0x00].as_slice(),
            &[0x86, 0xdd],
            &[0x81, 0x00, 0, 7, 0x08, 0x00],
            &[0x88, 0xa8, 0, 7, 0x81, 0x00, 0, 8, 0x86, 0xdd],
        ] {
            assert_eq!(unwrap(Link::Ethernet, &ethernet(tail)), Framed::Ip(IP), "{tail:x?}");
        }
    }

    #[test]
    fn what_is_not_ip_or_not_whole_is_said_so() {
        assert_eq!(unwrap(Link::Ethernet, &ethernet(&[0x08, 0x06])), Framed::NotIp);
        assert_eq!(unwrap(Link::Ethernet, &[0; 13]), Framed::CutShort);
        assert_eq!(unwrap(Link::Ethernet, &[[0; 12].as_slice(), &[0x81, 0, 0]].concat()), Framed::CutShort);
        assert_eq!(unwrap(Link::Loopback, &[0, 0, 0]), Framed::CutShort);
        assert_eq!(unwrap(Link::Loopback, &[0, 0, 0, 7]), Framed::NotIp);
        assert_eq!(unwrap(Link::LinuxCooked2, &[8, 0]), Framed::CutShort);
    }

    #[test]
    fn the_other_link_types_are_unwrapped() {
        for family in [[2, 0, 0, 0], [0, 0, 0, 2], [30, 0, 0, 0], [0, 0, 0, 24]] {
            assert_eq!(unwrap(Link::Loopback, &[family.as_slice(), IP].concat()), Framed::Ip(IP));
        }
        let cooked = [[0; 14].as_slice(), &[0x08, 0x00], IP].concat();
        assert_eq!(unwrap(Link::LinuxCooked, &cooked), Framed::Ip(IP));
        let cooked = [[0x86, 0xdd].as_slice(), &[0; 18], IP].concat();
        assert_eq!(unwrap(Link::LinuxCooked2, &cooked), Framed::Ip(IP));
    }
}
