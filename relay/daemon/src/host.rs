//! The box around the relay, by netlink: the TUN as an interface, the routes to it, the rules of its own table.

mod addresses;
mod link;
mod netlink;
mod routes;
mod rules;
mod sysctl;

use std::{fmt, net::Ipv4Addr, sync::Arc};

use ipnet::IpNet;
use rtnetlink::{Handle, packet_route::route::RouteProtocol};
use tokio::sync::Mutex;

use crate::{
    failure::{Failure, host},
    plan::{Plan, Route},
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

/// The kernel, before the relay has changed anything.
#[derive(Clone)]
pub(crate) struct Kernel {
    netlink: Handle,
    /// For dumps of a part of something large.
    strict: Handle,
    /// For statistics, which the HTTP server asks for at any time: a socket takes one dump after the other.
    statistics: Arc<Mutex<Handle>>,
    table: RouteTable,
}

/// The box, as far as the relay changes it.
#[derive(Clone)]
pub(crate) struct Host {
    kernel: Kernel,
    tun: Tun,
}

impl Kernel {
    /// Connects to the kernel, for a relay whose routes are in `table`.
    pub(crate) fn connect(table: RouteTable) -> Result<Self, Failure> {
        let statistics = Arc::new(Mutex::new(netlink::connect()?));
        Ok(Self { netlink: netlink::connect()?, strict: netlink::connect_strict()?, statistics, table })
    }

    /// Everything on this box that keeps these routes to the TUN from working, one sentence each.
    pub(crate) async fn obstacles(&self, tun: Option<&Tun>, wanted: &[(IpNet, Route)]) -> Result<Vec<String>, Failure> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let found = routes::obstacles(&self.netlink, tun, self.table, wanted).await;
        found.map_err(|error| host("routes cannot be listed", error))
    }

    /// Makes the new TUN device `name` an interface that is ready for packets, and sets up the relay's own table.
    pub(crate) async fn prepare(self, name: &str, queue_length: u32) -> Result<Host, Failure> {
        let tun = link::set_up(&self.netlink, name, queue_length).await?;
        let host = Host { kernel: self, tun };
        if let RouteTable::Own(number) = host.kernel.table
            && let Err(failure) = rules::install(&host.kernel.netlink, name, number).await
        {
            host.clean_up().await;
            return Err(failure);
        }
        Ok(host)
    }
}

impl Host {
    /// The TUN as an interface.
    pub(crate) fn tun(&self) -> &Tun {
        &self.tun
    }

    /// Gives the TUN addresses.
    pub(crate) async fn add_addresses(&self, addresses: &[Ipv4Addr]) -> Result<(), Failure> {
        for address in addresses {
            let added = addresses::add(&self.kernel.netlink, self.tun.index, *address).await;
            added.map_err(|error| host(format_args!("address {address} on {}", self.tun.name), error))?;
        }
        Ok(())
    }

    /// Takes addresses from the TUN.
    pub(crate) async fn remove_addresses(&self, addresses: &[Ipv4Addr]) {
        for address in addresses {
            if let Err(error) = addresses::remove(&self.kernel.netlink, self.tun.index, *address).await {
                tracing::warn!(%address, %error, "address could not be removed from the TUN device");
            }
        }
    }

    /// What is in the way of new routes.
    pub(crate) async fn obstacles(&self, wanted: &[(IpNet, Route)]) -> Result<Vec<String>, Failure> {
        self.kernel.obstacles(Some(&self.tun), wanted).await
    }

    /// Leads prefixes to the TUN.
    pub(crate) async fn add_routes(&self, routes: &[(IpNet, Route)]) -> Result<(), Failure> {
        self.set_routes(routes, false).await
    }

    /// Gives routes to the TUN another source.
    pub(crate) async fn change_routes(&self, routes: &[(IpNet, Route)]) -> Result<(), Failure> {
        self.set_routes(routes, true).await
    }

    async fn set_routes(&self, routes: &[(IpNet, Route)], replace: bool) -> Result<(), Failure> {
        for (prefix, Route { source, .. }) in routes {
            let set = routes::add(&self.kernel.netlink, &self.tun, self.kernel.table, *prefix, *source, replace).await;
            set.map_err(|error| host(format_args!("route {prefix} dev {} cannot be set", self.tun.name), error))?;
        }
        Ok(())
    }

    /// Puts back what somebody else removed, as restarting network managers do, and says what it was.
    ///
    /// # Errors
    /// If it cannot be put back: no traffic comes then.
    pub(crate) async fn restore(&self, plan: &Plan) -> Result<Vec<String>, Failure> {
        let mut restored = Vec::new();
        if let RouteTable::Own(number) = self.kernel.table {
            let complete = rules::are_complete(&self.kernel.netlink, &self.tun.name, number).await;
            if !complete.map_err(|error| host("policy rules cannot be listed", error))? {
                rules::install(&self.kernel.netlink, &self.tun.name, number).await?;
                restored.push("policy rules".to_owned());
            }
        }
        let installed = routes::installed(&self.kernel.strict, &self.tun, self.kernel.table).await;
        let installed = installed.map_err(|error| host("routes cannot be listed", error))?;
        let missing = plan.routes.iter().filter(|(prefix, _)| !installed.contains(prefix));
        let missing: Vec<_> = missing.map(|(prefix, route)| (*prefix, route.clone())).collect();
        if !missing.is_empty() {
            self.add_addresses(&plan.addresses.iter().copied().collect::<Vec<_>>()).await?;
            self.add_routes(&missing).await?;
            restored.extend(missing.iter().map(|(prefix, _)| format!("route {prefix}")));
        }
        Ok(restored)
    }

    /// Withdraws routes to the TUN; one that is gone already is fine.
    pub(crate) async fn remove_routes(&self, prefixes: impl IntoIterator<Item = IpNet>) {
        for prefix in prefixes {
            if let Err(error) = routes::remove(&self.kernel.netlink, &self.tun, self.kernel.table, prefix).await {
                tracing::warn!(%prefix, %error, "route could not be withdrawn");
            }
        }
    }

    /// Removes what would outlive the TUN.
    pub(crate) async fn clean_up(&self) {
        if self.kernel.table == RouteTable::Main {
            return;
        }
        if let Err(error) = rules::remove(&self.kernel.netlink, &self.tun.name).await {
            tracing::warn!(%error, "the relay's policy rules could not be removed");
        }
    }

    /// What the kernel itself dropped at each interface.
    pub(crate) async fn link_drops(&self) -> Vec<LinkDrops> {
        let socket = Arc::clone(&self.kernel.statistics);
        // On its own, since a request that is given up must not leave a dump half read.
        let read = tokio::spawn(async move { link::drops(&*socket.lock().await).await });
        match read.await {
            Ok(Ok(drops)) => drops,
            Ok(Err(error)) => unreadable(&error),
            Err(error) => unreadable(&error),
        }
    }
}

fn unreadable(error: &dyn fmt::Display) -> Vec<LinkDrops> {
    tracing::warn!(%error, "interface statistics cannot be read");
    Vec::new()
}
