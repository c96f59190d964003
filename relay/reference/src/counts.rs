//! What was counted.

use std::collections::BTreeMap;

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// IPv4 in, IPv6 out.
    ToCe,
    /// IPv6 in, IPv4 out.
    FromCe,
}

/// What the relay says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Message {
    /// An ICMP error of its own.
    Error,
    /// An answer to an echo request.
    EchoReply,
    /// Somebody else's ICMPv6 error, as ICMPv4.
    RelayedError,
}

/// Packets and their bytes as they came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// How many.
    pub packets: u64,
    /// How large together.
    pub bytes: u64,
}

/// All that was counted, by domain; `None` for packets of no domain. Nothing is listed that did not happen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Packets that went on.
    pub forwarded: BTreeMap<(Option<usize>, Direction), Count>,
    /// Packets that did not.
    pub dropped: BTreeMap<(Option<usize>, Direction, &'static str), Count>,
    /// ICMP messages that were sent.
    pub icmp_sent: BTreeMap<(usize, Message), u64>,
    /// ICMP messages that a limit held back.
    pub icmp_suppressed: BTreeMap<(usize, Message), u64>,
}

impl Count {
    pub(crate) fn add(&mut self, lengths: &[usize]) {
        self.packets += lengths.len() as u64;
        self.bytes += lengths.iter().sum::<usize>() as u64;
    }
}
