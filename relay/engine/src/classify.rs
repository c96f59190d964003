//! The first look at packets: IPv4 goes to CEs, IPv6 comes from them; plain ones by the express way, run by run.

use crate::{Direction, DropReason, Packet, Verdict, engine::Visit, from_ce, to_ce};

/// Judges a batch.
pub(crate) fn classify(visit: &mut Visit<'_>, batch: &mut [Packet<'_>], verdicts: &mut [Verdict]) {
    if visit.engine_takes_ttl() {
        judge::<true>(visit, batch, verdicts);
    } else {
        judge::<false>(visit, batch, verdicts);
    }
}

fn judge<const TAKE_TTL: bool>(visit: &mut Visit<'_>, batch: &mut [Packet<'_>], verdicts: &mut [Verdict]) {
    let mut done = 0;
    while done < batch.len() {
        let before = done;
        done += run(&mut batch[done..], &mut verdicts[done..], |packet| to_ce::express::<TAKE_TTL>(visit, packet));
        done += run(&mut batch[done..], &mut verdicts[done..], |packet| from_ce::express::<TAKE_TTL>(visit, packet));
        if done == before {
            verdicts[done] = full(visit, &mut batch[done], done);
            done += 1;
        }
    }
}

/// Takes packets the express way while it takes them, and says how many it took. A loop of its own for each direction
/// keeps what it needs in registers.
#[inline(never)]
fn run<'b>(
    batch: &mut [Packet<'b>],
    verdicts: &mut [Verdict],
    express: impl Fn(&mut Packet<'b>) -> Option<Verdict>,
) -> usize {
    let mut taken = 0;
    for (packet, verdict) in batch.iter_mut().zip(verdicts) {
        let Some(found) = express(packet) else { break };
        *verdict = found;
        taken += 1;
    }
    taken
}

/// The way of any packet.
fn full(visit: &mut Visit<'_>, packet: &mut Packet<'_>, cause: usize) -> Verdict {
    visit.cause = cause;
    visit.length = packet.unpadded_length();
    match packet.version() {
        _ if packet.bytes().is_empty() => visit.dropped(None, Direction::ToCe, DropReason::Truncated, false),
        4 => to_ce::full(visit, packet),
        6 => from_ce::full(visit, packet),
        _ => visit.dropped(None, Direction::ToCe, DropReason::BadHeader, false),
    }
}
