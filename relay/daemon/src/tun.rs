//! A multi-queue TUN device, by the ioctls themselves (`linux/if_tun.h`).

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
};

use crate::failure::{Failure, host};

/// Creates the device `name` with this many queues and opens them all. It vanishes with the last of them.
pub(crate) fn create(name: &str, queues: usize) -> Result<Vec<OwnedFd>, Failure> {
    // Only a device that was not there before is ours alone: without IFF_TUN_EXCL a second relay would become
    // further queues of the first one's device, and take a share of its packets.
    let first = open_queue(name, libc::IFF_TUN_EXCL)?;
    let others = (1..queues).map(|_| open_queue(name, 0));
    std::iter::once(Ok(first)).chain(others).collect()
}

fn open_queue(name: &str, flags: libc::c_int) -> Result<OwnedFd, Failure> {
    let device = open("/dev/net/tun", OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Failure::Host(why_no_device(error)))?;
    let flags = flags | libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_MULTI_QUEUE;
    attach(&device, name, flags as libc::c_short).map_err(|error| why_not_attached(name, &error))?;
    Ok(device)
}

fn attach(device: &OwnedFd, name: &str, flags: libc::c_short) -> io::Result<()> {
    let mut ifr_name = [0; libc::IFNAMSIZ];
    for (to, from) in ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    let mut request = libc::ifreq { ifr_name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags } };
    // SAFETY: `device` is an open file for the whole call, and `request` a valid `ifreq` that TUNSETIFF reads and
    // writes back; the kernel keeps no pointer to it.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn why_no_device(error: Errno) -> String {
    match error {
        Errno::NOENT | Errno::NODEV | Errno::NXIO => {
            "/dev/net/tun is missing: load the kernel module (`modprobe tun`); in a container, pass the device in"
                .to_owned()
        }
        Errno::ACCESS | Errno::PERM => {
            "/dev/net/tun may not be opened: allow this process to read and write it".to_owned()
        }
        error => format!("/dev/net/tun cannot be opened: {error}"),
    }
}

fn why_not_attached(name: &str, error: &io::Error) -> Failure {
    match error.raw_os_error() {
        Some(libc::EBUSY | libc::EINVAL | libc::EEXIST) => Failure::Host(format!(
            "there is an interface {name} already: another relay runs here, or it was left behind (`ip link delete {name}`); \
             or give this relay another --tun-name"
        )),
        Some(libc::EPERM) => Failure::Host(format!("TUN device {name} may not be created: CAP_NET_ADMIN is missing")),
        _ => host(format_args!("TUN device {name} cannot be created"), error),
    }
}
