//! No packet leaves to IPv4 unless the CE that owns its source sent it: random domains, all ports of an address, all
//! protocols, whole packets and fragments. And the owner's always does.

use std::net::{Ipv4Addr, Ipv6Addr};

use engine::{Defaults, Engine, Extras, HEADROOM, Memory, Now, Options, Packet, SLOT, Snapshot, Ttl, Verdict, wire};
use mape::{Fleet, options::ReassemblyV4};
use proptest::{collection::vec, prelude::*, sample::Index};
use wire::protocol::{DCCP, ICMP, SCTP, TCP, UDP, UDP_LITE};

#[path = "support/fleets.rs"]
mod fleets;

use fleets::{address, domains, fleet};

const INTERNET: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);
const MORE: u16 = 0x2000;

/// A relay and one packet's buffer.
struct Relay<'f> {
    fleet: &'f Fleet,
    snapshot: Snapshot,
    engine: Engine,
    extras: Extras,
    buffer: Vec<u8>,
}

/// Who sends: an outer source, and the BR address it sends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sender {
    source: Ipv6Addr,
    relay: Ipv6Addr,
}

/// What stands where the port does.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// The first four bytes are ports.
    Ports(u8),
    /// An ICMP query of this type, and its identifier.
    Query(u8),
    /// An ICMP error of this type, about a packet of this protocol to the port.
    Error(u8, u8),
}

const KINDS: [Kind; 11] = [
    Kind::Ports(TCP),
    Kind::Ports(UDP),
    Kind::Ports(UDP_LITE),
    Kind::Ports(SCTP),
    Kind::Ports(DCCP),
    Kind::Query(0),
    Kind::Query(8),
    Kind::Query(13),
    Kind::Error(3, TCP),
    Kind::Error(11, UDP),
    Kind::Error(12, ICMP),
];

impl<'f> Relay<'f> {
    fn new(fleet: &'f Fleet) -> Self {
        let memory = Memory::new(1, 0);
        let snapshot = Snapshot::compile(fleet, &memory, &Defaults::default());
        let engine = Engine::new(Options { ttl: Ttl::Engine, worker: 0, secret: 0 });
        Self { fleet, snapshot, engine, extras: Extras::new(), buffer: vec![0; HEADROOM + SLOT] }
    }

    /// The IPv4 packets that leave because of this one.
    fn send(&mut self, sender: Sender, inner: &[u8]) -> Vec<Vec<u8>> {
        let outer = [sender.source, sender.relay].map(wire::halves);
        let header = wire::ipv6_header(wire::first_word(0, 0), inner.len(), wire::protocol::IPV4, outer[0], outer[1]);
        let length = header.len() + inner.len();
        self.buffer[HEADROOM..][..header.len()].copy_from_slice(&header);
        self.buffer[HEADROOM + header.len()..][..inner.len()].copy_from_slice(inner);
        let (mut batch, mut verdicts) = ([Packet::new(&mut self.buffer, HEADROOM, length)], [Verdict::default()]);
        self.engine.process(&self.snapshot, Now(0), &mut batch, &mut verdicts, &mut self.extras);
        let own = verdicts[0].leaves().then(|| batch[0].bytes().to_vec());
        let all = own.into_iter().chain(self.extras.packets().map(|(_, packet)| packet.to_vec()));
        all.filter(|packet| packet[0] >> 4 == 4).collect()
    }

    /// Whether the way back from an address and port, or from an address without, leads to the sender.
    fn owns(&self, sender: Sender, ipv4: Ipv4Addr, port: Option<u16>) -> bool {
        self.fleet.check_source(sender.source, Some(sender.relay), ipv4, port).is_ok()
    }

    /// The owner of a port, if it has one, or somebody; perhaps with one bit of the address wrong.
    fn sender(&self, ipv4: Ipv4Addr, port: u16, flip: Option<u32>) -> Sender {
        let owner = self.fleet.to_ce(ipv4, Some(port)).ok();
        let source = owner.map_or(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), |owner| owner.ce_address);
        let relay = owner.map_or(self.fleet.domains()[0].softwire_address(), |owner| owner.domain.softwire_address());
        Sender { source: Ipv6Addr::from(source.to_bits() ^ flip.map_or(0, |bit| 1 << bit)), relay }
    }
}

fn ipv4(protocol: u8, source: Ipv4Addr, destination: Ipv4Addr, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let mut header = wire::ipv4_header(0, 20 + payload.len(), protocol, source, destination);
    header[6..8].copy_from_slice(&fragment.to_be_bytes());
    wire::seal(&mut header);
    [&header, payload].concat()
}

fn packet(kind: Kind, source: Ipv4Addr, port: u16) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    match kind {
        Kind::Ports(protocol) => ipv4(protocol, source, INTERNET, 0, &[high, low, 0, 53, 0, 8, 0, 0, 0, 0, 0, 0]),
        Kind::Query(kind) => ipv4(ICMP, source, INTERNET, 0, &[kind, 0, 0, 0, high, low, 0, 1]),
        Kind::Error(kind, protocol) => {
            let about = if protocol == ICMP { [8, 0, 0, 0, high, low, 0, 1] } else { [0, 53, high, low, 0, 8, 0, 0] };
            let about = ipv4(protocol, INTERNET, source, 0, &about);
            let mut message = [&[kind, 0, 0, 0, 0, 0, 0, 0], &about[..]].concat();
            let sum = wire::checksum(&message);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
            ipv4(ICMP, source, INTERNET, 0, &message)
        }
    }
}

/// Marks the sender of a fragment in its payload.
fn marked(sender: u8, first: Option<u16>, offset: u16, more: bool, source: Ipv4Addr) -> Vec<u8> {
    let [high, low] = first.unwrap_or(0).to_be_bytes();
    let payload = if first.is_some() { [high, low, 0, 53, 0, 24, 0, 0].to_vec() } else { vec![sender; 8] };
    let payload = [payload, vec![sender; 8]].concat();
    let more = if more { MORE } else { 0 };
    ipv4(UDP, source, INTERNET, more | (offset / 8), &payload)
}

/// A fragment: who of the senders, whether the first with one of some ports, where else, whether others follow.
type Piece = (Index, Option<Index>, u16, bool);

fn piece() -> impl Strategy<Value = Piece> {
    (any::<Index>(), prop::option::weighted(0.4, any::<Index>()), 1..4u16, any::<bool>())
}

proptest! {
    // Each case is 720,896 packets, whatever PROPTEST_CASES says.
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every port of one address, in every kind of packet that has one.
    #[test]
    fn only_the_owner_of_a_port_is_let_out(
        fleet in fleet(), which in any::<Index>(), low in any::<u32>(), port in any::<u16>(),
        flip in prop::option::weighted(0.3, 0..128u32),
    ) {
        let mut relay = Relay::new(&fleet);
        let source = address(&fleet, which, low);
        let sender = relay.sender(source, port, flip);
        for kind in KINDS {
            for port in 0..=u16::MAX {
                let left = relay.send(sender, &packet(kind, source, port));
                prop_assert_eq!(left.len() == 1, relay.owns(sender, source, Some(port)), "{:?} {} {}", kind, source, port);
            }
        }
    }

    /// Every protocol number, where the packet is all zeros: none has a port but those above, and port 0.
    #[test]
    fn a_protocol_without_ports_is_let_out_of_unshared_addresses_only(
        fleet in fleet(), which in any::<Index>(), low in any::<u32>(), flip in prop::option::weighted(0.3, 0..128u32),
    ) {
        let mut relay = Relay::new(&fleet);
        let source = address(&fleet, which, low);
        let sender = relay.sender(source, 0, flip);
        for protocol in 0..=u8::MAX {
            let port = matches!(protocol, ICMP | TCP | UDP | UDP_LITE | SCTP | DCCP).then_some(0);
            let left = relay.send(sender, &ipv4(protocol, source, INTERNET, 0, &[0; 32]));
            prop_assert_eq!(left.len() == 1, relay.owns(sender, source, port), "protocol {} from {}", protocol, source);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Fragments of one identification from several senders, in any order: what leaves was sent by the owner of a port
    /// that a first fragment of this very sender had.
    #[test]
    fn a_fragment_is_let_out_by_its_own_senders_first_one_only(
        mut domains in domains(), full in any::<bool>(), which in any::<Index>(), low in any::<u32>(), ports in vec(any::<u16>(), 3),
        flip in 0..128u32, pieces in vec(piece(), 1..24),
    ) {
        for domain in &mut domains {
            domain.options.reassembly.v4 = if full { ReassemblyV4::Full } else { ReassemblyV4::Virtual };
        }
        let fleet = Fleet::new(domains).expect("sound domains");
        let mut relay = Relay::new(&fleet);
        let source = address(&fleet, which, low);
        let mut senders: Vec<Sender> = ports.iter().map(|port| relay.sender(source, *port, None)).collect();
        senders.push(relay.sender(source, ports[0], Some(flip)));
        let mut claimed: Vec<Vec<u16>> = vec![Vec::new(); senders.len()];
        for (who, first, offset, more) in pieces {
            let who = who.index(senders.len());
            // Two of them may be one.
            let who = senders.iter().position(|sender| *sender == senders[who]).unwrap_or(who);
            let first = first.map(|first| *first.get(&ports));
            claimed[who].extend(first);
            let offset = if first.is_some() { 0 } else { offset * 16 };
            let fragment = marked(who as u8, first, offset, more || first.is_some(), source);
            for packet in relay.send(senders[who], &fragment) {
                let author = usize::from(*packet.last().expect("a payload"));
                let whole = packet[20 + 8..].iter().all(|mark| usize::from(*mark) == author);
                prop_assert!(whole, "pieces of several senders in one: {:02x?}", packet);
                let mut ports = claimed[author].iter().map(|port| Some(*port)).chain([None]);
                let owns = ports.any(|port| relay.owns(senders[author], source, port));
                prop_assert!(owns, "sender {} of {:?}, claims {:?}: {:02x?}", author, senders, claimed, packet);
            }
        }
    }
}
