//! A domain's own values, one by one.

use alloc::format;
use core::net::{Ipv4Addr, Ipv6Addr};

use ipnet::Ipv4Net;

use super::{Fields, rule::ipv4_complaint};
use crate::options::{DscpToCe, MAX_AGGREGATES, MssClamp, Toggle};

pub(super) fn check(fields: &mut Fields<'_>) {
    let options = &fields.config.options;
    br_address(fields);
    mtu(fields);
    if let DscpToCe::Fixed(dscp) = options.dscp.to_ce {
        let why = "a DSCP has six bits (RFC 2474 s.3)";
        fields.within("spec.dscp.toCE", dscp.into(), 0..=63, why);
    }
    let reassembly = options.reassembly;
    let why = "RFC 7597 s.8.3.2 needs fragments only while their datagram arrives; RFC 8200 s.4.5 ends at 60 s";
    fields.within("spec.reassembly.timeoutSeconds", reassembly.timeout_seconds.into(), 1..=60, why);
    let why = "memory for incomplete datagrams is bounded, and none at all is `Disabled`";
    fields.within("spec.reassembly.maxDatagrams", reassembly.max_datagrams, 1..=1_048_576, why);
    let icmp = options.icmp;
    let why = "ICMP is rate-limited (RFC 1812 s.4.3.2.8, RFC 4443 s.2.4)";
    fields.within("spec.icmp.errorsPerSecond", icmp.errors_per_second, 0..=1_000_000, why);
    fields.within("spec.icmp.echoPerSecond", icmp.echo_per_second, 0..=1_000_000, why);
    if let Some(source) = icmp.ipv4_source.filter(|source| is_martian(*source)) {
        let why = "a router that drops martian sources would drop our errors (RFC 1812 s.4.3.2.4, s.5.3.7)";
        fields.refuse("spec.icmp.ipv4Source", source, "a unicast IPv4 address", why);
    }
    aggregates(fields);
}

fn aggregates(fields: &mut Fields<'_>) {
    let field = "spec.advertise.ipv4Aggregates";
    let config = fields.config;
    let advertise = &config.options.advertise;
    let all = &advertise.ipv4_aggregates;
    if let (Some(first), Toggle::Disabled) = (all.first(), advertise.auto_route) {
        fields.refuse(field, first, "none, or autoRoute Enabled", "without routes there is nothing to aggregate");
    }
    let why = "each is looked for in all rules; more rules than that need larger aggregates";
    fields.within(field, all.len() as u32, 0..=MAX_AGGREGATES as u32, why);
    for (at, aggregate) in all.iter().enumerate() {
        let field = format!("{field}[{at}]");
        let overlaps = |other: &Ipv4Net| aggregate.contains(other) || other.contains(aggregate);
        if let Some((allowed, why)) = ipv4_complaint(*aggregate) {
            fields.refuse(&field, aggregate, allowed, why);
        } else if let Some(first) = all[..at].iter().position(overlaps) {
            let why = format!("spec.advertise.ipv4Aggregates[{first}] is {}, and one of them is enough", all[first]);
            fields.refuse(&field, aggregate, "a prefix apart from the others", why);
        } else if !config.rules.iter().any(|rule| aggregate.contains(&rule.ipv4_prefix)) {
            let why = "it would draw traffic that is nobody's in this domain";
            fields.refuse(&field, aggregate, "a prefix that holds a rule's ipv4Prefix", why);
        }
    }
}

fn br_address(fields: &mut Fields<'_>) {
    let address = fields.config.softwire_address;
    if !is_routable(address) {
        let why = "CEs send to it across the IPv6 network (RFC 7597 s.5.4)";
        fields.refuse("spec.softwireAddress", address, "a routable unicast IPv6 address", why);
    }
}

fn mtu(fields: &mut Fields<'_>) {
    let options = &fields.config.options;
    let v6 = options.mtu.v6;
    let why = "IPv6 promises 1280 (RFC 8200 s.5), and the relay carries packets up to 16 KiB";
    let sound = fields.within("spec.mtu.v6", v6.into(), 1280..=16_384, why);
    if let (MssClamp::Limit(bytes), true) = (options.tcp_mss_clamp, sound) {
        let why = format!("the least default is 536 (RFC 9293 s.3.7.1), and mtu.v6 ({v6}) less 80 of headers fits");
        let largest = v6 - 80;
        if !(536..=largest).contains(&bytes) {
            fields.refuse("spec.tcpMssClamp", bytes, format!("536 to {largest}"), why);
        }
    }
}

/// Addresses that no packet on the Internet may carry: "this" network, loopback, multicast, class E, broadcast.
pub(super) fn is_martian(address: Ipv4Addr) -> bool {
    matches!(address.octets()[0], 0 | 127 | 224..)
}

/// Whether an IPv6 address can be sent to across a network.
pub(super) fn is_routable(address: Ipv6Addr) -> bool {
    let local = address.is_unspecified() || address.is_loopback() || address.is_unicast_link_local();
    !(local || address.is_multicast() || address.to_ipv4_mapped().is_some())
}
