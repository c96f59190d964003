//! What the relay's own table holds besides the routes to the TUN: where packets leave to.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use futures_util::TryStreamExt;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rtnetlink::{
    Handle, RouteMessageBuilder, RouteNextHopBuilder,
    packet_route::{
        AddressFamily,
        route::{RouteAddress, RouteAttribute, RouteMessage, RouteNextHop, RouteScope, RouteVia},
    },
};

use super::{PROTOCOL, netlink::Error, sides::View};
use crate::cli::Family;

/// Where a prefix leaves to: one or several (interface, router); without a router the segment itself.
type Hops = BTreeSet<(u32, Option<IpAddr>)>;

/// Routes by prefix, with the source of what the kernel itself sends by them.
pub(super) type Gateways = BTreeMap<IpNet, (Hops, Option<IpAddr>)>;

/// What belongs into the table for this look: for each family the networks of its sides, a default by all of its next hops that
/// are alive, and `more`, single addresses behind an interface.
pub(super) fn wanted(view: &View, more: &[(IpAddr, u32)]) -> Gateways {
    let mut gateways = Gateways::new();
    for family in Family::ALL {
        for (network, index) in view.networks(family) {
            gateways.entry(network).or_insert_with(|| (Hops::from([(index, None)]), view.source(family)));
        }
        gateways.extend(way_by_routers(view, family).map(|route| (default(family), route)));
    }
    gateways.extend(more.iter().map(|(address, index)| (IpNet::from(*address), (Hops::from([(*index, None)]), None))));
    gateways
}

/// Where a family's packets leave to: all of its next hops that are alive.
fn way_by_routers(view: &View, family: Family) -> Option<(Hops, Option<IpAddr>)> {
    let hops: Hops = view.alive(family).filter_map(|hop| Some((hop.index?, Some(hop.address)))).collect();
    (!hops.is_empty()).then(|| (hops, view.source(family)))
}

/// Those that are for IPv6.
pub(super) fn ipv6(mut gateways: Gateways) -> Gateways {
    gateways.retain(|prefix, _| prefix.addr().is_ipv6());
    gateways
}

/// Has the table follow at once when next hops come and go, without looking at what it holds.
pub(super) async fn lead(
    netlink: &Handle,
    table: u32,
    families: &[Family],
    before: &View,
    after: &View,
) -> Result<(), Error> {
    for family in families {
        let (old, new) = (way_by_routers(before, *family), way_by_routers(after, *family));
        match (old, new) {
            (old, new) if old == new => {}
            (_, Some((hops, source))) => {
                let message = message(table, default(*family), &hops, source);
                netlink.route().add(message).replace().execute().await?;
            }
            (Some((hops, source)), None) => remove(netlink, message(table, default(*family), &hops, source)).await?,
            (None, None) => {}
        }
    }
    Ok(())
}

/// Removes a route, if it is there.
async fn remove(netlink: &Handle, route: RouteMessage) -> Result<(), Error> {
    match netlink.route().del(route).execute().await.map_err(Error::from) {
        Err(error) if error.is(libc::ESRCH) => Ok(()),
        result => result,
    }
}

/// Makes the table hold them. Whether it did not.
pub(super) async fn install(
    netlink: &Handle,
    strict: &Handle,
    table: u32,
    tun: u32,
    wanted: &Gateways,
) -> Result<bool, Error> {
    let installed = installed(strict, table, tun).await?;
    let missing = wanted.iter().filter(|(prefix, route)| installed.get(*prefix) != Some(*route));
    let mut changed = false;
    for (prefix, (hops, source)) in missing {
        changed = true;
        netlink.route().add(message(table, *prefix, hops, *source)).replace().execute().await?;
    }
    for (prefix, (hops, source)) in installed.iter().filter(|(prefix, _)| !wanted.contains_key(*prefix)) {
        changed = true;
        remove(netlink, message(table, *prefix, hops, *source)).await?;
    }
    Ok(changed)
}

/// The interface by which the kernel would send a packet that `customer` sends through the TUN to somewhere in the
/// Internet, if it would.
pub(super) async fn way_out(
    netlink: &Handle,
    tun: u32,
    family: Family,
    customer: Ipv4Addr,
) -> Result<Option<u32>, Error> {
    // Addresses for examples and for measurements (RFC 3849, RFC 2544): nobody has a route for them alone.
    let v4 = || RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(Ipv4Addr::new(198, 18, 46, 46), 32);
    let v6 = || {
        RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 46), 128)
    };
    let question = match family {
        Family::Ipv4 => v4().source_prefix(customer, 32).input_interface(tun).build(),
        Family::Ipv6 => v6().input_interface(tun).build(),
    };
    match netlink.route().get(question).execute().try_next().await.map_err(Error::from) {
        Ok(answer) => Ok(answer.as_ref().and_then(output)),
        // Unreachable, prohibited, blackhole, or forwarding is off: what a packet would meet.
        Err(error)
            if [libc::EHOSTUNREACH, libc::ENETUNREACH, libc::EACCES, libc::EINVAL].iter().any(|it| error.is(*it)) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn output(message: &RouteMessage) -> Option<u32> {
    message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })
}

fn default(family: Family) -> IpNet {
    match family {
        Family::Ipv4 => Ipv4Net::default().into(),
        Family::Ipv6 => Ipv6Net::default().into(),
    }
}

fn message(table: u32, prefix: IpNet, hops: &Hops, source: Option<IpAddr>) -> RouteMessage {
    match (prefix, source) {
        (IpNet::V4(net), source) => {
            let route = RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(net.network(), net.prefix_len());
            let behind_a_router = hops.iter().any(|(_, router)| router.is_some());
            let route = if behind_a_router { route } else { route.scope(RouteScope::Link) };
            let route = match source {
                Some(IpAddr::V4(source)) => route.pref_source(source),
                _ => route,
            };
            with_hops(route, AddressFamily::Inet, hops).table_id(table).protocol(PROTOCOL).build()
        }
        (IpNet::V6(net), source) => {
            let route = RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(net.network(), net.prefix_len());
            let route = match source {
                Some(IpAddr::V6(source)) => route.pref_source(source),
                _ => route,
            };
            with_hops(route, AddressFamily::Inet6, hops).table_id(table).protocol(PROTOCOL).build()
        }
    }
}

fn with_hops<T>(route: RouteMessageBuilder<T>, family: AddressFamily, hops: &Hops) -> RouteMessageBuilder<T> {
    match hops.first() {
        Some((index, None)) if hops.len() == 1 => route.output_interface(*index),
        _ => route.multipath(hops.iter().map(|(index, router)| next_hop(family, *index, *router)).collect()),
    }
}

fn next_hop(family: AddressFamily, index: u32, router: Option<IpAddr>) -> RouteNextHop {
    let hop = RouteNextHopBuilder::new(family).interface(index);
    match router {
        // Only an IPv4 router for IPv6 cannot be, and the command line refuses that.
        Some(router) => hop.via(router).map_or_else(|_| RouteNextHop::default(), RouteNextHopBuilder::build),
        None => hop.build(),
    }
}

/// The relay's routes in its table that do not lead to the TUN.
async fn installed(strict: &Handle, table: u32, tun: u32) -> Result<Gateways, Error> {
    let v4 = RouteMessageBuilder::<Ipv4Addr>::new().protocol(PROTOCOL).table_id(table).build();
    let v6 = RouteMessageBuilder::<Ipv6Addr>::new().protocol(PROTOCOL).table_id(table).build();
    let mut gateways = Gateways::new();
    for query in [v4, v6] {
        match strict.route().get(query).execute().try_collect::<Vec<_>>().await.map_err(Error::from) {
            Ok(routes) => gateways.extend(routes.iter().filter_map(|route| read(route, tun))),
            // A table without any route is none.
            Err(error) if error.is(libc::ENOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(gateways)
}

fn read(message: &RouteMessage, tun: u32) -> Option<(IpNet, (Hops, Option<IpAddr>))> {
    let v4 = message.header.address_family == AddressFamily::Inet;
    let any = if v4 { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let (mut address, mut index, mut router, mut source, mut hops) = (any, None, None, None, Hops::new());
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(found) => address = super::routes::ip(found)?,
            RouteAttribute::Oif(found) => index = Some(*found),
            RouteAttribute::Gateway(found) => router = super::routes::ip(found),
            RouteAttribute::Via(RouteVia::Inet6(found)) => router = Some(IpAddr::V6(*found)),
            RouteAttribute::PrefSource(found) => source = super::routes::ip(found),
            RouteAttribute::MultiPath(found) => hops.extend(found.iter().map(read_hop)),
            _ => {}
        }
    }
    hops.extend(index.map(|index| (index, router)));
    let leads_to_tun = hops.iter().any(|(index, _)| *index == tun);
    let prefix = IpNet::new(address, message.header.destination_prefix_length).ok()?;
    (!leads_to_tun).then_some((prefix, (hops, source)))
}

fn read_hop(hop: &RouteNextHop) -> (u32, Option<IpAddr>) {
    let router = hop.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(v4)) => Some(IpAddr::V4(*v4)),
        RouteAttribute::Gateway(RouteAddress::Inet6(v6)) | RouteAttribute::Via(RouteVia::Inet6(v6)) => {
            Some(IpAddr::V6(*v6))
        }
        _ => None,
    });
    (hop.interface_index, router)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::Families,
        host::sides::{HopView, Link, SideView},
    };

    fn view() -> View {
        let side = |interface: &str, family, index, addresses: &[&str]| SideView {
            interface: interface.to_owned(),
            families: Families::One(family),
            link: Some(Link { index, up: true, ipv4_forwarding: true, rp_filter: 0 }),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        };
        let hop = |interface: &str, index, address: &str, family, alive| HopView {
            interface: interface.to_owned(),
            address: address.parse().unwrap(),
            family,
            peer: None,
            index: Some(index),
            alive,
        };
        View {
            sides: vec![
                side("net1", Family::Ipv4, 2, &["198.51.100.1/24", "fe80::1/64"]),
                side("net2", Family::Ipv6, 3, &["fe80::2/64", "2001:db8:1::1/64", "192.0.2.1/24"]),
            ],
            hops: vec![
                hop("net1", 2, "198.51.100.254", Family::Ipv4, true),
                hop("net1", 2, "198.51.100.253", Family::Ipv4, false),
                hop("net1", 2, "fe80::fe", Family::Ipv4, true),
                hop("net2", 3, "2001:db8:1::fe", Family::Ipv6, false),
            ],
            odd_ports: BTreeSet::new(),
            others: Vec::new(),
        }
    }

    #[test]
    fn a_family_leaves_by_its_own_living_next_hops_only() {
        let test = ("192.0.0.9".parse().unwrap(), 9);
        let gateways = wanted(&view(), &[test]);
        let prefixes: Vec<String> = gateways.keys().map(ToString::to_string).collect();
        assert_eq!(prefixes, ["0.0.0.0/0", "192.0.0.9/32", "198.51.100.0/24", "2001:db8:1::/64"]);
        let (hops, source) = &gateways[&default(Family::Ipv4)];
        let routers: Vec<String> = hops.iter().map(|(_, router)| router.unwrap().to_string()).collect();
        assert_eq!(routers, ["198.51.100.254", "fe80::fe"]);
        assert_eq!(*source, Some("198.51.100.1".parse().unwrap()));
    }

    #[test]
    fn a_route_is_read_as_it_was_written() {
        for (prefix, (hops, source)) in wanted(&view(), &[]) {
            let message = message(4646, prefix, &hops, source);
            assert_eq!(read(&message, 99), Some((prefix, (hops, source))));
        }
    }
}
