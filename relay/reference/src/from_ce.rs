//! IPv6 in, IPv4 out, or into another tunnel.

use crate::{
    Direction, Model, Ttl, Verdict,
    bits::{be, be16},
    headers::{Walked, is_icmp_error, walk},
    ipv4::Ipv4Packet,
    ipv6::{FRAGMENT, ICMPV6, IPV4, address},
    mss,
    passage::{Arrival, Passage, Tunnel, Way},
    ports::{Flow, Side, flow},
    rules::{Found, find, share_prefix},
};

impl Model {
    pub(crate) fn packet_from_ce(&mut self, bytes: &[u8], mut arrival: Arrival) -> Verdict {
        arrival.direction = Direction::FromCe;
        arrival.domain = None;
        if bytes.len() < 40 {
            return self.dropped(&arrival, "Truncated");
        }
        let relay = address(&bytes[24..40]);
        let Some(domain) = self.relay(relay) else { return self.punted(&arrival, "NotForRelay") };
        arrival.domain = Some(domain);
        let Some(packet) = bytes.get(..40 + usize::from(be16(bytes, 4))) else {
            return self.dropped(&arrival, "Truncated");
        };
        let traffic_class = (be(&packet[..4]) >> 20) as u8;
        let source = address(&packet[8..24]);
        let tunnel = Tunnel { source, relay, traffic_class, domain, packet: packet.to_vec(), headers: 40 };
        match walk(packet) {
            Ok(walked) if walked.bad_option.is_some() => self.refuse_option(&tunnel, walked, &arrival),
            Ok(walked) => self.unwrap(tunnel, walked, arrival),
            Err(reason) => self.dropped(&arrival, reason),
        }
    }

    fn unwrap(&mut self, mut tunnel: Tunnel, walked: Walked, arrival: Arrival) -> Verdict {
        tunnel.headers = walked.at;
        let payload = tunnel.packet[walked.at..].to_vec();
        match walked.next_header {
            FRAGMENT => self.outer_fragment(&tunnel, walked, arrival),
            IPV4 => self.inner(tunnel, &payload, arrival),
            ICMPV6 => self.icmp_to_relay(&tunnel, &payload, &arrival),
            _ => self.dropped(&arrival, "UnsupportedProtocol"),
        }
    }

    fn refuse_option(&mut self, tunnel: &Tunnel, walked: Walked, arrival: &Arrival) -> Verdict {
        let payload = &tunnel.packet[walked.at..];
        let silent = match walked.next_header {
            FRAGMENT => be16(payload, 2) & 0xfff8 != 0 || is_icmp_error(payload[0], &payload[8..]),
            next_header => is_icmp_error(next_header, payload),
        };
        if let Some(option) = walked.bad_option.filter(|option| option.is_reported && !silent) {
            self.icmpv6_error(tunnel, tunnel.domain, [4, 2], option.at);
        }
        self.dropped(arrival, "UnsupportedHeader")
    }

    /// The packet in the tunnel.
    fn inner(&mut self, tunnel: Tunnel, bytes: &[u8], mut arrival: Arrival) -> Verdict {
        let packet = match Ipv4Packet::parse(bytes, true) {
            Ok(packet) if packet.has_martian() => return self.dropped(&arrival, "Martian"),
            Ok(packet) => packet,
            Err(reason) => return self.dropped(&arrival, reason),
        };
        let Some(found) = find(&self.domains, packet.source) else {
            self.source_failed(&packet, &tunnel, tunnel.domain);
            return self.dropped(&arrival, "NoRule");
        };
        let flow = flow(&packet, Side::Source);
        let is_fragment = packet.is_fragment() && found.is_shared();
        arrival.domain = Some(self.claimed(&found, flow.port.filter(|_| !is_fragment), &tunnel));
        let passage = Passage { tos: packet.tos, packet, way: Way::FromCe(tunnel), arrival };
        if is_fragment { self.fragment(passage, &found) } else { self.prove(passage, &found, &flow) }
    }

    /// Whom a packet is counted for: the domain it claims to be from, if it went to that one's BR address.
    fn claimed(&self, found: &Found, port: Option<u16>, tunnel: &Tunnel) -> usize {
        let claimed = found.domain_of(port);
        if self.domains[claimed].br_address == tunnel.relay { claimed } else { tunnel.domain }
    }

    /// From the port on, which a later fragment has from the first.
    pub(crate) fn prove(&mut self, mut passage: Passage, found: &Found, flow: &Flow) -> Verdict {
        let Way::FromCe(tunnel) = passage.way.clone() else { return self.deliver(passage, found, flow) };
        let domain = self.claimed(found, flow.port, &tunnel);
        passage.arrival.domain = Some(domain);
        if let Err(reason) = self.check_source(found, flow, &tunnel) {
            self.source_failed(&passage.packet, &tunnel, domain);
            return self.dropped(&passage.arrival, reason);
        }
        let Some(tos) = self.combined_tos(domain, tunnel.traffic_class, passage.packet.tos) else {
            return self.dropped(&passage.arrival, "BadEcn");
        };
        passage.tos = tos;
        match find(&self.domains, passage.packet.destination) {
            Some(to) => self.hairpin(Passage { way: Way::Hairpin(tunnel), ..passage }, &to),
            None => self.forward(&passage),
        }
    }

    /// RFC 7597 section 8.1: the way back must lead to the sender.
    fn check_source(&self, found: &Found, flow: &Flow, tunnel: &Tunnel) -> Result<(), &'static str> {
        if found.is_shared() && flow.broken {
            return Err("BadChecksum");
        }
        if found.is_shared() && flow.foreign {
            return Err("SpoofedSource");
        }
        let ce = found.ce(&self.domains, flow.port)?;
        let domain = &self.domains[ce.domain];
        let lives_there = if domain.options.checks_whole_source {
            tunnel.source == ce.address
        } else {
            share_prefix(tunnel.source, ce.address, ce.end_user_length) && self.relay(tunnel.source).is_none()
        };
        if lives_there && domain.br_address == tunnel.relay { Ok(()) } else { Err("SpoofedSource") }
    }

    /// RFC 6040 section 4.2, figure 4, and RFC 2983.
    pub(crate) fn combined_tos(&self, domain: usize, outer: u8, inner: u8) -> Option<u8> {
        let ecn = match (inner & 3, outer & 3) {
            (0b00, 0b11) => return None,
            (_, 0b11) => 0b11,
            (0b10, 0b01) => 0b01,
            (inner, _) => inner,
        };
        let dscp = if self.domains[domain].options.copies_dscp_from_ce { outer } else { inner };
        Some(dscp & !3 | ecn)
    }

    fn hairpin(&mut self, passage: Passage, to: &Found) -> Verdict {
        let domain = passage.arrival.domain.unwrap_or(0);
        if !self.domains[domain].options.hairpin {
            return self.dropped(&passage.arrival, "HairpinDisabled");
        }
        if passage.packet.ttl <= 1 {
            self.time_exceeded(&passage.packet, domain, passage.tunnel());
            return self.dropped(&passage.arrival, "TtlExpired");
        }
        self.enter(passage, to)
    }

    fn forward(&mut self, passage: &Passage) -> Verdict {
        let domain = passage.arrival.domain.unwrap_or(0);
        let mut packet = passage.packet.clone();
        if self.ttl == Ttl::Engine {
            if packet.ttl <= 1 {
                self.time_exceeded(&packet, domain, passage.tunnel());
                return self.dropped(&passage.arrival, "TtlExpired");
            }
            packet.ttl -= 1;
        }
        mss::clamp(&mut packet, self.domains[domain].options.mss_limit);
        packet.tos = passage.tos;
        self.out.push(packet.sealed().to_bytes());
        self.forwarded(&passage.arrival)
    }
}
