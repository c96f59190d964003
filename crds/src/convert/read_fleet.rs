//! A `BorderRelay`, field by field. What is wrong is found here and, first, by the CEL rules beside the types: a test
//! against a real API server compares the two.

use std::net::IpAddr;

use mape::{DomainName, Ipv4Net, Ipv6Net, Problem};

use super::{
    read::{Reader, quoted},
    read_bgp::bgp,
    read_pod::{drain, pod_template, rollout},
    read_text,
};
use crate::{
    BorderRelay,
    border_relay::{Allowed, Dataplane, FROM_PEERS, Interface, Side},
    fleet::{AllowedPrefixes, FleetConfig, InterfaceConfig, Network, NextHops},
};

impl TryFrom<&BorderRelay> for FleetConfig {
    type Error = Vec<Problem>;

    /// All problems are found, not only the first; each names its field as `spec.bgp.peers[1].address`.
    fn try_from(relay: &BorderRelay) -> Result<Self, Vec<Problem>> {
        let (config, problems) = read_fleet(relay);
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }
}

/// The config, with stand-ins where fields could not be read, and all that is wrong with them.
pub(crate) fn read_fleet(relay: &BorderRelay) -> (FleetConfig, Vec<Problem>) {
    let mut reader = Reader::new(&relay.metadata);
    reader.names(&relay.metadata);
    fleet_name(&mut reader);
    let spec = &relay.spec;
    let interfaces = interfaces(&mut reader, &spec.dataplane);
    let bgp = spec.bgp.as_ref().map(|written| bgp(&mut reader, written, &interfaces));
    let config = FleetConfig {
        name: reader.name().clone(),
        replicas: reader.within("spec.replicas", spec.replicas, 0..=512, "no router spreads traffic over more paths"),
        queues: spec
            .dataplane
            .queues
            .map(|queues| reader.within("spec.dataplane.queues", queues, 1..=256, "a TUN has no more queues")),
        sysctls: spec.dataplane.sysctls,
        bgp,
        allowed: allowed(&mut reader, &spec.allowed),
        drain: drain(&mut reader, spec),
        rollout: rollout(&mut reader, &spec.rollout),
        pod_template: pod_template(&mut reader, &spec.pod_template),
        interfaces,
    };
    next_hops_from_nowhere(&mut reader, &config);
    too_many_replicas(&mut reader, &config);
    (config, reader.problems())
}

/// Objects and labels are made of it.
fn fleet_name(reader: &mut Reader) {
    let DomainName { name, .. } = reader.name().clone();
    if read_text::is_subdomain(&name) && !read_text::is_label(&name) {
        let why = "pods carry it as a label, and relayRefs name it";
        reader.refuse("metadata.name", quoted(&name), read_text::LABEL, why);
    }
}

fn interfaces(reader: &mut Reader, written: &Dataplane) -> Vec<InterfaceConfig> {
    let all = &written.interfaces;
    if !(1..=8).contains(&all.len()) {
        let why = "packets come in and go out there";
        reader.refuse("spec.dataplane.interfaces", format!("{} of them", all.len()), "1 to 8", why);
    }
    let sides = [all.iter().any(|it| it.side.is_ipv4()), all.iter().any(|it| it.side.is_ipv6())];
    if let [true, false] | [false, true] = sides {
        let (found, missing) = if sides[0] { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
        let allowed = format!("an interface with side {missing} or Both too");
        let why = "a relay takes packets from one side to the other";
        reader.refuse("spec.dataplane.interfaces", format!("side {found} only"), allowed, why);
    }
    all.iter().enumerate().map(|(at, it)| interface(reader, at, it, all)).collect()
}

fn interface(reader: &mut Reader, at: usize, written: &Interface, all: &[Interface]) -> InterfaceConfig {
    let path = format!("spec.dataplane.interfaces[{at}]");
    interface_name(reader, &format!("{path}.name"), &written.name);
    if let Some(first) = all[..at].iter().position(|other| other.name == written.name) {
        let why = format!("spec.dataplane.interfaces[{first}] has that name already");
        reader.refuse(format!("{path}.name"), quoted(&written.name), "a name of its own", why);
    }
    InterfaceConfig {
        name: written.name.clone(),
        side: written.side,
        network: network(reader, &format!("{path}.network"), &written.network),
        fast_path: written.fast_path,
        next_hops: next_hops(reader, &format!("{path}.nextHops"), written),
    }
}

fn interface_name(reader: &mut Reader, field: &str, name: &str) {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let starts = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    if !(starts && name.len() <= 15 && name.bytes().all(inner)) {
        let allowed = "1 to 15 letters, digits, `-`, `_` or `.`, the first a letter or digit";
        reader.refuse(field, quoted(name), allowed, "Linux has no other interface names that are safe everywhere");
    } else if ["lo", "eth0", "culvert0"].contains(&name) {
        let why = "every relay's pod has one already: loopback, the pod network and the TUN";
        reader.refuse(field, quoted(name), "another name, such as net1", why);
    }
}

fn network(reader: &mut Reader, field: &str, text: &str) -> Network {
    let own = reader.name().namespace.clone();
    let (namespace, name) = text.split_once('/').unwrap_or((&own, text));
    if text.len() > 253 || !read_text::is_label(namespace) || !read_text::is_subdomain(name) {
        let allowed = "NAME or NAMESPACE/NAME, 253 characters at most";
        reader.refuse(field, quoted(text), allowed, "it is the name of a NetworkAttachmentDefinition (RFC 1123)");
    }
    Network { namespace: namespace.to_owned(), name: name.to_owned() }
}

fn next_hops(reader: &mut Reader, field: &str, written: &Interface) -> NextHops {
    let hops = &written.next_hops;
    if hops.as_slice() == [FROM_PEERS] {
        return NextHops::FromPeers;
    }
    if !(1..=16).contains(&hops.len()) {
        let why = "packets have to go somewhere; left out, to the BGP peers";
        reader.refuse(field, format!("{} of them", hops.len()), "1 to 16", why);
    }
    let mut addresses = Vec::new();
    for (at, hop) in hops.iter().enumerate() {
        let field = format!("{field}[{at}]");
        if hop == FROM_PEERS {
            reader.refuse(field, quoted(hop), "addresses only, or FromPeers alone", "it stands for all next hops");
        } else if let Some(first) = hops[..at].iter().position(|other| other == hop) {
            let why = format!("number {first} is the same");
            reader.refuse(field, quoted(hop), "each router once", why);
        } else if let Some(address) = read_host(reader, &field, hop) {
            side_of(reader, &field, written.side, address);
            addresses.push(address);
        }
    }
    if addresses.len() == hops.len() && !hops.is_empty() {
        both_families(reader, field, written.side, &addresses);
    }
    NextHops::Addresses(addresses)
}

pub(super) fn read_host(reader: &mut Reader, field: &str, text: &str) -> Option<IpAddr> {
    reader.parsed(field, text, |text| read_text::host(text).map(Some), None)
}

fn side_of(reader: &mut Reader, field: &str, side: Side, address: IpAddr) {
    let fits = if address.is_ipv4() { side.is_ipv4() } else { side.is_ipv6() };
    if !fits {
        let (found, allowed) =
            if address.is_ipv4() { ("IPv6", "an IPv6 address") } else { ("IPv4", "an IPv4 address") };
        reader.refuse(field, address, allowed, format!("the interface has side {found}"));
    }
}

fn both_families(reader: &mut Reader, field: &str, side: Side, addresses: &[IpAddr]) {
    let has = [addresses.iter().any(IpAddr::is_ipv4), addresses.iter().any(IpAddr::is_ipv6)];
    if side == Side::Both && has != [true, true] {
        let (found, missing) = if has[0] { ("IPv4", "an IPv6") } else { ("IPv6", "an IPv4") };
        let why = "the interface has side Both, and packets of both families leave by it";
        reader.refuse(field, format!("{found} addresses only"), format!("{missing} address too"), why);
    }
}

fn allowed(reader: &mut Reader, written: &Allowed) -> AllowedPrefixes {
    let field = "spec.allowed.ipv4Prefixes";
    let ipv4 = prefixes(reader, field, &written.ipv4_prefixes, read_text::ipv4_prefix, Ipv4Net::trunc);
    let field = "spec.allowed.softwirePrefixes";
    let softwire = prefixes(reader, field, &written.softwire_prefixes, read_text::ipv6_prefix, Ipv6Net::trunc);
    AllowedPrefixes { ipv4, softwire }
}

fn prefixes<N: Default + PartialEq + ToString>(
    reader: &mut Reader,
    field: &str,
    written: &[String],
    parse: impl Fn(&str) -> Result<N, read_text::Complaint>,
    trunc: impl Fn(&N) -> N,
) -> Vec<N> {
    if !(1..=256).contains(&written.len()) {
        let why = "a fleet that may serve nothing serves nobody";
        reader.refuse(field, format!("{} of them", written.len()), "1 to 256", why);
    }
    let mut prefixes = Vec::new();
    for (at, text) in written.iter().enumerate() {
        let field = format!("{field}[{at}]");
        if let Some(first) = written[..at].iter().position(|other| other == text) {
            reader.refuse(&field, quoted(text), "each prefix once", format!("number {first} is the same"));
        }
        let prefix = reader.parsed(&field, text, &parse, N::default());
        if trunc(&prefix) != prefix {
            reader.refuse(&field, quoted(text), trunc(&prefix).to_string(), "a prefix has no host bits");
        }
        prefixes.push(prefix);
    }
    prefixes
}

fn next_hops_from_nowhere(reader: &mut Reader, config: &FleetConfig) {
    if config.bgp.is_some() {
        return;
    }
    for (at, _) in config.interfaces.iter().enumerate().filter(|(_, it)| it.next_hops == NextHops::FromPeers) {
        let field = format!("spec.dataplane.interfaces[{at}].nextHops");
        reader.refuse(field, FROM_PEERS, "addresses of routers", "there are no peers: spec.bgp is left out");
    }
}

fn too_many_replicas(reader: &mut Reader, config: &FleetConfig) {
    let most = config.bgp.as_ref().map_or(u16::MAX, |bgp| bgp.expected_max_paths);
    if config.replicas > most {
        let why = "routers spread traffic over bgp.expectedMaxPaths relays, and the others would carry none; raise the \
            routers' limit, and then that number";
        reader.refuse("spec.replicas", config.replicas, format!("0 to {most}"), why);
    }
}
