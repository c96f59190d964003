//! A fleet, read: what a `BorderRelay` means.
//!
//! [`FleetConfig`] is made by `TryFrom<&BorderRelay>` only, which finds all that is wrong with one; the operator, the
//! speaker and `culvertctl` take it from there.

use std::{collections::BTreeMap, net::IpAddr};

use mape::{DomainConfig, DomainName, IpNet, Ipv4Net, Ipv6Net, Problem, options::Toggle};

use crate::border_relay::{Drain, FastPath, PodTemplate, Rollout, RouterId, SecretKeyRef, Side, Sysctls};

/// A fleet of relays.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetConfig {
    /// The namespace and name of its `BorderRelay`.
    pub name: DomainName,
    /// How many relays there should be.
    pub replicas: u16,
    /// The interfaces that carry customers' traffic. Both sides are there.
    pub interfaces: Vec<InterfaceConfig>,
    /// How many queues a relay's TUN has; one for each CPU if it says nothing.
    pub queues: Option<u16>,
    /// Who turns on forwarding in a pod.
    pub sysctls: Sysctls,
    /// How it announces its prefixes.
    pub bgp: Option<BgpConfig>,
    /// What it may ever serve and announce.
    pub allowed: AllowedPrefixes,
    /// How a relay takes its leave. The times fit the pod's grace period.
    pub drain: Drain,
    /// How a change of the pods spreads. Not both numbers are 0.
    pub rollout: Rollout,
    /// What the pods are like.
    pub pod_template: PodTemplate,
}

/// An interface that carries customers' traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceConfig {
    /// What it is called in the pod.
    pub name: String,
    /// Which traffic it carries.
    pub side: Side,
    /// The NetworkAttachmentDefinition that makes it.
    pub network: Network,
    /// The program in the kernel before the TUN.
    pub fast_path: FastPath,
    /// Where its packets go.
    pub next_hops: NextHops,
}

/// A NetworkAttachmentDefinition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its namespace: the fleet's, if it says nothing else.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Where an interface's packets go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextHops {
    /// To the BGP peers there that are up. `bgp` is there.
    FromPeers,
    /// To these routers: some for each family that the side carries, and none of another.
    Addresses(Vec<IpAddr>),
}

/// How a fleet announces its prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BgpConfig {
    /// The autonomous system of the relays.
    pub local_asn: u32,
    /// How a relay gets a router ID.
    pub router_id: RouterId,
    /// The routers.
    pub peers: Vec<PeerConfig>,
    /// Over how many equal paths they spread traffic.
    pub expected_max_paths: u16,
    /// Whether routers keep the routes of a relay that has gone. Then no peer has BFD.
    pub graceful_restart: Toggle,
}

/// A router that the fleet announces to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerConfig {
    /// Its name.
    pub name: String,
    /// Its address. Without one there is an interface, and the router calls.
    pub address: Option<IpAddr>,
    /// The interface that leads to it, one of the fleet's; the one whose network holds the address if it says nothing.
    pub interface: Option<String>,
    /// Its autonomous system.
    pub asn: u32,
    /// Its TCP port.
    pub port: u16,
    /// How many hops away it may be; a neighbour if it says nothing.
    pub multihop_ttl: Option<u8>,
    /// Whether packets of the session that have crossed a router are refused. Then it is a neighbour.
    pub ttl_security: Toggle,
    /// The prefix of the address that the session comes from. Of the family of `address`, if that is there.
    pub source_prefix: Option<IpNet>,
    /// How either side notices that the other has gone, if the session has BFD.
    pub bfd: Option<BfdConfig>,
    /// Whether IPv4 prefixes go over this IPv6 session.
    pub extended_next_hop: Toggle,
    /// The password, which may not be left out if it is not there.
    pub password: Option<SecretKeyRef>,
    /// Labels of the nodes whose relays have the session.
    pub node_selector: BTreeMap<String, String>,
    /// How long without a message until the session is down: three times the keepalive time at least.
    pub hold_time_seconds: u16,
    /// How often a message is sent.
    pub keepalive_time_seconds: u16,
    /// How long until a session that failed is tried again.
    pub connect_retry_seconds: u16,
    /// Communities beside those of the domains.
    pub communities: Vec<String>,
    /// How often the local autonomous system is prepended.
    pub as_path_prepend: u8,
    /// The multi-exit discriminator.
    pub med: Option<u32>,
}

/// How either side of a session notices that the other has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BfdConfig {
    /// How often the relay sends.
    pub transmit_interval_milliseconds: u16,
    /// How often the router may send.
    pub receive_interval_milliseconds: u16,
    /// After how many missing packets the other side is gone.
    pub detect_multiplier: u8,
}

/// What a fleet may ever serve and announce.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllowedPrefixes {
    /// Where rules' IPv4 prefixes and their aggregates lie.
    pub ipv4: Vec<Ipv4Net>,
    /// Where BR addresses lie, and rules' IPv6 prefixes where they are announced.
    pub softwire: Vec<Ipv6Net>,
}

impl AllowedPrefixes {
    /// All of a domain that the fleet called `fleet` may not serve.
    #[must_use]
    pub fn refuse(&self, fleet: &DomainName, domain: &DomainConfig) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |field: String, found: String, which: &str, allowed: String| {
            let why = format!("BorderRelay {fleet} may serve nothing else (spec.allowed.{which})");
            let (domain, why) = (domain.name.clone(), why.into());
            problems.push(Problem { domain, field, found, allowed, why, conflicts_with: None });
        };
        if !self.softwire.iter().any(|allowed| allowed.contains(&domain.softwire_address)) {
            let found = domain.softwire_address.to_string();
            refuse("spec.softwireAddress".to_owned(), found, "softwirePrefixes", listed(&self.softwire, "in "));
        }
        for (at, aggregate) in domain.options.advertise.ipv4_aggregates.iter().enumerate() {
            if !self.ipv4.iter().any(|allowed| allowed.contains(aggregate)) {
                let field = format!("spec.advertise.ipv4Aggregates[{at}]");
                refuse(field, aggregate.to_string(), "ipv4Prefixes", listed(&self.ipv4, "in "));
            }
        }
        for (at, rule) in domain.rules.iter().enumerate() {
            if !self.ipv4.iter().any(|allowed| allowed.contains(&rule.ipv4_prefix)) {
                let found = rule.ipv4_prefix.to_string();
                refuse(format!("spec.rules[{at}].ipv4Prefix"), found, "ipv4Prefixes", listed(&self.ipv4, "in "));
            }
            let announced = domain.options.advertise.mape_prefixes == Toggle::Enabled;
            if announced && !self.softwire.iter().any(|allowed| allowed.contains(&rule.mape_prefix)) {
                let found = rule.mape_prefix.to_string();
                let allowed = listed(&self.softwire, "advertise.mapePrefixes Disabled, or in ");
                refuse(format!("spec.rules[{at}].mapePrefix"), found, "softwirePrefixes", allowed);
            }
        }
        problems
    }
}

/// The first few prefixes: a message is for people.
fn listed<N: ToString>(prefixes: &[N], lead: &str) -> String {
    let few: Vec<String> = prefixes.iter().take(4).map(ToString::to_string).collect();
    let more = if prefixes.len() > few.len() { " or others" } else { "" };
    format!("{lead}{}{more}", few.join(", "))
}
