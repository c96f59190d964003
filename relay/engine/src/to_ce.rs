//! IPv4 in, IPv6 out: from the Internet to a CE.

use mape::options::ReassemblyV4;

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
use find_port::{Flow, Side, find_port};

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
        Err(Step::Drop(reason)) => refuse(visit, packet, &inner, found, reason),
        Err(step) => {
            let domain = domain_of(&visit.snapshot.tables, found, || None);
            visit.waits(domain, Direction::ToCe, step)
        }
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
        fragment_flow(visit, packet.bytes(), inner, found)?
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

/// The flow of a fragment, where it takes a port to find its CE.
#[cold]
fn fragment_flow(visit: &mut Visit<'_>, packet: &[u8], inner: &Ipv4, found: Found<'_>) -> Result<Flow, Step> {
    if !found.needs_port() {
        return Ok(Flow::NONE);
    }
    let index = domain_of(&visit.snapshot.tables, found, || None);
    let domain = visit.domain(index);
    let mtu = Some(domain.payload_mtu);
    let tunnel = [[0; 2]; 2];
    let fragment = Fragment { stage: Stage::ToCe, inner, original: packet, at: 0, tunnel, tos: Some(inner.tos), mtu };
    fragments::place(visit, index, domain.reassembly_v4, &fragment)
}

/// Counts a packet that goes no further, and tells its sender where that helps.
#[cold]
fn refuse(visit: &Visit<'_>, packet: &mut Packet<'_>, inner: &Ipv4, found: Found<'_>, reason: DropReason) -> Verdict {
    let port = || {
        let payload = packet.bytes().get(inner.header..inner.total).unwrap_or_default();
        let is_known = !inner.is_later_fragment();
        is_known.then(|| find_port(inner, payload, Side::Destination).port)?
    };
    let domain = domain_of(&visit.snapshot.tables, found, port);
    let reply = match reason {
        DropReason::TtlExpired => icmp::time_exceeded(visit, packet, inner, domain, Back::Internet),
        DropReason::TooBig => {
            let mtu = mtu_of(visit, inner, found, domain);
            icmp::too_big(visit, packet, inner, domain, Back::Internet, mtu)
        }
        _ => false,
    };
    visit.dropped(Some(domain), Direction::ToCe, reason, reply)
}

/// What would have fitted: a fragment that was to be joined was measured by the domain that joins it.
fn mtu_of(visit: &Visit<'_>, inner: &Ipv4, found: Found<'_>, domain: u32) -> usize {
    let first = visit.domain(domain_of(&visit.snapshot.tables, found, || None));
    let was_joining = inner.is_fragment() && found.needs_port() && first.reassembly_v4 == ReassemblyV4::Full;
    if was_joining { first.payload_mtu } else { visit.domain(domain).payload_mtu }
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
