//! The system calls that the standard library does not have.

use std::{
    ffi::CString,
    fs::{File, OpenOptions},
    io, mem,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use anyhow::{Context, Result};

/// A TUN device like a relay's, opened for blocking reads and writes.
pub(crate) fn create_tun(name: &str) -> Result<File> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    let mut ifr_name = [0; libc::IFNAMSIZ];
    for (to, from) in ifr_name[..libc::IFNAMSIZ - 1].iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    let ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_MULTI_QUEUE) as libc::c_short;
    let mut request = libc::ifreq { ifr_name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags } };
    // SAFETY: the file is open, and `request` a valid `ifreq` that outlives the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if result < 0 { Err(io::Error::last_os_error().into()) } else { Ok(file) }
}

/// A socket that puts packets straight into a device's own queue.
pub(crate) struct PacketSocket {
    socket: OwnedFd,
    device: i32,
}

pub(crate) fn packet_socket(device: &str) -> Result<PacketSocket> {
    let name = CString::new(device)?;
    // SAFETY: `name` is a string that ends in a zero byte and outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error()).with_context(|| format!("interface {device}"));
    }
    // SAFETY: socket takes no pointers; protocol 0 receives nothing.
    let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error()).context("packet socket");
    }
    // SAFETY: the descriptor was just opened and is nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    set(&socket, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1)?;
    // Room for all that waits in the queue: it is charged to this socket.
    set(&socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, 1 << 28)?;
    Ok(PacketSocket { socket, device: i32::try_from(index)? })
}

fn set(socket: &OwnedFd, level: i32, option: i32, value: i32) -> Result<()> {
    let size = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the option's value is an int, which outlives the call, and its size is given.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), size) };
    if result < 0 { Err(io::Error::last_os_error()).context("socket option") } else { Ok(()) }
}

impl PacketSocket {
    pub(crate) fn send(&self, packet: &[u8]) -> io::Result<()> {
        let protocol = if packet[0] >> 4 == 4 { libc::ETH_P_IP } else { libc::ETH_P_IPV6 };
        // SAFETY: all zeros are a valid `sockaddr_ll`.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (protocol as u16).to_be();
        address.sll_ifindex = self.device;
        let size = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        let to = (&raw const address).cast();
        // SAFETY: packet and address are valid for the lengths given, and outlive the call.
        let sent = unsafe { libc::sendto(self.socket.as_raw_fd(), packet.as_ptr().cast(), packet.len(), 0, to, size) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

pub(crate) fn signal(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: kill takes no pointers.
    let result = unsafe { libc::kill(pid, signal) };
    if result < 0 { Err(io::Error::last_os_error()).with_context(|| format!("signal to {pid}")) } else { Ok(()) }
}

/// Keeps this thread on one CPU.
pub(crate) fn pin(cpu: usize) -> Result<()> {
    // SAFETY: all zeros are the empty set; CPU_SET checks its bounds, and the set outlives both calls.
    let result = unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if result < 0 { Err(io::Error::last_os_error()).context("CPU affinity") } else { Ok(()) }
}
