//! Arbitrary bytes as a sequence of packets: never a panic, never an unsound packet, never to or from a wrong CE, and
//! the same verdicts at any batch size.

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use engine::{Defaults, Engine, Extras, HEADROOM, Memory, Now, Options, Packet, Snapshot, Verdict};
use mape::Fleet;

use crate::{
    fleet,
    input::{Input, Moment},
    sound,
};

static FLEET: LazyLock<Fleet> = LazyLock::new(fleet::fleet);
static SNAPSHOT: LazyLock<Snapshot> =
    LazyLock::new(|| Snapshot::compile(&FLEET, &Memory::new(1, 0), &Defaults::default()));

/// The snapshot outlives an input, and its rate limits remember: time goes on, by so much that they have recovered.
static CLOCK: AtomicU64 = AtomicU64::new(0);
const RECOVERY: u64 = 2_000_000_000;

/// Plays one input.
pub fn run(bytes: &[u8]) {
    let input = Input::read(bytes, &FLEET);
    let whole = play(&input, usize::MAX);
    assert_eq!(whole, play(&input, 1), "one packet at a time");
    let packets = input.moments.iter().flat_map(|moment| &moment.packets);
    for (packet, outcome) in packets.zip(&whole) {
        sound::check(&FLEET, input.ttl, packet, outcome);
    }
}

/// What came out for one packet: its verdict, and all packets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) packets: Vec<Vec<u8>>,
}

/// Everything that comes out when no more than `batch_size` packets are processed at once.
fn play(input: &Input, batch_size: usize) -> Vec<Outcome> {
    let duration = input.moments.last().map_or(0, |moment| moment.now);
    let start = CLOCK.fetch_add(duration + RECOVERY, Relaxed);
    let mut engine = Engine::new(Options { ttl: input.ttl, worker: 0, secret: 1 });
    let mut extras = Extras::default();
    let mut outcomes = Vec::new();
    for Moment { now, packets } in &input.moments {
        for batch in packets.chunks(batch_size) {
            outcomes.extend(process(&mut engine, Now(start + now), batch, &mut extras));
        }
    }
    outcomes
}

fn process(engine: &mut Engine, now: Now, packets: &[Vec<u8>], extras: &mut Extras) -> Vec<Outcome> {
    let mut buffers: Vec<Vec<u8>> = packets.iter().map(|bytes| [&[0; HEADROOM], bytes.as_slice()].concat()).collect();
    let slots = buffers.iter_mut().zip(packets);
    let mut batch: Vec<Packet<'_>> = slots.map(|(slot, bytes)| Packet::new(slot, HEADROOM, bytes.len())).collect();
    let mut verdicts = vec![Verdict::default(); batch.len()];
    engine.process(&SNAPSHOT, now, &mut batch, &mut verdicts, extras);
    let judged = batch.iter().zip(verdicts).enumerate();
    let outcome = judged.map(|(place, (packet, verdict))| {
        let first = verdict.leaves().then(|| packet.bytes().to_vec());
        let further = extras.packets().filter(|(cause, _)| *cause == place).map(|(_, packet)| packet.to_vec());
        Outcome { verdict, packets: first.into_iter().chain(further).collect() }
    });
    outcome.collect()
}
