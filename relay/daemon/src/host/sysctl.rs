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
pub(crate) fn rp_filter_all() -> i32 {
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

/// How an interface treats router advertisements (`accept_ra`): 2 takes them also where the box forwards.
pub(crate) fn accept_ra(interface: &str) -> Option<u32> {
    read(&format!("ipv6/conf/{interface}/accept_ra"))?.parse().ok()
}

/// The ports that the box connects from, first and last.
pub(super) fn ephemeral_ports() -> (u16, u16) {
    let text = read("ipv4/ip_local_port_range").unwrap_or_default();
    let mut ports = text.split_whitespace().filter_map(|port| port.parse().ok());
    (ports.next().unwrap_or(32_768), ports.next().unwrap_or(60_999))
}

/// Packets that the kernel's routing refused in this network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Refused {
    /// IPv4 without a route: `InNoRoutes`.
    pub(crate) no_route_ipv4: u64,
    /// IPv6 without a route: `Ip6InNoRoutes`.
    pub(crate) no_route_ipv6: u64,
    /// IPv4 from a source that cannot be there: `IPReversePathFilter`.
    pub(crate) reverse_path: u64,
}

/// Reads them.
pub(crate) fn refused() -> Refused {
    let netstat = fs::read_to_string("/proc/thread-self/net/netstat").unwrap_or_default();
    let snmp6 = fs::read_to_string("/proc/thread-self/net/snmp6").unwrap_or_default();
    Refused {
        no_route_ipv4: in_table(&netstat, "IpExt:", "InNoRoutes"),
        no_route_ipv6: in_list(&snmp6, "Ip6InNoRoutes"),
        reverse_path: in_table(&netstat, "TcpExt:", "IPReversePathFilter"),
    }
}

/// A number of `netstat`: a line of names, then a line of numbers.
fn in_table(text: &str, table: &str, name: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(table));
    let (Some(names), Some(numbers)) = (lines.next(), lines.next()) else { return 0 };
    let found = names.split_whitespace().zip(numbers.split_whitespace()).find(|(found, _)| *found == name);
    found.and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
}

/// A number of `snmp6`: a name and a number in each line.
fn in_list(text: &str, name: &str) -> u64 {
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    found.unwrap_or(0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_counters_are_found_by_name() {
        let netstat =
            "TcpExt: SyncookiesSent IPReversePathFilter\nTcpExt: 1 2\nIpExt: InNoRoutes InTruncatedPkts\nIpExt: 3 4\n";
        assert_eq!(in_table(netstat, "IpExt:", "InNoRoutes"), 3);
        assert_eq!(in_table(netstat, "TcpExt:", "IPReversePathFilter"), 2);
        assert_eq!(in_table(netstat, "IpExt:", "Other"), 0);
        assert_eq!(in_list("Ip6InReceives   7\nIp6InNoRoutes   5\n", "Ip6InNoRoutes"), 5);
    }
}
