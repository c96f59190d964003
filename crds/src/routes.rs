//! What a relay's routes tell the speaker beside it: one writes them into the kernel's table, the other lets BIRD learn them.
//!
//! There is no protocol of ours in between: a relay that is gone takes its TUN, and so its routes, with it. A change of
//! state adds the new route before it removes the old; of several for one prefix the lowest metric counts.
//!
//! | metric | state |
//! |---|---|
//! | the kernel's default: 0 for IPv4, 1024 for IPv6 | to be announced |
//! | [`LEAVING`] | to be announced with GRACEFUL_SHUTDOWN (RFC 8326): routers prefer others |
//! | [`LOCAL`] | not to be announced: packets that still come are forwarded |
//!
//! Where a change replaces prefixes by a larger one, or a larger one by those in it ([`replaced`]), the new ones are announced
//! first and the old ones for a while longer: routers have a way at any time. The relay lets them go; the speaker lets it.

use std::collections::BTreeSet;

use mape::{DomainConfig, Ipv4Net, options::Toggle};

/// The table that belongs to a pod's relay: customers' packets never see the pod's own.
pub const TABLE: u32 = 4646;

/// The kernel's number for who wrote a route (`rtm_protocol`).
pub const PROTOCOL: u8 = 97;

/// The metric of routes that are announced with GRACEFUL_SHUTDOWN.
pub const LEAVING: u32 = 8326;

/// The metric of routes that are not announced. Lower than [`LEAVING`]: it takes effect as soon as it is there.
pub const LOCAL: u32 = 7597;

/// The IPv4 prefixes that a domain has announced.
pub fn announced(domain: &DomainConfig) -> impl Iterator<Item = Ipv4Net> {
    let advertise = &domain.options.advertise;
    let rules = domain.rules.iter().map(|rule| rule.ipv4_prefix.trunc());
    advertise.ipv4_routes(rules).filter(|_| advertise.auto_route == Toggle::Enabled)
}

/// Whether `prefix` is not announced now, but others are that lie in it, or in which it lies.
#[must_use]
pub fn replaced(prefix: Ipv4Net, now: &BTreeSet<Ipv4Net>) -> bool {
    let mut larger = std::iter::successors(prefix.supernet(), Ipv4Net::supernet);
    let smaller = || now.range(prefix..).next().is_some_and(|next| prefix.contains(next));
    !now.contains(&prefix) && (larger.any(|net| now.contains(&net)) || smaller())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_replaced_by_those_in_it_or_around_it() {
        let now: BTreeSet<Ipv4Net> =
            ["10.0.0.0/16", "192.0.2.0/25", "198.51.100.255/32"].map(|net| net.parse().unwrap()).into();
        let is_replaced = |net: &str| replaced(net.parse().unwrap(), &now);
        for net in ["10.0.0.0/24", "10.0.255.255/32", "10.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "192.0.2.9/32"] {
            assert!(is_replaced(net), "{net}");
        }
        for net in ["10.0.0.0/16", "10.1.0.0/16", "9.0.0.0/8", "192.0.2.128/25", "198.51.100.0/25", "203.0.113.0/24"] {
            assert!(!is_replaced(net), "{net}");
        }
    }
}
