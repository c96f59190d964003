//! Frames on a segment: IP packets of one family, from and to neighbours' MAC addresses, past the kernel's routes.
//!
//! So this pod can send what a CE and a host would, and see what comes for them, with `CAP_NET_RAW` and no route of its own.

use std::{
    fs,
    num::NonZeroU32,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{
        AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType,
        addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque},
        bind, recv, sendto, socket_with,
    },
};

/// What a frame carries (linux/if_ether.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    Ipv4 = 0x0800,
    Ipv6 = 0x86dd,
}

/// An interface, and the packets of a family there.
#[derive(Debug)]
pub(super) struct Segment {
    socket: OwnedFd,
    address: LinkAddress,
    /// Bytes of the largest packet.
    pub(super) mtu: usize,
}

impl Segment {
    /// Opens it.
    ///
    /// # Errors
    /// A sentence: the interface is not there, or the pod may not.
    pub(super) fn open(interface: &str, carries: Carries) -> Result<Self, String> {
        let failed = |error: Errno| format!("{interface}: no socket for frames (it needs CAP_NET_RAW): {error}");
        let kind = (carries as u16).to_be();
        let protocol = NonZeroU32::new(kind.into()).map(Protocol::from_raw);
        let socket =
            socket_with(AddressFamily::PACKET, SocketType::DGRAM, SocketFlags::CLOEXEC, protocol).map_err(failed)?;
        let index = number(interface, "ifindex")?;
        let address =
            LinkAddress { kind, index: i32::try_from(index).map_err(|error| error.to_string())?, mac: [0; 6] };
        bind(&socket, &address).map_err(failed)?;
        Ok(Self { socket, address, mtu: number(interface, "mtu")? })
    }

    /// Sends a packet to a neighbour. One that the link drops at once is lost, as it would be further on.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn send(&self, packet: &[u8], to: [u8; 6]) -> Result<(), Errno> {
        match sendto(&self.socket, packet, SendFlags::empty(), &LinkAddress { mac: to, ..self.address }) {
            Ok(_) | Err(Errno::NOBUFS) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The next packet that comes in, until then.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn receive(&self, until: Instant) -> Result<Option<Vec<u8>>, Errno> {
        let left = until.saturating_duration_since(Instant::now());
        if !is_readable(&self.socket, left)? {
            return Ok(None);
        }
        let mut packet = vec![0; 1 << 16];
        let (length, _) = recv(&self.socket, &mut packet[..], RecvFlags::empty())?;
        packet.truncate(length);
        Ok(Some(packet))
    }
}

fn is_readable(socket: impl AsFd, patience: Duration) -> Result<bool, Errno> {
    let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
    Ok(poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&timeout))? > 0)
}

/// What the kernel says of an interface.
fn number(interface: &str, what: &str) -> Result<usize, String> {
    let path = format!("/sys/class/net/{interface}/{what}");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    text.trim().parse().map_err(|error| format!("{path}: {error}"))
}

/// A neighbour on an interface: `sockaddr_ll` (packet(7)).
#[derive(Debug, Clone, Copy)]
struct LinkAddress {
    /// In network byte order.
    kind: u16,
    index: i32,
    mac: [u8; 6],
}

// SAFETY: the pointer is to a whole `sockaddr_ll` that outlives the call, and the length is its own.
unsafe impl SocketAddrArg for LinkAddress {
    unsafe fn with_sockaddr<R>(&self, act: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R) -> R {
        let [a, b, c, d, e, f] = self.mac;
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: self.kind,
            sll_ifindex: self.index,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 6,
            sll_addr: [a, b, c, d, e, f, 0, 0],
        };
        act((&raw const address).cast(), size_of::<libc::sockaddr_ll>() as SocketAddrLen)
    }
}
