//! ICMPv6 errors about our own tunnel packets, told to the sender of the inner packet as ICMPv4 (RFC 2473 §8.3). Believed only
//! if the packet they quote is one that the relay can have sent.

use std::ops::Range;

use super::{
    ICMP_HEADER, may_report,
    quote::Quote,
    v4::{EMBEDDED, LEAST_EXTENDED, TOS},
};
use crate::{
    Direction, DropReason, IcmpKind, Packet, Verdict,
    engine::Visit,
    flow,
    from_ce::decapsulate::Outer,
    to_ce::{
        choose_ce::choose_ce,
        find_port::{Side, find_port},
    },
    wire::{IPV4_HEADER, IPV6_HEADER, be32, checksum, first_word, ipv4_header, ipv6_header, protocol},
};

const PACKET_TOO_BIG: u8 = 2;

/// The least MTU of an IPv6 link (RFC 8200 §5).
const LEAST_MTU: u32 = 1280;

/// Judges the ICMPv6 error that `packet` carries.
#[cold]
pub(super) fn relay(visit: &Visit<'_>, packet: &mut Packet<'_>, outer: &Outer) -> Verdict {
    let dropped = |domain: u32, reason: DropReason| visit.dropped(Some(domain), Direction::FromCe, reason, false);
    let quote = match Quote::read(visit.snapshot, packet.bytes(), outer) {
        Ok(quote) => quote,
        Err((domain, reason)) => return dropped(domain, reason),
    };
    match tell(visit, packet, &quote) {
        Ok(()) => visit.answered(quote.domain),
        Err(reason) => dropped(quote.domain, reason),
    }
}

/// Turns the error into an ICMPv4 one on its way to the sender of the inner packet.
fn tell(visit: &Visit<'_>, packet: &mut Packet<'_>, quote: &Quote) -> Result<(), DropReason> {
    let said = meaning(packet.bytes(), quote)?;
    let tunnel = tunnel(visit, packet.bytes(), quote)?;
    let listener = tunnel.map_or([0, quote.inner.source.into()], |(_, ce)| ce);
    if !visit.may_say(quote.domain, IcmpKind::RelayedError, listener) {
        return Err(DropReason::RateLimited);
    }
    let mut message = Message::new(said);
    message.embed(packet.bytes(), quote);
    message.address(visit, quote);
    let length = message.bytes().len();
    // What goes was all in the packet, behind longer headers.
    packet.bytes_mut().get_mut(..length).ok_or(DropReason::Truncated)?.copy_from_slice(message.bytes());
    packet.truncate(length);
    let Some((domain, ce)) = tunnel else { return Ok(()) };
    let domain = visit.domain(domain);
    let word = first_word(domain.traffic_class(TOS), flow::label(quote.inner.addresses(), 0));
    let header = ipv6_header(word, length, protocol::IPV4, domain.br_address, ce);
    *packet.prepend::<IPV6_HEADER>().ok_or(DropReason::Truncated)? = header;
    Ok(())
}

/// ICMPv4's code of Destination Unreachable, and the MTU that goes with it; or that there is nothing to be said.
fn meaning(packet: &[u8], quote: &Quote) -> Result<(u8, u16), DropReason> {
    if !may_report(&packet[quote.packet.clone()], &quote.inner) {
        return Err(DropReason::IcmpNotRelayed);
    }
    let message = &packet[quote.message.clone()];
    if message[0] != PACKET_TOO_BIG {
        return Ok((HOST_UNREACHABLE, 0));
    }
    let mtu = be32(message, 4).unwrap_or(0).max(LEAST_MTU) as usize - IPV6_HEADER;
    if quote.inner.may_fragment() || quote.inner.total <= mtu {
        return Err(DropReason::IcmpNotRelayed);
    }
    Ok((FRAGMENTATION_NEEDED, mtu as u16))
}

const HOST_UNREACHABLE: u8 = 1;
const FRAGMENTATION_NEEDED: u8 = 4;

/// The domain and the address of the CE that sent the inner packet, if it was one.
fn tunnel(visit: &Visit<'_>, packet: &[u8], quote: &Quote) -> Result<Option<(u32, [u64; 2])>, DropReason> {
    let tables = &visit.snapshot.tables;
    let Some(found) = tables.find(quote.inner.source) else { return Ok(None) };
    let payload = packet[quote.packet.clone()].get(quote.inner.header..).unwrap_or_default();
    let flow = find_port(&quote.inner, payload, Side::Source);
    let (rule, ce) = choose_ce(tables, found, quote.inner.source, &flow)?;
    Ok(Some((rule.domain, ce)))
}

/// An ICMPv4 error of at most 576 bytes (RFC 1812 §4.3.2.3), IPv4 header included.
struct Message {
    bytes: [u8; LONGEST],
    length: usize,
}

const LONGEST: usize = 576;

const DESTINATION_UNREACHABLE: u8 = 3;

impl Message {
    fn new((code, mtu): (u8, u16)) -> Self {
        let mut message = Self { bytes: [0; LONGEST], length: IPV4_HEADER };
        let [high, low] = mtu.to_be_bytes();
        message.append(&[DESTINATION_UNREACHABLE, code, 0, 0, 0, 0, high, low]);
        message
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn append(&mut self, more: &[u8]) {
        self.bytes[self.length..self.length + more.len()].copy_from_slice(more);
        self.length += more.len();
    }

    /// Appends the inner packet, and the extensions in the form that ICMPv4 has for them (RFC 4884 §5.1).
    fn embed(&mut self, packet: &[u8], quote: &Quote) {
        let extensions = &packet[quote.extensions.clone()];
        let room = (EMBEDDED - extensions.len()) & !3;
        let inner: Range<usize> = quote.packet.start..quote.packet.end.min(quote.packet.start + room);
        self.append(&packet[inner]);
        if extensions.is_empty() {
            return;
        }
        let start = IPV4_HEADER + ICMP_HEADER;
        self.length = start + (self.length - start).next_multiple_of(4).max(LEAST_EXTENDED);
        self.bytes[IPV4_HEADER + 5] = ((self.length - start) / 4) as u8;
        self.append(extensions);
    }

    fn address(&mut self, visit: &Visit<'_>, quote: &Quote) {
        let sum = checksum(&self.bytes[IPV4_HEADER..self.length]);
        self.bytes[IPV4_HEADER + 2..IPV4_HEADER + 4].copy_from_slice(&sum.to_be_bytes());
        let source = visit.domain(quote.domain).ipv4_source;
        let header = ipv4_header(TOS, self.length, protocol::ICMP, source, quote.inner.source.into());
        self.bytes[..IPV4_HEADER].copy_from_slice(&header);
    }
}
