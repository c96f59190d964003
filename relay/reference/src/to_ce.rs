//! IPv4 in, IPv6 out; a hairpin comes in at `enter`.

use crate::{
    Fragmentation, Model, Ttl, Verdict,
    cut::{cut_ipv4, cut_ipv6},
    ipv4::Ipv4Packet,
    ipv6::{IPV4, Ipv6Packet},
    mss,
    passage::{Arrival, Passage, Way},
    ports::{Flow, Side, flow},
    rules::{Ce, Found, find},
};

impl Model {
    pub(crate) fn packet_to_ce(&mut self, bytes: &[u8], mut arrival: Arrival) -> Verdict {
        let packet = match Ipv4Packet::parse(bytes, self.ttl == Ttl::Engine) {
            Ok(packet) => packet,
            Err(reason) => return self.dropped(&arrival, reason),
        };
        if packet.has_martian() {
            return self.dropped(&arrival, "Martian");
        }
        let Some(found) = find(&self.domains, packet.destination) else { return self.punted(&arrival, "NoRule") };
        let domain = found.domain_of(flow(&packet, Side::Destination).port.filter(|_| packet.offset == 0));
        arrival.domain = Some(domain);
        if self.ttl == Ttl::Engine && packet.ttl <= 1 {
            self.time_exceeded(&packet, domain, None);
            return self.dropped(&arrival, "TtlExpired");
        }
        self.enter(Passage { tos: packet.tos, packet, way: Way::ToCe, arrival }, &found)
    }

    /// From the fragments on.
    pub(crate) fn enter(&mut self, passage: Passage, found: &Found) -> Verdict {
        if passage.packet.is_fragment() && found.is_shared() {
            return self.fragment(passage, found);
        }
        let flow = flow(&passage.packet, Side::Destination);
        self.deliver(passage, found, &flow)
    }

    /// From the port on, which a later fragment has from the first.
    pub(crate) fn deliver(&mut self, mut passage: Passage, found: &Found, flow: &Flow) -> Verdict {
        if found.is_shared() && flow.broken {
            return self.dropped(&passage.arrival, "BadChecksum");
        }
        let ce = match found.ce(&self.domains, flow.port) {
            Ok(ce) => ce,
            Err(reason) => return self.dropped(&passage.arrival, reason),
        };
        let options = &self.domains[ce.domain].options;
        if passage.way != Way::ToCe && !options.hairpin {
            return self.dropped(&passage.arrival, "HairpinDisabled");
        }
        let mtu = options.payload_mtu();
        if passage.packet.total() > mtu && passage.packet.dont_fragment {
            return self.refuse_size(&passage, mtu);
        }
        let must_be_cut = passage.packet.total() > mtu && options.fragmentation == Fragmentation::Inner;
        if must_be_cut && passage.packet.offset + passage.packet.total() > 65535 {
            return self.dropped(&passage.arrival, "BadFragment");
        }
        self.encapsulate(&passage, ce, flow, found.is_shared());
        if passage.way == Way::ToCe {
            passage.arrival.domain = Some(ce.domain);
        } else {
            let there =
                Arrival { direction: crate::Direction::ToCe, domain: Some(ce.domain), ..passage.arrival.clone() };
            self.forwarded(&there);
        }
        self.forwarded(&passage.arrival)
    }

    /// Larger than what passes, and not to be cut.
    pub(crate) fn refuse_size(&mut self, passage: &Passage, mtu: usize) -> Verdict {
        let domain = passage.arrival.domain.unwrap_or(0);
        self.too_big(&passage.packet, domain, passage.tunnel(), mtu);
        self.dropped(&passage.arrival, "TooBig")
    }

    fn encapsulate(&mut self, passage: &Passage, ce: Ce, flow: &Flow, is_shared: bool) {
        let options = self.domains[ce.domain].options.clone();
        let packet = self.changed(passage, options.mss_limit);
        // Fragments that nothing is known about may have any label.
        let known = is_shared || !packet.is_fragment();
        let label = self.label(known.then(|| (packet.source, packet.destination, flow.both.clone())));
        let wrap = |packet: &Ipv4Packet, relay| Ipv6Packet {
            traffic_class: options.traffic_class(packet.tos),
            flow_label: label,
            ..Ipv6Packet::new(relay, ce.address, IPV4, packet.to_bytes())
        };
        let relay = self.domains[ce.domain].br_address;
        if packet.total() > options.payload_mtu() && options.fragmentation == Fragmentation::Inner {
            let pieces = cut_ipv4(&packet, options.payload_mtu());
            self.out.extend(pieces.iter().map(|piece| wrap(piece, relay).to_bytes()));
        } else {
            self.identification += 1;
            let pieces = cut_ipv6(&wrap(&packet, relay), options.mtu_v6.into(), self.identification);
            self.out.extend(pieces.iter().map(Ipv6Packet::to_bytes));
        }
    }

    /// The packet with what changes on the way in: MSS, TOS, TTL.
    fn changed(&self, passage: &Passage, limit: Option<u16>) -> Ipv4Packet {
        let mut packet = passage.packet.clone();
        let of_sender = match passage.way {
            Way::ToCe => None,
            _ => passage.arrival.domain.and_then(|from| self.domains[from].options.mss_limit),
        };
        mss::clamp(&mut packet, of_sender.into_iter().chain(limit).min());
        if passage.way == Way::ToCe && self.ttl == Ttl::Kernel {
            return packet;
        }
        packet.tos = passage.tos;
        packet.ttl -= 1;
        packet.sealed()
    }

    /// A number per flow, from 1; a new one where the flow is not known.
    pub(crate) fn label(&mut self, flow: Option<(std::net::Ipv4Addr, std::net::Ipv4Addr, Vec<u8>)>) -> u32 {
        let known = flow.as_ref().and_then(|_| self.labels.iter().position(|label| *label == flow));
        let place = known.unwrap_or_else(|| {
            self.labels.push(flow);
            self.labels.len() - 1
        });
        place as u32 + 1
    }
}
