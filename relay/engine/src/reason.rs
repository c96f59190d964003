//! Why a packet went no further.

use std::fmt;

/// One word for the metric label, the log and the BPF counter index. The list is closed, and numbers never change:
/// new reasons are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum DropReason {
    /// A header, or what a length field promises, is not all there.
    Truncated = 1,
    /// The version, the header length or the total length contradict each other.
    BadHeader = 2,
    /// The IPv4 header checksum is wrong (RFC 1812 §5.2.2), or that of an ICMPv6 message to the relay.
    BadChecksum = 3,
    /// An IPv4 source or destination that no packet on the Internet may have (RFC 1812 §5.3.7), or an echo request from
    /// an IPv6 source that is no host.
    Martian = 4,
    /// The TTL was used up here; Time Exceeded goes back.
    TtlExpired = 5,
    /// No rule contains the address: from a CE, its inner source; to a CE, the destination (then passed on, not dropped,
    /// where a host is there to take it).
    NoRule = 6,
    /// The address is shared, and the packet has no port, or one that no rule owns.
    NoPort = 7,
    /// The port is one that the PSID offset reserves (RFC 7597 §5.1).
    ReservedPort = 8,
    /// The inner source does not lead back to the outer source (RFC 7597 §8.1).
    SpoofedSource = 9,
    /// The packet does not fit the tunnel and may not be cut (DF); ICMPv4 3/4 goes back.
    TooBig = 10,
    /// To the BR address, but neither IPv4 in IPv6 nor ICMPv6.
    UnsupportedProtocol = 11,
    /// An IPv6 extension header or option that the relay must not skip (RFC 8200 §4.2, §4.4).
    UnsupportedHeader = 12,
    /// Congestion was marked on a packet whose inner header cannot say so (RFC 6040 §4.2).
    BadEcn = 13,
    /// CE to CE, where the domain forbids it.
    HairpinDisabled = 14,
    /// A fragment of a datagram that needs them all, where `reassembly` is disabled.
    FragmentsDisabled = 15,
    /// IPv6 that is not for the relay: not to a BR address, or neighbour discovery (passed on, not dropped, where a
    /// host is there to take it).
    NotForRelay = 16,
    /// More echo requests than `icmp.echoPerSecond`.
    RateLimited = 17,
    /// ICMPv6 to the BR address that the relay does not serve.
    UnsupportedIcmp = 18,
    /// A fragment that can be no part of a datagram: empty, ragged, or past 65,535 bytes (RFC 791 §3.2, RFC 8200 §4.5).
    BadFragment = 19,
    /// A first TCP fragment too short to show its flags (RFC 1858 §3.2.1).
    TinyFragment = 20,
    /// A fragment that overlaps or contradicts others of its datagram (RFC 3128, RFC 5722).
    FragmentOverlap = 21,
    /// A fragment that the relay has already, byte for byte.
    DuplicateFragment = 22,
    /// The other fragments did not come in time.
    ReassemblyTimeout = 23,
    /// More incomplete datagrams than `reassembly.maxDatagrams`: the oldest of who had most went.
    ReassemblyFull = 24,
    /// An ICMPv6 error about a packet that the relay cannot have sent.
    ForgedIcmp = 25,
    /// An ICMPv6 error about a tunnel packet of ours that has nothing to say to the inner source (RFC 2473 §8.3).
    IcmpNotRelayed = 26,
}

impl DropReason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 26] = [
        Self::Truncated,
        Self::BadHeader,
        Self::BadChecksum,
        Self::Martian,
        Self::TtlExpired,
        Self::NoRule,
        Self::NoPort,
        Self::ReservedPort,
        Self::SpoofedSource,
        Self::TooBig,
        Self::UnsupportedProtocol,
        Self::UnsupportedHeader,
        Self::BadEcn,
        Self::HairpinDisabled,
        Self::FragmentsDisabled,
        Self::NotForRelay,
        Self::RateLimited,
        Self::UnsupportedIcmp,
        Self::BadFragment,
        Self::TinyFragment,
        Self::FragmentOverlap,
        Self::DuplicateFragment,
        Self::ReassemblyTimeout,
        Self::ReassemblyFull,
        Self::ForgedIcmp,
        Self::IcmpNotRelayed,
    ];

    /// Its number: 1 and up, the BPF counter index.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Its one word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Truncated => "Truncated",
            Self::BadHeader => "BadHeader",
            Self::BadChecksum => "BadChecksum",
            Self::Martian => "Martian",
            Self::TtlExpired => "TtlExpired",
            Self::NoRule => "NoRule",
            Self::NoPort => "NoPort",
            Self::ReservedPort => "ReservedPort",
            Self::SpoofedSource => "SpoofedSource",
            Self::TooBig => "TooBig",
            Self::UnsupportedProtocol => "UnsupportedProtocol",
            Self::UnsupportedHeader => "UnsupportedHeader",
            Self::BadEcn => "BadEcn",
            Self::HairpinDisabled => "HairpinDisabled",
            Self::FragmentsDisabled => "FragmentsDisabled",
            Self::NotForRelay => "NotForRelay",
            Self::RateLimited => "RateLimited",
            Self::UnsupportedIcmp => "UnsupportedIcmp",
            Self::BadFragment => "BadFragment",
            Self::TinyFragment => "TinyFragment",
            Self::FragmentOverlap => "FragmentOverlap",
            Self::DuplicateFragment => "DuplicateFragment",
            Self::ReassemblyTimeout => "ReassemblyTimeout",
            Self::ReassemblyFull => "ReassemblyFull",
            Self::ForgedIcmp => "ForgedIcmp",
            Self::IcmpNotRelayed => "IcmpNotRelayed",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_places_in_the_list() {
        for (place, reason) in (1..).zip(DropReason::ALL) {
            assert_eq!(reason.number(), place, "{reason}");
            assert_eq!(reason.word(), format!("{reason:?}"));
        }
    }

    #[test]
    fn the_architecture_lists_them_all() {
        let page = include_str!("../../../ARCHITECTURE.md");
        for reason in DropReason::ALL {
            let row = format!("| {} | `{reason}` |", reason.number());
            assert!(page.contains(&row), "no row {row}");
        }
    }
}
