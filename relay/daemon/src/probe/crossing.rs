//! Packets that cross a relay: what is sent, and what has to come out, byte by byte.

use std::{
    net::{SocketAddr, SocketAddrV4, UdpSocket},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use mape::DomainName;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with};

use super::{
    fleet::Ends,
    place::Place,
    segment::{Carries, Segment},
};
use crate::{
    datagram::{self, IPV4, IPV6, TTL, UDP},
    self_test::Way,
};

/// Bytes of a small packet: more than the least that Ethernet carries, so that nothing is padded.
const SMALL: usize = 100;

/// Bytes of the largest tunnel packet that relays make: `mtu.v6` of a domain that says nothing.
const LARGEST: usize = 1500;

/// A packet may be lost: it is sent again each time so long has passed.
const AGAIN: Duration = Duration::from_millis(500);

/// How long something may take to come out.
const PATIENCE: Duration = Duration::from_secs(5);

/// Both ends of the packets' way.
pub(super) struct Crossing {
    pub(super) domain: DomainName,
    flow: Flow,
    ipv4: Segment,
    ipv6: Segment,
    /// Taken, so that this pod's kernel, which gets the packets too, tells nobody that they are unwanted.
    _taken: (UdpSocket, OwnedFd),
}

impl Crossing {
    /// Opens both ends.
    ///
    /// # Errors
    /// A sentence about a socket.
    pub(super) fn open(domain: DomainName, place: &Place, ends: &Ends) -> Result<Self, String> {
        let host = UdpSocket::bind((ends.host, 0)).map_err(|error| format!("{}: {error}", ends.host))?;
        let port = host.local_addr().map_err(|error| error.to_string())?.port();
        let tunnel = socket_with(AddressFamily::INET6, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::IPIP))
            .and_then(|socket| bind(&socket, &SocketAddr::new(ends.ce.into(), 0)).map(|()| socket))
            .map_err(|error| format!("{}: {error}", ends.ce))?;
        Ok(Self {
            domain,
            flow: Flow { ends: *ends, host: SocketAddrV4::new(ends.host, port) },
            ipv4: Segment::open(&place.ipv4.interface, Carries::Ipv4)?,
            ipv6: Segment::open(&place.ipv6.interface, Carries::Ipv6)?,
            _taken: (host, tunnel),
        })
    }

    /// How large the IPv4 packets are: small, and the most that fits the tunnel and both segments.
    pub(super) fn sizes(&self) -> [usize; 2] {
        [SMALL, LARGEST.min(self.ipv6.mtu).saturating_sub(IPV6).min(self.ipv4.mtu)]
    }

    /// Sends a packet through a relay; how long it took, or `None` if nothing came out.
    ///
    /// # Errors
    /// A sentence about a socket.
    pub(super) fn cross(&self, way: Way, relay: &Place, size: usize) -> Result<Option<Duration>, String> {
        let (from, mac, to) = match way {
            Way::FromCe => (&self.ipv6, relay.ipv6.mac, &self.ipv4),
            Way::ToCe => (&self.ipv4, relay.ipv4.mac, &self.ipv6),
        };
        let failed = |error| format!("{} bytes {}: {error}", size, words(way));
        let end = Instant::now() + PATIENCE;
        let mut number = 0;
        while Instant::now() < end {
            number += 1;
            let payload = payload(size, number);
            let sent = Instant::now();
            from.send(&self.flow.entering(way, &payload), mac).map_err(failed)?;
            while let Some(packet) = to.receive((sent + AGAIN).min(end)).map_err(failed)? {
                if self.flow.left(way, &payload, &packet) {
                    return Ok(Some(sent.elapsed()));
                }
            }
        }
        Ok(None)
    }

    /// A packet and what became of it, in words.
    pub(super) fn told(&self, way: Way, size: usize, took: Option<Duration>) -> String {
        let (entering, leaving) = self.flow.told(way);
        let what = format!("{}, {size} bytes", words(way));
        match took {
            Some(took) => {
                format!("crossed {what}, {:.1} ms: {entering} came out as {leaving}", took.as_secs_f64() * 1000.0)
            }
            None => format!("LOST {what}: {entering} did not come out as {leaving}"),
        }
    }
}

/// A direction in words.
pub(super) fn words(way: Way) -> &'static str {
    match way {
        Way::FromCe => "from CE",
        Way::ToCe => "to CE",
    }
}

/// Bytes that nobody else sends, and another time others.
fn payload(size: usize, number: u8) -> Vec<u8> {
    let mut payload = format!("culvert-relay probe {} {number} ", std::process::id()).into_bytes();
    payload.resize(size - IPV4 - UDP, number);
    payload
}

/// The packets between a CE and a host.
#[derive(Debug, Clone, Copy)]
struct Flow {
    ends: Ends,
    host: SocketAddrV4,
}

impl Flow {
    /// The packet as it enters a relay.
    fn entering(&self, way: Way, payload: &[u8]) -> Vec<u8> {
        match way {
            Way::FromCe => datagram::tunnel(self.ends.ce, self.ends.br, &self.inner(way, TTL, payload)),
            Way::ToCe => self.inner(way, TTL, payload),
        }
    }

    /// Whether this is that packet as it has to leave: in the tunnel or out of it, with one TTL less, and otherwise the same.
    fn left(&self, way: Way, payload: &[u8], packet: &[u8]) -> bool {
        let inner = self.inner(way, TTL - 1, payload);
        match way {
            Way::FromCe => packet == inner,
            Way::ToCe => {
                let outer = datagram::tunnel(self.ends.br, self.ends.ce, &inner);
                // Traffic class, flow label and hop limit are the relay's and the kernel's to choose.
                packet.len() == outer.len() && packet[4..7] == outer[4..7] && packet[8..] == outer[8..]
            }
        }
    }

    fn inner(&self, way: Way, ttl: u8, payload: &[u8]) -> Vec<u8> {
        match way {
            Way::FromCe => datagram::udp(self.ends.customer, self.host, ttl, payload),
            Way::ToCe => datagram::udp(self.host, self.ends.customer, ttl, payload),
        }
    }

    /// The packet as it enters and as it leaves.
    fn told(&self, way: Way) -> (String, String) {
        let Self { ends: Ends { ce, br, customer, .. }, host } = self;
        match way {
            Way::FromCe => (format!("{ce} > {br} | {customer} > {host}"), format!("{customer} > {host}")),
            Way::ToCe => (format!("{host} > {customer}"), format!("{br} > {ce} | {host} > {customer}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        Flow { ends: Ends::NOWHERE, host: "192.0.2.1:40000".parse().unwrap() }
    }

    /// What a relay makes of the payload, with this TTL.
    fn crossed(way: Way, ttl: u8, payload: &[u8]) -> Vec<u8> {
        let (flow, Ends { ce, br, .. }) = (flow(), Ends::NOWHERE);
        match way {
            Way::FromCe => flow.inner(way, ttl, payload),
            Way::ToCe => datagram::tunnel(br, ce, &flow.inner(way, ttl, payload)),
        }
    }

    #[test]
    fn what_crossed_is_known_by_every_byte() {
        for way in Way::ALL {
            let payload = payload(SMALL, 1);
            let good = crossed(way, TTL - 1, &payload);
            assert!(flow().left(way, &payload, &good));
            assert!(!flow().left(way, &payload, &crossed(way, TTL, &payload)), "it was not forwarded");
            assert!(!flow().left(way, &payload, &flow().entering(way, &payload)), "it has not crossed");
            assert!(!flow().left(way, &payload, &crossed(way, TTL - 1, &super::payload(SMALL, 2))), "it is another");
            for place in 0..good.len() {
                let mut bad = good.clone();
                bad[place] ^= 1;
                let free = way == Way::ToCe && (place < 4 || place == 7);
                assert_eq!(flow().left(way, &payload, &bad), free, "{way:?} {place}");
                assert!(!flow().left(way, &payload, &good[..place]), "{way:?} {place}");
            }
        }
    }

    #[test]
    fn a_packet_is_as_large_as_it_says() {
        for size in [SMALL, 1460] {
            assert_eq!(flow().entering(Way::ToCe, &payload(size, 1)).len(), size);
            assert_eq!(flow().entering(Way::FromCe, &payload(size, 1)).len(), size + IPV6);
        }
    }
}
