//! IPv4 addresses of the TUN.

use std::net::Ipv4Addr;

use rtnetlink::{AddressMessageBuilder, Handle, packet_route::address::AddressMessage};

use super::netlink::Error;

/// Adds `address` as a /32.
pub(super) async fn add(netlink: &Handle, index: u32, address: Ipv4Addr) -> Result<(), Error> {
    Ok(netlink.address().add(index, address.into(), 32).replace().execute().await?)
}

/// Removes it.
pub(super) async fn remove(netlink: &Handle, index: u32, address: Ipv4Addr) -> Result<(), Error> {
    Ok(netlink.address().del(message(index, address)).execute().await?)
}

fn message(index: u32, address: Ipv4Addr) -> AddressMessage {
    AddressMessageBuilder::<Ipv4Addr>::new().index(index).address(address, 32).build()
}
