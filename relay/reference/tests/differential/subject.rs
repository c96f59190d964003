//! The engine, made to answer as the model does.

use engine::{
    Defaults, Engine, Extras, HEADROOM, Memory, Now, Options, Outcome as Fate, Packet, SLOT, Snapshot, Ttl, Verdict,
};
use mape::Fleet;
use reference::Outcome;

/// The engine with all it needs.
pub(crate) struct Subject {
    engine: Engine,
    pub(crate) memory: Memory,
    snapshot: Snapshot,
    extras: Extras,
}

impl Subject {
    pub(crate) fn new(fleet: &Fleet, kernel: bool, secret: u64) -> Self {
        let ttl = if kernel { Ttl::Kernel } else { Ttl::Engine };
        let memory = Memory::new(1, secret);
        Self {
            engine: Engine::new(Options { ttl, worker: 0, secret }),
            snapshot: Snapshot::compile(fleet, &memory, &Defaults::default()),
            memory,
            extras: Extras::new(),
        }
    }

    pub(crate) fn process(&mut self, now: u64, bytes: &[u8]) -> Outcome {
        let mut buffer = [vec![0; HEADROOM], bytes.to_vec(), vec![0xa5; SLOT]].concat();
        let mut batch = [Packet::new(&mut buffer, HEADROOM, bytes.len())];
        let mut verdicts = [Verdict::default()];
        self.engine.process(&self.snapshot, Now(now), &mut batch, &mut verdicts, &mut self.extras);
        let verdict = verdicts[0];
        let first = verdict.leaves().then(|| batch[0].bytes().to_vec());
        Outcome {
            verdict: word(&verdict),
            reason: verdict.reason().map(engine::DropReason::word),
            domain: verdict.domain().map(|domain| domain as usize),
            out: first.into_iter().chain(self.extras.packets().map(|(_, packet)| packet.to_vec())).collect(),
        }
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict.outcome {
        Fate::Emit => "emit",
        Fate::Joined => "joined",
        Fate::Drop { .. } => "drop",
        Fate::Hold => "hold",
        Fate::Punt(_) => "punt",
    }
}
