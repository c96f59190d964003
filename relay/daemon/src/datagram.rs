//! The packets that are sent to see whether they arrive: UDP over IPv4, in a tunnel or not.

use std::net::{Ipv6Addr, SocketAddrV4};

/// Lengths of headers, in bytes.
pub(crate) const IPV4: usize = 20;
pub(crate) const IPV6: usize = 40;
pub(crate) const UDP: usize = 8;

/// The time to live, and the hop limit, of what is sent (RFC 1700).
pub(crate) const TTL: u8 = 64;

/// A UDP datagram that may not be cut, without a checksum, as IPv4 allows (RFC 768): who looks at it compares all of it.
pub(crate) fn udp(source: SocketAddrV4, destination: SocketAddrV4, ttl: u8, payload: &[u8]) -> Vec<u8> {
    let length = (IPV4 + UDP + payload.len()) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0, 0x40, 0, ttl, 17, 0, 0]);
    packet.extend(source.ip().octets());
    packet.extend(destination.ip().octets());
    engine::wire::seal(&mut packet);
    packet.extend(source.port().to_be_bytes());
    packet.extend(destination.port().to_be_bytes());
    packet.extend((length - IPV4 as u16).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
    packet
}

/// An IPv4 packet in an IPv6 one (RFC 2473).
pub(crate) fn tunnel(source: Ipv6Addr, destination: Ipv6Addr, inner: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((inner.len() as u16).to_be_bytes());
    packet.extend([4, TTL]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(inner);
    packet
}

#[cfg(test)]
mod tests {
    use engine::wire::checksum;

    use super::*;

    /// RFC 1071: a header whose checksum is right has the sum 0.
    #[test]
    fn the_header_checksum_is_right() {
        let packet = udp("192.0.2.1:1232".parse().unwrap(), "203.0.113.9:9".parse().unwrap(), TTL, b"hello");
        assert_eq!(checksum(&packet[..IPV4]), 0);
        assert_eq!(packet.len(), IPV4 + UDP + 5);
    }

    #[test]
    fn a_tunnel_packet_is_the_header_and_the_packet() {
        let (ce, br) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        let packet = tunnel(ce, br, &[0x45; 300]);
        assert_eq!(packet[..8], [0x60, 0, 0, 0, 1, 44, 4, 64]);
        assert_eq!((&packet[8..24], &packet[24..40]), (&ce.octets()[..], &br.octets()[..]));
        assert_eq!(packet[40..], [0x45; 300]);
    }
}
