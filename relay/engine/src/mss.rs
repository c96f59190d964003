//! TCP's maximum segment size on SYNs, lowered to what fits the tunnel; never raised, never added (RFC 9293 §3.7.1).

use crate::wire::{Ipv4, be16, updated};

const SYN: u8 = 0x02;
const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const MAXIMUM_SEGMENT_SIZE: u8 = 2;

/// Lowers the option in the TCP packet `packet`, if it is a SYN that has one above `limit`.
#[inline(always)]
pub(crate) fn clamp(packet: &mut [u8], inner: &Ipv4, limit: Option<u16>) {
    let Some(limit) = limit.filter(|_| !inner.is_later_fragment()) else { return };
    let Some(segment) = packet.get_mut(inner.header..inner.total) else { return };
    if segment.get(13).is_some_and(|flags| flags & SYN != 0) {
        clamp_syn(segment, limit);
    }
}

#[cold]
fn clamp_syn(segment: &mut [u8], limit: u16) {
    let header = usize::from(segment.get(12).map_or(0, |byte| byte >> 4)) * 4;
    let Some(at) = find(segment.get(..header).unwrap_or_default()) else { return };
    let (Some(size), Some(checksum)) = (be16(segment, at), be16(segment, 16)) else { return };
    if size <= limit {
        return;
    }
    segment[at..at + 2].copy_from_slice(&limit.to_be_bytes());
    // At an odd place the option's bytes belong to the other halves of the checksummed words.
    let word = |value: u16| if at % 2 == 0 { value } else { value.swap_bytes() };
    let checksum = updated(checksum, word(size), word(limit));
    segment[16..18].copy_from_slice(&checksum.to_be_bytes());
}

/// The place of the option's value.
fn find(header: &[u8]) -> Option<usize> {
    let mut at = 20;
    loop {
        match *header.get(at)? {
            END => return None,
            NO_OPERATION => at += 1,
            kind => {
                let length = usize::from(*header.get(at + 1)?);
                if kind == MAXIMUM_SEGMENT_SIZE && length == 4 && at + 4 <= header.len() {
                    return Some(at + 2);
                }
                at += if length < 2 { return None } else { length };
            }
        }
    }
}
