//! Fragments of IPv4 packets to and from addresses that CEs share.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{
    Model, ReassemblyV4, Verdict,
    ipv4::{ICMP, Ipv4Packet, TCP},
    ipv6::{IPV4, Ipv6Packet},
    passage::{Arrival, Passage, Way},
    ports::{Flow, Side, flow, has_ports, transport_header},
    reassembly::{Added, OVERHEAD, Partial, Piece, joined_data, merged_ecn},
    room::Datagram,
    rules::{Found, find},
};

/// What makes fragments one datagram's; the tunnel's ends for those from a CE.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InnerKey {
    /// Whose it is: what is lost of it is counted there.
    pub(crate) domain: usize,
    is_hairpin: bool,
    pub(crate) tunnel: Option<(Ipv6Addr, Ipv6Addr)>,
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    protocol: u8,
    identification: u16,
}

/// A datagram whose fragments pass one by one.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// When it will be forgotten.
    pub(crate) until: u64,
    /// How many datagrams were kept before it.
    pub(crate) born: u64,
    /// What the first fragment says, and as far as its header reaches.
    first: Option<(Flow, usize)>,
    /// Those that came before it.
    pub(crate) held: Vec<Passage>,
}

impl Waiting {
    /// What was kept of it, as it will be counted.
    pub(crate) fn lost(self, domain: usize) -> impl Iterator<Item = Arrival> {
        self.held.into_iter().map(move |passage| passage.kept_by(domain).arrival)
    }
}

impl Model {
    pub(crate) fn fragment(&mut self, passage: Passage, found: &Found) -> Verdict {
        let domain = found.first_domain();
        let options = &self.domains[domain].options;
        let (mode, mtu) = (options.reassembly_v4, options.payload_mtu());
        if let Some(reason) = fault(&passage.packet, mode) {
            return self.refuse_fragment(&passage, reason);
        }
        // The second half of a hairpin is kept by the domain of the sender.
        let keeper = match passage.way {
            Way::Hairpin(_) => passage.arrival.domain.unwrap_or(domain),
            Way::ToCe | Way::FromCe(_) => domain,
        };
        if mode == ReassemblyV4::Virtual { self.pass(passage, keeper) } else { self.collect(passage, keeper, mtu) }
    }

    /// The sender hears of a protocol without ports, as it would if the packet were whole.
    fn refuse_fragment(&mut self, passage: &Passage, reason: &'static str) -> Verdict {
        if let (Way::FromCe(tunnel), "NoPort", Some(domain)) = (&passage.way, reason, passage.arrival.domain) {
            self.source_failed(&passage.packet, tunnel, domain);
        }
        self.dropped(&passage.arrival, reason)
    }

    /// Virtual reassembly: fragments go their ways by the port of the first.
    fn pass(&mut self, passage: Passage, domain: usize) -> Verdict {
        let (key, until, held) = (key(&passage, domain), self.until(domain), hold(&passage, domain));
        let packet = &passage.packet;
        let is_known = self.waiting.get(&key).is_some_and(|waiting| waiting.first.is_some());
        if !is_known {
            let grows = if packet.offset > 0 { passage.length() + OVERHEAD } else { 0 };
            self.make_room(&Datagram::Waiting(key.clone()), grows);
        }
        let born = self.born();
        let waiting = self.waiting.entry(key).or_insert(Waiting { until, born, first: None, held: Vec::new() });
        if packet.offset > 0 {
            let Some((flow, length)) = waiting.first.clone() else {
                waiting.held.push(passage);
                return held;
            };
            return self.pass_later(passage, &flow, length);
        }
        let flow = flow(packet, side(&passage.way));
        if waiting.first.as_ref().is_some_and(|(first, _)| first.port != flow.port) {
            return self.dropped(&passage.arrival, "FragmentOverlap");
        }
        let length = packet.payload.len().min(transport_header(packet.protocol));
        let (_, length) = *waiting.first.get_or_insert((flow.clone(), length));
        let held = std::mem::take(&mut waiting.held);
        self.released.extend(held.into_iter().map(|later| (later, flow.clone(), length)));
        self.go_on(passage, &flow)
    }

    pub(crate) fn pass_later(&mut self, passage: Passage, flow: &Flow, length: usize) -> Verdict {
        if passage.packet.offset < length {
            return self.dropped(&passage.arrival, "FragmentOverlap");
        }
        self.go_on(passage, flow)
    }

    /// From the port on, in either direction.
    fn go_on(&mut self, passage: Passage, flow: &Flow) -> Verdict {
        let address =
            if side(&passage.way) == Side::Source { passage.packet.source } else { passage.packet.destination };
        match find(&self.domains, address) {
            Some(found) => self.prove(passage, &found, flow),
            None => self.dropped(&passage.arrival, "NoRule"),
        }
    }

    /// Full reassembly: the datagram goes its way once it is whole.
    fn collect(&mut self, mut passage: Passage, domain: usize, mtu: usize) -> Verdict {
        let enters_tunnel = !matches!(passage.way, Way::FromCe(_));
        if enters_tunnel && passage.packet.dont_fragment && passage.packet.total() > mtu {
            return self.refuse_size(&passage, mtu);
        }
        if let Way::FromCe(tunnel) = &passage.way {
            match self.combined_tos(domain, tunnel.traffic_class, passage.packet.tos) {
                Some(tos) => passage.tos = tos,
                None => return self.dropped(&passage.arrival, "BadEcn"),
            }
        }
        let (key, until, held) = (key(&passage, domain), self.until(domain), hold(&passage, domain));
        let arrival = passage.arrival.clone();
        let piece = piece(passage.kept_by(domain));
        self.make_room(&Datagram::Inner(key.clone()), piece.room());
        let born = self.born();
        match self.inner.entry(key.clone()).or_insert_with(|| Partial::new(until, born)).add(piece) {
            Added::Kept => held,
            Added::Duplicate => self.dropped(&arrival, "DuplicateFragment"),
            Added::Overlap(others) => self.overlapped(&others, &arrival),
            Added::Whole(pieces) => {
                self.inner.remove(&key);
                self.joined_inner(&pieces, &arrival)
            }
        }
    }

    /// What becomes of a datagram whose last missing fragment came as `last`.
    fn joined_inner(&mut self, pieces: &[Piece<Passage>], last: &Arrival) -> Verdict {
        let arrival = last.joined(pieces.iter().map(|piece| &piece.arrival));
        let Some(ecn) = merged_ecn(pieces) else { return self.dropped(&arrival, "BadEcn") };
        let first = &pieces[0].head;
        let packet = Ipv4Packet {
            tos: first.tos & !3 | ecn,
            reserved_flag: false,
            dont_fragment: false,
            more_fragments: false,
            payload: joined_data(pieces),
            ..first.packet.clone()
        };
        if packet.total() > 65535 {
            return self.dropped(&arrival, "BadFragment");
        }
        let packet = packet.sealed();
        let Some(tunnel) = first.tunnel() else { return self.judge(&packet.to_bytes(), arrival) };
        let outer = Ipv6Packet::new(tunnel.source, tunnel.relay, IPV4, packet.to_bytes());
        self.judge(&Ipv6Packet { traffic_class: packet.tos, ..outer }.to_bytes(), arrival)
    }

    fn until(&self, domain: usize) -> u64 {
        self.now + u64::from(self.domains[domain].options.timeout_seconds) * 1_000_000_000
    }
}

/// What is wrong with a fragment by itself.
fn fault(packet: &Ipv4Packet, mode: ReassemblyV4) -> Option<&'static str> {
    let payload = packet.payload.len();
    if !has_ports(packet.protocol) && packet.protocol != ICMP {
        return Some("NoPort");
    }
    if mode == ReassemblyV4::Disabled {
        return Some("FragmentsDisabled");
    }
    let unaligned = packet.more_fragments && !payload.is_multiple_of(8);
    if payload == 0 || unaligned || packet.header() + packet.offset + payload > 65535 {
        return Some("BadFragment");
    }
    match (packet.protocol, packet.offset) {
        (TCP, 0) if payload < 16 => Some("TinyFragment"),
        (TCP, 8) => Some("FragmentOverlap"),
        _ => None,
    }
}

/// To a CE, a fragment that waits is the domain's that keeps it.
fn hold(passage: &Passage, domain: usize) -> Verdict {
    let domain = if passage.way == Way::ToCe { Some(domain) } else { passage.arrival.domain };
    Verdict { word: "hold", reason: None, domain }
}

fn side(way: &Way) -> Side {
    if matches!(way, Way::FromCe(_)) { Side::Source } else { Side::Destination }
}

fn key(passage: &Passage, domain: usize) -> InnerKey {
    let packet = &passage.packet;
    InnerKey {
        domain,
        is_hairpin: matches!(passage.way, Way::Hairpin(_)),
        tunnel: passage.tunnel().map(|tunnel| (tunnel.source, tunnel.relay)),
        source: packet.source,
        destination: packet.destination,
        protocol: packet.protocol,
        identification: packet.identification,
    }
}

fn piece(passage: Passage) -> Piece<Passage> {
    Piece {
        offset: passage.packet.offset,
        more: passage.packet.more_fragments,
        data: passage.packet.payload.clone(),
        ecn: passage.tos,
        arrival: passage.arrival.clone(),
        head_length: passage.packet.header(),
        head: passage,
    }
}
