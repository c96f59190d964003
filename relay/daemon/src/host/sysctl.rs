//! `/proc/sys/net`: looked at, and written only for what netlink cannot set on the relay's own device.

use std::{fs, io, path::PathBuf};

/// Whether any interface but loopback and `except` forwards IPv4: forwarding is a matter of the interface that a packet
/// comes in by, and `net.ipv4.ip_forward` sets them all.
pub(crate) fn forwarding_ipv4() -> bool {
    let interfaces = fs::read_dir("/proc/sys/net/ipv4/conf").into_iter().flatten().flatten();
    let mut names = interfaces.filter_map(|entry| entry.file_name().into_string().ok());
    names.any(|name| !["lo", "default"].contains(&name.as_str()) && is_on(&format!("ipv4/conf/{name}/forwarding")))
}

/// Whether the box forwards IPv6, which it does altogether or not at all.
pub(crate) fn forwarding_ipv6() -> bool {
    is_on("ipv6/conf/all/forwarding")
}

/// The value of `net.ipv4.conf.all.rp_filter`.
pub(super) fn rp_filter_all() -> i32 {
    read("ipv4/conf/all/rp_filter").and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Switches IPv6 on for an interface, if it is off.
///
/// # Errors
/// If it is off and stays off; or there is no IPv6 in this kernel.
pub(super) fn enable_ipv6(interface: &str) -> io::Result<()> {
    let key = format!("ipv6/conf/{interface}/disable_ipv6");
    match read(&key) {
        Some(value) if value == "0" => Ok(()),
        Some(_) => fs::write(path(&key), "0"),
        None => Err(io::Error::new(io::ErrorKind::Unsupported, "this kernel has IPv6 switched off (ipv6.disable)")),
    }
}

fn is_on(key: &str) -> bool {
    read(key).is_some_and(|value| value != "0")
}

fn read(key: &str) -> Option<String> {
    fs::read_to_string(path(key)).ok().map(|text| text.trim().to_owned())
}

fn path(key: &str) -> PathBuf {
    PathBuf::from("/proc/sys/net").join(key)
}
