//! The flow label: the same for all packets of an inner flow, so that routers may spread flows (RFC 6438).

/// A label from source and destination as they lie in the header, and `ports` (both; 0 where there are none).
#[inline(always)]
pub(crate) fn label(addresses: u64, ports: u32) -> u32 {
    // Two odd constants and multiplications: every input bit reaches the upper 20.
    let mixed = (addresses ^ u64::from(ports).wrapping_mul(0x7feb_352d)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (mixed >> 44) as u32
}
