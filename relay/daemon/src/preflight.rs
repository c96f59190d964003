//! May this work here? Asked before anything is changed.

use std::fs;

use crate::{
    cli::Options,
    failure::Failure,
    host::{forwarding_ipv4, forwarding_ipv6},
};

const CAP_NET_ADMIN: u32 = 12;

/// Everything that is missing, in one failure. A relay with sides starts without forwarding, sets what it can and says
/// what it cannot: nobody could read that from a container that does not start.
pub(crate) fn check(options: &Options) -> Result<(), Failure> {
    let forwarding = if options.sides.is_empty() { forwarding() } else { None };
    let missing: Vec<String> = [capability(), forwarding].into_iter().flatten().collect();
    if missing.is_empty() { Ok(()) } else { Err(Failure::Host(missing.join("; "))) }
}

fn capability() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    (!has_capability(&status, CAP_NET_ADMIN)).then(|| {
        "CAP_NET_ADMIN is missing: run as root, or give the capability (systemd: AmbientCapabilities=CAP_NET_ADMIN, \
         containers: capabilities.add NET_ADMIN)"
            .to_owned()
    })
}

fn has_capability(status: &str, capability: u32) -> bool {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    bits.is_some_and(|bits| bits >> capability & 1 == 1)
}

fn forwarding() -> Option<String> {
    let (kinds, sysctls) = match (forwarding_ipv4(), forwarding_ipv6()) {
        (true, true) => return None,
        (false, true) => ("IPv4", "net.ipv4.ip_forward=1"),
        (true, false) => ("IPv6", "net.ipv6.conf.all.forwarding=1"),
        (false, false) => ("IPv4 and IPv6", "net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"),
    };
    Some(format!("{kinds} forwarding is off: `sysctl -w {sysctls}` (and in /etc/sysctl.d, to keep it)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_effective_set() {
        let status = |effective: &str| format!("CapPrm:\t000001ffffffffff\nCapEff:\t{effective}\nCapBnd:\t0\n");
        assert!(has_capability(&status("0000000000001000"), CAP_NET_ADMIN));
        assert!(!has_capability(&status("00000000a80425fb"), CAP_NET_ADMIN));
        assert!(!has_capability("", CAP_NET_ADMIN));
    }
}
