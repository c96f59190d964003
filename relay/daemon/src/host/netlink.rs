//! The connection to the kernel, and its errors in words.

use std::{fmt, io};

use futures_util::StreamExt;
use rtnetlink::{Handle, MulticastGroup, new_connection, new_multicast_connection, sys::AsyncSocket};
use tokio::sync::mpsc::{Receiver, channel};

use crate::failure::{Failure, host};

/// Opens a netlink socket; the runtime serves it from now on.
pub(super) fn connect() -> Result<Handle, Failure> {
    let (connection, handle, _) = new_connection().map_err(|error| host("no netlink socket", error))?;
    tokio::spawn(connection);
    Ok(handle)
}

/// Opens one on which a dump returns what was asked for only, instead of everything there is: cheap enough to ask often,
/// also beside a full routing table.
pub(super) fn connect_strict() -> Result<Handle, Failure> {
    let failed = |error| host("no netlink socket", error);
    let (mut connection, handle, _) = new_connection().map_err(failed)?;
    connection.socket_mut().socket_mut().set_netlink_get_strict_chk(true).map_err(failed)?;
    tokio::spawn(connection);
    Ok(handle)
}

/// Tells of changes of interfaces, addresses, neighbours and policy rules: that there was one, not which.
pub(super) fn events() -> Result<Receiver<()>, Failure> {
    let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr, MulticastGroup::Neigh];
    let (connection, _, mut messages) =
        new_multicast_connection(&groups).map_err(|error| host("no netlink socket", error))?;
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

/// An error of netlink: as the system would put it, without the message it was about.
#[derive(Debug)]
pub(super) struct Error(rtnetlink::Error);

impl Error {
    /// Whether the kernel said `errno`.
    pub(super) fn is(&self, errno: i32) -> bool {
        self.errno() == Some(errno)
    }

    fn errno(&self) -> Option<i32> {
        match &self.0 {
            rtnetlink::Error::NetlinkError(message) => message.code.map(|code| -code.get()),
            _ => None,
        }
    }
}

impl From<rtnetlink::Error> for Error {
    fn from(error: rtnetlink::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errno() {
            Some(errno) => io::Error::from_raw_os_error(errno).fmt(f),
            None => self.0.fmt(f),
        }
    }
}
