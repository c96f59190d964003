//! How a fleet announces its prefixes.

use std::net::IpAddr;

use mape::{IpNet, options::Toggle as Read};

use super::{
    read::{Reader, quoted},
    read_fleet::read_host,
    read_options::{communities, toggle},
    read_pod::labels,
    read_text,
};
use crate::{
    border_relay::{Bfd, Bgp, BgpPeer, SecretKeyRef},
    fleet::{BfdConfig, BgpConfig, InterfaceConfig, PeerConfig},
};

pub(super) fn bgp(reader: &mut Reader, written: &Bgp, interfaces: &[InterfaceConfig]) -> BgpConfig {
    let peers = &written.peers;
    if !(1..=16).contains(&peers.len()) {
        let why = "a fleet announces to somebody; left out, spec.bgp announces nothing";
        reader.refuse("spec.bgp.peers", format!("{} of them", peers.len()), "1 to 16", why);
    }
    let paths = "it is the routers' limit of equal-cost paths";
    let config = BgpConfig {
        local_asn: asn(reader, "spec.bgp.localASN", written.local_asn),
        router_id: written.router_id,
        expected_max_paths: reader.within("spec.bgp.expectedMaxPaths", written.expected_max_paths, 1..=512, paths),
        graceful_restart: toggle(written.graceful_restart),
        peers: (0..peers.len()).map(|at| peer(reader, at, peers, interfaces)).collect(),
    };
    one_secret(reader, peers);
    if config.graceful_restart == Read::Enabled
        && let Some(at) = config.peers.iter().position(|peer| peer.bfd.is_some())
    {
        let why = "BFD asks for quick withdrawal and graceful restart for none";
        let allowed = format!("Disabled, or spec.bgp.peers[{at}].bfd.mode Disabled");
        reader.refuse("spec.bgp.gracefulRestart", "Enabled", allowed, why);
    }
    config
}

/// Pods mount one Secret.
fn one_secret(reader: &mut Reader, peers: &[BgpPeer]) {
    let mut secrets = peers.iter().enumerate().filter_map(|(at, peer)| Some((at, peer.password_secret_ref.as_ref()?)));
    let Some((first, SecretKeyRef { name, .. })) = secrets.next() else { return };
    for (at, other) in secrets.filter(|(_, other)| other.name != *name) {
        let why = format!("spec.bgp.peers[{first}] names it; pods mount one Secret, with a key for each password");
        reader.refuse(format!("spec.bgp.peers[{at}].passwordSecretRef.name"), quoted(&other.name), quoted(name), why);
    }
}

fn asn(reader: &mut Reader, field: impl std::fmt::Display + Copy, number: i64) -> u32 {
    if let 23456 | 65535 = number {
        let why = "it is reserved (RFC 6793, RFC 7300)";
        reader.refuse(field, number, "the number of an autonomous system", why);
    }
    reader.within(
        field,
        number,
        1..=4_294_967_294,
        "AS numbers have 32 bits, and 0 and the last are reserved (RFC 7607)",
    )
}

fn peer(reader: &mut Reader, at: usize, all: &[BgpPeer], interfaces: &[InterfaceConfig]) -> PeerConfig {
    let written = &all[at];
    let path = |field: &str| format!("spec.bgp.peers[{at}].{field}");
    name(reader, &path("name"), &all[..=at]);
    let address = written.address.as_deref().and_then(|text| read_host(reader, &path("address"), text));
    place(reader, at, written, address, interfaces);
    times(reader, at, written);
    ttl_security(reader, &path("ttlSecurity"), written);
    extended_next_hop(reader, &path("extendedNextHop"), written, address, interfaces);
    let ttl = "0 and 1 reach no further than the segment: leave it out";
    PeerConfig {
        name: written.name.clone(),
        address,
        interface: written.interface.clone(),
        asn: asn(reader, &*path("peerASN"), written.peer_asn),
        port: reader.within(path("port"), written.port, 1..=65_535, "TCP has no other ports"),
        multihop_ttl: written.multihop_ttl.map(|it| reader.within(path("multihopTTL"), it, 2..=255, ttl)),
        ttl_security: toggle(written.ttl_security),
        source_prefix: source_prefix(reader, &path("sourcePrefix"), written, address),
        bfd: bfd(reader, &path("bfd"), &written.bfd),
        extended_next_hop: toggle(written.extended_next_hop),
        password: written.password_secret_ref.as_ref().map(|it| secret(reader, &path("passwordSecretRef"), it)),
        node_selector: labels(reader, &path("nodeSelector"), &written.node_selector, 16),
        hold_time_seconds: written.hold_time_seconds.try_into().unwrap_or_default(),
        keepalive_time_seconds: written.keepalive_time_seconds.try_into().unwrap_or_default(),
        connect_retry_seconds: written.connect_retry_seconds.try_into().unwrap_or_default(),
        communities: communities(reader, &path("communities"), &written.communities),
        as_path_prepend: reader.within(path("asPathPrepend"), written.as_path_prepend, 0..=10, "more helps no more"),
        med: written
            .med
            .map(|it| reader.within(path("med"), it, 0..=4_294_967_295, "it has 32 bits (RFC 4271 s.5.1.4)")),
    }
}

/// The last of `peers` is the one in question.
fn name(reader: &mut Reader, field: &str, peers: &[BgpPeer]) {
    let Some((last, before)) = peers.split_last() else { return };
    if !read_text::is_label(&last.name) {
        reader.refuse(field, quoted(&last.name), read_text::LABEL, "it is used as a label (RFC 1123)");
    } else if let Some(first) = before.iter().position(|other| other.name == last.name) {
        let why = format!("spec.bgp.peers[{first}] has that name already");
        reader.refuse(field, quoted(&last.name), "a name of its own", why);
    }
}

/// Where the router is: by address, by interface, or both.
fn place(reader: &mut Reader, at: usize, written: &BgpPeer, address: Option<IpAddr>, interfaces: &[InterfaceConfig]) {
    let path = |field: &str| format!("spec.bgp.peers[{at}].{field}");
    if let Some(interface) = &written.interface
        && interfaces.iter().all(|it| it.name != *interface)
    {
        let names: Vec<&str> = interfaces.iter().map(|it| it.name.as_str()).collect();
        let why = "it is a name in spec.dataplane.interfaces";
        reader.refuse(path("interface"), quoted(interface), names.join(" or "), why);
    }
    let on_segment = address.map_or(written.address.is_none(), read_text::is_link_local);
    if written.interface.is_none() && written.address.is_none() {
        reader.refuse(path("address"), "none", "an address, or an interface", "else nothing says where the router is");
    } else if written.interface.is_none() && on_segment {
        let why = "a link-local address means something on one segment only";
        reader.refuse(path("interface"), "none", "the interface that leads to it", why);
    }
    if let Some(ttl) = written.multihop_ttl.filter(|_| on_segment) {
        let why = "without an address, or with a link-local one, the router is on the segment";
        reader.refuse(path("multihopTTL"), ttl, "none", why);
    }
}

fn ttl_security(reader: &mut Reader, field: &str, written: &BgpPeer) {
    if toggle(written.ttl_security) == Read::Enabled && written.multihop_ttl.is_some() {
        let why = "it is for neighbours on the segment (RFC 5082), and multihopTTL says that this is none";
        reader.refuse(field, "Enabled", "Disabled, or no multihopTTL", why);
    }
}

fn source_prefix(reader: &mut Reader, field: &str, written: &BgpPeer, address: Option<IpAddr>) -> Option<IpNet> {
    let prefix = written.source_prefix.as_deref()?;
    let prefix = reader.parsed(field, prefix, |text| read_text::any_prefix(text).map(Some), None)?;
    if address.is_some_and(|address| address.is_ipv4() != prefix.addr().is_ipv4()) {
        reader.refuse(field, quoted(&prefix.to_string()), "a prefix of the address' family", "the session has one");
    }
    Some(prefix)
}

fn extended_next_hop(
    reader: &mut Reader,
    field: &str,
    written: &BgpPeer,
    address: Option<IpAddr>,
    interfaces: &[InterfaceConfig],
) {
    if toggle(written.extended_next_hop) == Read::Disabled {
        return;
    }
    let interface = interfaces.iter().find(|it| written.interface.as_ref() == Some(&it.name));
    if address.is_some_and(|it| it.is_ipv4()) {
        let why = "an IPv4 session carries IPv4 prefixes as it is (RFC 8950 is for IPv6 sessions)";
        reader.refuse(field, "Enabled", "Disabled, or an IPv6 address", why);
    } else if interface.is_some_and(|it| !it.side.is_ipv4()) {
        let why = "it draws plain packets to an interface that carries none";
        reader.refuse(field, "Enabled", "Disabled, or an interface with side IPv4 or Both", why);
    }
}

fn times(reader: &mut Reader, at: usize, written: &BgpPeer) {
    let path = |field: &str| format!("spec.bgp.peers[{at}].{field}");
    let (hold, keepalive) = (written.hold_time_seconds, written.keepalive_time_seconds);
    let why = "less is not allowed, and 0 would keep dead sessions for ever (RFC 4271 s.4.2)";
    reader.within::<u16>(path("holdTimeSeconds"), hold, 3..=65_535, why);
    let why = "a third of the longest hold time (RFC 4271 s.10)";
    reader.within::<u16>(path("keepaliveTimeSeconds"), keepalive, 1..=21_845, why);
    let why = "longer is as good as never";
    reader.within::<u16>(path("connectRetrySeconds"), written.connect_retry_seconds, 1..=300, why);
    let sound = (3..=65_535).contains(&hold) && (1..=21_845).contains(&keepalive);
    if sound && keepalive * 3 > hold {
        let why = "three messages fit into holdTimeSeconds, so that a lost one ends no session (RFC 4271 s.10)";
        reader.refuse(path("keepaliveTimeSeconds"), keepalive, format!("1 to {}", hold / 3), why);
    }
}

fn bfd(reader: &mut Reader, path: &str, written: &Bfd) -> Option<BfdConfig> {
    let why = "faster is more than BIRD and routers keep up with, slower is no better than BGP's own timers";
    let config = BfdConfig {
        transmit_interval_milliseconds: reader.within(
            format_args!("{path}.transmitIntervalMilliseconds"),
            written.transmit_interval_milliseconds,
            10..=60_000,
            why,
        ),
        receive_interval_milliseconds: reader.within(
            format_args!("{path}.receiveIntervalMilliseconds"),
            written.receive_interval_milliseconds,
            10..=60_000,
            why,
        ),
        detect_multiplier: reader.within(
            format_args!("{path}.detectMultiplier"),
            written.detect_multiplier,
            2..=255,
            "one lost packet is no sign, and it has 8 bits (RFC 5880 s.4.1)",
        ),
    };
    (toggle(written.mode) == Read::Enabled).then_some(config)
}

fn secret(reader: &mut Reader, path: &str, written: &SecretKeyRef) -> SecretKeyRef {
    if !read_text::is_subdomain(&written.name) {
        let why = "it is the name of a Secret (RFC 1123)";
        reader.refuse(format_args!("{path}.name"), quoted(&written.name), read_text::SUBDOMAIN, why);
    }
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !(1..=253).contains(&written.key.len()) || !written.key.bytes().all(inner) {
        let allowed = "1 to 253 letters, digits, -, _ and .";
        reader.refuse(format_args!("{path}.key"), quoted(&written.key), allowed, "it is a key in a Secret");
    }
    written.clone()
}
