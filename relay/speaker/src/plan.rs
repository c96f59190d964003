//! What a speaker shall do, as plain data: which sessions its pod has, and what may be announced. A pure function of
//! fleet, domains and pod: no clock, no network, no files.

mod announce;
mod bird_name;
mod router_id;
mod session;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

use crds::{FleetConfig, revision::Domain};
use mape::{IpNet, Ipv4Net};
pub(crate) use pod::{Family, Obstacle};

pub(crate) use self::{
    announce::{Announcements, Attributes, Community, Group},
    bird_name::{Spoken, spoken},
    session::{Reach, Session},
};

/// Everything that counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) fleet: &'a FleetConfig,
    /// For each peer that is for some nodes only: which.
    pub(crate) peer_nodes: &'a BTreeMap<String, BTreeSet<String>>,
    pub(crate) domains: &'a [Domain],
    /// What others are announced instead of, and may be announced itself until routers know those.
    pub(crate) replaced: &'a [(Ipv4Net, &'a Attributes)],
    pub(crate) pod: &'a Pod,
    /// By key, what the Secret holds.
    pub(crate) passwords: &'a BTreeMap<String, Vec<u8>>,
    pub(crate) phase: Phase,
}

/// The pod, as found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) node: String,
    /// Its interfaces, with their addresses: of several that would do the first is taken.
    pub(crate) interfaces: BTreeMap<String, Vec<IpNet>>,
    /// The way to each peer that is several hops away, as the kernel has it.
    pub(crate) ways: BTreeMap<IpAddr, Way>,
}

/// How packets leave for an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) interface: String,
    /// The address that they come from.
    pub(crate) source: IpAddr,
}

/// How far the pod's leave has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Phase {
    /// It stays.
    #[default]
    Announcing,
    /// Everything is announced with GRACEFUL_SHUTDOWN (RFC 8326).
    GracefulShutdown,
    /// Nothing is announced.
    Withdrawn,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) router_id: Ipv4Addr,
    pub(crate) sessions: Vec<Session>,
    pub(crate) announcements: Announcements,
    pub(crate) phase: Phase,
    /// What keeps sessions from being there.
    pub(crate) obstacles: Vec<Obstacle>,
}

impl Plan {
    pub(crate) fn new(input: &Input<'_>) -> Self {
        let mut obstacles = Vec::new();
        let router_id = router_id::choose(input).unwrap_or_else(|obstacle| {
            obstacles.push(obstacle);
            router_id::of_pod(input)
        });
        let mut sessions = Vec::new();
        // Without a router ID as asked for there is nobody to be.
        let peers = input.fleet.bgp.iter().flat_map(|bgp| &bgp.peers).filter(|_| obstacles.is_empty());
        let mut missing = Vec::new();
        for peer in peers.filter(|peer| is_for(input, peer)) {
            match Session::new(input, peer) {
                Ok(session) => sessions.push(session),
                Err(obstacle) => missing.push(obstacle),
            }
        }
        obstacles.append(&mut missing);
        let announcements = Announcements::new(&input.fleet.allowed, input.domains, input.replaced);
        Self { router_id, sessions, announcements, phase: input.phase, obstacles }
    }

    /// The families that peers of this pod are there for, up or not.
    pub(crate) fn families(input: &Input<'_>) -> BTreeSet<Family> {
        let peers = input.fleet.bgp.iter().flat_map(|bgp| &bgp.peers).filter(|peer| is_for(input, peer));
        peers.flat_map(|peer| session::families(input.fleet, peer, peer.interface.as_deref())).collect()
    }
}

/// Whether the pod's node has the session.
fn is_for(input: &Input<'_>, peer: &crds::fleet::PeerConfig) -> bool {
    let nodes = input.peer_nodes.get(&peer.name);
    peer.node_selector.is_empty() || nodes.is_some_and(|nodes| nodes.contains(&input.pod.node))
}

#[cfg(test)]
pub(crate) mod tests {
    use mape::{DomainConfig, DomainName, Options, RuleConfig, Version};

    use super::*;

    const FLEET: &str = r#"
apiVersion: culvert.dev/v1alpha1
kind: BorderRelay
metadata: {name: default, namespace: isps}
spec:
  dataplane:
    interfaces:
    - {name: net1, network: plain, side: IPv4}
    - {name: net2, network: tunnel, side: IPv6}
  bgp:
    localASN: 64512
    peers:
    - {name: everywhere, address: 198.51.100.1, peerASN: 64500}
    - {name: rack-1, address: 198.51.100.2, peerASN: 64500, nodeSelector: {rack: "1"}}
    - {name: secret, address: "2001:db8:100::1", peerASN: 64500, passwordSecretRef: {name: bgp, key: tor1}}
    - {name: far, address: 203.0.113.1, peerASN: 64501, multihopTTL: 4}
    - {name: calls, interface: net1, peerASN: 64502, extendedNextHop: Enabled}
  allowed: {ipv4Prefixes: [192.0.2.0/24], softwirePrefixes: ["2001:db8:ffff::/48"]}
"#;

    pub(crate) fn fleet() -> FleetConfig {
        crds::manifest::parse("fleet.yaml", FLEET).unwrap().fleets.remove(0).config
    }

    pub(crate) fn pod() -> Pod {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let interfaces = [
            ("net1".to_owned(), nets(&["198.51.100.11/24", "198.51.100.12/24", "fe80::1/64"])),
            ("net2".to_owned(), nets(&["2001:db8:100::11/64", "fe80::2/64"])),
        ];
        let way = Way { interface: "net1".to_owned(), source: "198.51.100.12".parse().unwrap() };
        let ways = [("203.0.113.1".parse().unwrap(), way)].into();
        Pod { name: "default-1".to_owned(), node: "node1".to_owned(), interfaces: interfaces.into(), ways }
    }

    pub(crate) fn input<'a>(fleet: &'a FleetConfig, pod: &'a Pod) -> Input<'a> {
        static NOBODY: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        static NONE: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let (peer_nodes, passwords, phase) = (&NOBODY, &NONE, Phase::Announcing);
        Input { fleet, peer_nodes, domains: &[], replaced: &[], pod, passwords, phase }
    }

    pub(crate) fn domain(name: &str, br_address: &str, prefixes: &[&str]) -> Domain {
        let rule = |prefix: &&str| RuleConfig {
            name: "r".to_owned(),
            ipv4_prefix: prefix.parse().unwrap(),
            mape_prefix: "2001:db8:ce::/48".parse().unwrap(),
            ea_bits_length: 16,
            psid_offset: 4,
            psid_length: None,
            psid: None,
        };
        let config = DomainConfig {
            name: DomainName { namespace: "isps".to_owned(), name: name.to_owned() },
            created: 0,
            softwire_address: br_address.parse().unwrap(),
            version: Version::Rfc7597,
            rules: prefixes.iter().map(rule).collect(),
            options: Options::default(),
        };
        Domain { config, communities: Vec::new(), local_preference: None }
    }

    fn peers(plan: &Plan) -> Vec<&str> {
        plan.sessions.iter().map(|session| session.peer.as_str()).collect()
    }

    fn reasons(plan: &Plan) -> Vec<&'static str> {
        plan.obstacles.iter().map(|obstacle| obstacle.reason).collect()
    }

    #[test]
    fn a_pod_has_the_sessions_of_its_node_and_none_without_its_password() {
        let (fleet, pod) = (fleet(), pod());
        let plan = Plan::new(&input(&fleet, &pod));
        assert_eq!(peers(&plan), ["everywhere", "far", "calls"]);
        assert_eq!(reasons(&plan), ["PasswordMissing"]);
        assert!(plan.obstacles[0].message.contains("Secret bgp, key tor1"), "{:?}", plan.obstacles);
        let nodes = BTreeMap::from([("rack-1".to_owned(), BTreeSet::from(["node1".to_owned()]))]);
        let passwords = BTreeMap::from([("tor1".to_owned(), b"secret\n".to_vec())]);
        let input = Input { peer_nodes: &nodes, passwords: &passwords, ..input(&fleet, &pod) };
        let plan = Plan::new(&input);
        assert_eq!(peers(&plan), ["everywhere", "rack-1", "secret", "far", "calls"]);
        assert_eq!((plan.sessions[2].password.as_deref(), plan.obstacles), (Some("secret"), Vec::new()));
    }

    #[test]
    fn a_password_that_bird_cannot_have_is_none() {
        let (fleet, pod) = (fleet(), pod());
        for (password, reason) in [
            (&b""[..], "PasswordMissing"),
            (b"\n", "PasswordMissing"),
            (b"quote\"", "PasswordUnusable"),
            (b"two\nlines", "PasswordUnusable"),
            (&[0xff], "PasswordUnusable"),
            (&[b'a'; 81], "PasswordUnusable"),
        ] {
            let passwords = BTreeMap::from([("tor1".to_owned(), password.to_vec())]);
            let plan = Plan::new(&Input { passwords: &passwords, ..input(&fleet, &pod) });
            assert!(reasons(&plan) == [reason] && !peers(&plan).contains(&"secret"), "{password:?}: {plan:?}");
        }
    }

    #[test]
    fn a_session_comes_from_the_address_that_leads_to_the_peer() {
        let (fleet, pod) = (fleet(), pod());
        let plan = Plan::new(&input(&fleet, &pod));
        let local: Vec<String> = plan.sessions.iter().map(|it| format!("{}%{}", it.local, it.interface)).collect();
        assert_eq!(local, ["198.51.100.11%net1", "198.51.100.12%net1", "fe80::1%net1"]);
    }

    #[test]
    fn a_session_carries_what_its_interface_is_for() {
        let (fleet, pod) = (fleet(), pod());
        let plan = Plan::new(&input(&fleet, &pod));
        assert!(plan.sessions.iter().all(|session| session.families == [Family::Ipv4].into()), "{plan:?}");
        let mut other = fleet;
        let peers = &mut other.bgp.as_mut().unwrap().peers;
        peers[4].extended_next_hop = mape::options::Toggle::Disabled;
        assert_eq!(reasons(&Plan::new(&input(&other, &pod))), ["PasswordMissing", "NothingToCarry"]);
    }

    #[test]
    fn what_keeps_a_session_away_is_said() {
        let fleet = fleet();
        let mut pod = pod();
        pod.ways.values_mut().for_each(|way| way.interface = "eth0".to_owned());
        pod.interfaces.insert("net1".to_owned(), Vec::new());
        let plan = Plan::new(&input(&fleet, &pod));
        assert_eq!(reasons(&plan), ["NoWayToPeer", "PasswordMissing", "NoWayToPeer", "NoLocalAddress"]);
        let said: Vec<&str> = plan.obstacles.iter().map(|it| it.message.as_str()).collect();
        assert!(said[0].contains("no network of net1, net2 holds 198.51.100.1"), "{said:?}");
        assert!(said[2].contains("eth0, which is none of the fleet's"), "{said:?}");
        assert!(said[3].contains("NetworkAttachmentDefinition isps/plain have IPAM"), "{said:?}");
    }

    #[test]
    fn without_the_router_id_it_asks_for_a_fleet_has_no_sessions() {
        let (mut fleet, mut pod) = (fleet(), pod());
        fleet.bgp.as_mut().unwrap().router_id = crds::border_relay::RouterId::FromIPv4Side;
        assert_eq!(Plan::new(&input(&fleet, &pod)).router_id, Ipv4Addr::new(198, 51, 100, 11));
        pod.interfaces.insert("net1".to_owned(), Vec::new());
        let plan = Plan::new(&input(&fleet, &pod));
        assert_eq!((peers(&plan), reasons(&plan)), (Vec::new(), vec!["RouterIdMissing"]));
    }
}
