//! From what a scenario says to bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

use mape::Fleet;
use proptest::sample::Index;

use crate::{
    datagrams::{Datagram, End, Header, Spoof, Transport},
    scenario::{Change, ErrorAbout, Piece, Send, Sender},
    wire::{self, FRAGMENT, ICMP, ICMPV6, Ipv4Fields, TCP, ipv6, seal_icmp6, seal_ipv4},
};

/// An address and a port of an end.
type Place = (Ipv4Addr, u16);

/// The bytes of a step's packet; `emitted` are the tunnel packets that left so far. `None` if there is none to quote, or
/// no such part.
pub(crate) fn packet(fleet: &Fleet, datagrams: &[Datagram], send: &Send, emitted: &[Vec<u8>]) -> Option<Vec<u8>> {
    match send {
        Send::Datagram { which, inner, outer } => {
            let number = which.index(datagrams.len());
            datagram(fleet, &datagrams[number], number, *inner, *outer)
        }
        Send::Error(error) => {
            (!emitted.is_empty()).then(|| error_about(error, &emitted[error.which.index(emitted.len())]))
        }
        Send::Icmp6 { kind, length, relay, source, sound } => {
            Some(icmp6(fleet, *kind, *length, *relay, *source, *sound))
        }
    }
}

pub(crate) fn apply(packet: &mut Vec<u8>, change: &Change) {
    let length = packet.len();
    match change {
        Change::Padding(bytes) => packet.resize(length + usize::from(*bytes), 0xa5),
        Change::Byte(at, byte) if length > 0 => packet[at.index(length)] = *byte,
        Change::Early(at, byte) if usize::from(*at) < length => packet[usize::from(*at)] = *byte,
        Change::Cut(at) if length > 0 => packet.truncate(at.index(length)),
        Change::Seal => seal(packet),
        _ => {}
    }
}

fn seal(packet: &mut [u8]) {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => seal_ipv4(packet),
        Some(6) if packet.len() > 60 && packet[6] == 4 => seal_ipv4(&mut packet[40..]),
        _ => {}
    }
}

fn datagram(fleet: &Fleet, datagram: &Datagram, number: usize, inner: Piece, outer: Piece) -> Option<Vec<u8>> {
    let (source, destination) = (place(fleet, datagram.source), place(fleet, datagram.destination));
    let (payload, protocol) = transport(datagram, source, destination);
    let (offset, more, part) = cut(&payload, &datagram.cuts, inner)?;
    let fragment = offset & 0x1fff | if more { 0x2000 } else { 0 } | if datagram.dont_fragment { 0x4000 } else { 0 };
    let fields = Ipv4Fields {
        tos: datagram.tos,
        identification: datagram.identification,
        fragment,
        ttl: datagram.ttl,
        protocol,
        // As if none had the copied flag.
        options: if offset == 0 { datagram.options.clone() } else { Vec::new() },
    };
    let packet = wire::ipv4(&fields, source.0, destination.0, &part);
    if !is_ce(datagram.source) {
        return matches!(outer, Piece::Whole | Piece::Part(0)).then_some(packet);
    }
    tunnel(fleet, datagram, source, &packet, outer, number as u32 * 0x10000 + u32::from(offset))
}

fn place(fleet: &Fleet, end: End) -> Place {
    match end {
        End::Ce { rule, host, port } => {
            let rules: Vec<_> = fleet.rules().map(|(_, rule)| rule.ipv4_prefix()).collect();
            let prefix = rule.get(&rules);
            let host = host & u32::MAX.checked_shr(prefix.prefix_len().into()).unwrap_or(0);
            (Ipv4Addr::from(prefix.network().to_bits() | host), port)
        }
        End::Internet { host, port } => (Ipv4Addr::new(203, 0, 113, host), port),
        End::Martian(host) => (Ipv4Addr::new(127, 0, 0, host), 7),
    }
}

/// The payload of the IPv4 packet, and its protocol.
fn transport(datagram: &Datagram, source: Place, destination: Place) -> (Vec<u8>, u8) {
    let ports = [source.1.to_be_bytes(), destination.1.to_be_bytes()].concat();
    let text: Vec<u8> = (0..datagram.length).map(|at| (at % 251) as u8).collect();
    match &datagram.transport {
        Transport::Tcp { flags, options } => {
            let header = 20 + options.len().next_multiple_of(4);
            let mut segment =
                [&ports[..], &[0; 8], &[(header as u8 / 4) << 4, *flags, 1, 1, 0xab, 0xcd, 0, 0]].concat();
            segment.extend(options);
            segment.resize(header, 0);
            segment.extend(text);
            (segment, TCP)
        }
        Transport::Ports(protocol) => {
            // The least is nothing at all: a header that is cut short.
            let mut message = [&ports[..], &[0, 8, 0, 0], &text].concat();
            message.truncate(datagram.length);
            (message, *protocol)
        }
        Transport::Query(kind) => {
            let [high, low] = if is_ce(datagram.source) { source.1 } else { destination.1 }.to_be_bytes();
            (wire::icmp(*kind, 0, [high, low, 0, 1], &text), ICMP)
        }
        Transport::Error { .. } => (error(datagram, source, destination), ICMP),
        Transport::Other(protocol) => (text, *protocol),
    }
}

fn is_ce(end: End) -> bool {
    matches!(end, End::Ce { .. })
}

/// An ICMP error about a packet that went the other way.
fn error(datagram: &Datagram, source: Place, destination: Place) -> Vec<u8> {
    let Transport::Error { kind, quoted, protocol, stranger, later, sound } = datagram.transport else {
        return Vec::new();
    };
    let [port, other] = [destination.1, source.1].map(u16::to_be_bytes);
    let mut front = [port, other, [0; 2], [0; 2]].concat();
    if protocol == ICMP {
        let identifier = if is_ce(datagram.source) { other } else { port };
        front = wire::icmp(8, 0, [identifier[0], identifier[1], 0, 1], &[]);
    }
    let payload = [front, vec![0x5a; 600]].concat();
    let fields = Ipv4Fields { fragment: u16::from(later), ttl: 60, protocol, ..Ipv4Fields::default() };
    let ends = if stranger { (source.0, destination.0) } else { (destination.0, source.0) };
    let mut about = wire::ipv4(&fields, ends.0, ends.1, &payload);
    about.truncate(quoted);
    let mut message = wire::icmp(kind, 1, [0; 4], &about);
    message[2] ^= u8::from(!sound);
    message
}

/// A part of a payload, if there is such: its offset in units of 8 bytes, whether there are more, and its bytes.
fn cut(payload: &[u8], cuts: &[Index], piece: Piece) -> Option<(u16, bool, Vec<u8>)> {
    let units = payload.len().div_ceil(8).max(1);
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(units)).chain([0, units]).collect();
    places.sort_unstable();
    places.dedup();
    let bytes = |from: usize, to: usize| payload[(from * 8).min(payload.len())..(to * 8).min(payload.len())].to_vec();
    match piece {
        Piece::Whole => Some((0, false, payload.to_vec())),
        Piece::Part(which) => {
            let (from, to) = (*places.get(usize::from(which))?, *places.get(usize::from(which) + 1)?);
            Some((from as u16, to < units, bytes(from, to)))
        }
        Piece::Odd { offset, length, spare, more } => {
            let start = usize::from(offset).min(units);
            let mut part = bytes(start, start + usize::from(length));
            part.resize(part.len() + usize::from(spare), 0x77);
            Some((offset, more, part))
        }
    }
}

fn tunnel(fleet: &Fleet, datagram: &Datagram, source: Place, inner: &[u8], piece: Piece, id: u32) -> Option<Vec<u8>> {
    let tunnel = &datagram.tunnel;
    let home = fleet.to_ce(source.0, Some(source.1)).ok();
    let ce = home.as_ref().map_or(Ipv6Addr::from(0x2a00 << 112 | 1), |target| target.ce_address);
    let relays: Vec<Ipv6Addr> = fleet.domains().iter().map(mape::Domain::softwire_address).collect();
    let relay = home.as_ref().map_or(relays[0], |target| target.domain.softwire_address());
    let (from, to) = match tunnel.spoof {
        Spoof::Nothing => (ce, relay),
        Spoof::Bit(bit) => (Ipv6Addr::from(ce.to_bits() ^ 1 << bit), relay),
        Spoof::FromRelay => (relays[0], relay),
        Spoof::Multicast => (Ipv6Addr::from(0xff02 << 112 | 1), relay),
        Spoof::OtherRelay(which) => (ce, *which.get(&relays)),
        Spoof::Stranger => (ce, Ipv6Addr::from(relay.to_bits() ^ 0xff00)),
    };
    let next = tunnel.next.unwrap_or(4);
    let (next, payload) = with_headers(&tunnel.behind, next, [inner, &vec![0x5c; tunnel.slack]].concat());
    let (next, payload) = match piece {
        Piece::Whole => (next, payload),
        _ => {
            let (offset, more, part) = cut(&payload, &tunnel.cuts, piece)?;
            let field = (offset << 3 | u16::from(more)).to_be_bytes();
            (FRAGMENT, [&[next, 0], &field[..], &id.to_be_bytes(), &part].concat())
        }
    };
    let (next, payload) = with_headers(&tunnel.before, next, payload);
    Some(ipv6(tunnel.traffic_class, next, from, to, &payload))
}

fn with_headers(headers: &[Header], next: u8, payload: Vec<u8>) -> (u8, Vec<u8>) {
    headers.iter().rev().fold((next, payload), |(next, payload), header| match header {
        Header::HopByHop(options) => (0, [options_header(next, options), payload].concat()),
        Header::Destination(options) => (60, [options_header(next, options), payload].concat()),
        Header::Routing { left } => (43, [vec![next, 0, 4, *left, 0, 0, 0, 0], payload].concat()),
        Header::Atomic => (FRAGMENT, [vec![next, 0, 0, 0, 1, 2, 3, 4], payload].concat()),
    })
}

fn options_header(next: u8, options: &[u8]) -> Vec<u8> {
    let length = (2 + options.len()).next_multiple_of(8);
    let mut header = [&[next, (length / 8 - 1) as u8], options].concat();
    header.resize(length, 0);
    header
}

fn error_about(error: &ErrorAbout, emitted: &[u8]) -> Vec<u8> {
    let mut quoted = emitted[..emitted.len().min(error.quoted)].to_vec();
    if let Some((at, byte)) = error.forged.filter(|_| !quoted.is_empty()) {
        let at = at.index(quoted.len().min(100));
        quoted[at] = byte;
    }
    let mut rest = error.parameter.to_be_bytes();
    if let Some((length, fill)) = error.extensions {
        quoted.resize(quoted.len().next_multiple_of(8), 0);
        rest[0] = (quoted.len() / 8) as u8;
        quoted.extend([0x20, 0, 0, 0]);
        quoted.resize(quoted.len() + length - 4, fill);
    }
    let mut message = [&[error.kind, 0, 0, 0], &rest[..], &quoted].concat();
    let (router, relay) = (Ipv6Addr::from(0x2001_0db8 << 96 | 0x99), wire::ipv6_address(emitted, 8));
    seal_icmp6(&mut message, router, relay);
    message[2] ^= u8::from(!error.sound);
    ipv6(0, ICMPV6, router, relay, &message)
}

fn icmp6(fleet: &Fleet, kind: u8, length: usize, relay: Index, source: Sender, sound: bool) -> Vec<u8> {
    let relays: Vec<Ipv6Addr> = fleet.domains().iter().map(mape::Domain::softwire_address).collect();
    let relay = *relay.get(&relays);
    let source = match source {
        Sender::Host => Ipv6Addr::from(0x2001_0db8 << 96 | 0x77),
        Sender::Multicast => Ipv6Addr::from(0xff02 << 112 | 1),
        Sender::Nobody => Ipv6Addr::UNSPECIFIED,
        Sender::Relay => relays[0],
    };
    let mut message: Vec<u8> = [kind, 0, 0, 0].into_iter().chain((0..=255).cycle()).take(length).collect();
    if length >= 4 {
        seal_icmp6(&mut message, source, relay);
        message[3] ^= u8::from(!sound);
    }
    ipv6(0x20, ICMPV6, source, relay, &message)
}
