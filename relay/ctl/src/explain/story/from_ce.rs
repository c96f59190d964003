//! A packet from a CE, or from one who claims to be.

use std::net::Ipv6Addr;

use engine::{DropReason, wire::protocol};
use mape::{Ipv6Net, Target, address::leading_ones, options::SourceCheck};

use super::{Story, Told, domains_of, to_ce::into_tunnel};
use crate::{
    explain::anatomy::{Inner, Outer, protocol_name},
    map::{
        answer::{delegated, port_ranges},
        refusal::why_not,
    },
    text,
};

pub(super) fn tell(story: &mut Story<'_>, packet: &[u8], emitted: &[&[u8]]) -> Told {
    let Some(outer) = Outer::parse(packet) else {
        let present = packet.len();
        return story.ends_by(DropReason::Truncated, || format!("Of the IPv6 header's 40 bytes {present} are there."));
    };
    arrive(story, &outer)?;
    if outer.next_header == protocol::ICMPV6 {
        return to_relay(story, &outer);
    }
    story.header(outer.payload)?;
    let inner = Inner::parse(outer.payload)?;
    check_source(story, &outer, &inner)?;
    leave(story, &outer, &inner, emitted)
}

/// Up to the payload: is it for the relay, and is it something that a tunnel carries?
fn arrive(story: &mut Story<'_>, outer: &Outer<'_>) -> Told {
    let domains = domains_of(story.fleet, outer);
    let is_relay = !domains.is_empty();
    let fleet = story.fleet;
    story.ends_by(DropReason::NotForRelay, || not_for_relay(fleet, outer, is_relay))?;
    let names = text::list(domains.iter().map(|domain| domain.name().to_string()));
    story.say(format!("{} is the BR address of {names}.", outer.destination));
    let Outer { total, present, .. } = *outer;
    story.ends_if(total > present, DropReason::Truncated, || {
        format!("The IPv6 header promises {total} bytes, and there are {present}.")
    })?;
    let carried = protocol_name(outer.next_header);
    story.ends_by(DropReason::UnsupportedHeader, || {
        format!(
            "An extension header or option must not be skipped (RFC 8200 s.4.2, s.4.4). Destination options, one \
            Hop-by-Hop header at the front and a Routing header without segments left would pass (it stands after {} \
            such headers at most).",
            outer.extensions
        )
    })?;
    story.ends_by(DropReason::UnsupportedProtocol, || {
        format!("It carries {carried}; the relay takes IPv4 in IPv6 (4), and ICMPv6 (58) for itself.")
    })?;
    story.ends_if(outer.next_header == protocol::FRAGMENT, DropReason::FragmentsDisabled, || {
        "It is an IPv6 fragment, and those are not put together here: only a whole packet would pass.".to_string()
    })?;
    if let (protocol::FRAGMENT, [domain, ..]) = (outer.next_header, domains.as_slice()) {
        story.outer_fragment(&domain.options().reassembly)?;
    }
    matches!(outer.next_header, protocol::IPV4 | protocol::ICMPV6).then_some(())
}

fn not_for_relay(fleet: &mape::Fleet, outer: &Outer<'_>, is_relay: bool) -> String {
    if is_relay {
        return "It is neighbour discovery, which is left to the host.".to_string();
    }
    let addresses: std::collections::BTreeSet<Ipv6Addr> =
        fleet.domains().iter().map(mape::Domain::softwire_address).collect();
    let known = text::list(addresses.iter().map(Ipv6Addr::to_string));
    format!("{} is no BR address. Those of these domains: {known}.", outer.destination)
}

/// ICMPv6 to the BR address.
fn to_relay(story: &mut Story<'_>, outer: &Outer<'_>) -> Told {
    let kind = outer.payload.first().copied().unwrap_or(0);
    let said = match story.reason {
        None => "It is an echo request to the relay itself, and is answered.".to_string(),
        Some(DropReason::UnsupportedIcmp) => {
            format!("ICMPv6 type {kind} is not served here (echo requests are, where icmp.echo is Answer).")
        }
        Some(DropReason::BadChecksum) => "The ICMPv6 checksum is wrong.".to_string(),
        Some(DropReason::RateLimited) => "More echo requests than icmp.echoPerSecond.".to_string(),
        Some(DropReason::Truncated) => "The ICMPv6 message is shorter than its header.".to_string(),
        Some(DropReason::Martian) => format!("{} is no host that could be answered.", outer.source),
        Some(reason) => format!("ICMPv6 type {kind}: {reason}."),
    };
    story.end(said)
}

/// RFC 7597 s.8.1: does the inner source lead back to the outer source?
fn check_source(story: &mut Story<'_>, outer: &Outer<'_>, inner: &Inner<'_>) -> Told {
    let (fleet, source) = (story.fleet, inner.source);
    if fleet.longest(source).next().is_none() {
        return story.ends_by(DropReason::NoRule, || {
            format!("The inner source is nobody's. {}", why_not(fleet, source, None, mape::Refusal::NoRule))
        });
    }
    story.rule(source);
    story.fragment(inner, source)?;
    let target = story.ce(inner, true)?;
    let differences = differences(story, outer, &target);
    match (differences.is_empty(), story.reason == Some(DropReason::SpoofedSource)) {
        (true, false) => {
            story.say("The outer source and the BR address are those of that CE: the source check passes.");
            Some(())
        }
        (false, true) => {
            differences.into_iter().for_each(|difference| _ = story.end(difference));
            None
        }
        _ => story.contradiction("otherwise about the outer source"),
    }
}

/// What differs from what the inner source says, and what would have passed.
fn differences(story: &Story<'_>, outer: &Outer<'_>, target: &Target<'_>) -> Vec<String> {
    let mut differences = Vec::new();
    let prefix = target.end_user_prefix;
    let differing = outer.source.to_bits() ^ target.ce_address.to_bits();
    let is_strict = target.domain.options().source_check == SourceCheck::Strict;
    if differing & leading_ones(prefix.prefix_len()) != 0 {
        differences.push(format!(
            "The outer source {} is not in that CE's End-user prefix {prefix}. {}",
            outer.source,
            sender(story, outer.source)
        ));
    } else if differing != 0 && is_strict {
        differences.push(format!(
            "The outer source {} has the right End-user prefix but not the right interface identifier; only {} would \
            pass (sourceCheck: Prefix would not look at it).",
            outer.source, target.ce_address
        ));
    } else if story.fleet.is_br_address(outer.source) {
        differences.push(format!("The outer source {} is a BR address: relays send nothing to relays.", outer.source));
    }
    let relay = target.domain.softwire_address();
    if outer.destination != relay {
        differences.push(format!("That CE's domain has the BR address {relay}; only a packet to it would pass."));
    }
    differences
}

/// What the owner of an IPv6 source may send.
fn sender(story: &Story<'_>, source: Ipv6Addr) -> String {
    let Ok(owner) = story.fleet.assigned(Ipv6Net::from(source)) else {
        return "It is in no CE's.".to_string();
    };
    let ports = port_ranges(owner.rule, owner.psid);
    let ports = text::list(ports.iter().map(|[first, last]| format!("{first}-{last}")));
    format!(
        "It is in {}, of the CE that has {}: from {} the ports {ports} would pass.",
        owner.end_user_prefix,
        delegated(owner.ipv4),
        owner.ce_address
    )
}

/// Out of the tunnel, and to where it goes.
fn leave(story: &mut Story<'_>, outer: &Outer<'_>, inner: &Inner<'_>, emitted: &[&[u8]]) -> Told {
    story.ends_by(DropReason::BadEcn, || {
        format!(
            "The outer header marks congestion (traffic class {:#04x}) and the inner one cannot say so (TOS {:#04x}, \
            Not-ECT): RFC 6040 s.4.2 has it dropped. An inner ECT(0) or ECT(1) would pass.",
            outer.traffic_class, inner.tos
        )
    })?;
    if story.fleet.longest(inner.destination).next().is_none() {
        story.ttl(inner.ttl)?;
        let (source, destination) = (inner.source, inner.destination);
        let lowered = inner.ttl.saturating_sub(1);
        if story.reason.is_some() {
            return Some(());
        }
        return story.end(format!(
            "{destination} is no CE's: the packet goes on to the Internet as {source} -> {destination}, its TTL {} \
            lowered to {lowered}.",
            inner.ttl
        ));
    }
    story.say(format!("{} is a CE's too: the packet turns round in the relay (hairpin).", inner.destination));
    story.ends_by(DropReason::HairpinDisabled, || "That is forbidden here: hairpin is Disabled.".to_string())?;
    story.ttl(inner.ttl)?;
    story.rule(inner.destination);
    into_tunnel(story, inner, emitted)
}
