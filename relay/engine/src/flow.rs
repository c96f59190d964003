//! The flow label: the same for all packets of an inner flow, so that routers may spread flows (RFC 6438).

use crate::wire::Ipv4;

/// A label from addresses, protocol and `ports` (both, as they stand in the header; 0 where there are none).
#[inline(always)]
pub(crate) fn label(inner: &Ipv4, ports: u32) -> u32 {
    // Two odd constants and a multiply (Knuth's and the golden ratio's): every input bit reaches the upper 20.
    let addresses = u64::from(inner.source) << 32 | u64::from(inner.destination);
    let rest = u64::from(ports) << 8 | u64::from(inner.protocol);
    let mixed = (addresses ^ rest.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (mixed >> 44) as u32
}
