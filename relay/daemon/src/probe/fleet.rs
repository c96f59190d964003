//! The objects of a test: a fleet whose routers are this pod, and a domain whose only CE is.
//!
//! Addresses that are not the pod's are those for benchmarks (RFC 2544, RFC 5180): nobody has routes to them, and nothing
//! announces them, as the fleet has no `bgp`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use crds::{
    BorderRelay, MapDomain,
    border_relay::{Allowed, Interface, Side},
    map_domain::RelayRef,
};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::OwnerReference};
use mape::{DomainConfig, DomainName, Options, RuleConfig, Version};
use pod::FleetName;

use super::place::Place;

/// The address that the CE shares with others, in theory.
const CUSTOMER: Ipv4Addr = Ipv4Addr::new(198, 18, 75, 97);

/// The CE's ports: those of RFC 7597, appendix A, example 1.
const PSID_OFFSET: u8 = 6;
const PSID_LENGTH: u8 = 8;
const PSID: u16 = 0x34;

/// The first of them.
const PORT: u16 = 1232;

/// The BR address.
const BR: Ipv6Addr = Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0x7597, 1);

/// The ends of the packets' way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    /// The host in the Internet.
    pub(super) host: Ipv4Addr,
    /// The CE, and where it sends its packets.
    pub(super) ce: Ipv6Addr,
    pub(super) br: Ipv6Addr,
    /// What the CE is on the Internet.
    pub(super) customer: SocketAddrV4,
}

impl Ends {
    /// Of a fleet without relays (RFC 5737, RFC 3849).
    pub(super) const NOWHERE: Self =
        Self::at(Ipv4Addr::new(192, 0, 2, 1), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

    const fn at(host: Ipv4Addr, ce: Ipv6Addr) -> Self {
        Self { host, ce, br: BR, customer: SocketAddrV4::new(CUSTOMER, PORT) }
    }
}

impl From<&Place> for Ends {
    fn from(place: &Place) -> Self {
        Self::at(place.ipv4.address, place.ipv6.address)
    }
}

/// The fleet that was asked for, with its next hops at both ends, and allowed to serve the domain and nothing else.
pub(super) fn relays(mut fleet: BorderRelay, ends: &Ends, pod: &Pod) -> BorderRelay {
    for interface in &mut fleet.spec.dataplane.interfaces {
        interface.next_hops = next_hops(interface, ends);
    }
    fleet.spec.allowed =
        Allowed { ipv4_prefixes: vec![format!("{CUSTOMER}/32")], softwire_prefixes: vec![format!("{BR}/128")] };
    fleet.metadata.owner_references = Some(vec![owner(pod)]);
    fleet
}

fn next_hops(interface: &Interface, ends: &Ends) -> Vec<String> {
    let (host, ce) = (ends.host.to_string(), ends.ce.to_string());
    match interface.side {
        Side::IPv4 => vec![host],
        Side::IPv6 => vec![ce],
        Side::Both => vec![host, ce],
    }
}

/// The domain, of the fleet's name.
pub(super) fn domain(fleet: &FleetName, ends: &Ends, pod: &Pod) -> MapDomain {
    let mut domain = MapDomain::from(&config(fleet, ends));
    domain.spec.relay_refs = vec![RelayRef { name: fleet.name.clone() }];
    domain.metadata.owner_references = Some(vec![owner(pod)]);
    domain
}

fn config(fleet: &FleetName, ends: &Ends) -> DomainConfig {
    let rule = RuleConfig {
        name: "test".to_owned(),
        ipv4_prefix: CUSTOMER.into(),
        mape_prefix: ends.ce.into(),
        ea_bits_length: 0,
        psid_offset: PSID_OFFSET,
        psid_length: Some(PSID_LENGTH),
        psid: Some(PSID),
    };
    DomainConfig {
        name: DomainName { namespace: fleet.namespace.clone(), name: fleet.name.clone() },
        created: 0,
        softwire_address: BR,
        version: Version::Rfc7597,
        rules: vec![rule],
        options: Options::default(),
    }
}

/// All goes with the pod, whatever becomes of the test.
fn owner(pod: &Pod) -> OwnerReference {
    OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        name: pod.metadata.name.clone().unwrap_or_default(),
        uid: pod.metadata.uid.clone().unwrap_or_default(),
        ..OwnerReference::default()
    }
}

#[cfg(test)]
mod tests {
    use crds::FleetConfig;
    use mape::Fleet;

    use super::*;

    fn fleet(interfaces: &serde_json::Value) -> BorderRelay {
        let written = serde_json::json!({
            "apiVersion": "culvert.dev/v1alpha1", "kind": "BorderRelay", "metadata": {"namespace": "isps", "name": "test"},
            "spec": {"replicas": 1, "dataplane": {"interfaces": interfaces}, "allowed": {"ipv4Prefixes": [], "softwirePrefixes": []}}});
        relays(serde_json::from_value(written).unwrap(), &Ends::NOWHERE, &Pod::default())
    }

    #[test]
    fn the_fleet_may_serve_the_domain() {
        let both = fleet(&serde_json::json!([{"name": "net1", "network": "fabric"}]));
        let config = FleetConfig::try_from(&both).unwrap();
        let domain =
            DomainConfig::try_from(&domain(&"isps/test".parse().unwrap(), &Ends::NOWHERE, &Pod::default())).unwrap();
        assert_eq!(config.allowed.refuse(&config.name, &domain), []);
        assert_eq!(both.spec.dataplane.interfaces[0].next_hops, ["192.0.2.1", "2001:db8::1"]);
        let two = serde_json::json!([
            {"name": "net1", "side": "IPv4", "network": "v4"}, {"name": "net2", "side": "IPv6", "network": "v6"}]);
        let hops = fleet(&two).spec.dataplane.interfaces.into_iter().map(|interface| interface.next_hops);
        assert_eq!(hops.collect::<Vec<_>>(), [["192.0.2.1"], ["2001:db8::1"]]);
    }

    #[test]
    fn the_domain_maps_as_its_packets_expect() {
        let ends = Ends::NOWHERE;
        let fleet = Fleet::new(vec![config(&"isps/test".parse().unwrap(), &ends)]).unwrap();
        let target = fleet.to_ce(*ends.customer.ip(), Some(ends.customer.port())).unwrap();
        assert_eq!(target.ce_address, ends.ce);
        assert!(fleet.check_source(ends.ce, Some(ends.br), *ends.customer.ip(), Some(ends.customer.port())).is_ok());
        assert!(fleet.to_ce(*ends.customer.ip(), Some(ends.customer.port() - 1)).is_err(), "it is the first port");
    }
}
