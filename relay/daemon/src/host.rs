//! The box around the relay, by netlink: the TUN as an interface, the routes to it, the rules of its own table.

mod addresses;
mod gateways;
mod link;
mod netlink;
mod routes;
mod rules;
mod sides;
mod sysctl;
mod tun_routes;

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr},
    os::fd::OwnedFd,
    sync::Arc,
};

use ipnet::IpNet;
use rtnetlink::{Handle, packet_route::route::RouteProtocol};
use tokio::sync::{Mutex, mpsc::Receiver};

use crate::{
    cli::{Family, Side},
    failure::{Failure, host},
    plan::Route,
    self_test, tun,
};

#[cfg(test)]
pub(crate) use self::sides::Link;
pub(crate) use self::{
    link::{LinkDrops, Tun},
    sides::{Answer, HopView, Look, OddPort, SideView, View},
    sysctl::{Refused, accept_ra, forwarding_ipv4, forwarding_ipv6, refused, rp_filter_all},
};

/// The protocol number of everything that a relay installs: free in iproute2's `rt_protos`.
const PROTOCOL: RouteProtocol = RouteProtocol::Other(crds::routes::PROTOCOL);

/// Where the relay's routes are, and where packets from the TUN look for theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteTable {
    /// The main table, like everything else on the box.
    Main,
    /// A table of the relay's own.
    Own(u32),
}

/// Where IPv6 packets that leave look for their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Ways {
    /// In the relay's table, where the routes to the TUN are too.
    #[default]
    Together,
    /// In a table of their own, behind it: MAP-E prefixes lead to the TUN, and packets to the CEs in them have to leave.
    Apart,
}

impl Ways {
    fn out(self, table: u32) -> u32 {
        match self {
            Self::Together => table,
            Self::Apart => table + 1,
        }
    }
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
    sides: Arc<[Side]>,
}

/// The box, as far as the relay changes it.
#[derive(Clone)]
pub(crate) struct Host {
    kernel: Kernel,
    tun: Tun,
    /// The device by which a relay with sides tests itself.
    test: Option<Tun>,
}

impl Kernel {
    /// Connects to the kernel, for a relay with these sides whose routes are in `table`.
    pub(crate) fn connect(table: RouteTable, sides: &[Side]) -> Result<Self, Failure> {
        let statistics = Arc::new(Mutex::new(netlink::connect()?));
        let (netlink, strict) = (netlink::connect()?, netlink::connect_strict()?);
        Ok(Self { netlink, strict, statistics, table, sides: sides.into() })
    }

    /// Looks at the sides.
    pub(crate) async fn look(&self) -> Result<Look, Failure> {
        let look = sides::look(&self.netlink, &self.sides).await;
        look.map_err(|error| host("the interfaces cannot be listed", error))
    }

    /// Everything on this box that keeps these routes to the TUN from working, one sentence each.
    pub(crate) async fn obstacles(&self, tun: Option<&Tun>, wanted: &[(IpNet, Route)]) -> Result<Vec<String>, Failure> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let found = routes::obstacles(&self.netlink, tun, self.table, wanted).await;
        found.map_err(|error| host("routes cannot be listed", error))
    }

    /// Makes the new TUN device `name` an interface that is ready for packets, and sets up the relay's own table; with
    /// sides also the device to test by, which is returned.
    pub(crate) async fn prepare(self, name: &str, queue_length: u32) -> Result<(Host, Option<OwnedFd>), Failure> {
        let tun = link::set_up(&self.netlink, name, queue_length, link::GROUP).await?;
        let mut host = Host { kernel: self, tun, test: None };
        match host.prepare_routing(queue_length).await {
            Ok(test) => Ok((host, test)),
            Err(failure) => {
                host.clean_up().await;
                Err(failure)
            }
        }
    }
}

impl Host {
    async fn prepare_routing(&mut self, queue_length: u32) -> Result<Option<OwnedFd>, Failure> {
        let mut queue = None;
        if !self.kernel.sides.is_empty() {
            let name = self_test::device(&self.tun.name);
            queue = tun::create(&name, 1)?.pop();
            self.test = Some(link::set_up(&self.kernel.netlink, &name, queue_length, 0).await?);
        }
        let view = View::new(self.kernel.look().await?, Vec::new(), BTreeSet::new());
        self.install_rules(&view, Ways::Together).await?;
        self.fit(&view, Ways::Together).await?;
        self.add_test_routes().await?;
        Ok(queue)
    }

    /// Whether the rules had to be set.
    async fn install_rules(&self, view: &View, ways: Ways) -> Result<bool, Failure> {
        match self.rules(view, ways) {
            Some(wanted) => rules::install(&self.kernel.netlink, &wanted).await,
            None => Ok(false),
        }
    }

    fn rules(&self, view: &View, ways: Ways) -> Option<rules::Wanted> {
        let RouteTable::Own(table) = self.kernel.table else { return None };
        Some(rules::Wanted {
            tun: self.tun.name.clone(),
            table,
            ipv6_out: ways.out(table),
            sides: self.test.as_ref().map(|test| self.sides(view, test)),
        })
    }

    fn sides(&self, view: &View, test: &Tun) -> rules::Sides {
        let odd_ports = |interface: &String| {
            let here = view.odd_ports.iter().filter(|odd| odd.interface == *interface);
            here.map(|odd| (odd.router, odd.port)).collect()
        };
        let interface = |side: &SideView| rules::Interface {
            name: side.interface.clone(),
            addresses: side.addresses.iter().map(IpNet::addr).collect(),
            odd_ports: odd_ports(&side.interface),
        };
        let others = view
            .others
            .iter()
            .filter(|(index, address)| ![self.tun.index, test.index].contains(index) && !address.is_loopback());
        rules::Sides {
            interfaces: view.sides.iter().map(interface).collect(),
            test: test.name.clone(),
            others: others.map(|(_, address)| *address).collect(),
            ephemeral: sysctl::ephemeral_ports(),
        }
    }

    /// Looks at the sides.
    pub(crate) async fn look(&self) -> Result<Look, Failure> {
        self.kernel.look().await
    }

    /// Tells of changes of interfaces, addresses and neighbours.
    pub(crate) fn events(&self) -> Result<Receiver<()>, Failure> {
        netlink::events()
    }

    /// Has every next hop asked whether it is there.
    pub(crate) async fn call_next_hops(&self, view: &View) {
        for hop in &view.hops {
            if let Err(error) = sides::call(&self.kernel.netlink, hop).await {
                tracing::debug!(hop = %hop.address, %error, "a next hop cannot be asked for");
            }
        }
    }

    /// Makes the sides and the relay's tables what they have to be for this look. Whether anything had to be done.
    ///
    /// # Errors
    /// If that does not work: a packet would not find its way then.
    pub(crate) async fn fit(&self, view: &View, ways: Ways) -> Result<bool, Failure> {
        let (Some(test), RouteTable::Own(table)) = (&self.test, self.kernel.table) else { return Ok(false) };
        let failed = |error| host("the sides cannot be set up", error);
        let mut changed = false;
        for side in view.sides.iter().filter(|side| side.families.contain(Family::Ipv4)) {
            if let Some(link) = &side.link {
                changed |= link::fit_side(&self.kernel.netlink, link).await.map_err(failed)?;
            }
        }
        let wanted = gateways::wanted(view, &self_test::ends().map(|end| (end, test.index)));
        changed |= self.install_gateways(table, &wanted).await.map_err(failed)?;
        // Next hops are there before the rules that lead to them, and as long.
        let apart = match ways {
            Ways::Together => gateways::Gateways::new(),
            Ways::Apart => gateways::ipv6(wanted),
        };
        if ways == Ways::Apart {
            changed |= self.install_gateways(Ways::Apart.out(table), &apart).await.map_err(failed)?;
        }
        changed |= self.install_rules(view, ways).await?;
        if ways == Ways::Together {
            changed |= self.install_gateways(Ways::Apart.out(table), &apart).await.map_err(failed)?;
        }
        Ok(changed)
    }

    async fn install_gateways(&self, table: u32, wanted: &gateways::Gateways) -> Result<bool, netlink::Error> {
        let Kernel { netlink, strict, .. } = &self.kernel;
        gateways::install(netlink, strict, table, self.tun.index, wanted).await
    }

    /// Has packets leave by the next hops of `after` at once, where those of `before` are others.
    ///
    /// # Errors
    /// If that does not work: [`Host::fit`] has to find out what is there.
    pub(crate) async fn lead(&self, before: &View, after: &View, ways: Ways) -> Result<(), Failure> {
        let (Some(_), RouteTable::Own(table)) = (&self.test, self.kernel.table) else { return Ok(()) };
        let failed = |error| host("the next hops cannot be changed", error);
        let netlink = &self.kernel.netlink;
        if ways == Ways::Apart {
            gateways::lead(netlink, ways.out(table), &[Family::Ipv6], before, after).await.map_err(failed)?;
        }
        gateways::lead(netlink, table, &Family::ALL, before, after).await.map_err(failed)
    }

    /// The TUN as an interface.
    pub(crate) fn tun(&self) -> &Tun {
        &self.tun
    }

    /// The families whose packets from the TUN would not leave by one of their next hops: the kernel is asked.
    pub(crate) async fn stuck(&self, view: &View) -> Result<Vec<Family>, Failure> {
        let mut stuck = Vec::new();
        for family in Family::ALL {
            let leaves = gateways::way_out(&self.kernel.netlink, self.tun.index, family, self_test::CUSTOMER).await;
            let leaves = leaves.map_err(|error| host("a route cannot be asked for", error))?;
            if !view.alive(family).any(|hop| hop.index.is_some() && hop.index == leaves) {
                stuck.push(family);
            }
        }
        Ok(stuck)
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

    /// IPv4 addresses that interfaces other than the relay's own have.
    pub(crate) fn addresses_of_others(&self, view: &View) -> BTreeSet<Ipv4Addr> {
        let others = view.others.iter().filter(|(index, _)| *index != self.tun.index).map(|(_, address)| *address);
        let sides = view.sides.iter().flat_map(|side| &side.addresses).map(IpNet::addr);
        let v4 = |address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        };
        others.chain(sides).filter_map(v4).collect()
    }

    /// Removes what would outlive the TUN.
    pub(crate) async fn clean_up(&self) {
        let Some(wanted) = self.rules(&View::default(), Ways::Together) else { return };
        if let Err(error) = rules::remove(&self.kernel.netlink, &wanted).await {
            tracing::warn!(%error, "the relay's policy rules could not be removed");
        }
        // The routes to the devices of this process go with them; those by the sides would stay.
        if let (Some(_), RouteTable::Own(table)) = (&self.test, self.kernel.table) {
            for table in [table, Ways::Apart.out(table)] {
                if let Err(error) = self.install_gateways(table, &gateways::Gateways::new()).await {
                    tracing::warn!(%error, "the relay's next hops could not be removed");
                }
            }
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
