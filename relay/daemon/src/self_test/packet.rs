//! The packets of the self-test: UDP, with a number that says which round and flow they are of.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use super::{BR, CE, CUSTOMER, HOST, Way};
use crate::datagram::{self, IPV4, IPV6, UDP};

/// The first flow's source port: those below may be reserved.
const FIRST_PORT: u16 = 1024;

/// Where they go: no service has it (RFC 863, "discard").
const DISCARD: u16 = 9;

/// What a packet of the self-test says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) way: Way,
    pub(super) flow: u16,
    pub(super) nonce: u64,
}

/// The packet as it comes in.
pub(super) fn outgoing(mark: Mark) -> Vec<u8> {
    match mark.way {
        Way::ToCe => inner(mark, HOST, CUSTOMER),
        Way::FromCe => datagram::tunnel(CE, BR, &inner(mark, CUSTOMER, HOST)),
    }
}

fn inner(mark: Mark, source: Ipv4Addr, destination: Ipv4Addr) -> Vec<u8> {
    let source = SocketAddrV4::new(source, FIRST_PORT + mark.flow);
    datagram::udp(source, SocketAddrV4::new(destination, DISCARD), datagram::TTL, &mark.nonce.to_be_bytes())
}

/// Reads a packet on its way to a worker; `None` if it is not the self-test's.
pub(super) fn entering(packet: &[u8]) -> Option<Mark> {
    match packet.first()? >> 4 {
        4 => read(packet, Way::ToCe, HOST, CUSTOMER),
        _ => read(inside(packet, CE, BR)?, Way::FromCe, CUSTOMER, HOST),
    }
}

/// Reads a packet that came back; `None` if it is not what must come back.
pub(super) fn returned(packet: &[u8]) -> Option<Mark> {
    match packet.first()? >> 4 {
        4 => read(packet, Way::FromCe, CUSTOMER, HOST),
        _ => read(inside(packet, BR, CE)?, Way::ToCe, HOST, CUSTOMER),
    }
}

fn inside(packet: &[u8], source: Ipv6Addr, destination: Ipv6Addr) -> Option<&[u8]> {
    let (header, inner) = packet.split_at_checked(IPV6)?;
    let addressed = header[8..24] == source.octets() && header[24..40] == destination.octets();
    (addressed && header[6] == 4).then_some(inner)
}

fn read(packet: &[u8], way: Way, source: Ipv4Addr, destination: Ipv4Addr) -> Option<Mark> {
    let (header, rest) = packet.split_at_checked(IPV4)?;
    let (udp, nonce) = rest.split_at_checked(UDP)?;
    let addressed = header[12..16] == source.octets() && header[16..20] == destination.octets();
    let sound = header[0] == 0x45 && header[9] == 17 && u16::from_be_bytes([udp[2], udp[3]]) == DISCARD;
    let flow = u16::from_be_bytes([udp[0], udp[1]]).checked_sub(FIRST_PORT)?;
    let nonce = u64::from_be_bytes(nonce.try_into().ok()?);
    (addressed && sound).then_some(Mark { way, flow, nonce })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_where_it_goes_in() {
        for way in Way::ALL {
            let mark = Mark { way, flow: 77, nonce: 0x0123_4567_89ab_cdef };
            let packet = outgoing(mark);
            assert_eq!(entering(&packet), Some(mark));
            assert_eq!(returned(&packet), None, "it has not crossed");
            for length in 0..packet.len() {
                assert_eq!(entering(&packet[..length]), None, "{length}");
            }
        }
    }

    #[test]
    fn what_crossed_is_told_from_what_did_not() {
        let mark = Mark { way: Way::FromCe, flow: 1, nonce: 2 };
        assert_eq!(returned(&outgoing(mark)[IPV6..]), Some(mark));
        let to_ce = outgoing(Mark { way: Way::ToCe, ..mark });
        let outer = [&[0x60, 0, 0, 0, 0, 36, 4, 64][..], &BR.octets(), &CE.octets(), &to_ce].concat();
        assert_eq!(returned(&outer), Some(Mark { way: Way::ToCe, ..mark }));
        assert_eq!(returned(&[]), None);
    }
}
