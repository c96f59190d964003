//! Where a pod is on the segments, as Multus (or its like) has written it on the pod.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crds::border_relay::Interface;
use k8s_openapi::api::core::v1::Pod;
use serde::Deserialize;

/// The annotation, of the network plumbing working group's de-facto standard.
const STATUS: &str = "k8s.v1.cni.cncf.io/network-status";

/// A pod on both segments, which may be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) ipv4: Spot<Ipv4Addr>,
    pub(super) ipv6: Spot<Ipv6Addr>,
}

/// A pod on a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot<A> {
    pub(super) interface: String,
    pub(super) address: A,
    pub(super) mac: [u8; 6],
}

impl Place {
    /// Where a pod with the fleet's interfaces is.
    ///
    /// # Errors
    /// A sentence about what is missing.
    pub(super) fn of(pod: &Pod, interfaces: &[Interface]) -> Result<Self, String> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let text = pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(STATUS));
        let text =
            text.ok_or_else(|| format!("pod {name} has no annotation {STATUS}: does Multus run on its node?"))?;
        let place = Self::read(text, interfaces);
        place.map_err(|why| format!("pod {name}, annotation {STATUS}: {why}: {text}"))
    }

    fn read(text: &str, interfaces: &[Interface]) -> Result<Self, String> {
        let networks: Vec<Network> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let ipv4 = interfaces.iter().find(|interface| interface.side.is_ipv4());
        let ipv6 = interfaces.iter().find(|interface| interface.side.is_ipv6());
        Ok(Self { ipv4: spot(&networks, ipv4, "IPv4", ipv4_host)?, ipv6: spot(&networks, ipv6, "IPv6", ipv6_host)? })
    }
}

/// What one network gave the pod.
#[derive(Debug, Deserialize)]
struct Network {
    #[serde(default)]
    interface: String,
    #[serde(default)]
    ips: Vec<IpAddr>,
    #[serde(default)]
    mac: String,
}

fn spot<A>(
    networks: &[Network],
    interface: Option<&Interface>,
    family: &str,
    host: fn(IpAddr) -> Option<A>,
) -> Result<Spot<A>, String> {
    let interface = &interface.ok_or_else(|| format!("the fleet has no interface for {family}"))?.name;
    let network = networks.iter().find(|network| network.interface == *interface);
    let network = network.ok_or_else(|| format!("there is no {interface}"))?;
    let address = network.ips.iter().copied().find_map(host);
    let address = address.ok_or_else(|| format!("{interface} has no {family} address"))?;
    let mac = read_mac(&network.mac).ok_or_else(|| format!("{interface} has no MAC address"))?;
    Ok(Spot { interface: interface.clone(), address, mac })
}

fn ipv4_host(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    }
}

fn ipv6_host(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(v6) if !v6.is_unicast_link_local() => Some(v6),
        _ => None,
    }
}

fn read_mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Result<Vec<u8>, _> = text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect();
    bytes.ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = r#"[
        {"name": "cbr0", "interface": "eth0", "ips": ["10.244.1.7"], "mac": "0a:00:00:00:00:01", "default": true, "dns": {}},
        {"name": "isps/v4", "interface": "net1", "ips": ["198.51.100.70"], "mac": "0a:00:00:00:00:02", "dns": {}},
        {"name": "isps/v6", "interface": "net2", "ips": ["fe80::1", "2001:db8::70"], "mac": "0a:00:00:00:00:03", "dns": {}}]"#;

    fn interfaces(list: serde_json::Value) -> Vec<Interface> {
        serde_json::from_value(list).unwrap()
    }

    fn two() -> Vec<Interface> {
        interfaces(serde_json::json!([
            {"name": "net1", "side": "IPv4", "network": "v4"}, {"name": "net2", "side": "IPv6", "network": "v6"}]))
    }

    #[test]
    fn a_pod_is_where_its_networks_put_it() {
        let place = Place::read(BOTH, &two()).unwrap();
        let at = |place: &Place| (place.ipv4.address.to_string(), place.ipv6.address.to_string());
        assert_eq!(at(&place), ("198.51.100.70".to_owned(), "2001:db8::70".to_owned()));
        assert_eq!((place.ipv4.mac[5], place.ipv6.mac[5]), (2, 3));
        let one = interfaces(serde_json::json!([{"name": "net1", "network": "fabric"}]));
        let place = BOTH.replace(r#""198.51.100.70""#, r#""198.51.100.70", "2001:db8::71""#);
        assert_eq!(Place::read(&place, &one).unwrap().ipv6.interface, "net1");
    }

    #[test]
    fn what_is_missing_is_named() {
        let why = |text: &str| Place::read(text, &two()).unwrap_err();
        assert_eq!(why(&BOTH.replace("net2", "net3")), "there is no net2");
        assert_eq!(why(&BOTH.replace("2001:db8::70", "fe80::2")), "net2 has no IPv6 address");
        assert_eq!(why(&BOTH.replace("0a:00:00:00:00:02", "")), "net1 has no MAC address");
        let ipv6_only = interfaces(serde_json::json!([{"name": "net2", "side": "IPv6", "network": "v6"}]));
        assert_eq!(Place::read(BOTH, &ipv6_only).unwrap_err(), "the fleet has no interface for IPv4");
    }
}
