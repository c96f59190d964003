//! What the relay says of its own: ICMPv4 and ICMPv6 errors, and echo replies. Never about an ICMP error, a fragment
//! other than the first, a multicast, or to a source that is no host (RFC 1812 §4.3.2.7, RFC 4443 §2.4); never more
//! than the domain's limits allow.

use crate::{
    DropReason, Packet,
    engine::Visit,
    fragments::Step,
    to_ce::find_port::is_error,
    wire::{Ipv4, protocol},
};

mod quote;
mod relayed;
mod v4;
mod v6;

pub(crate) use v6::{bad_field, bad_option, source_failed, to_relay};

/// Length of an ICMP header with its parameter, of either version.
const ICMP_HEADER: usize = 8;

/// The way to who sent the packet that an ICMPv4 error is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Back {
    /// Somebody on the Internet.
    Internet,
    /// A CE: through the tunnel, from the BR address that it sent to.
    Tunnel { relay: [u64; 2], ce: [u64; 2] },
}

impl Back {
    /// Who is sent the error, for the rate limit.
    fn listener(self, inner: &Ipv4) -> [u64; 2] {
        match self {
            Self::Internet => [0, inner.source.into()],
            Self::Tunnel { ce, .. } => ce,
        }
    }
}

/// Turns the IPv4 packet that `packet` is into what its sender is told of why it does not go on, if anything. Says which.
#[cold]
pub(crate) fn tell(
    visit: &Visit<'_>,
    packet: &mut Packet<'_>,
    inner: &Ipv4,
    domain: u32,
    back: Back,
    step: Step,
) -> bool {
    match step {
        Step::Drop(DropReason::TtlExpired) => time_exceeded(visit, packet, inner, domain, back),
        Step::TooBig { mtu } => too_big(visit, packet, inner, domain, back, mtu),
        Step::Drop(_) | Step::Held | Step::Joined => false,
    }
}

/// Turns the IPv4 packet that `packet` is into a Time Exceeded about it, unless that must not be. Says which.
#[cold]
fn time_exceeded(visit: &Visit<'_>, packet: &mut Packet<'_>, inner: &Ipv4, domain: u32, back: Back) -> bool {
    v4::error(visit, packet, inner, domain, back, &v4::Message { kind: 11, code: 0, mtu: 0 })
}

/// The same for Destination Unreachable, fragmentation needed and DF set: packets of `mtu` bytes will pass.
#[cold]
fn too_big(visit: &Visit<'_>, packet: &mut Packet<'_>, inner: &Ipv4, domain: u32, back: Back, mtu: usize) -> bool {
    v4::error(visit, packet, inner, domain, back, &v4::Message { kind: 3, code: 4, mtu: mtu as u16 })
}

/// Whether there may be an error about this IPv4 packet, whose source and destination are known to be hosts.
pub(crate) fn may_report(packet: &[u8], inner: &Ipv4) -> bool {
    let kind = packet.get(inner.header).filter(|_| inner.header < inner.total);
    let is_icmp_error = inner.protocol == protocol::ICMP && kind.is_none_or(|kind| is_error(*kind));
    !inner.is_later_fragment() && !is_icmp_error
}
