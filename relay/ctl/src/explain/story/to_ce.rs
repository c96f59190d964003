//! A packet from the Internet.

use engine::DropReason;

use super::{Story, Told};
use crate::{
    explain::anatomy::{Inner, Outer},
    map::refusal::why_not,
};

pub(super) fn tell(story: &mut Story<'_>, packet: &[u8], emitted: &[&[u8]]) -> Told {
    story.header(packet)?;
    let inner = Inner::parse(packet)?;
    let (fleet, destination) = (story.fleet, inner.destination);
    story.ends_by(DropReason::NoRule, || why_not(fleet, destination, None, mape::Refusal::NoRule))?;
    story.rule(destination);
    story.ttl(inner.ttl)?;
    into_tunnel(story, &inner, emitted)
}

/// From the port to the tunnel: for packets from the Internet and from CEs to CEs.
pub(super) fn into_tunnel(story: &mut Story<'_>, inner: &Inner<'_>, emitted: &[&[u8]]) -> Told {
    story.fragment(inner, inner.destination)?;
    let target = story.ce(inner, false)?;
    story.size(target.domain, inner, emitted.len())?;
    if story.reason.is_some() {
        return Some(());
    }
    let arrives = emitted.first().and_then(|packet| Outer::parse(packet)).map(|outer| outer.destination);
    match arrives {
        Some(address) if address != target.ce_address => story.contradiction("that it goes to another address"),
        Some(_) => story.end(format!(
            "It goes to the CE in IPv6 from {}, its TTL {} lowered to {}.",
            target.domain.softwire_address(),
            inner.ttl,
            inner.ttl.saturating_sub(1)
        )),
        None => None,
    }
}
