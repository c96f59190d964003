//! The TUN as an interface, and what the kernel drops at interfaces.

use futures_util::TryStreamExt;
use rtnetlink::{
    Handle, LinkUnspec,
    packet_core::{DefaultNla, NLA_F_NESTED},
    packet_route::link::{AfSpecInet, AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute, LinkMessage, Stats64},
};

use super::{netlink::Error, sides::Link, sysctl};
use crate::failure::{Failure, host};

/// The largest MTU there is: the TUN never is what a packet does not fit; the tunnel is.
const MTU: u32 = 65_535;

/// An interface group of the TUN's own, by which policy rules tell its routes from others.
pub(super) const GROUP: u32 = 7597;

/// The TUN device, as others on the box see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tun {
    pub(crate) name: String,
    pub(crate) index: u32,
    /// What it was set to; effective is the maximum of this and `net.ipv4.conf.all.rp_filter`.
    pub(crate) rp_filter: u32,
}

/// Packets that the kernel dropped at one interface, as its own statistics say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LinkDrops {
    pub(crate) interface: String,
    pub(crate) index: u32,
    /// On their way in: dropped, or missed for want of buffers.
    pub(crate) received: u64,
    /// On their way out.
    pub(crate) transmitted: u64,
}

/// Configures a TUN and switches it on.
pub(super) async fn set_up(netlink: &Handle, name: &str, queue_length: u32, group: u32) -> Result<Tun, Failure> {
    let index = rustix::net::netdevice::name_to_index(socket()?, name).map_err(|error| host(name, error))?;
    let failed = |error: Error| host(format_args!("{name} cannot be configured"), error);
    keep_quiet(netlink, index).await.map_err(failed)?;
    sysctl::enable_ipv6(name).map_err(|error| {
        let attempt = "IPv6 is off on the TUN device and cannot be switched on";
        host(format_args!("{attempt} (`sysctl -w net.ipv6.conf.default.disable_ipv6=0`)"), error)
    })?;
    let rp_filter = rp_filter();
    change(netlink, settings(index, queue_length, rp_filter, group)).await.map_err(failed)?;
    change(netlink, LinkUnspec::new_with_index(index).up().build()).await.map_err(failed)?;
    Ok(Tun { name: name.to_owned(), index, rp_filter })
}

/// The filter that a device of ours gets. The kernel applies the greater of `all` and the device's own. Strict (1) would
/// drop ICMP errors from addresses that lie elsewhere on this box, so where there is a filter at all, ours is the loose
/// one (2), which beats it.
fn rp_filter() -> u32 {
    if sysctl::rp_filter_all() == 0 { 0 } else { 2 }
}

/// Has a side forward IPv4 and not filter strictly, if it does not already.
pub(super) async fn fit_side(netlink: &Handle, link: &Link) -> Result<bool, Error> {
    let rp_filter = rp_filter();
    if link.ipv4_forwarding && u32::try_from(link.rp_filter) == Ok(rp_filter) {
        return Ok(false);
    }
    let settings = [(FORWARDING, 1), (RP_FILTER, rp_filter)];
    let message = LinkUnspec::new_with_index(link.index)
        .append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet(vec![ipv4_settings(&settings)])]))
        .build();
    change(netlink, message).await.map(|()| true)
}

/// Keeps the kernel from sending multicast reports into the TUN. A router joins groups as soon as IPv6 is on a device that
/// can do multicast, which a new TUN can; so the device is given IPv6 anew, which it loses with an MTU below IPv6's
/// least (RFC 8200 §5), once it cannot.
async fn keep_quiet(netlink: &Handle, index: u32) -> Result<(), Error> {
    change(netlink, LinkUnspec::new_with_index(index).multicast(false).mtu(1279).build()).await?;
    change(netlink, LinkUnspec::new_with_index(index).mtu(MTU).build()).await
}

fn settings(index: u32, queue_length: u32, rp_filter: u32, group: u32) -> LinkMessage {
    let ipv4 = [(FORWARDING, 1), (RP_FILTER, rp_filter), (ACCEPT_LOCAL, 1)];
    LinkUnspec::new_with_index(index)
        .append_extra_attribute(LinkAttribute::TxQueueLen(queue_length))
        .append_extra_attribute(LinkAttribute::Group(group))
        .append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![
            AfSpecUnspec::Inet(vec![ipv4_settings(&ipv4)]),
            AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]),
        ]))
        .build()
}

async fn change(netlink: &Handle, message: LinkMessage) -> Result<(), Error> {
    Ok(netlink.link().set(message).execute().await?)
}

fn socket() -> Result<std::os::fd::OwnedFd, Failure> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .map_err(|error| host("no socket", error))
}

// As `linux/ip.h` numbers them.
const FORWARDING: u16 = 1;
const RP_FILTER: u16 = 8;
const ACCEPT_LOCAL: u16 = 23;

/// IPv4 settings of a device (IFLA_INET_CONF). Written out here because rtnetlink's own message leaves zeros away, and
/// `default.rp_filter` is what a new device starts with.
fn ipv4_settings(settings: &[(u16, u32)]) -> AfSpecInet {
    const IFLA_INET_CONF: u16 = 1;
    let bytes = settings.iter().flat_map(|(kind, value)| {
        let [length, kind] = [8u16, *kind].map(u16::to_ne_bytes);
        [length[0], length[1], kind[0], kind[1]].into_iter().chain(value.to_ne_bytes())
    });
    AfSpecInet::Other(DefaultNla::new(IFLA_INET_CONF | NLA_F_NESTED, bytes.collect()))
}

/// Reads the statistics of all interfaces but loopback.
pub(super) async fn drops(netlink: &Handle) -> Result<Vec<LinkDrops>, Error> {
    let links: Vec<LinkMessage> = netlink.link().get().execute().try_collect().await?;
    Ok(links.iter().map(read_drops).filter(|link| link.interface != "lo").collect())
}

fn read_drops(link: &LinkMessage) -> LinkDrops {
    let mut drops = LinkDrops { index: link.header.index, ..LinkDrops::default() };
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => drops.interface.clone_from(name),
            LinkAttribute::Stats64(Stats64 { rx_dropped, rx_missed_errors, tx_dropped, .. }) => {
                drops.received = rx_dropped + rx_missed_errors;
                drops.transmitted = *tx_dropped;
            }
            _ => {}
        }
    }
    drops
}
