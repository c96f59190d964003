//! Routes to the TUN, and other people's routes in their way.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use futures_util::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::{
    Handle, RouteMessageBuilder,
    packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType},
};

use crds::routes;

use super::{PROTOCOL, RouteTable, Tun, netlink::Error};
use crate::plan::{Announcement, Route};

const LOCAL: u32 = 255;

/// What the kernel makes of an IPv6 route without a metric (`IP6_RT_PRIO_USER`).
const IPV6_DEFAULT: u32 = 1024;

/// Adds a route, or replaces the source of one that is there.
pub(super) async fn add(
    netlink: &Handle,
    tun: &Tun,
    table: RouteTable,
    prefix: IpNet,
    route: &Route,
    replace: bool,
) -> Result<(), Error> {
    let request = netlink.route().add(message(tun, table, prefix, route.source, route.announcement));
    let request = if replace { request.replace() } else { request };
    Ok(request.execute().await?)
}

/// Removes a route that is announced so, if it is there.
pub(super) async fn remove(
    netlink: &Handle,
    tun: &Tun,
    table: RouteTable,
    prefix: IpNet,
    announcement: Announcement,
) -> Result<(), Error> {
    match netlink.route().del(message(tun, table, prefix, None, announcement)).execute().await.map_err(Error::from) {
        Err(error) if error.is(libc::ESRCH) => Ok(()),
        result => result,
    }
}

fn message(
    tun: &Tun,
    table: RouteTable,
    prefix: IpNet,
    source: Option<Ipv4Addr>,
    announcement: Announcement,
) -> RouteMessage {
    let mut message = message_of(tun, table, prefix, source);
    let metric = match (announcement, prefix) {
        (Announcement::Full, IpNet::V4(_)) => None,
        (Announcement::Full, IpNet::V6(_)) => Some(IPV6_DEFAULT),
        (Announcement::Leaving, _) => Some(routes::LEAVING),
        (Announcement::Local, _) => Some(routes::LOCAL),
    };
    message.attributes.extend(metric.map(RouteAttribute::Priority));
    message
}

fn announcement(metric: Option<u32>) -> Announcement {
    match metric {
        Some(routes::LEAVING) => Announcement::Leaving,
        Some(routes::LOCAL) => Announcement::Local,
        _ => Announcement::Full,
    }
}

fn message_of(tun: &Tun, table: RouteTable, prefix: IpNet, source: Option<Ipv4Addr>) -> RouteMessage {
    match prefix {
        IpNet::V4(net) => {
            let route = RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(net.network(), net.prefix_len())
                .scope(RouteScope::Link);
            let route = if let Some(source) = source { route.pref_source(source) } else { route };
            route.output_interface(tun.index).table_id(table.number()).protocol(PROTOCOL).build()
        }
        IpNet::V6(net) => RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(net.network(), net.prefix_len())
            .output_interface(tun.index)
            .table_id(table.number())
            .protocol(PROTOCOL)
            .build(),
    }
}

/// The prefixes that lead to the TUN by a route of ours, and how that is announced; `strict` is a socket that only dumps
/// what is asked for.
pub(super) async fn installed(
    strict: &Handle,
    tun: &Tun,
    table: RouteTable,
) -> Result<BTreeSet<(IpNet, Announcement)>, Error> {
    let v4 = RouteMessageBuilder::<Ipv4Addr>::new().output_interface(tun.index).protocol(PROTOCOL);
    let v6 = RouteMessageBuilder::<Ipv6Addr>::new().output_interface(tun.index).protocol(PROTOCOL);
    let number = table.number();
    let mut prefixes = BTreeSet::new();
    for query in [v4.table_id(number).build(), v6.table_id(number).build()] {
        match strict.route().get(query).execute().try_collect::<Vec<_>>().await.map_err(Error::from) {
            Ok(routes) => prefixes
                .extend(routes.iter().map(Existing::read).map(|route| (route.prefix, announcement(route.metric)))),
            // A table without any route is none.
            Err(error) if error.is(libc::ENOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(prefixes)
}

/// What is in the way of the wanted routes: routes to the same prefixes, and addresses of this box.
pub(super) async fn obstacles(
    netlink: &Handle,
    tun: Option<&Tun>,
    table: RouteTable,
    wanted: &[(IpNet, Route)],
) -> Result<Vec<String>, Error> {
    let wanted: BTreeMap<IpNet, &Route> = wanted.iter().map(|(prefix, route)| (*prefix, route)).collect();
    let links = interface_names(netlink).await?;
    let is_own = |route: &Existing| tun.is_some() && route.device == tun.map(|tun| tun.index);
    let mut obstacles = Vec::new();
    for query in [RouteMessageBuilder::<Ipv4Addr>::new().build(), RouteMessageBuilder::<Ipv6Addr>::new().build()] {
        let mut routes = netlink.route().get(query).execute();
        while let Some(message) = routes.try_next().await? {
            let found = Existing::read(&message);
            if let Some(route) = wanted.get(&found.prefix).filter(|_| !is_own(&found)) {
                obstacles.extend(found.complaint(table, route, &links));
            }
        }
    }
    Ok(obstacles)
}

async fn interface_names(netlink: &Handle) -> Result<BTreeMap<u32, String>, Error> {
    let links = super::link::drops(netlink).await?;
    Ok(links.into_iter().map(|link| (link.index, link.interface)).chain([(1, "lo".to_owned())]).collect())
}

/// A route that is on the box already.
struct Existing {
    prefix: IpNet,
    table: u32,
    kind: RouteType,
    protocol: RouteProtocol,
    device: Option<u32>,
    gateway: Option<IpAddr>,
    metric: Option<u32>,
}

impl Existing {
    fn read(message: &RouteMessage) -> Self {
        let header = &message.header;
        let v4 = header.address_family == rtnetlink::packet_route::AddressFamily::Inet;
        let default = if v4 { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
        let mut address = default;
        let mut route = Self {
            prefix: IpNet::new_assert(default, 0),
            table: header.table.into(),
            kind: header.kind,
            protocol: header.protocol,
            device: None,
            gateway: None,
            metric: None,
        };
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(destination) => address = ip(destination).unwrap_or(default),
                RouteAttribute::Gateway(gateway) => route.gateway = ip(gateway),
                RouteAttribute::Oif(index) => route.device = Some(*index),
                RouteAttribute::Priority(metric) => route.metric = Some(*metric),
                RouteAttribute::Table(table) => route.table = *table,
                _ => {}
            }
        }
        route.prefix = IpNet::new(address, header.destination_prefix_length).unwrap_or(route.prefix);
        route
    }

    /// Why a route to the same prefix cannot live beside this one, if it cannot.
    fn complaint(&self, table: RouteTable, wanted: &Route, links: &BTreeMap<u32, String>) -> Option<String> {
        let (prefix, domain) = (self.prefix, &wanted.domain);
        if self.table == LOCAL && table == RouteTable::Main && self.kind == RouteType::Local {
            let device = self.device.and_then(|index| links.get(&index)).map_or("an interface", String::as_str);
            let address = prefix.addr();
            return Some(format!(
                "{address} is an address of this box (dev {device}), so its packets would not reach {domain}: \
                 `ip address delete {address} dev {device}`"
            ));
        }
        (self.table == table.number()).then(|| {
            let route = self.describe(links);
            let family = if prefix.addr().is_ipv6() { "-6 " } else { "" };
            format!(
                "{prefix} of {domain} has a route already, in table {table}: {route}; remove it (`ip {family}route delete \
                 {route} table {table}`) or set advertise.autoRoute: Disabled in {domain}"
            )
        })
    }

    /// The route as iproute2 would write it.
    fn describe(&self, links: &BTreeMap<u32, String>) -> String {
        let kind = match self.kind {
            RouteType::Unicast => String::new(),
            kind => format!("{} ", format!("{kind:?}").to_lowercase()),
        };
        let gateway = self.gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
        let device =
            self.device.and_then(|index| links.get(&index)).map(|name| format!(" dev {name}")).unwrap_or_default();
        let metric = self.metric.map(|metric| format!(" metric {metric}")).unwrap_or_default();
        format!("{kind}{}{gateway}{device} proto {}{metric}", self.prefix, protocol_name(self.protocol))
    }
}

/// The name that iproute2 knows.
fn protocol_name(protocol: RouteProtocol) -> String {
    match protocol {
        RouteProtocol::Other(number) => number.to_string(),
        known => format!("{known:?}").to_lowercase(),
    }
}

pub(super) fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some((*v4).into()),
        RouteAddress::Inet6(v6) => Some((*v6).into()),
        _ => None,
    }
}
