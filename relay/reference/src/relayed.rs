//! ICMPv6 errors about tunnel packets of the relay's own, handed on to whoever sent what was in them (RFC 2473 section 8).

use crate::{
    Message, Model, Verdict,
    bits::{be, be16, sum},
    icmp::with_checksum,
    ipv4::{ICMP, Ipv4Packet, is_icmp_error, is_icmp_query},
    ipv6::{FRAGMENT, IPV4, Ipv6Packet},
    passage::{Arrival, Tunnel},
    ports::{Side, flow},
    rules::find,
};

/// What an ICMPv6 error quotes.
struct Quote {
    /// The embedded packet, as far as it is there.
    datagram: Vec<u8>,
    /// An RFC 4884 extension structure behind it.
    extensions: Vec<u8>,
}

/// The tunnel packet in it, taken apart.
struct Quoted {
    /// The domain of the CE that it was for.
    domain: usize,
    /// The IPv4 packet, whose length field says `total`.
    packet: Ipv4Packet,
    total: usize,
}

impl Model {
    pub(crate) fn relay_error(&mut self, tunnel: &Tunnel, message: &[u8], arrival: &Arrival) -> Verdict {
        let quote = quote(message);
        let quoted = match self.verified(tunnel, &quote.datagram) {
            Ok(quoted) => quoted,
            Err(reason) => return self.dropped(arrival, reason),
        };
        let arrival = &Arrival { domain: Some(quoted.domain), ..arrival.clone() };
        let mtu = (be(&message[4..8]).max(1280) - 40).min(65535) as usize;
        let needless = message[0] == 2 && (!quoted.packet.dont_fragment || quoted.total <= mtu);
        if needless || !has_readable_type(&quoted.packet) || quoted.packet.offset > 0 {
            return self.dropped(arrival, "IcmpNotRelayed");
        }
        let says = if message[0] == 2 { [3, 4, (mtu >> 8) as u8, mtu as u8] } else { [3, 1, 0, 0] };
        let error = icmpv4(says, &quoted.packet.to_bytes_of_length(quoted.total), &quote.extensions);
        self.send_relayed(&quoted, error, arrival)
    }

    /// Whether the relay itself sent the packet that an error is about.
    fn verified(&self, tunnel: &Tunnel, datagram: &[u8]) -> Result<Quoted, &'static str> {
        let (outer, packet, total) = tunnel_packet(datagram).ok_or("ForgedIcmp")?;
        if outer.source != tunnel.relay || packet.has_martian() {
            return Err("ForgedIcmp");
        }
        let found = find(&self.domains, packet.destination).ok_or("ForgedIcmp")?;
        if packet.offset > 0 && found.is_shared() {
            return Err("IcmpNotRelayed");
        }
        let ce = found.ce(&self.domains, flow(&packet, Side::Destination).port).or(Err("ForgedIcmp"))?;
        let is_ours = ce.address == outer.destination && self.domains[ce.domain].br_address == tunnel.relay;
        let quoted = Quoted { domain: ce.domain, total, packet };
        if is_ours { Ok(quoted) } else { Err("ForgedIcmp") }
    }

    /// To the Internet, or through the tunnel of the CE that it is for.
    fn send_relayed(&mut self, quoted: &Quoted, error: Vec<u8>, arrival: &Arrival) -> Verdict {
        let source = self.domains[quoted.domain].options.ipv4_source;
        let destination = quoted.packet.source;
        let packet = Ipv4Packet::icmp(source, destination, error);
        let ce = find(&self.domains, destination)
            .map(|found| found.ce(&self.domains, flow(&quoted.packet, Side::Source).port))
            .transpose();
        let ce = match ce {
            Ok(ce) => ce,
            Err(reason) => return self.dropped(arrival, reason),
        };
        let listener = ce.map_or(destination.into(), |ce| ce.address.into());
        if !self.may_say(quoted.domain, Message::RelayedError, listener) {
            return self.dropped(arrival, "RateLimited");
        }
        let leaves = match ce {
            None => packet.to_bytes(),
            Some(ce) => {
                let flow_label = self.label(None);
                let domain = &self.domains[ce.domain];
                let traffic_class = domain.options.traffic_class(packet.tos);
                let outer = Ipv6Packet::new(domain.br_address, ce.address, IPV4, packet.to_bytes());
                Ipv6Packet { traffic_class, flow_label, ..outer }.to_bytes()
            }
        };
        self.out.push(leaves);
        self.answered(arrival)
    }
}

/// Splits what an error carries into the packet it quotes and extensions (RFC 4884 section 4.1).
fn quote(message: &[u8]) -> Quote {
    let body = &message[8..];
    let length = usize::from(message[4]) * 8;
    let has_extensions = [1, 3].contains(&message[0]) && length >= 128 && body.len() >= length + 4;
    if has_extensions && is_extension(&body[length..]) {
        return Quote { datagram: body[..length].to_vec(), extensions: body[length..].to_vec() };
    }
    Quote { datagram: body.to_vec(), extensions: Vec::new() }
}

/// An extension header of version 2 whose checksum is right, or not there (RFC 4884 section 7).
fn is_extension(structure: &[u8]) -> bool {
    structure[0] >> 4 == 2 && (be16(structure, 2) == 0 || sum(structure) == 0xffff)
}

/// Takes a quoted tunnel packet apart: its outer header, the IPv4 packet as far as it is there, and its total length.
fn tunnel_packet(datagram: &[u8]) -> Option<(Ipv6Packet, Ipv4Packet, usize)> {
    let outer = Ipv6Packet::parse_quoted(datagram)?;
    let bytes = match outer.next_header {
        IPV4 => &outer.payload[..],
        FRAGMENT if outer.payload.len() >= 8 && is_first_of_ipv4(&outer.payload) => &outer.payload[8..],
        _ => return None,
    };
    let total = usize::from(be16(bytes.get(..20)?, 2));
    let packet = Ipv4Packet::parse_quoted(&bytes[..bytes.len().min(total)])?;
    Some((outer, packet, total))
}

fn is_first_of_ipv4(fragment: &[u8]) -> bool {
    fragment[0] == IPV4 && be16(fragment, 2) & 0xfff8 == 0
}

/// Not an ICMP error, nor an ICMP message whose type was not quoted.
fn has_readable_type(packet: &Ipv4Packet) -> bool {
    let kind = packet.payload.first();
    packet.protocol != ICMP || kind.is_some_and(|kind| is_icmp_query(*kind) || !is_icmp_error(*kind))
}

/// The ICMPv4 error, of at most 576 bytes with its IPv4 header.
fn icmpv4(says: [u8; 4], datagram: &[u8], extensions: &[u8]) -> Vec<u8> {
    let room = 576 - 20 - 8;
    let [kind, code, mtu @ ..] = says;
    if extensions.is_empty() || extensions.len() + 128 > room {
        let quoted = &datagram[..datagram.len().min(room)];
        return with_checksum([&[kind, code, 0, 0, 0, 0], &mtu[..], quoted].concat());
    }
    let most = (room - extensions.len()) / 4 * 4;
    let mut quoted = datagram[..datagram.len().min(most)].to_vec();
    quoted.resize(quoted.len().next_multiple_of(4).max(128), 0);
    let words = (quoted.len() / 4) as u8;
    with_checksum([&[kind, code, 0, 0, 0, words], &mtu[..], &quoted, extensions].concat())
}
