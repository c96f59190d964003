//! A domain's values, as plain numbers. The model believes them: it checks nothing about them.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A MAP domain.
#[derive(Debug, Clone)]
pub struct Domain {
    /// Where CEs send to.
    pub br_address: Ipv6Addr,
    /// The layout of the CEs' interface identifiers.
    pub version: Version,
    /// Its mapping rules.
    pub rules: Vec<Rule>,
    /// All else.
    pub options: Options,
}

/// The layout of the interface identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// RFC 7597 section 6.
    Rfc7597,
    /// draft-ietf-softwire-map-03 section 6.
    Draft03,
}

/// A mapping rule (RFC 7597 section 5).
#[derive(Debug, Clone)]
pub struct Rule {
    /// The Rule IPv4 prefix and its length, r.
    pub ipv4_prefix: (Ipv4Addr, u8),
    /// The Rule IPv6 prefix and its length.
    pub mape_prefix: (Ipv6Addr, u8),
    /// The EA-bits length, o.
    pub ea_bits_length: u8,
    /// The PSID offset, a.
    pub psid_offset: u8,
    /// The PSID length, k.
    pub psid_length: u8,
    /// The PSID of a rule without EA bits.
    pub psid: Option<u16>,
}

/// What a domain says beyond its rules.
#[derive(Debug, Clone)]
pub struct Options {
    /// The largest outer packet.
    pub mtu_v6: u16,
    /// What is cut when a packet does not fit.
    pub fragmentation: Fragmentation,
    /// What happens to IPv4 fragments.
    pub reassembly_v4: ReassemblyV4,
    /// Whether IPv6 fragments are put together.
    pub reassembly_v6: bool,
    /// How long a datagram may take to arrive.
    pub timeout_seconds: u16,
    /// How many incomplete datagrams are kept.
    pub max_datagrams: usize,
    /// The largest segment that a SYN may announce.
    pub mss_limit: Option<u16>,
    /// The outer DSCP towards CEs; `None` copies the inner one.
    pub dscp_to_ce: Option<u8>,
    /// Whether the outer DSCP of packets from CEs becomes the inner one.
    pub copies_dscp_from_ce: bool,
    /// Whether all 128 bits of a CE's address must be right, or the End-user prefix only.
    pub checks_whole_source: bool,
    /// Whether CEs may talk to CEs.
    pub hairpin: bool,
    /// ICMP errors a second.
    pub errors_per_second: u32,
    /// Whether echo requests are answered.
    pub answers_echo: bool,
    /// Echo replies a second.
    pub echo_per_second: u32,
    /// Whether a failed source check is answered.
    pub answers_source_check: bool,
    /// The source of ICMPv4 errors.
    pub ipv4_source: Ipv4Addr,
}

impl Options {
    /// The largest IPv4 packet that fits the tunnel.
    pub(crate) fn payload_mtu(&self) -> usize {
        usize::from(self.mtu_v6) - 40
    }

    /// As many bytes of fragments as are kept.
    pub(crate) fn max_bytes(&self) -> usize {
        self.max_datagrams * 1024 + 131_072
    }

    /// The traffic class of a tunnel packet around a packet with this TOS.
    pub(crate) fn traffic_class(&self, tos: u8) -> u8 {
        match self.dscp_to_ce {
            None => tos,
            Some(dscp) => dscp << 2 | tos & 3,
        }
    }
}

/// Which packet is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragmentation {
    /// The IPv4 packet.
    Inner,
    /// The IPv6 packet.
    Outer,
}

/// How IPv4 fragments find their CE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReassemblyV4 {
    /// Not at all.
    Disabled,
    /// By the port of the first.
    Virtual,
    /// As a whole datagram.
    Full,
}

/// Who takes the TTL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// The relay.
    Engine,
    /// The kernel around it, which has looked at IPv4 headers too.
    Kernel,
}
