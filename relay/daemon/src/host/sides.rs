//! The sides as they are: interfaces, addresses, and who answers there.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

use futures_util::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::{
    Handle,
    packet_route::{
        address::{AddressAttribute, AddressMessage},
        link::{AfSpecInet, AfSpecUnspec, LinkAttribute, LinkFlags, LinkMessage},
        neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState},
        route::RouteType,
    },
};

use super::netlink::Error;
use crate::cli::{Families, Family, Side};

/// One look at the box.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Look {
    pub(crate) sides: Vec<SideView>,
    /// Addresses of the box that are on no side.
    pub(crate) others: Vec<(u32, IpAddr)>,
    /// What became of the question whether somebody is there, by interface and address.
    pub(crate) answers: BTreeMap<(u32, IpAddr), Answer>,
}

/// What the kernel's neighbour table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
    /// It has been asked for, or will be, and has not answered yet.
    Asked,
}

/// The sides and their next hops.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct View {
    pub(crate) sides: Vec<SideView>,
    pub(crate) hops: Vec<HopView>,
    /// Where BGP answers come from besides port 179.
    pub(crate) odd_ports: BTreeSet<OddPort>,
    /// Addresses of the box that are on no side.
    pub(crate) others: Vec<(u32, IpAddr)>,
}

/// A router that listens elsewhere than others do, and the interface that leads to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OddPort {
    pub(crate) interface: String,
    pub(crate) router: IpAddr,
    pub(crate) port: u16,
}

/// One look at a side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SideView {
    pub(crate) interface: String,
    pub(crate) families: Families,
    /// `None`: there is no such interface.
    pub(crate) link: Option<Link>,
    pub(crate) addresses: Vec<IpNet>,
}

/// An interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    /// Switched on, with a carrier.
    pub(crate) up: bool,
    pub(crate) ipv4_forwarding: bool,
    pub(crate) rp_filter: i32,
}

/// A next hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HopView {
    pub(crate) interface: String,
    pub(crate) address: IpAddr,
    pub(crate) family: Family,
    /// The peer that it is, and how that stands.
    pub(crate) peer: Option<(String, String)>,
    /// Its interface, if that is there.
    pub(crate) index: Option<u32>,
    /// Packets may be sent to it.
    pub(crate) alive: bool,
}

impl View {
    /// The box as it was looked at, with these next hops and ports.
    pub(crate) fn new(look: Look, hops: Vec<HopView>, odd_ports: BTreeSet<OddPort>) -> Self {
        Self { sides: look.sides, others: look.others, hops, odd_ports }
    }

    /// The next hops that take a family's packets.
    pub(crate) fn alive(&self, family: Family) -> impl Iterator<Item = &HopView> {
        self.hops.iter().filter(move |hop| hop.alive && hop.family == family)
    }

    /// The address that a family's packets of this box's own come from: the first that is not link-local.
    pub(crate) fn source(&self, family: Family) -> Option<IpAddr> {
        let sides = self.sides.iter().filter(|side| side.families.contain(family));
        sides.flat_map(|side| &side.addresses).map(IpNet::addr).find(|address| is_global(*address, family))
    }

    /// The same, for IPv4.
    pub(crate) fn ipv4_source(&self) -> Option<Ipv4Addr> {
        match self.source(Family::Ipv4)? {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        }
    }

    /// The networks that begin at the sides.
    pub(crate) fn networks(&self, family: Family) -> impl Iterator<Item = (IpNet, u32)> {
        let sides = self.sides.iter().filter(move |side| side.families.contain(family));
        sides.flat_map(move |side| {
            let nets = side.addresses.iter().filter(move |net| is_global(net.addr(), family) && !is_host(net));
            nets.filter_map(|net| Some((net.trunc(), side.link?.index)))
        })
    }
}

fn is_global(address: IpAddr, family: Family) -> bool {
    let local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    Family::of(address) == family && !local
}

fn is_host(net: &IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}

/// Looks at all of them. Nobody is asked for by this, see [`call`].
pub(super) async fn look(netlink: &Handle, sides: &[Side]) -> Result<Look, Error> {
    let links: Vec<LinkMessage> = netlink.link().get().execute().try_collect().await?;
    let links: BTreeMap<String, Link> = links.iter().filter_map(read_link).collect();
    let addresses: Vec<AddressMessage> = netlink.address().get().execute().try_collect().await?;
    let addresses: Vec<(u32, IpNet)> = addresses.iter().filter_map(read_address).collect();
    let neighbours: Vec<NeighbourMessage> = netlink.neighbours().get().execute().try_collect().await?;
    let sides: Vec<SideView> = sides.iter().map(|side| view(side, &links, &addresses)).collect();
    let on_a_side = |index| sides.iter().any(|side| side.link.is_some_and(|link| link.index == index));
    let others = addresses.iter().filter(|(index, _)| !on_a_side(*index)).map(|(index, net)| (*index, net.addr()));
    Ok(Look { others: others.collect(), answers: neighbours.iter().filter_map(read_neighbour).collect(), sides })
}

/// Has the kernel ask a next hop whether it is there: the answer is in the next look.
pub(super) async fn call(netlink: &Handle, hop: &HopView) -> Result<(), Error> {
    let Some(index) = hop.index else { return Ok(()) };
    let request = netlink.neighbours().add(index, hop.address).replace();
    let request = request.state(NeighbourState::None).flags(NeighbourFlags::Use).kind(RouteType::Unspec);
    Ok(request.execute().await?)
}

fn view(side: &Side, links: &BTreeMap<String, Link>, addresses: &[(u32, IpNet)]) -> SideView {
    let link = links.get(&side.interface).copied();
    let on_it = |index: u32| addresses.iter().filter(move |(at, _)| *at == index).map(|(_, net)| *net);
    SideView {
        interface: side.interface.clone(),
        families: side.families,
        link,
        addresses: link.map(|link| on_it(link.index).collect()).unwrap_or_default(),
    }
}

fn read_link(message: &LinkMessage) -> Option<(String, Link)> {
    let flags = message.header.flags;
    let up = flags.contains(LinkFlags::Up) && flags.contains(LinkFlags::LowerUp);
    let mut link = Link { index: message.header.index, up, ipv4_forwarding: false, rp_filter: 0 };
    let mut name = None;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(found) => name = Some(found.clone()),
            LinkAttribute::AfSpecUnspec(specs) => specs.iter().for_each(|spec| read_settings(spec, &mut link)),
            _ => {}
        }
    }
    Some((name?, link))
}

fn read_settings(spec: &AfSpecUnspec, link: &mut Link) {
    let AfSpecUnspec::Inet(settings) = spec else { return };
    for setting in settings {
        if let AfSpecInet::DevConf(settings) = setting {
            link.ipv4_forwarding = settings.forwarding != 0;
            link.rp_filter = settings.rp_filter;
        }
    }
}

fn read_address(message: &AddressMessage) -> Option<(u32, IpNet)> {
    let (mut address, mut local) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(found) => address = Some(*found),
            // On a point-to-point link `Address` is the other end's.
            AddressAttribute::Local(found) => local = Some(*found),
            _ => {}
        }
    }
    Some((message.header.index, IpNet::new(local.or(address)?, message.header.prefix_len).ok()?))
}

fn read_neighbour(message: &NeighbourMessage) -> Option<((u32, IpAddr), Answer)> {
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => Some(IpAddr::V4(*v4)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => Some(IpAddr::V6(*v6)),
        _ => None,
    })?;
    let answer = match message.header.state {
        // Stale, delayed and probed ones answered a while ago, and what is sent to them is what finds out.
        NeighbourState::Reachable
        | NeighbourState::Stale
        | NeighbourState::Delay
        | NeighbourState::Probe
        | NeighbourState::Permanent
        | NeighbourState::Noarp => Answer::Yes,
        NeighbourState::Failed => Answer::No,
        _ => Answer::Asked,
    };
    Some(((message.header.ifindex, address), answer))
}
