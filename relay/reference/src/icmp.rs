//! What the relay says itself (RFC 792, RFC 1812 section 4.3, RFC 4443).

use std::net::Ipv6Addr;

use crate::{
    Message, Model, Verdict,
    bits::{checksum, sum, with_pseudo_header},
    cut::cut_ipv6,
    ipv4::Ipv4Packet,
    ipv6::{IPV4, Ipv6Packet, is_host},
    passage::{Arrival, Tunnel},
};

/// Time Exceeded.
const TIME_EXCEEDED: [u8; 2] = [11, 0];

/// Destination Unreachable, fragmentation needed and DF set.
const TOO_BIG: [u8; 2] = [3, 4];

/// Destination Unreachable, source address failed ingress/egress policy.
const SOURCE_FAILED: [u8; 2] = [1, 5];

impl Model {
    pub(crate) fn time_exceeded(&mut self, about: &Ipv4Packet, domain: usize, back: Option<&Tunnel>) {
        self.icmpv4_error(about, domain, back, TIME_EXCEEDED, 0);
    }

    pub(crate) fn too_big(&mut self, about: &Ipv4Packet, domain: usize, back: Option<&Tunnel>, mtu: usize) {
        self.icmpv4_error(about, domain, back, TOO_BIG, mtu as u16);
    }

    /// An error about a packet, to its source; through the tunnel that it came out of, if it did.
    fn icmpv4_error(&mut self, about: &Ipv4Packet, domain: usize, back: Option<&Tunnel>, says: [u8; 2], mtu: u16) {
        let reachable = back.is_none_or(|tunnel| self.may_answer(tunnel.source));
        let listener = back.map_or(about.source.into(), |tunnel| tunnel.source.into());
        if !about.may_be_reported() || !reachable || !self.may_say(domain, Message::Error, listener) {
            return;
        }
        let mut message = vec![says[0], says[1], 0, 0, 0, 0];
        message.extend(mtu.to_be_bytes());
        message.extend(about.to_bytes().iter().take(548));
        let options = self.domains[domain].options.clone();
        let packet = Ipv4Packet::icmp(options.ipv4_source, about.source, with_checksum(message));
        let Some(tunnel) = back else { return self.out.push(packet.to_bytes()) };
        let outer = Ipv6Packet {
            traffic_class: options.traffic_class(packet.tos),
            flow_label: self.label(None),
            ..Ipv6Packet::new(tunnel.relay, tunnel.source, IPV4, packet.to_bytes())
        };
        self.out.push(outer.to_bytes());
    }

    /// Tells a sender that its source is not its own, where that may be said.
    pub(crate) fn source_failed(&mut self, about: &Ipv4Packet, tunnel: &Tunnel, domain: usize) {
        if about.may_be_reported() && self.domains[domain].options.answers_source_check {
            self.icmpv6_error(tunnel, domain, SOURCE_FAILED, 0);
        }
    }

    /// An error about a tunnel packet, to its sender.
    pub(crate) fn icmpv6_error(&mut self, tunnel: &Tunnel, domain: usize, says: [u8; 2], parameter: usize) {
        if !self.may_answer(tunnel.source) || !self.may_say(domain, Message::Error, tunnel.source.into()) {
            return;
        }
        let mut message = vec![says[0], says[1], 0, 0];
        message.extend((parameter as u32).to_be_bytes());
        message.extend(tunnel.packet.iter().take(1280 - 48));
        self.out.push(Ipv6Packet::icmp(tunnel.relay, tunnel.source, message).to_bytes());
    }

    /// Whether it is a host, and no relay.
    fn may_answer(&self, address: Ipv6Addr) -> bool {
        is_host(address) && self.relay(address).is_none()
    }

    /// ICMPv6 to a BR address.
    pub(crate) fn icmp_to_relay(&mut self, tunnel: &Tunnel, message: &[u8], arrival: &Arrival) -> Verdict {
        match message {
            [133..=137, ..] => self.punted(arrival, "NotForRelay"),
            [] | [_] | [_, _] | [_, _, _] => self.dropped(arrival, "Truncated"),
            _ if message.len() < 8 => self.dropped(arrival, "Truncated"),
            [1..=4 | 128, ..] if !is_sound(tunnel, message) => self.dropped(arrival, "BadChecksum"),
            [128, ..] => self.echo(tunnel, message, arrival),
            [1..=4, ..] => self.relay_error(tunnel, message, arrival),
            _ => self.dropped(arrival, "UnsupportedIcmp"),
        }
    }

    fn echo(&mut self, tunnel: &Tunnel, message: &[u8], arrival: &Arrival) -> Verdict {
        let options = self.domains[tunnel.domain].options.clone();
        if !options.answers_echo {
            return self.dropped(arrival, "UnsupportedIcmp");
        }
        if !self.may_answer(tunnel.source) {
            return self.dropped(arrival, "Martian");
        }
        if !self.may_say(tunnel.domain, Message::EchoReply, tunnel.source.into()) {
            return self.dropped(arrival, "RateLimited");
        }
        let reply = [&[129, 0], &message[2..]].concat();
        let reply = Ipv6Packet::icmp(tunnel.relay, tunnel.source, reply);
        self.identification += 1;
        let pieces = cut_ipv6(&reply, options.mtu_v6.into(), self.identification);
        self.out.extend(pieces.iter().map(Ipv6Packet::to_bytes));
        self.answered(arrival)
    }
}

/// An ICMPv4 message with a right checksum.
pub(crate) fn with_checksum(mut message: Vec<u8>) -> Vec<u8> {
    let checksum = checksum(&message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

fn is_sound(tunnel: &Tunnel, message: &[u8]) -> bool {
    sum(&with_pseudo_header(tunnel.source, tunnel.relay, message)) == 0xffff
}
