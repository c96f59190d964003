//! TCP's maximum segment size (RFC 9293 section 3.7.1).

use crate::{
    bits::{be16, sum},
    ipv4::{Ipv4Packet, TCP},
};

/// Lowers the option of a SYN, if its header is all there.
pub(crate) fn clamp(packet: &mut Ipv4Packet, limit: Option<u16>) {
    let Some(limit) = limit else { return };
    let segment = &mut packet.payload;
    if packet.protocol != TCP || packet.offset > 0 || segment.len() < 20 || segment[13] & 2 == 0 {
        return;
    }
    let header = usize::from(segment[12] >> 4) * 4;
    if header > segment.len() {
        return;
    }
    let Some(at) = option(&segment[..header]) else { return };
    if be16(segment, at) <= limit {
        return;
    }
    // The checksum may be wrong, and stays as wrong as it was (RFC 1624): the two bytes are taken out and put in at
    // their place in the words.
    let word = |value: u16| if at % 2 == 0 { value } else { value.swap_bytes() };
    let (before, old) = (be16(segment, 16), be16(segment, at));
    let words = [!before, !word(old), word(limit)];
    let after = !sum(&words.map(u16::to_be_bytes).concat());
    segment[at..at + 2].copy_from_slice(&limit.to_be_bytes());
    segment[16..18].copy_from_slice(&after.to_be_bytes());
}

/// Where the value of the option stands.
fn option(header: &[u8]) -> Option<usize> {
    let mut at = 20;
    while at < header.len() && header[at] != 0 {
        if header[at] == 1 {
            at += 1;
            continue;
        }
        let length = usize::from(*header.get(at + 1)?);
        if length < 2 {
            return None;
        }
        if header[at] == 2 && length == 4 && at + 4 <= header.len() {
            return Some(at + 2);
        }
        at += length;
    }
    None
}
