//! What stands in a packet, for people. Lenient: whatever is there is shown, the engine has judged it already.

use std::net::{Ipv4Addr, Ipv6Addr};

use engine::wire::{
    IPV4_HEADER, IPV6_HEADER,
    protocol::{
        DCCP, DESTINATION_OPTIONS, FRAGMENT, HOP_BY_HOP, ICMP, ICMPV6, IPV4, ROUTING, SCTP, TCP, UDP, UDP_LITE,
    },
};

/// The IPv4 packet at the front of some bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inner<'p> {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    pub(super) protocol: u8,
    pub(super) ttl: u8,
    pub(super) tos: u8,
    pub(super) version: u8,
    /// Length of the header, as it says itself.
    pub(super) header: usize,
    /// Length of the packet, as it says itself.
    pub(super) total: usize,
    /// How many bytes there are.
    pub(super) present: usize,
    pub(super) df: bool,
    /// Any fragment of several.
    pub(super) is_fragment: bool,
    /// Where its payload stands in the datagram, in bytes.
    pub(super) offset: usize,
    pub(super) identification: u16,
    payload: &'p [u8],
}

impl<'p> Inner<'p> {
    pub(super) fn parse(packet: &'p [u8]) -> Option<Self> {
        let fixed = packet.first_chunk::<IPV4_HEADER>()?;
        let word = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        let (header, total) = (usize::from(fixed[0] & 15) * 4, usize::from(word(2)));
        Some(Self {
            source: Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]),
            destination: Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]),
            protocol: fixed[9],
            ttl: fixed[8],
            tos: fixed[1],
            version: fixed[0] >> 4,
            header,
            total,
            present: packet.len(),
            df: word(6) & 0x4000 != 0,
            is_fragment: word(6) & 0x3fff != 0,
            offset: usize::from(word(6) & 0x1fff) * 8,
            identification: word(4),
            payload: packet.get(header..total.min(packet.len())).unwrap_or_default(),
        })
    }

    /// What tells the CEs of a shared address apart; `of_source` for the sender's, else the receiver's.
    pub(super) fn key(&self, of_source: bool) -> Key {
        if self.offset > 0 {
            return Key::None;
        }
        let at = if of_source { 0 } else { 2 };
        match self.protocol {
            protocol if has_ports(protocol) && self.payload.len() >= 4 => Key::Port(word(self.payload, at)),
            ICMP => self.icmp_key(of_source),
            _ => Key::None,
        }
    }

    fn icmp_key(&self, of_source: bool) -> Key {
        match self.payload.first() {
            Some(0 | 8 | 13..=18) if self.payload.len() >= 6 => Key::Identifier(word(self.payload, 4)),
            Some(3..=5 | 11 | 12) => self.embedded_key(of_source),
            _ => Key::None,
        }
    }

    /// An ICMP error is about a packet that went the other way: its port is on the other side.
    fn embedded_key(&self, of_source: bool) -> Key {
        let embedded = self.payload.get(8..).unwrap_or_default();
        let Some(mut about) = Inner::parse(embedded) else { return Key::None };
        if about.version != 4 || about.header < IPV4_HEADER {
            return Key::None;
        }
        let (ce, named) = if of_source { (self.source, about.destination) } else { (self.destination, about.source) };
        if ce != named {
            return Key::Foreign(named);
        }
        about.payload = embedded.get(about.header..).unwrap_or_default();
        let at = if of_source { 2 } else { 0 };
        match about.protocol {
            _ if about.offset > 0 => Key::None,
            protocol if has_ports(protocol) && about.payload.len() >= at + 2 => Key::Embedded(word(about.payload, at)),
            ICMP if matches!(about.payload.first(), Some(0 | 8 | 13..=18)) && about.payload.len() >= 6 => {
                Key::Embedded(word(about.payload, 4))
            }
            _ => Key::None,
        }
    }
}

/// What tells the CEs of a shared address apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Port(u16),
    /// Of an ICMP query.
    Identifier(u16),
    /// Of the packet that an ICMP error is about.
    Embedded(u16),
    /// The packet that an ICMP error is about was this one's, not the CE's.
    Foreign(Ipv4Addr),
    None,
}

impl Key {
    pub(super) fn port(self) -> Option<u16> {
        match self {
            Self::Port(port) | Self::Identifier(port) | Self::Embedded(port) => Some(port),
            Self::Foreign(_) | Self::None => None,
        }
    }

    /// How a sentence begins that is about it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Identifier(_) => "ICMP identifier",
            Self::Embedded(_) => "The embedded packet's port",
            Self::Port(_) | Self::Foreign(_) | Self::None => "Port",
        }
    }
}

/// The IPv6 packet at the front of some bytes, past its extension headers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outer<'p> {
    pub(super) source: Ipv6Addr,
    pub(super) destination: Ipv6Addr,
    pub(super) traffic_class: u8,
    pub(super) hop_limit: u8,
    /// Length of the packet, as it says itself.
    pub(super) total: usize,
    /// How many bytes there are.
    pub(super) present: usize,
    /// What it carries behind the extension headers.
    pub(super) next_header: u8,
    /// How many extension headers there are.
    pub(super) extensions: usize,
    pub(super) payload: &'p [u8],
}

impl<'p> Outer<'p> {
    pub(super) fn parse(packet: &'p [u8]) -> Option<Self> {
        let fixed = packet.first_chunk::<IPV6_HEADER>()?;
        let address =
            |at: usize| fixed[at..].first_chunk::<16>().map_or(Ipv6Addr::UNSPECIFIED, |octets| (*octets).into());
        let total = IPV6_HEADER + usize::from(word(fixed, 4));
        let mut outer = Self {
            source: address(8),
            destination: address(24),
            traffic_class: fixed[0] << 4 | fixed[1] >> 4,
            hop_limit: fixed[7],
            total,
            present: packet.len(),
            next_header: fixed[6],
            extensions: 0,
            payload: packet.get(IPV6_HEADER..total.min(packet.len())).unwrap_or_default(),
        };
        while outer.skip_extension() {}
        Some(outer)
    }

    /// Walks past one extension header, if that is what comes next and all of it is there.
    fn skip_extension(&mut self) -> bool {
        let length = match (self.next_header, self.payload) {
            (HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS, [_, units, ..]) => (usize::from(*units) + 1) * 8,
            (FRAGMENT, [_, _, high, low, ..]) if word(&[*high, *low], 0) & 0xfff9 == 0 => 8,
            _ => return false,
        };
        let Some(rest) = self.payload.get(length..) else { return false };
        self.next_header = self.payload[0];
        self.payload = rest;
        self.extensions += 1;
        true
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | UDP_LITE | SCTP | DCCP)
}

/// A protocol's name, for those that the relay knows by name.
pub(super) fn protocol_name(number: u8) -> String {
    match number {
        HOP_BY_HOP => "Hop-by-Hop options".to_string(),
        ICMP => "ICMP".to_string(),
        IPV4 => "IPv4 in IPv6".to_string(),
        TCP => "TCP".to_string(),
        UDP => "UDP".to_string(),
        DCCP => "DCCP".to_string(),
        ROUTING => "a Routing header".to_string(),
        FRAGMENT => "a Fragment header".to_string(),
        ICMPV6 => "ICMPv6".to_string(),
        DESTINATION_OPTIONS => "Destination options".to_string(),
        SCTP => "SCTP".to_string(),
        UDP_LITE => "UDP-Lite".to_string(),
        number => format!("protocol {number}"),
    }
}

/// One line about a packet.
pub(super) fn describe(packet: &[u8]) -> String {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => Inner::parse(packet).map_or_else(|| stub("IPv4", packet), |inner| describe_ipv4(&inner)),
        Some(6) => Outer::parse(packet).map_or_else(|| stub("IPv6", packet), |outer| describe_ipv6(&outer)),
        _ => stub("no IP", packet),
    }
}

fn stub(what: &str, packet: &[u8]) -> String {
    format!("{what}, {} bytes", packet.len())
}

fn describe_ipv4(inner: &Inner<'_>) -> String {
    let (source, destination) = (end(inner.source, inner, 0), end(inner.destination, inner, 2));
    let df = if inner.df { ", DF" } else { "" };
    let fragment = if inner.is_fragment { ", a fragment" } else { "" };
    let what = match (inner.protocol, inner.payload) {
        (ICMP, [kind, code, ..]) if inner.offset == 0 => format!("ICMP {}", icmp(*kind, *code, inner.payload)),
        (number, _) => protocol_name(number),
    };
    format!("IPv4 {source} -> {destination}, {what}, {} bytes, TTL {}{df}{fragment}", inner.total, inner.ttl)
}

fn end(address: Ipv4Addr, inner: &Inner<'_>, at: usize) -> String {
    if has_ports(inner.protocol) && inner.offset == 0 && inner.payload.len() >= 4 {
        format!("{address}:{}", word(inner.payload, at))
    } else {
        address.to_string()
    }
}

fn icmp(kind: u8, code: u8, message: &[u8]) -> String {
    let number = |at: usize| message.get(at..at + 2).map_or(0, |field| word(field, 0));
    match (kind, code) {
        (8, _) => format!("echo request, identifier {}", number(4)),
        (0, _) => format!("echo reply, identifier {}", number(4)),
        (3, 4) => format!("3/4, fragmentation needed, next-hop MTU {}", number(6)),
        (3, _) => format!("3/{code}, destination unreachable"),
        (11, _) => format!("11/{code}, time exceeded"),
        _ => format!("{kind}/{code}"),
    }
}

fn describe_ipv6(outer: &Outer<'_>) -> String {
    let carried = match (outer.next_header, outer.payload) {
        (IPV4, payload) => format!("carrying {}", describe(payload)),
        (ICMPV6, [1, 5, ..]) => "ICMPv6 1/5, source address failed ingress/egress policy".to_string(),
        (ICMPV6, [4, 2, ..]) => "ICMPv6 4/2, unrecognized IPv6 option".to_string(),
        (ICMPV6, [128, ..]) => "ICMPv6 echo request".to_string(),
        (ICMPV6, [129, ..]) => "ICMPv6 echo reply".to_string(),
        (ICMPV6, [kind, code, ..]) => format!("ICMPv6 {kind}/{code}"),
        (number, _) => protocol_name(number),
    };
    let (source, destination) = (outer.source, outer.destination);
    format!("IPv6 {source} -> {destination}, {} bytes, hop limit {}, {carried}", outer.total, outer.hop_limit)
}
