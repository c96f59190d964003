//! Addresses and ports of a packet, for filters: it judges nothing, and of what it cannot read it says nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use engine::wire::protocol::{
    DCCP, DESTINATION_OPTIONS, FRAGMENT, HOP_BY_HOP, ICMP, IPV4, ROUTING, SCTP, TCP, UDP, UDP_LITE,
};

/// As many extension headers as a filter looks behind; no packet that means well has as many.
const MOST: usize = 8;

/// What a filter can ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Headers {
    /// Source and destination of the IPv6 header.
    pub outer: Option<[Ipv6Addr; 2]>,
    /// Source and destination of the IPv4 header, the inner one in a tunnel packet.
    pub inner: Option<[Ipv4Addr; 2]>,
    /// Source and destination port; the identifier twice for ICMP echo; none in later fragments.
    pub ports: Option<[u16; 2]>,
}

impl Headers {
    /// Reads an IP packet, or the front of one.
    #[must_use]
    pub fn of(packet: &[u8]) -> Self {
        match packet.first().map(|byte| byte >> 4) {
            Some(4) => Self::default().with_ipv4(packet),
            Some(6) => Self::default().with_ipv6(packet).unwrap_or_default(),
            _ => Self::default(),
        }
    }

    /// Its addresses, of all headers.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let outer = self.outer.into_iter().flatten().map(IpAddr::from);
        outer.chain(self.inner.into_iter().flatten().map(IpAddr::from))
    }

    /// Whether it comes from or goes to that port.
    #[must_use]
    pub fn has_port(&self, port: u16) -> bool {
        self.ports.is_some_and(|ports| ports.contains(&port))
    }

    fn with_ipv6(mut self, packet: &[u8]) -> Option<Self> {
        let (header, mut rest) = packet.split_first_chunk::<40>()?;
        let address = |at| Some(Ipv6Addr::from(*header[at..].first_chunk::<16>()?));
        self.outer = Some([address(8)?, address(24)?]);
        let mut next = header[6];
        for _ in 0..MOST {
            let length = match (next, rest) {
                (IPV4, rest) => return Some(self.with_ipv4(rest)),
                // Only the first fragment has what follows.
                (FRAGMENT, [_, _, high, low, ..]) if u16::from_be_bytes([*high, *low]) >> 3 == 0 => 8,
                (HOP_BY_HOP | DESTINATION_OPTIONS | ROUTING, [_, length, ..]) => 8 + 8 * usize::from(*length),
                _ => break,
            };
            next = rest[0];
            let Some(behind) = rest.get(length..) else { break };
            rest = behind;
        }
        Some(self)
    }

    fn with_ipv4(mut self, packet: &[u8]) -> Self {
        let Some(header) = packet.first_chunk::<20>() else { return self };
        let address = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
        self.inner = Some([address(12), address(16)]);
        let later = u16::from_be_bytes([header[6], header[7]]) & 0x1fff > 0;
        let behind = packet.get(4 * usize::from(header[0] & 15)..).filter(|_| !later);
        self.ports = match (header[9], behind) {
            (TCP | UDP | UDP_LITE | SCTP | DCCP, Some([a, b, c, d, ..])) => {
                Some([u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])])
            }
            // Echo reply and echo request (RFC 792).
            (ICMP, Some([0 | 8, _, _, _, high, low, ..])) => Some([u16::from_be_bytes([*high, *low]); 2]),
            _ => None,
        };
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv4(protocol: u8, fragment: [u8; 2], payload: &[u8]) -> Vec<u8> {
        let header = [0x45, 0, 0, 0, 0, 0, fragment[0], fragment[1], 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
        [&header[..], payload].concat()
    }

    fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut header = [0; 40];
        (header[0], header[6], header[8], header[39]) = (0x60, next, 0x20, 1);
        [&header[..], payload].concat()
    }

    #[test]
    fn a_tunnel_packet_has_all_of_them() {
        let inner = ipv4(UDP, [0, 0], &[0, 7, 0, 9]);
        let headers = Headers::of(&ipv6(IPV4, &inner));
        assert_eq!(headers.ports, Some([7, 9]));
        assert_eq!(headers.addresses().count(), 4);
        let options = [&[FRAGMENT, 0, 0, 0, 0, 0, 0, 0][..], &[IPV4, 0, 0, 1, 0, 0, 0, 0], &inner].concat();
        assert_eq!(Headers::of(&ipv6(DESTINATION_OPTIONS, &options)), headers);
    }

    #[test]
    fn later_fragments_have_no_ports() {
        assert_eq!(Headers::of(&ipv4(UDP, [0, 1], &[0, 7, 0, 9])).ports, None);
        assert_eq!(Headers::of(&ipv6(FRAGMENT, &[IPV4, 0, 0, 8, 0, 0, 0, 0])).inner, None);
        assert_eq!(Headers::of(&ipv4(ICMP, [0, 0], &[8, 0, 0, 0, 0, 5])).ports, Some([5, 5]));
        assert_eq!(Headers::of(&ipv4(ICMP, [0, 0], &[3, 1, 0, 0, 0, 5])).ports, None);
    }

    #[test]
    fn no_front_of_a_packet_is_too_short() {
        let options = [&[IPV4, 0, 0, 0, 0, 0, 0, 0][..], &ipv4(TCP, [0, 0], &[0, 7, 0, 9])].concat();
        let whole = ipv6(DESTINATION_OPTIONS, &options);
        for length in 0..whole.len() {
            assert_eq!(Headers::of(&whole[..length]).ports, None, "{length}");
        }
        assert_eq!(Headers::of(&whole).ports, Some([7, 9]));
    }
}
