//! Out of the tunnel: DSCP, ECN, TTL and MSS of a packet that goes to the Internet.

use mape::options::DscpFromCe;

use crate::{Direction, Packet, Verdict, engine::Visit, mss, to_ce::encapsulate::rewrite, wire::Ipv4, wire::protocol};

/// Lets the inner packet, which `packet` now is, go.
#[inline(always)]
pub(crate) fn forward(visit: &Visit<'_>, packet: &mut Packet<'_>, inner: &Ipv4, domain: u32, tos: u8) -> Verdict {
    if inner.protocol == protocol::TCP {
        mss::clamp(packet.bytes_mut(), inner, visit.domain(domain).mss_limit);
    }
    rewrite(packet.bytes_mut(), inner, tos, visit.engine_takes_ttl());
    visit.forwarded(domain, Direction::FromCe)
}

/// The TOS byte that leaves: DSCP by the domain's choice (RFC 2983), ECN by the table of RFC 6040 §4.2, figure 4;
/// `None` for congestion marked on a packet that cannot say so, which must be dropped.
#[inline(always)]
pub(crate) fn combine(dscp: DscpFromCe, outer: u8, inner: u8) -> Option<u8> {
    let ecn = match (outer & 3, inner & 3) {
        (CE, NOT_ECT) => return None,
        (CE, _) => CE,
        (ECT1, ECT0) => ECT1,
        (_, inner) => inner,
    };
    let dscp = match dscp {
        DscpFromCe::Keep => inner & !3,
        DscpFromCe::Copy => outer & !3,
    };
    Some(dscp | ecn)
}

const NOT_ECT: u8 = 0;
const ECT1: u8 = 1;
const ECT0: u8 = 2;
/// Congestion experienced.
const CE: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6040 §4.2, figure 4: rows by the inner field, columns by the outer one, both in the figure's order.
    #[test]
    fn ecn_is_combined_as_in_the_rfc() {
        let outer = [NOT_ECT, ECT0, ECT1, CE];
        let expected = [
            (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
            (ECT0, [Some(ECT0), Some(ECT0), Some(ECT1), Some(CE)]),
            (ECT1, [Some(ECT1), Some(ECT1), Some(ECT1), Some(CE)]),
            (CE, [Some(CE); 4]),
        ];
        for (inner, row) in expected {
            assert_eq!(outer.map(|outer| combine(DscpFromCe::Keep, outer, inner)), row, "inner {inner:02b}");
        }
    }

    #[test]
    fn dscp_is_kept_or_copied() {
        assert_eq!(combine(DscpFromCe::Keep, 46 << 2 | ECT0, 10 << 2 | ECT0), Some(10 << 2 | ECT0));
        assert_eq!(combine(DscpFromCe::Copy, 46 << 2 | CE, 10 << 2 | ECT0), Some(46 << 2 | CE));
    }
}
