//! Cutting packets that do not fit: IPv4 (RFC 791 section 3.2) and IPv6 (RFC 8200 section 4.5).

use crate::{
    ipv4::Ipv4Packet,
    ipv6::{FRAGMENT, Ipv6Packet},
};

/// Cuts an IPv4 packet, which may be a fragment itself, into pieces of at most `mtu` bytes.
pub(crate) fn cut_ipv4(packet: &Ipv4Packet, mtu: usize) -> Vec<Ipv4Packet> {
    let mut pieces = Vec::new();
    let mut at = 0;
    let mut options = packet.options.clone();
    while at < packet.payload.len() {
        let room = (mtu - 20 - options.len()) / 8 * 8;
        let end = packet.payload.len().min(at + room);
        let piece = Ipv4Packet {
            more_fragments: packet.more_fragments || end < packet.payload.len(),
            offset: packet.offset + at,
            options,
            payload: packet.payload[at..end].to_vec(),
            ..packet.clone()
        };
        pieces.push(piece.sealed());
        at = end;
        options = copied_options(&packet.options);
    }
    pieces
}

/// The options that every fragment has, padded to words. What is no option ends the list.
fn copied_options(options: &[u8]) -> Vec<u8> {
    let mut copied = Vec::new();
    let mut rest = options;
    while let Some(kind) = rest.first().filter(|kind| **kind != 0) {
        let length = match (kind, rest.get(1)) {
            (1, _) => 1,
            (_, None) => break,
            (_, Some(length)) => usize::from(*length).max(2),
        };
        if length > rest.len() {
            break;
        }
        if kind & 0x80 != 0 {
            copied.extend(&rest[..length]);
        }
        rest = &rest[length..];
    }
    copied.resize(copied.len().next_multiple_of(4), 0);
    copied
}

/// Cuts an IPv6 packet if it is larger than `mtu` bytes.
pub(crate) fn cut_ipv6(packet: &Ipv6Packet, mtu: usize, identification: u32) -> Vec<Ipv6Packet> {
    if 40 + packet.payload.len() <= mtu {
        return vec![packet.clone()];
    }
    let step = (mtu - 48) / 8 * 8;
    let pieces = packet.payload.chunks(step).enumerate().map(|(number, piece)| {
        let more = u16::from(number * step + piece.len() < packet.payload.len());
        let mut payload = vec![packet.next_header, 0];
        payload.extend(((number * step) as u16 | more).to_be_bytes());
        payload.extend(identification.to_be_bytes());
        payload.extend(piece);
        Ipv6Packet { next_header: FRAGMENT, payload, ..packet.clone() }
    });
    pieces.collect()
}
