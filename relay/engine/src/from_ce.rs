//! IPv6 in, IPv4 out: from a CE to the Internet, or by a hairpin to another CE.

use crate::{
    Direction, DropReason, Packet, Verdict,
    engine::Visit,
    fragments::{self, Step},
    hairpin::{Turning, hairpin},
    icmp::{self, Back},
    wire::{Ipv4, protocol},
};

mod check_source;
pub(crate) mod decapsulate;
mod express;
mod forward;

use check_source::{Denied, check_source};
use decapsulate::{Outer, Stopped, decapsulate};
pub(crate) use express::express;
use forward::{combine, forward};

/// The way of any packet.
pub(crate) fn full(visit: &mut Visit<'_>, packet: &mut Packet<'_>) -> Verdict {
    let outer = match decapsulate(visit.snapshot, packet.bytes()) {
        Ok(outer) => outer,
        Err(stopped) => return stop(visit, packet, stopped),
    };
    if outer.next_header != protocol::IPV4 {
        return not_a_tunnel_packet(visit, packet, &outer);
    }
    let payload = packet.bytes().get(outer.at..outer.end).unwrap_or_default();
    let inner = match Ipv4::parse(payload, true).and_then(Ipv4::with_sound_addresses) {
        Ok(inner) => inner,
        Err(reason) => return visit.dropped(Some(outer.domain), Direction::FromCe, reason, false),
    };
    match check_source(visit, packet.bytes(), &outer, &inner) {
        Ok(domain) => pass(visit, packet, &outer, &inner, domain),
        Err(denied) => deny(visit, packet, &outer, &inner, denied),
    }
}

/// The way on for a packet whose source is proven.
#[inline(always)]
fn pass(visit: &mut Visit<'_>, packet: &mut Packet<'_>, outer: &Outer, inner: &Ipv4, domain: u32) -> Verdict {
    packet.truncate(outer.at + inner.total);
    packet.strip(outer.at);
    let Some(tos) = combine(visit.domain(domain).dscp_from_ce, outer.traffic_class, inner.tos) else {
        return visit.dropped(Some(domain), Direction::FromCe, DropReason::BadEcn, false);
    };
    let back = Back::Tunnel { relay: outer.relay, ce: outer.source };
    if let Some(found) = visit.snapshot.tables.find(inner.destination) {
        let turning = Turning { from: domain, found, tos, back, tunnel: [outer.source, outer.relay], at: outer.at };
        return hairpin(visit, packet, inner, &turning);
    }
    if visit.engine_takes_ttl() && inner.ttl <= 1 {
        let step = DropReason::TtlExpired.into();
        let reply = icmp::tell(visit, packet, inner, domain, back, step);
        return visit.stopped(domain, Direction::FromCe, step, reply);
    }
    forward(visit, packet, inner, domain, tos)
}

/// Counts a packet that is not from where it claims, and tells whoever sent it, if that helps: silent drops are what
/// operators of such relays suffer from most. RFC 7597 §8.1 would have it dropped without a word.
#[cold]
fn deny(visit: &Visit<'_>, packet: &mut Packet<'_>, outer: &Outer, inner: &Ipv4, denied: Denied) -> Verdict {
    use DropReason::{NoPort, NoRule, ReservedPort, SpoofedSource};
    let Denied { domain, step } = denied;
    let is_about_source = matches!(step.reason(), Some(NoRule | NoPort | ReservedPort | SpoofedSource));
    let tells = is_about_source && visit.domain(domain).answer_source_check;
    let payload = packet.bytes().get(outer.at..outer.end).unwrap_or_default();
    let reply = tells && icmp::may_report(payload, inner) && icmp::source_failed(visit, packet, outer, domain);
    visit.stopped(domain, Direction::FromCe, step, reply)
}

#[cold]
fn not_a_tunnel_packet(visit: &mut Visit<'_>, packet: &mut Packet<'_>, outer: &Outer) -> Verdict {
    if outer.next_header == protocol::ICMPV6 {
        return icmp::to_relay(visit, packet, outer);
    }
    visit.dropped(Some(outer.domain), Direction::FromCe, DropReason::UnsupportedProtocol, false)
}

#[cold]
fn stop(visit: &mut Visit<'_>, packet: &mut Packet<'_>, stopped: Stopped) -> Verdict {
    match stopped {
        Stopped::NotForRelay => visit.punted(None, Direction::FromCe, DropReason::NotForRelay),
        Stopped::Drop(domain, reason) => visit.dropped(domain, Direction::FromCe, reason, false),
        Stopped::Fragment { outer, named } => join(visit, packet, &outer, named),
        Stopped::BadOption { outer, pointer, silent } => {
            let reply = !silent && icmp::bad_option(visit, packet, &outer, pointer);
            visit.dropped(Some(outer.domain), Direction::FromCe, DropReason::UnsupportedHeader, reply)
        }
    }
}

#[cold]
fn join(visit: &mut Visit<'_>, packet: &mut Packet<'_>, outer: &Outer, named: usize) -> Verdict {
    match fragments::join_outer(visit, packet.bytes(), outer, named) {
        Ok(true) => visit.stopped(outer.domain, Direction::FromCe, Step::Joined, false),
        Ok(false) => visit.stopped(outer.domain, Direction::FromCe, Step::Held, false),
        Err(refused) => {
            let reply = refused.pointer.is_some_and(|pointer| icmp::bad_field(visit, packet, outer, pointer));
            visit.dropped(Some(outer.domain), Direction::FromCe, refused.reason, reply)
        }
    }
}
