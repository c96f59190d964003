//! A session: with whom, from where, and how.

use std::{collections::BTreeSet, net::IpAddr};

use crds::{
    FleetConfig,
    border_relay::{SecretKeyRef, Side},
    fleet::{BfdConfig, PeerConfig},
};
use mape::{IpNet, options::Toggle};

use super::{Community, Family, Input, Obstacle, Pod, bird_name};

/// As many bytes as Linux takes for a password (`TCP_MD5SIG_MAXKEYLEN`).
const MAX_PASSWORD: usize = 80;

/// A session that the pod has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// The peer's name.
    pub(crate) peer: String,
    /// The same, in names that BIRD takes.
    pub(crate) name: String,
    /// Where it leaves.
    pub(crate) interface: String,
    /// Where it comes from.
    pub(crate) local: IpAddr,
    pub(crate) reach: Reach,
    pub(crate) local_asn: u32,
    pub(crate) asn: u32,
    pub(crate) port: u16,
    pub(crate) password: Option<String>,
    pub(crate) bfd: Option<BfdConfig>,
    /// What it carries.
    pub(crate) families: BTreeSet<Family>,
    pub(crate) hold_time_seconds: u16,
    pub(crate) keepalive_time_seconds: u16,
    pub(crate) connect_retry_seconds: u16,
    pub(crate) graceful_restart: bool,
    pub(crate) communities: BTreeSet<Community>,
    pub(crate) as_path_prepend: u8,
    pub(crate) med: Option<u32>,
}

/// Where the other side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// On the segment. `secure`: packets that have crossed a router are refused (RFC 5082).
    Direct { address: IpAddr, secure: bool },
    /// On the segment, with whatever link-local address it calls from.
    Unnumbered { secure: bool },
    /// So many hops away.
    Multihop { address: IpAddr, ttl: u8 },
}

impl Session {
    pub(super) fn new(input: &Input<'_>, peer: &PeerConfig) -> Result<Self, Obstacle> {
        let bgp = input.fleet.bgp.as_ref().expect("a peer is one of spec.bgp");
        let (interface, local) = place(input, peer)?;
        let families = families(input.fleet, peer, Some(&interface));
        if families.is_empty() {
            return Err(carries_nothing(peer, &interface));
        }
        Ok(Self {
            peer: peer.name.clone(),
            name: bird_name::of(&peer.name),
            interface,
            local,
            reach: reach(peer),
            local_asn: bgp.local_asn,
            asn: peer.asn,
            port: peer.port,
            password: peer.password.as_ref().map(|secret| password(input, peer, secret)).transpose()?,
            bfd: peer.bfd,
            families,
            hold_time_seconds: peer.hold_time_seconds,
            keepalive_time_seconds: peer.keepalive_time_seconds,
            connect_retry_seconds: peer.connect_retry_seconds,
            graceful_restart: bgp.graceful_restart == Toggle::Enabled,
            communities: peer.communities.iter().filter_map(|text| text.parse().ok()).collect(),
            as_path_prepend: peer.as_path_prepend,
            med: peer.med,
        })
    }
}

/// What a session carries: an IPv4 one IPv4, an IPv6 one IPv6, and IPv4 by RFC 8950; nothing that its interface is not for.
pub(super) fn families(fleet: &FleetConfig, peer: &PeerConfig, interface: Option<&str>) -> BTreeSet<Family> {
    let side = interface.and_then(|name| fleet.interfaces.iter().find(|it| it.name == name)).map(|it| it.side);
    let is_ipv4_session = peer.address.is_some_and(|address| address.is_ipv4());
    let is_carried = |family: &Family| match family {
        Family::Ipv4 => is_ipv4_session || peer.extended_next_hop == Toggle::Enabled,
        Family::Ipv6 => !is_ipv4_session,
    };
    let is_for = |family: &Family| side.is_none_or(|side| carries(side, *family));
    Family::ALL.into_iter().filter(is_carried).filter(is_for).collect()
}

fn carries_nothing(peer: &PeerConfig, interface: &str) -> Obstacle {
    let message = match peer.address {
        Some(IpAddr::V4(_)) => format!("an IPv4 session on {interface}, whose side is IPv6, carries nothing"),
        _ => format!(
            "an IPv6 session on {interface}, whose side is IPv4, carries nothing: make its extendedNextHop Enabled, or \
             the interface's side Both"
        ),
    };
    Obstacle::new("NothingToCarry", format!("peer {}: {message}", peer.name))
}

fn reach(peer: &PeerConfig) -> Reach {
    let secure = peer.ttl_security == Toggle::Enabled;
    match (peer.address, peer.multihop_ttl) {
        (Some(address), Some(ttl)) => Reach::Multihop { address, ttl },
        (Some(address), None) => Reach::Direct { address, secure },
        (None, _) => Reach::Unnumbered { secure },
    }
}

/// The interface that leads to a peer, and the address that the session comes from.
fn place(input: &Input<'_>, peer: &PeerConfig) -> Result<(String, IpAddr), Obstacle> {
    let interface = match (&peer.interface, peer.address) {
        (Some(interface), _) => interface.clone(),
        (None, Some(address)) => leads_to(input, peer, address)?,
        (None, None) => return Err(no_way(peer, "it has neither address nor interface")),
    };
    let local = source(input, peer, &interface)?;
    Ok((interface, local))
}

/// The interface of the fleet that leads to an address: by its network, or by the kernel's way.
fn leads_to(input: &Input<'_>, peer: &PeerConfig, address: IpAddr) -> Result<String, Obstacle> {
    let names = || input.fleet.interfaces.iter().map(|it| it.name.as_str());
    let on = |name: &&str| nets(input.pod, name).iter().any(|net| net.contains(&address));
    if let Some(name) = names().find(on) {
        return Ok(name.to_owned());
    }
    if peer.multihop_ttl.is_none() {
        let why = format!("no network of {} holds {address}", names().collect::<Vec<_>>().join(", "));
        return Err(no_way(peer, &(why + ": name its interface, or say its multihopTTL")));
    }
    let Some(way) = input.pod.ways.get(&address) else {
        return Err(no_way(peer, &format!("the pod has no route to {address}: the network's IPAM can give it one")));
    };
    // Customers' packets would follow the next hop.
    if !names().any(|name| name == way.interface) {
        let why = format!("the pod's route to {address} leads out by {}, which is none of the fleet's", way.interface);
        return Err(no_way(peer, &(why + ": the network's IPAM can give it a route")));
    }
    Ok(way.interface.clone())
}

fn no_way(peer: &PeerConfig, why: &str) -> Obstacle {
    Obstacle::new("NoWayToPeer", format!("peer {}: {why}", peer.name))
}

/// The address on the interface that the session comes from.
fn source(input: &Input<'_>, peer: &PeerConfig, interface: &str) -> Result<IpAddr, Obstacle> {
    let nets = nets(input.pod, interface);
    let is_local = |net: &&IpNet| matches!(net.addr(), IpAddr::V6(address) if address.is_unicast_link_local());
    let all: Vec<&IpNet> = match peer.address {
        Some(IpAddr::V6(address)) if address.is_unicast_link_local() => nets.iter().filter(is_local).collect(),
        Some(IpAddr::V6(_)) => nets.iter().filter(|net| net.addr().is_ipv6() && !is_local(net)).collect(),
        Some(IpAddr::V4(_)) => nets.iter().filter(|net| net.addr().is_ipv4()).collect(),
        None => nets.iter().filter(is_local).collect(),
    };
    let asked: Vec<&IpNet> = match peer.source_prefix {
        Some(prefix) => all.into_iter().filter(|net| prefix.contains(&net.addr())).collect(),
        None => all,
    };
    let way = peer.address.and_then(|address| input.pod.ways.get(&address)).map(|way| way.source);
    let by_way = asked.iter().find(|net| Some(net.addr()) == way);
    let beside = || asked.iter().find(|net| peer.address.is_some_and(|address| net.contains(&address)));
    let found = by_way.or_else(beside).or(asked.first());
    found.map(|net| net.addr()).ok_or_else(|| no_address(input, peer, interface))
}

fn no_address(input: &Input<'_>, peer: &PeerConfig, interface: &str) -> Obstacle {
    let kind = match peer.address {
        Some(IpAddr::V4(_)) => "IPv4 address",
        Some(IpAddr::V6(address)) if !address.is_unicast_link_local() => "global IPv6 address",
        _ => "IPv6 link-local address",
    };
    let within = peer.source_prefix.map(|prefix| format!(" in {prefix} (sourcePrefix)")).unwrap_or_default();
    let network = input.fleet.interfaces.iter().find(|it| it.name == interface).map(|it| &it.network);
    let network = network.map(|it| format!(" {}/{}", it.namespace, it.name)).unwrap_or_default();
    let message = format!(
        "peer {}: {interface} has no {kind}{within} to have the session from: does NetworkAttachmentDefinition{network} \
         have IPAM for it?",
        peer.name
    );
    Obstacle::new("NoLocalAddress", message)
}

fn nets<'p>(pod: &'p Pod, interface: &str) -> &'p [IpNet] {
    pod.interfaces.get(interface).map_or(&[], Vec::as_slice)
}

/// Never an empty one.
fn password(input: &Input<'_>, peer: &PeerConfig, secret: &SecretKeyRef) -> Result<String, Obstacle> {
    let SecretKeyRef { name, key } = secret;
    let place = format!("peer {}: Secret {name}, key {key}", peer.name);
    let bytes = input.passwords.get(key).map(Vec::as_slice).unwrap_or_default();
    // Files that people make Secrets from end in a line break.
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if bytes.is_empty() {
        return Err(Obstacle::new("PasswordMissing", format!("{place}: there is no password, so there is no session")));
    }
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.bytes().all(is_plain));
    let Some(text) = text.filter(|text| text.len() <= MAX_PASSWORD) else {
        let allowed = format!("up to {MAX_PASSWORD} printable ASCII characters without \"");
        return Err(Obstacle::new(
            "PasswordUnusable",
            format!("{place}: BIRD takes {allowed}, so there is no session"),
        ));
    };
    Ok(text.to_owned())
}

/// BIRD's strings end at the next `"`, and know no other way to write one.
fn is_plain(byte: u8) -> bool {
    (byte.is_ascii_graphic() || byte == b' ') && byte != b'"'
}
/// Whether an interface with this side carries packets of a family.
fn carries(side: Side, family: Family) -> bool {
    match family {
        Family::Ipv4 => side.is_ipv4(),
        Family::Ipv6 => side.is_ipv6(),
    }
}
