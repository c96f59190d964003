//! The anti-spoofing check of RFC 7597 §8.1, for every kind of rule: a source is accepted if and only if the way back
//! leads to it.

use crate::{
    DropReason, Snapshot,
    from_ce::decapsulate::Outer,
    tables::Found,
    to_ce::{
        choose_ce::choose_ce,
        domain_of,
        find_port::{Flow, Side, find_port},
    },
    wire::Ipv4,
};

/// Why it is nobody's, and the domain that it is counted for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Denied {
    pub(crate) domain: u32,
    pub(crate) reason: DropReason,
}

/// Computes the CE's address from the inner source and compares; `packet` begins with the inner header. Returns whose
/// packet it is: the domain.
#[inline(always)]
pub(crate) fn check_source(snapshot: &Snapshot, outer: &Outer, inner: &Ipv4, packet: &[u8]) -> Result<u32, Denied> {
    let Some(found) = snapshot.tables.find(inner.source) else {
        return Err(Denied { domain: outer.domain, reason: DropReason::NoRule });
    };
    let payload = packet.get(inner.header..inner.total).unwrap_or_default();
    let flow = find_port(inner, payload, Side::Source);
    compare(snapshot, outer, inner, found, flow).map_err(|reason| denied(snapshot, outer, found, flow, reason))
}

#[inline(always)]
fn compare(snapshot: &Snapshot, outer: &Outer, inner: &Ipv4, found: Found<'_>, flow: Flow) -> Result<u32, DropReason> {
    if inner.is_fragment() {
        return Err(DropReason::FragmentsDisabled);
    }
    let (rule, ce) = choose_ce(&snapshot.tables, found, inner.source, flow.port).map_err(|reason| match reason {
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
fn denied(snapshot: &Snapshot, outer: &Outer, found: Found<'_>, flow: Flow, reason: DropReason) -> Denied {
    let claimed = domain_of(&snapshot.tables, found, || flow.port);
    let is_its_relay = snapshot.domains[claimed as usize].br_address == outer.relay;
    Denied { domain: if is_its_relay { claimed } else { outer.domain }, reason }
}
