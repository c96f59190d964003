//! Does the packet fit the tunnel (RFC 7597 §8.3.1, RFC 2473 §7.2)?

use mape::options::Fragmentation;

use crate::{fragments::Step, snapshot::DomainEntry, wire::Ipv4};

/// How a packet gets through the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// As it is.
    Whole,
    /// Cut before encapsulation, or after.
    Cut(Fragmentation),
}

/// Decides by size and DF. A packet that may not be cut is too big in either mode.
#[inline(always)]
pub(crate) fn fit_mtu(inner: &Ipv4, domain: &DomainEntry) -> Result<Fit, Step> {
    if inner.total <= domain.payload_mtu {
        return Ok(Fit::Whole);
    }
    if inner.may_fragment() {
        Ok(Fit::Cut(domain.fragmentation))
    } else {
        Err(Step::TooBig { mtu: domain.payload_mtu })
    }
}
