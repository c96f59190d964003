//! IPv6 extension headers (RFC 8200 section 4).

use crate::{
    bits::be16,
    ipv6::{DESTINATION_OPTIONS, FRAGMENT, HOP_BY_HOP, ICMPV6, ROUTING},
};

/// What stands behind the headers that can be skipped: a payload, or a fragment header that matters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walked {
    pub(crate) next_header: u8,
    pub(crate) at: usize,
    /// The byte that names `next_header`.
    pub(crate) named_at: usize,
    pub(crate) bad_option: Option<BadOption>,
}

/// The first option that must not be skipped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BadOption {
    pub(crate) at: usize,
    pub(crate) is_reported: bool,
}

/// Walks the headers of a packet that has a fixed one.
pub(crate) fn walk(packet: &[u8]) -> Result<Walked, &'static str> {
    let mut walked = Walked { next_header: packet[6], at: 40, named_at: 6, bad_option: None };
    loop {
        let header = &packet[walked.at..];
        let length = match walked.next_header {
            HOP_BY_HOP if walked.at > 40 => return Err("UnsupportedHeader"),
            HOP_BY_HOP | DESTINATION_OPTIONS => {
                let length = length(header)?;
                let found = bad_option(&header[..length], walked.at)?;
                walked.bad_option = walked.bad_option.or(found);
                length
            }
            ROUTING => match (length(header)?, header[3]) {
                (length, 0) => length,
                _ => return Err("UnsupportedHeader"),
            },
            FRAGMENT if header.len() < 8 => return Err("Truncated"),
            FRAGMENT if be16(header, 2) & 0xfff9 == 0 => 8,
            _ => return Ok(walked),
        };
        walked.next_header = header[0];
        walked.named_at = walked.at;
        walked.at += length;
    }
}

fn length(header: &[u8]) -> Result<usize, &'static str> {
    let length = header.get(1).map(|units| (usize::from(*units) + 1) * 8);
    length.filter(|length| *length <= header.len()).ok_or("Truncated")
}

/// The first option that must not be skipped, in a header that stands at `start`.
fn bad_option(header: &[u8], start: usize) -> Result<Option<BadOption>, &'static str> {
    let mut found = None;
    let mut at = 2;
    while at < header.len() {
        let kind = header[at];
        if kind == 0 {
            at += 1;
            continue;
        }
        let end = at + 2 + usize::from(*header.get(at + 1).ok_or("BadHeader")?);
        if end > header.len() {
            return Err("BadHeader");
        }
        if kind & 0xc0 != 0 {
            found = found.or(Some(BadOption { at: start + at, is_reported: kind & 0x80 != 0 }));
        }
        at = end;
    }
    Ok(found)
}

/// Whether this is an ICMPv6 error, or an ICMPv6 message without a type.
pub(crate) fn is_icmp_error(next_header: u8, message: &[u8]) -> bool {
    next_header == ICMPV6 && message.first().is_none_or(|kind| *kind < 128)
}
