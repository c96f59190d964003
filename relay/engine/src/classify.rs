//! The first look at a packet: IPv4 goes to CEs, IPv6 comes from them.

use crate::{Direction, DropReason, Packet, Verdict, engine::Visit, from_ce::from_ce, to_ce::to_ce};

#[inline(always)]
pub(crate) fn classify(visit: &mut Visit<'_>, packet: &mut Packet<'_>) -> Verdict {
    match packet.bytes().first().map(|byte| byte >> 4) {
        Some(4) => to_ce(visit, packet),
        Some(6) => from_ce(visit, packet),
        Some(_) => visit.dropped(None, Direction::ToCe, DropReason::BadHeader, false),
        None => visit.dropped(None, Direction::ToCe, DropReason::Truncated, false),
    }
}
