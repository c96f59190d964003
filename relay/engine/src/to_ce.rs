//! IPv4 in, IPv6 out: from the Internet to a CE.

use crate::{
    Direction, DropReason, Packet, Verdict,
    engine::Visit,
    fragments::{self, Fragment, Stage, Step},
    icmp::{self, Back},
    tables::{Found, Tables},
    wire::Ipv4,
};

pub(crate) mod choose_ce;
pub(crate) mod encapsulate;
mod express;
pub(crate) mod find_port;
pub(crate) mod fit_mtu;

use choose_ce::choose_ce;
use encapsulate::{Crossing, encapsulate};
pub(crate) use express::express;
use find_port::{Side, find_port};

/// The way of any packet.
pub(crate) fn full(visit: &mut Visit<'_>, packet: &mut Packet<'_>) -> Verdict {
    // In the kernel's hands the checksum has been verified already.
    let parsed = Ipv4::parse(packet.bytes(), visit.engine_takes_ttl()).and_then(Ipv4::with_sound_addresses);
    let inner = match parsed {
        Ok(inner) => inner,
        Err(reason) => return visit.dropped(None, Direction::ToCe, reason, false),
    };
    let Some(found) = visit.snapshot.tables.find(inner.destination) else {
        return visit.punted(None, Direction::ToCe, DropReason::NoRule);
    };
    match deliver(visit, packet, &inner, found) {
        Ok(domain) => visit.forwarded(domain, Direction::ToCe),
        Err(step) => stop(visit, packet, &inner, found, step),
    }
}

/// All the way to the tunnel packet; the domain that it was for.
#[inline(always)]
fn deliver(visit: &mut Visit<'_>, packet: &mut Packet<'_>, inner: &Ipv4, found: Found<'_>) -> Result<u32, Step> {
    if visit.engine_takes_ttl() && inner.ttl <= 1 {
        return Err(DropReason::TtlExpired.into());
    }
    packet.truncate(inner.total);
    let flow = if inner.is_fragment() {
        let (original, tunnel) = (packet.bytes(), [[0; 2]; 2]);
        let fragment = Fragment { stage: Stage::ToCe, inner, original, at: 0, tunnel, tos: Some(inner.tos) };
        fragments::place(visit, found, &fragment)?
    } else {
        find_port(inner, packet.bytes().get(inner.header..).unwrap_or_default(), Side::Destination)
    };
    let (rule, ce) = choose_ce(&visit.snapshot.tables, found, inner.destination, &flow)?;
    let domain = visit.domain(rule.domain);
    let crossing = Crossing {
        ce,
        ports: flow.ports,
        mss_limit: domain.mss_limit,
        tos: inner.tos,
        take_ttl: visit.engine_takes_ttl(),
    };
    encapsulate(visit, packet, inner, domain, &crossing)?;
    Ok(rule.domain)
}

/// Counts a packet that does not go on, and tells its sender where that helps.
#[cold]
fn stop(visit: &Visit<'_>, packet: &mut Packet<'_>, inner: &Ipv4, found: Found<'_>, step: Step) -> Verdict {
    let port = || {
        let payload = packet.bytes().get(inner.header..inner.total).unwrap_or_default();
        let is_known = !inner.is_later_fragment() && step.reason().is_some();
        is_known.then(|| find_port(inner, payload, Side::Destination).port)?
    };
    let domain = domain_of(&visit.snapshot.tables, found, port);
    let reply = icmp::tell(visit, packet, inner, domain, Back::Internet, step);
    visit.stopped(domain, Direction::ToCe, step, reply)
}

/// The domain that a packet to an address is counted for: its CE's, or that of the first of those who share it.
pub(crate) fn domain_of(tables: &Tables, found: Found<'_>, port: impl FnOnce() -> Option<u16>) -> u32 {
    match found {
        Found::Rule(rule) => rule.domain,
        Found::Group(group) => {
            let owned = port().filter(|port| *port >= group.reserved_below);
            let bound = owned.and_then(|port| tables.bound(group, port));
            bound.or_else(|| tables.first_bound(group)).map_or(0, |rule| rule.domain)
        }
    }
}
