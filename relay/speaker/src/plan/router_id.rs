//! The router ID: each pod's own.

use std::net::{IpAddr, Ipv4Addr};

use crds::border_relay::RouterId;
use sha2::{Digest, Sha256};

use super::{Input, Obstacle};

/// The ID that the fleet asks for.
pub(super) fn choose(input: &Input<'_>) -> Result<Ipv4Addr, Obstacle> {
    match input.fleet.bgp.as_ref().map(|bgp| bgp.router_id) {
        Some(RouterId::FromIPv4Side) => of_ipv4_side(input),
        _ => Ok(of_pod(input)),
    }
}

/// From a hash of the pod's name. It looks like the address of a host: some routers want that (RFC 4271 s.4.2).
pub(super) fn of_pod(input: &Input<'_>) -> Ipv4Addr {
    let namespace = &input.fleet.name.namespace;
    let hash = Sha256::digest(format!("{namespace}/{}", input.pod.name));
    // 1 to 223, without loopback.
    let first = hash[0] % 222 + 1;
    let first = if first >= 127 { first + 1 } else { first };
    Ipv4Addr::new(first, hash[1], hash[2], hash[3])
}

fn of_ipv4_side(input: &Input<'_>) -> Result<Ipv4Addr, Obstacle> {
    let sides: Vec<&str> =
        input.fleet.interfaces.iter().filter(|it| it.side.is_ipv4()).map(|it| it.name.as_str()).collect();
    let mut addresses = sides.iter().filter_map(|name| input.pod.interfaces.get(*name)).flatten();
    let found = addresses.find_map(|net| match net.addr() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    found.ok_or_else(|| {
        let message = format!(
            "spec.bgp.routerID is FromIPv4Side, and {} has no IPv4 address: give its NetworkAttachmentDefinition IPAM, or \
             make routerID PodHash",
            sides.join(" or ")
        );
        Obstacle::new("RouterIdMissing", message)
    })
}

#[cfg(test)]
mod tests {
    use crate::plan::tests::{fleet, input, pod};

    use super::*;

    #[test]
    fn pods_have_router_ids_of_their_own_that_look_like_hosts() {
        let fleet = fleet();
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..512 {
            let pod = super::super::Pod { name: format!("default-{number}"), ..pod() };
            let id = of_pod(&input(&fleet, &pod));
            assert!(!id.is_loopback() && (1..=223).contains(&id.octets()[0]), "{id}");
            assert!(seen.insert(id), "{id}");
            assert_eq!(id, of_pod(&input(&fleet, &pod)));
        }
    }
}
