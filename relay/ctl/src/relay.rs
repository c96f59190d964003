//! The engine that the relay runs, driven one packet at a time.

use engine::{Defaults, Engine, Extras, HEADROOM, Memory, Now, Options, Packet, SLOT, Snapshot, Ttl, Verdict};
use mape::Fleet;

use crate::cli::RelayArgs;

/// A relay of one worker, without devices or a clock.
pub(crate) struct Relay {
    snapshot: Snapshot,
    engine: Engine,
    extras: Extras,
    buffer: Vec<u8>,
}

/// What became of one packet, and everything that left because of it, in the order it leaves.
pub(crate) struct Outcome<'r> {
    pub(crate) verdict: Verdict,
    /// The name of the domain that it was counted for.
    pub(crate) domain: Option<&'r str>,
    pub(crate) emitted: Vec<&'r [u8]>,
}

impl Relay {
    pub(crate) fn new(fleet: &Fleet, args: RelayArgs) -> Self {
        let memory = Memory::new(1, 0);
        let defaults = Defaults { ipv4_source: args.ipv4_source };
        Self {
            snapshot: Snapshot::compile(fleet, &memory, &defaults),
            // A fixed secret: the same capture gives the same packets every time.
            engine: Engine::new(Options { ttl: Ttl::Engine, worker: 0, secret: 0 }),
            extras: Extras::new(),
            buffer: Vec::new(),
        }
    }

    /// Lets the relay judge an IP packet at the moment `now`.
    pub(crate) fn process(&mut self, now: Now, packet: &[u8]) -> Outcome<'_> {
        let room = HEADROOM + packet.len().max(SLOT);
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        self.buffer[HEADROOM..HEADROOM + packet.len()].copy_from_slice(packet);
        let mut verdict = [Verdict::default()];
        let mut batch = [Packet::new(&mut self.buffer, HEADROOM, packet.len())];
        self.engine.process(&self.snapshot, now, &mut batch, &mut verdict, &mut self.extras);
        let [verdict] = verdict;
        let (start, length) = batch[0].place();
        let own = verdict.leaves().then(|| &self.buffer[start..start + length]);
        let emitted = own.into_iter().chain(self.extras.packets().map(|(_, packet)| packet)).collect();
        let name = verdict.domain().and_then(|index| self.snapshot.domain_name(index));
        Outcome { verdict, domain: name.map(|name| name.name.as_str()), emitted }
    }
}
