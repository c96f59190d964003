//! The box around the relay, by netlink: the TUN as an interface, the routes to it, the rules of its own table.

mod addresses;
mod link;
mod netlink;
mod routes;
mod rules;
mod sysctl;

use std::{fmt, net::Ipv4Addr};

use ipnet::IpNet;
use rtnetlink::{Handle, packet_route::route::RouteProtocol};

use crate::{
    failure::{Failure, host},
    plan::Route,
};

pub(crate) use self::{
    link::{LinkDrops, Tun},
    sysctl::{forwarding_ipv4, forwarding_ipv6},
};

/// The protocol number of everything that a relay installs: for RFC 7597, and free in iproute2's `rt_protos`.
const PROTOCOL: RouteProtocol = RouteProtocol::Other(97);

/// Where the relay's routes are, and where packets from the TUN look for theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteTable {
    /// The main table, like everything else on the box.
    Main,
    /// A table of the relay's own.
    Own(u32),
}

impl RouteTable {
    fn number(self) -> u32 {
        match self {
            Self::Main => 254,
            Self::Own(number) => number,
        }
    }
}

impl fmt::Display for RouteTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Main => f.write_str("main"),
            Self::Own(number) => write!(f, "{number}"),
        }
    }
}

/// The box, as far as the relay changes it.
#[derive(Clone)]
pub(crate) struct Host {
    netlink: Handle,
    tun: Tun,
    table: RouteTable,
}

impl Host {
    /// Makes the new TUN device `name` an interface that is ready for packets, and sets up the relay's own table.
    pub(crate) async fn prepare(name: &str, queue_length: u32, table: RouteTable) -> Result<Self, Failure> {
        let netlink = netlink::connect()?;
        let tun = link::set_up(&netlink, name, queue_length).await?;
        let host = Self { netlink, tun, table };
        if let RouteTable::Own(number) = table {
            rules::install(&host.netlink, &host.tun.name, number).await?;
        }
        Ok(host)
    }

    /// The TUN as an interface.
    pub(crate) fn tun(&self) -> &Tun {
        &self.tun
    }

    /// Gives the TUN addresses.
    pub(crate) async fn add_addresses(&self, addresses: &[Ipv4Addr]) -> Result<(), Failure> {
        for address in addresses {
            let added = addresses::add(&self.netlink, self.tun.index, *address).await;
            added.map_err(|error| host(format_args!("address {address} on {}", self.tun.name), error))?;
        }
        Ok(())
    }

    /// Takes addresses from the TUN.
    pub(crate) async fn remove_addresses(&self, addresses: &[Ipv4Addr]) {
        for address in addresses {
            if let Err(error) = addresses::remove(&self.netlink, self.tun.index, *address).await {
                tracing::warn!(%address, %error, "address could not be removed from the TUN device");
            }
        }
    }

    /// Everything on this box that keeps these routes from working, one sentence each.
    pub(crate) async fn obstacles(&self, wanted: &[(IpNet, Route)]) -> Result<Vec<String>, Failure> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let found = routes::obstacles(&self.netlink, &self.tun, self.table, wanted).await;
        found.map_err(|error| host("routes cannot be listed", error))
    }

    /// Leads prefixes to the TUN; those in `changed` already do, and get another source.
    pub(crate) async fn add_routes(&self, new: &[(IpNet, Route)], changed: &[(IpNet, Route)]) -> Result<(), Failure> {
        for (routes, replace) in [(new, false), (changed, true)] {
            for (prefix, route) in routes {
                let added = routes::add(&self.netlink, &self.tun, self.table, *prefix, route.source, replace).await;
                added.map_err(|error| {
                    host(format_args!("route {prefix} dev {} cannot be added", self.tun.name), error)
                })?;
            }
        }
        Ok(())
    }

    /// Withdraws routes to the TUN; one that is gone already is fine.
    pub(crate) async fn remove_routes(&self, prefixes: impl IntoIterator<Item = IpNet>) {
        for prefix in prefixes {
            if let Err(error) = routes::remove(&self.netlink, &self.tun, self.table, prefix).await {
                tracing::warn!(%prefix, %error, "route could not be withdrawn");
            }
        }
    }

    /// Removes what would outlive the TUN.
    pub(crate) async fn clean_up(&self) {
        if self.table != RouteTable::Main {
            if let Err(error) = rules::remove(&self.netlink, &self.tun.name).await {
                tracing::warn!(%error, "the relay's policy rules could not be removed");
            }
        }
    }

    /// What the kernel itself dropped at each interface.
    pub(crate) async fn link_drops(&self) -> Vec<LinkDrops> {
        link::drops(&self.netlink).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "interface statistics cannot be read");
            Vec::new()
        })
    }
}
