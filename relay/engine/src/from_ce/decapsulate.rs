//! The outer header, and the extension headers that may stand between it and the inner packet (RFC 8200 §4).

use crate::{
    DropReason, Snapshot,
    wire::{FRAGMENT_HEADER, IPV6_HEADER, be16, be64, protocol},
};

/// What the outer header says, once it is known to be whole and for the relay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outer {
    /// The sender: a CE, or who claims to be one.
    pub(crate) source: [u64; 2],
    /// The BR address that it was sent to.
    pub(crate) relay: [u64; 2],
    pub(crate) traffic_class: u8,
    /// The oldest domain with that BR address.
    pub(crate) domain: u32,
    /// What the packet carries.
    pub(crate) next_header: u8,
    /// Where that begins.
    pub(crate) at: usize,
    /// Where it ends; link padding lies behind.
    pub(crate) end: usize,
}

/// Why a packet never came to its payload.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stopped {
    /// Its destination is no BR address.
    NotForRelay,
    /// The domain it is counted for, and why.
    Drop(Option<u32>, DropReason),
    /// A fragment: its Fragment header is where `outer` ends, announced by the byte at `named`.
    Fragment { outer: Outer, named: usize },
    /// An option that must be reported: where it stands, and whether the packet is itself an error, so that it must not.
    BadOption { outer: Outer, pointer: u32, silent: bool },
}

#[inline(always)]
pub(crate) fn decapsulate(snapshot: &Snapshot, packet: &[u8]) -> Result<Outer, Stopped> {
    let Some(fixed) = packet.first_chunk::<IPV6_HEADER>() else {
        return Err(Stopped::Drop(None, DropReason::Truncated));
    };
    let relay = [be64(fixed, 24), be64(fixed, 32)];
    let Some(domain) = snapshot.relay(relay) else { return Err(Stopped::NotForRelay) };
    let end = IPV6_HEADER + usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    if end > packet.len() {
        return Err(Stopped::Drop(Some(domain), DropReason::Truncated));
    }
    let outer = Outer {
        source: [be64(fixed, 8), be64(fixed, 16)],
        relay,
        traffic_class: fixed[0] << 4 | fixed[1] >> 4,
        domain,
        next_header: fixed[6],
        at: IPV6_HEADER,
        end,
    };
    if fixed[6] == protocol::IPV4 { Ok(outer) } else { walk(&packet[..end], outer) }
}

/// Walks the extension headers.
#[cold]
fn walk(packet: &[u8], mut outer: Outer) -> Result<Outer, Stopped> {
    let mut bad_option = None;
    let mut named = NEXT_HEADER;
    loop {
        let header = packet.get(outer.at..).unwrap_or_default();
        let skipped = match outer.next_header {
            protocol::HOP_BY_HOP if outer.at == IPV6_HEADER => skip_options(header, outer.at, &mut bad_option),
            protocol::DESTINATION_OPTIONS => skip_options(header, outer.at, &mut bad_option),
            protocol::HOP_BY_HOP => Err(DropReason::UnsupportedHeader),
            protocol::ROUTING => skip_routing(header),
            // As of any other header, before the options in front of it are judged.
            protocol::FRAGMENT if header.len() < FRAGMENT_HEADER => Err(DropReason::Truncated),
            protocol::FRAGMENT if !is_atomic(header) => {
                return Err(match bad_option {
                    None => Stopped::Fragment { outer, named },
                    Some(_) => refused(packet, outer, bad_option),
                });
            }
            protocol::FRAGMENT => Ok(FRAGMENT_HEADER),
            _ => break,
        };
        let length = skipped.map_err(|reason| Stopped::Drop(Some(outer.domain), reason))?;
        named = outer.at;
        outer.next_header = header[0];
        outer.at += length;
    }
    if bad_option.is_none() { Ok(outer) } else { Err(refused(packet, outer, bad_option)) }
}

/// The place of the next header in an IPv6 header.
const NEXT_HEADER: usize = 6;

/// The end of a packet with an option that must not be skipped, which is reported if it has a place. Nothing is said about
/// ICMPv6 errors and later fragments.
fn refused(packet: &[u8], outer: Outer, bad_option: Option<Option<u32>>) -> Stopped {
    let Some(pointer) = bad_option.flatten() else {
        return Stopped::Drop(Some(outer.domain), DropReason::UnsupportedHeader);
    };
    let rest = packet.get(outer.at..).unwrap_or_default();
    let (carried, payload) = match outer.next_header {
        protocol::FRAGMENT => (rest.first().copied(), rest.get(FRAGMENT_HEADER..)),
        next_header => (Some(next_header), Some(rest)),
    };
    let kind = payload.and_then(<[u8]>::first);
    let is_error = carried == Some(protocol::ICMPV6) && kind.is_none_or(|kind| *kind < 128);
    let is_later = outer.next_header == protocol::FRAGMENT && be16(rest, 2).is_none_or(|place| place & 0xfff8 != 0);
    Stopped::BadOption { outer, pointer, silent: is_error || is_later }
}

/// The length of an options header whose options may all be skipped. One that may not is noted in `bad_option`, with
/// its place if it must be reported, by the two high bits of its type (RFC 8200 §4.2); only the first counts.
fn skip_options(header: &[u8], at: usize, bad_option: &mut Option<Option<u32>>) -> Result<usize, DropReason> {
    let length = length(header)?;
    let mut place = 2;
    while place < length {
        let kind = header[place];
        if kind == PAD1 {
            place += 1;
            continue;
        }
        let size = if place + 1 < length { usize::from(header[place + 1]) } else { length };
        let after = place + 2 + size;
        if after > length {
            return Err(DropReason::BadHeader);
        }
        let pointer = (at + place) as u32;
        match kind >> 6 {
            SKIP => {}
            DISCARD => _ = bad_option.get_or_insert(None),
            _ => _ = bad_option.get_or_insert(Some(pointer)),
        }
        place = after;
    }
    Ok(length)
}

const PAD1: u8 = 0;

/// The two high bits of an option that is skipped when it is not known. A Tunnel Encapsulation Limit (4) is, too, whatever
/// its value: no further tunnel is entered here (RFC 2473 §4.1.1).
const SKIP: u8 = 0;

/// The two high bits of an option for which the packet is dropped without a word.
const DISCARD: u8 = 1;

/// A Routing header at its last segment has nothing left to say (RFC 8200 §4.4).
fn skip_routing(header: &[u8]) -> Result<usize, DropReason> {
    let length = length(header)?;
    if header[3] == 0 { Ok(length) } else { Err(DropReason::UnsupportedHeader) }
}

/// A fragment that is the whole packet is none (RFC 6946).
fn is_atomic(header: &[u8]) -> bool {
    be16(header, 2).is_some_and(|place| place & 0xfff9 == 0)
}

fn length(header: &[u8]) -> Result<usize, DropReason> {
    let length = header.get(1).map(|units| (usize::from(*units) + 1) * 8);
    length.filter(|length| *length <= header.len()).ok_or(DropReason::Truncated)
}
