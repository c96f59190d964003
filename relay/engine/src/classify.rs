//! The first look at packets: IPv4 goes to CEs, IPv6 comes from them; plain ones by the express way, run by run.

use crate::{
    Count, Direction, DropReason, Outcome, Packet, Verdict,
    engine::Visit,
    fragments::{Known, Waiting},
    from_ce, to_ce,
};

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
    visit.load = Count::one(packet.unpadded_length());
    visit.known = Known::default();
    let mut verdict = judge_one(visit, packet);
    // What it completed comes first, and may itself be a piece that completes something.
    let mut completed = verdict.outcome == Outcome::Joined;
    while let Some(mut next) = visit.released.pop_front() {
        let found = judge_released(visit, &mut next);
        if completed {
            verdict = found.elsewhere();
            completed = found.outcome == Outcome::Joined;
        }
    }
    verdict
}

/// A packet that the present one set free, or the datagram that it completed: what leaves becomes extras.
#[cold]
fn judge_released(visit: &mut Visit<'_>, waiting: &mut Waiting) -> Verdict {
    visit.load = waiting.load;
    visit.known = waiting.known;
    let mut packet = waiting.packet();
    let before = visit.extras.count();
    let verdict = judge_one(visit, &mut packet);
    if verdict.leaves() {
        visit.extras.insert(before, visit.cause, packet.bytes());
    }
    verdict
}

fn judge_one(visit: &mut Visit<'_>, packet: &mut Packet<'_>) -> Verdict {
    match packet.version() {
        _ if packet.bytes().is_empty() => visit.dropped(None, Direction::ToCe, DropReason::Truncated, false),
        4 => to_ce::full(visit, packet),
        6 => from_ce::full(visit, packet),
        _ => visit.dropped(None, Direction::ToCe, DropReason::BadHeader, false),
    }
}
