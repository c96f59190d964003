//! From a CE to a CE: out of one tunnel and into another, once per packet.

use crate::{
    Direction, DropReason, Packet, Verdict,
    engine::Visit,
    fragments::{self, Fragment, Stage, Step},
    icmp::{self, Back},
    tables::Found,
    to_ce::{
        choose_ce::choose_ce,
        encapsulate::{Crossing, encapsulate},
        find_port::{Flow, Side, find_port},
    },
    wire::Ipv4,
};

/// A packet whose source is proven, on its way to another CE.
pub(crate) struct Turning<'t> {
    /// The domain of the CE that sent it.
    pub(crate) from: u32,
    /// Who answers for its destination.
    pub(crate) found: Found<'t>,
    /// The TOS byte that leaves.
    pub(crate) tos: u8,
    /// The way back to the CE that sent it.
    pub(crate) back: Back,
    /// The outer source and destination that it came with.
    pub(crate) tunnel: [[u64; 2]; 2],
    /// How many bytes of outer headers stood before it.
    pub(crate) at: usize,
}

/// Sends the IPv4 packet that `packet` now is to the CE of its destination. What fails is counted from the CE, for its
/// domain; what succeeds is counted both ways: from the one CE, to the other.
#[cold]
pub(crate) fn hairpin(visit: &mut Visit<'_>, packet: &mut Packet<'_>, inner: &Ipv4, turning: &Turning<'_>) -> Verdict {
    let from = turning.from;
    match turn(visit, packet, inner, turning) {
        Ok(to) => {
            visit.count_forwarded(to, Direction::ToCe);
            visit.forwarded(from, Direction::FromCe)
        }
        Err(step) => {
            let reply = icmp::tell(visit, packet, inner, from, turning.back, step);
            visit.stopped(from, Direction::FromCe, step, reply)
        }
    }
}

/// All the way into the other tunnel; the domain of the CE at its end. The TTL is taken here even where the kernel
/// forwards: it sees only the outer headers.
fn turn(visit: &mut Visit<'_>, packet: &mut Packet<'_>, inner: &Ipv4, turning: &Turning<'_>) -> Result<u32, Step> {
    let from = visit.domain(turning.from);
    if !from.hairpin {
        return Err(DropReason::HairpinDisabled.into());
    }
    if inner.ttl <= 1 {
        return Err(DropReason::TtlExpired.into());
    }
    let flow = match inner.is_fragment() {
        true => fragment_flow(visit, packet, inner, turning)?,
        false => {
            let payload = packet.bytes().get(inner.header..inner.total).unwrap_or_default();
            find_port(inner, payload, Side::Destination)
        }
    };
    let (rule, ce) = choose_ce(&visit.snapshot.tables, turning.found, inner.destination, &flow)?;
    let to = visit.domain(rule.domain);
    if !to.hairpin {
        return Err(DropReason::HairpinDisabled.into());
    }
    let mss_limit = from.mss_limit.into_iter().chain(to.mss_limit).min();
    let crossing = Crossing { ce, ports: flow.ports, mss_limit, tos: turning.tos, take_ttl: true };
    encapsulate(visit, packet, inner, to, &crossing)?;
    Ok(rule.domain)
}

/// The flow of a fragment, which the domain of its sender keeps meanwhile.
fn fragment_flow(
    visit: &mut Visit<'_>,
    packet: &Packet<'_>,
    inner: &Ipv4,
    turning: &Turning<'_>,
) -> Result<Flow, Step> {
    let fragment = Fragment {
        stage: Stage::Hairpin { from: turning.from },
        inner,
        original: packet.with_stripped(turning.at),
        at: turning.at,
        tunnel: turning.tunnel,
        tos: Some(turning.tos),
    };
    fragments::place(visit, turning.found, &fragment)
}
