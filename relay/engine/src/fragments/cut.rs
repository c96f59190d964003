//! Cutting packets that do not fit the tunnel: before encapsulation (RFC 791 §3.2), or after (RFC 8200 §4.5).

use std::hash::{DefaultHasher, Hasher};

use mape::options::Fragmentation;

use crate::{
    DropReason, Packet,
    engine::Visit,
    from_ce::decapsulate::Outer,
    snapshot::DomainEntry,
    wire::{
        FRAGMENT_HEADER, FRAGMENT_OFFSET, IPV4_HEADER, IPV6_HEADER, Ipv4, LARGEST, MORE_FRAGMENTS, first_word,
        ipv6_header, protocol, seal,
    },
};

/// Cuts the IPv4 packet that `packet` is: the first piece stays in its buffer, the others become extras, all
/// encapsulated towards `ce`. `word` is the first of the outer header.
#[cold]
pub(crate) fn cut(
    visit: &mut Visit<'_>,
    packet: &mut Packet<'_>,
    inner: &Ipv4,
    how: Fragmentation,
    domain: &DomainEntry,
    ce: [u64; 2],
    word: u32,
) -> Result<(), DropReason> {
    let header = |payload: usize, next: u8| ipv6_header(word, payload, next, domain.br_address, ce);
    match how {
        Fragmentation::Inner => cut_inner(visit, packet, inner, domain.payload_mtu, header),
        Fragmentation::Outer => cut_outer(visit, packet, domain, protocol::IPV4, header),
    }
}

/// Cuts the ICMPv6 message of the relay's own that `packet` is, `outer` being its header.
#[cold]
pub(crate) fn cut_own(
    visit: &mut Visit<'_>,
    packet: &mut Packet<'_>,
    domain: &DomainEntry,
    outer: &Outer,
) -> Result<(), DropReason> {
    let header = |payload: usize, next: u8| ipv6_header(first_word(0, 0), payload, next, outer.relay, outer.source);
    cut_outer(visit, packet, domain, protocol::ICMPV6, header)
}

fn cut_inner(
    visit: &mut Visit<'_>,
    packet: &mut Packet<'_>,
    inner: &Ipv4,
    mtu: usize,
    outer: impl Fn(usize, u8) -> [u8; IPV6_HEADER],
) -> Result<(), DropReason> {
    let bytes = packet.bytes();
    let (header, payload) = bytes.split_at_checked(inner.header).ok_or(DropReason::Truncated)?;
    // The offsets of its pieces would run over.
    if inner.offset() + inner.total > LARGEST {
        return Err(DropReason::BadFragment);
    }
    let first = (mtu - inner.header) & !7;
    let mut later = Header::with_copied_options(header);
    let step = (mtu - later.length) & !7;
    let mut at = first;
    for piece in payload.get(first..).unwrap_or_default().chunks(step) {
        let more = at + piece.len() < payload.len();
        later.describe(inner.fragment, at, more, piece.len());
        let total = later.length + piece.len();
        visit.extras.push(visit.cause, &[&outer(total, protocol::IPV4), later.bytes(), piece]);
        at += piece.len();
    }
    let mut header = Header::of(header);
    header.describe(inner.fragment, 0, true, first);
    packet.truncate(inner.header + first);
    packet.bytes_mut()[..inner.header].copy_from_slice(header.bytes());
    let total = packet.bytes().len();
    *packet.prepend().ok_or(DropReason::Truncated)? = outer(total, protocol::IPV4);
    Ok(())
}

/// An IPv4 header with its options, on the stack.
struct Header {
    bytes: [u8; LONGEST_HEADER],
    length: usize,
}

/// Fifteen words (RFC 791 §3.1).
const LONGEST_HEADER: usize = 60;

impl Header {
    fn of(header: &[u8]) -> Self {
        let mut copy = Self { bytes: [0; LONGEST_HEADER], length: 0 };
        copy.append(header);
        copy
    }

    /// The header of later fragments: only the options whose copied flag is set (RFC 791 §3.1), padded to words.
    fn with_copied_options(header: &[u8]) -> Self {
        let (fixed, mut options) = header.split_at(IPV4_HEADER);
        let mut copy = Self::of(fixed);
        while let [kind, rest @ ..] = options {
            let length = match (kind, rest.first()) {
                (0, _) | (2.., None) => break,
                (1, _) => 1,
                (_, length) => length.map_or(2, |length| usize::from(*length).max(2)),
            };
            let Some((option, after)) = options.split_at_checked(length) else { break };
            if kind & 0x80 != 0 {
                copy.append(option);
            }
            options = after;
        }
        copy.length = copy.length.next_multiple_of(4);
        copy
    }

    fn append(&mut self, more: &[u8]) {
        self.bytes[self.length..self.length + more.len()].copy_from_slice(more);
        self.length += more.len();
    }

    /// Makes it that of the piece of `length` bytes that begins `at` bytes into a packet which may itself be a fragment.
    fn describe(&mut self, original: u16, at: usize, more: bool, length: usize) {
        let flags = original & !FRAGMENT_OFFSET | if more { MORE_FRAGMENTS } else { 0 };
        let offset = (original & FRAGMENT_OFFSET) + (at / 8) as u16;
        let total = (self.length + length) as u16;
        self.bytes[0] = 0x40 | (self.length / 4) as u8;
        self.bytes[2..4].copy_from_slice(&total.to_be_bytes());
        self.bytes[6..8].copy_from_slice(&(flags | offset).to_be_bytes());
        seal(&mut self.bytes[..self.length]);
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

fn cut_outer(
    visit: &mut Visit<'_>,
    packet: &mut Packet<'_>,
    domain: &DomainEntry,
    next_header: u8,
    outer: impl Fn(usize, u8) -> [u8; IPV6_HEADER],
) -> Result<(), DropReason> {
    let whole = domain.mtu();
    let step = (whole - IPV6_HEADER - FRAGMENT_HEADER) & !7;
    let identification = identification(visit);
    let length = packet.bytes().len();
    let fragment = |at: usize, piece: usize| {
        let more = u16::from(at + piece < length);
        let mut header = [next_header, 0, 0, 0, 0, 0, 0, 0];
        header[2..4].copy_from_slice(&(at as u16 | more).to_be_bytes());
        header[4..8].copy_from_slice(&identification.to_be_bytes());
        header
    };
    for (number, piece) in packet.bytes().chunks(step).enumerate().skip(1) {
        let outer = outer(FRAGMENT_HEADER + piece.len(), protocol::FRAGMENT);
        visit.extras.push(visit.cause, &[&outer, &fragment(number * step, piece.len()), piece]);
    }
    packet.truncate(step);
    *packet.prepend().ok_or(DropReason::Truncated)? = fragment(0, step);
    *packet.prepend().ok_or(DropReason::Truncated)? = outer(FRAGMENT_HEADER + step, protocol::FRAGMENT);
    Ok(())
}

/// An identification that nobody outside can predict (RFC 7739 §5.3): a keyed hash of a counter.
fn identification(visit: &mut Visit<'_>) -> u32 {
    *visit.cut = visit.cut.wrapping_add(1);
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(visit.options.secret);
    hasher.write_usize(visit.options.worker);
    hasher.write_u64(*visit.cut);
    hasher.finish() as u32
}
