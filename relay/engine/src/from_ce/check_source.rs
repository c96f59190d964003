//! The anti-spoofing check of RFC 7597 §8.1, for every kind of rule: a source is accepted if and only if the way back
//! leads to it.

use crate::{
    DropReason, Snapshot,
    engine::Visit,
    fragments::{self, Fragment, Stage, Step},
    from_ce::{decapsulate::Outer, forward::combine},
    tables::Found,
    to_ce::{
        choose_ce::choose_ce,
        domain_of,
        find_port::{Flow, Side, find_port},
    },
    wire::Ipv4,
};

/// Why it does not go on as somebody's, and the domain that it is counted for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Denied {
    pub(crate) domain: u32,
    pub(crate) step: Step,
}

/// Computes the CE's address from the inner source and compares; `packet` is the whole tunnel packet. Returns whose packet
/// it is: the domain.
#[inline(always)]
pub(crate) fn check_source(visit: &mut Visit<'_>, packet: &[u8], outer: &Outer, inner: &Ipv4) -> Result<u32, Denied> {
    let Some(found) = visit.snapshot.tables.find(inner.source) else {
        return Err(Denied { domain: outer.domain, step: DropReason::NoRule.into() });
    };
    let payload = packet.get(outer.at + inner.header..outer.at + inner.total).unwrap_or_default();
    let flow = match inner.is_fragment() {
        false => find_port(inner, payload, Side::Source),
        true => fragment_flow(visit, packet, outer, inner, found)
            .map_err(|step| denied(visit.snapshot, outer, found, None, step))?,
    };
    let compared = compare(visit.snapshot, outer, inner, found, &flow);
    compared.map_err(|reason| denied(visit.snapshot, outer, found, flow.port, reason.into()))
}

/// The flow of a fragment, where it takes a port to find its CE. Each fragment is compared with its own outer source.
#[cold]
fn fragment_flow(
    visit: &mut Visit<'_>,
    packet: &[u8],
    outer: &Outer,
    inner: &Ipv4,
    found: Found<'_>,
) -> Result<Flow, Step> {
    let claimed = visit.domain(domain_of(&visit.snapshot.tables, found, || None));
    let fragment = Fragment {
        stage: Stage::FromCe,
        inner,
        original: packet.get(..outer.at + inner.total).unwrap_or_default(),
        at: outer.at,
        tunnel: [outer.source, outer.relay],
        tos: combine(claimed.dscp_from_ce, outer.traffic_class, inner.tos),
    };
    fragments::place(visit, found, &fragment)
}

#[inline(always)]
fn compare(snapshot: &Snapshot, outer: &Outer, inner: &Ipv4, found: Found<'_>, flow: &Flow) -> Result<u32, DropReason> {
    let (rule, ce) = choose_ce(&snapshot.tables, found, inner.source, flow).map_err(|reason| match reason {
        DropReason::NoPort if flow.foreign => DropReason::SpoofedSource,
        reason => reason,
    })?;
    let domain = &snapshot.domains[rule.domain as usize];
    let is_ce = if domain.strict { ce == outer.source } else { lives_with(snapshot, outer, ce, rule.end_user_length) };
    if is_ce && domain.br_address == outer.relay { Ok(rule.domain) } else { Err(DropReason::SpoofedSource) }
}

/// Whether the sender has the CE's End-user prefix. A BR address may have it too, though it is never a CE's whole address.
fn lives_with(snapshot: &Snapshot, outer: &Outer, ce: [u64; 2], end_user_length: u8) -> bool {
    let differing = u128::from(ce[0] ^ outer.source[0]) << 64 | u128::from(ce[1] ^ outer.source[1]);
    differing & mape::address::leading_ones(end_user_length) == 0 && snapshot.relay(outer.source).is_none()
}

/// Counted for the rule's domain where the packet went to its BR address, else for the one that it did go to.
#[cold]
fn denied(snapshot: &Snapshot, outer: &Outer, found: Found<'_>, port: Option<u16>, step: Step) -> Denied {
    let claimed = domain_of(&snapshot.tables, found, || port);
    let is_its_relay = snapshot.domains[claimed as usize].br_address == outer.relay;
    Denied { domain: if is_its_relay { claimed } else { outer.domain }, step }
}
