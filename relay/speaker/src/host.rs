//! The pod's network, as the kernel has it: interfaces, addresses, ways. Read, and never changed.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use futures_util::{StreamExt, TryStreamExt};
use mape::IpNet;
use rtnetlink::{
    Error, Handle, MulticastGroup, RouteMessageBuilder, new_connection, new_multicast_connection,
    packet_route::{
        address::{AddressAttribute, AddressHeader, AddressHeaderFlags, AddressMessage},
        link::{LinkAttribute, LinkMessage},
        route::{RouteAddress, RouteAttribute, RouteMessage},
    },
};
use tokio::sync::mpsc::{Receiver, channel};

use crate::plan::Way;

/// A connection to the kernel.
#[derive(Clone)]
pub(crate) struct Host(Handle);

/// Interfaces, with their addresses: those that stay first.
pub(crate) type Interfaces = BTreeMap<String, Vec<IpNet>>;

impl Host {
    /// # Errors
    /// If there is no netlink socket.
    pub(crate) fn connect() -> Result<Self, String> {
        let (connection, handle, _) = new_connection().map_err(|error| format!("no netlink socket: {error}"))?;
        tokio::spawn(connection);
        Ok(Self(handle))
    }

    /// Tells of changes of interfaces, addresses and routes: that there was one, not which.
    ///
    /// # Errors
    /// If there is no netlink socket.
    pub(crate) fn events() -> Result<Receiver<()>, String> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let opened = new_multicast_connection(&groups).map_err(|error| format!("no netlink socket: {error}"))?;
        let (connection, _, mut messages) = opened;
        tokio::spawn(connection);
        let (sender, events) = channel(1);
        tokio::spawn(async move {
            while messages.next().await.is_some() {
                // One waiting notice is enough.
                let _ = sender.try_send(());
            }
        });
        Ok(events)
    }

    /// All interfaces, and those of their addresses that a session can come from.
    pub(crate) async fn interfaces(&self) -> Result<Interfaces, Error> {
        let links: Vec<LinkMessage> = self.0.link().get().execute().try_collect().await?;
        let names: BTreeMap<u32, String> = links.iter().filter_map(read_name).collect();
        let addresses: Vec<AddressMessage> = self.0.address().get().execute().try_collect().await?;
        let mut found: Interfaces = names.values().map(|name| (name.clone(), Vec::new())).collect();
        let mut addresses: Vec<Address> = addresses.iter().filter_map(read_address).collect();
        addresses.sort_by_key(order);
        for Address { index, net, .. } in addresses {
            if let Some(nets) = names.get(&index).and_then(|name| found.get_mut(name)) {
                nets.push(net);
            }
        }
        Ok(found)
    }

    /// How packets of the pod leave for an address, if they do.
    pub(crate) async fn way(&self, to: IpAddr) -> Result<Option<Way>, Error> {
        let question = match to {
            IpAddr::V4(to) => RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(to, 32).build(),
            IpAddr::V6(to) => RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(to, 128).build(),
        };
        let answer = match self.0.route().get(question).execute().try_next().await {
            Ok(answer) => answer,
            // No route is an error to the kernel, and none here.
            Err(Error::NetlinkError(_)) => None,
            Err(error) => return Err(error),
        };
        let Some((index, source)) = answer.as_ref().and_then(read_way) else { return Ok(None) };
        let links: Vec<LinkMessage> = self.0.link().get().match_index(index).execute().try_collect().await?;
        let name = links.iter().find_map(read_name);
        Ok(name.map(|(_, interface)| Way { interface, source }))
    }
}

fn read_name(message: &LinkMessage) -> Option<(u32, String)> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some((message.header.index, name.clone())),
        _ => None,
    })
}

/// An address of an interface.
struct Address {
    index: u32,
    net: IpNet,
    /// It was configured; others come and go with a router's advertisements.
    stays: bool,
}

/// The kernel lists the newest IPv6 address first: sessions would move whenever one is added.
fn order(address: &Address) -> (bool, Option<Ipv6Addr>) {
    let v6 = match address.net.addr() {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => Some(address),
    };
    (!address.stays, v6)
}

/// An address that is there: one that is still looked for among the neighbours, or found at one of them, cannot be used, and
/// one that is deprecated should not.
fn read_address(message: &AddressMessage) -> Option<Address> {
    let (mut address, mut local) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(found) => address = Some(*found),
            // On a point-to-point link `Address` is the other end's.
            AddressAttribute::Local(found) => local = Some(*found),
            _ => {}
        }
    }
    let unusable = AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed | AddressHeaderFlags::Deprecated;
    let AddressHeader { flags, index, prefix_len, .. } = message.header;
    let net = IpNet::new(local.or(address)?, prefix_len).ok()?;
    let stays = flags.contains(AddressHeaderFlags::Permanent);
    (!flags.intersects(unusable)).then_some(Address { index, net, stays })
}

fn read_way(message: &RouteMessage) -> Option<(u32, IpAddr)> {
    let (mut index, mut source) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(found) => index = Some(*found),
            RouteAttribute::PrefSource(RouteAddress::Inet(found)) => source = Some(IpAddr::V4(*found)),
            RouteAttribute::PrefSource(RouteAddress::Inet6(found)) => source = Some(IpAddr::V6(*found)),
            _ => {}
        }
    }
    Some((index?, source?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_stay_come_first_whenever_they_were_added() {
        let address = |text: &str, stays| Address { index: 1, net: text.parse().unwrap(), stays };
        let mut all = [
            address("2001:db8::ffff/64", false),
            address("2001:db8::2/64", true),
            address("2001:db8::1/64", true),
            address("192.0.2.9/24", true),
            address("192.0.2.1/24", true),
        ];
        all.sort_by_key(order);
        let order: Vec<String> = all.iter().map(|it| it.net.addr().to_string()).collect();
        assert_eq!(order, ["192.0.2.9", "192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db8::ffff"]);
    }
}
