//! What a domain says beyond its rules: plain data, checked with the rules by [`Fleet::new`](crate::Fleet::new).

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// The IPv6 header that encapsulation adds, in bytes (RFC 2473 §6.3).
pub const TUNNEL_OVERHEAD: u16 = 40;

/// Everything about a domain that is neither a rule nor an address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Packet sizes towards CEs.
    pub mtu: Mtu,
    /// Where a packet that does not fit is cut.
    pub fragmentation: Fragmentation,
    /// What happens to fragments that arrive.
    pub reassembly: Reassembly,
    /// Whether TCP's maximum segment size is lowered to what fits.
    pub tcp_mss_clamp: MssClamp,
    /// Which DSCP leaves, per direction.
    pub dscp: Dscp,
    /// How much of the outer source must match.
    pub source_check: SourceCheck,
    /// Whether CEs may talk to CEs through the relay.
    pub hairpin: Toggle,
    /// The ICMP that the relay makes itself.
    pub icmp: Icmp,
    /// Which routes lead to the relay.
    pub advertise: Advertise,
}

/// A feature that is there or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Toggle {
    #[default]
    Enabled,
    Disabled,
}

/// Sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mtu {
    /// The largest outer packet, 1280 to 16384 (Junos `mtu-v6`).
    pub v6: u16,
}

impl Default for Mtu {
    fn default() -> Self {
        Self { v6: 1500 }
    }
}

impl Mtu {
    /// The largest IPv4 packet that fits into the tunnel.
    #[must_use]
    pub fn payload(self) -> u16 {
        self.v6.saturating_sub(TUNNEL_OVERHEAD)
    }
}

/// Which packet is cut when one does not fit the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fragmentation {
    /// The IPv4 packet, before encapsulation: the CE need not reassemble.
    #[default]
    Inner,
    /// The IPv6 packet, after it (RFC 2473 §7.1).
    Outer,
}

/// What happens to fragments that arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reassembly {
    /// IPv4 fragments, from either side.
    pub v4: ReassemblyV4,
    /// IPv6 fragments of tunnel packets.
    pub v6: Toggle,
    /// How long a datagram may take to arrive, in seconds.
    pub timeout_seconds: u16,
    /// How many datagrams may be incomplete at once.
    pub max_datagrams: u32,
}

impl Default for Reassembly {
    fn default() -> Self {
        Self { v4: ReassemblyV4::Virtual, v6: Toggle::Enabled, timeout_seconds: 2, max_datagrams: 65_536 }
    }
}

/// How IPv4 fragments find their CE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReassemblyV4 {
    /// They do not: dropped.
    Disabled,
    /// The first fragment's port decides for all (Junos `v4-partial-reassembly`).
    #[default]
    Virtual,
    /// The datagram is put together first (Junos `v4-reassembly`).
    Full,
}

/// Largest TCP segment that a SYN may announce through the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MssClamp {
    /// `mtu.v6` less 80: the IPv6, IPv4 and TCP headers.
    #[default]
    Auto,
    /// SYNs pass untouched.
    Disabled,
    /// A fixed limit in bytes.
    Limit(u16),
}

impl MssClamp {
    /// The limit in bytes for a tunnel of `mtu`, if there is one.
    #[must_use]
    pub fn limit(self, mtu: Mtu) -> Option<u16> {
        match self {
            Self::Auto => Some(mtu.v6.saturating_sub(80)),
            Self::Disabled => None,
            Self::Limit(bytes) => Some(bytes),
        }
    }
}

/// Differentiated services through the tunnel (RFC 2983). ECN is RFC 6040 always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dscp {
    /// The outer DSCP of packets to CEs.
    pub to_ce: DscpToCe,
    /// The DSCP of packets that came from CEs.
    pub from_ce: DscpFromCe,
}

/// The outer DSCP of packets to CEs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DscpToCe {
    /// The inner one.
    #[default]
    Copy,
    /// A fixed one, 0 to 63.
    Fixed(u8),
}

/// The DSCP of packets that came from CEs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DscpFromCe {
    /// The inner one, as the CE sent it.
    #[default]
    Keep,
    /// The outer one.
    Copy,
}

/// How much of a CE's outer source address must be what its inner source says (RFC 7597 §8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SourceCheck {
    /// All 128 bits.
    #[default]
    Strict,
    /// The End-user prefix.
    Prefix,
}

/// The ICMP that the relay makes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icmp {
    /// Errors a second, ICMPv4 and ICMPv6 together; a burst may be as large.
    pub errors_per_second: u32,
    /// Whether an echo request to the BR address is answered.
    pub echo: Answer,
    /// Echo replies a second; a burst may be as large.
    pub echo_per_second: u32,
    /// Whether a failed source check is answered by ICMPv6 1/5.
    pub source_check_errors: Answer,
    /// The source of ICMPv4 errors; `None`: the address of the relay's IPv4 side.
    pub ipv4_source: Option<Ipv4Addr>,
}

impl Default for Icmp {
    fn default() -> Self {
        Self {
            errors_per_second: 100,
            echo: Answer::Answer,
            echo_per_second: 100,
            source_check_errors: Answer::Answer,
            ipv4_source: None,
        }
    }
}

/// Whether the sender hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Answer {
    #[default]
    Answer,
    Silent,
}

/// As many aggregates as a domain may have.
pub const MAX_AGGREGATES: usize = 32;

/// Which routes lead to the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertise {
    /// Routes for the IPv4 prefixes and the BR address (Junos `disable-auto-route` is its opposite).
    pub auto_route: Toggle,
    /// Routes for the MAP-E prefixes too.
    pub mape_prefixes: Toggle,
    /// Prefixes that stand for all rules in them, at most [`MAX_AGGREGATES`]. None lies in another, and each holds a rule.
    pub ipv4_aggregates: Vec<Ipv4Net>,
}

impl Default for Advertise {
    fn default() -> Self {
        Self { auto_route: Toggle::Enabled, mape_prefixes: Toggle::Disabled, ipv4_aggregates: Vec::new() }
    }
}

impl Advertise {
    /// The prefixes that routes are for where the rules have these: the aggregates, and what lies in none of them.
    pub fn ipv4_routes(&self, rules: impl IntoIterator<Item = Ipv4Net>) -> impl Iterator<Item = Ipv4Net> {
        let is_alone = |prefix: &Ipv4Net| !self.ipv4_aggregates.iter().any(|aggregate| aggregate.contains(prefix));
        self.ipv4_aggregates.iter().copied().chain(rules.into_iter().filter(is_alone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An IPv6 header takes 40 bytes, and an IPv4 and a TCP header 20 each.
    #[test]
    fn what_fits_the_tunnel_follows_from_its_mtu() {
        let mtu = Mtu { v6: 1500 };
        assert_eq!(mtu.payload(), 1460);
        assert_eq!(MssClamp::Auto.limit(mtu), Some(1420));
        assert_eq!(MssClamp::Limit(1300).limit(mtu), Some(1300));
        assert_eq!(MssClamp::Disabled.limit(mtu), None);
    }

    #[test]
    fn an_aggregate_stands_for_the_rules_in_it() {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Ipv4Net>>();
        let rules = nets(&["192.0.2.0/25", "192.0.2.128/25", "198.51.100.0/24", "192.0.0.0/16"]);
        let routes = |aggregates: &[&str]| {
            let advertise = Advertise { ipv4_aggregates: nets(aggregates), ..Advertise::default() };
            advertise.ipv4_routes(rules.iter().copied()).collect::<Vec<_>>()
        };
        assert_eq!(routes(&[]), rules);
        let with = routes(&["192.0.2.0/24", "198.51.100.0/24"]);
        assert_eq!(with, nets(&["192.0.2.0/24", "198.51.100.0/24", "192.0.0.0/16"]));
    }
}
