//! Plays a scenario to both, and compares.

use std::collections::BTreeMap;

use engine::{
    Defaults, Direction, DomainCount, Engine, Extras, HEADROOM, IcmpKind, Memory, Now, Options, Outcome as Fate,
    Packet, SLOT, Snapshot, Ttl, Verdict,
};
use mape::Fleet;
use reference::{Counts, Message, Model, Outcome};

use crate::{
    build::{apply, packet},
    fleets,
    scenario::Scenario,
    wire::FRAGMENT,
};

/// The engine with all it needs.
struct Subject {
    engine: Engine,
    memory: Memory,
    snapshot: Snapshot,
    extras: Extras,
}

/// Plays all steps; says where they part. The engine's rate limits by destination share places by a secret hash: what
/// goes wrong by chance does so with one secret only.
pub(crate) fn play(scenario: &Scenario) -> Result<(), String> {
    play_with(scenario, 7).or_else(|_| play_with(scenario, 8))
}

fn play_with(scenario: &Scenario, secret: u64) -> Result<(), String> {
    let fleet = Fleet::new(scenario.domains.clone()).map_err(|problems| format!("{problems:?}"))?;
    let mut subject = Subject::new(&fleet, scenario.kernel, secret);
    let ttl = if scenario.kernel { reference::Ttl::Kernel } else { reference::Ttl::Engine };
    let mut model = Model::new(fleets::for_model(&fleet), ttl);
    let mut comparison = Comparison::default();
    let (mut now, mut emitted) = (0, Vec::new());
    for (number, step) in scenario.steps.iter().enumerate() {
        now += u64::from(step.milliseconds) * 1_000_000;
        let Some(mut bytes) = packet(&fleet, &scenario.datagrams, &step.send, &emitted) else { continue };
        step.changes.iter().for_each(|change| apply(&mut bytes, change));
        let expected = model.process(now, &bytes);
        let found = subject.process(now, &bytes);
        comparison
            .outcomes(&expected, &found)
            .map_err(|what| format!("step {number}: {what}\nin     {}", hex(&bytes)))?;
        emitted.extend(expected.out.into_iter().filter(|packet| packet[0] >> 4 == 6));
    }
    // Long after, all that was held is counted.
    now += 1_000_000_000_000;
    model.process(now, &[]);
    subject.process(now, &[]);
    subject.memory.expire(Now(now));
    let (expected, found) = (model.counts(), counts(&subject.memory.read()));
    if *expected == found { Ok(()) } else { Err(format!("counters\nmodel  {expected:?}\nengine {found:?}")) }
}

impl Subject {
    fn new(fleet: &Fleet, kernel: bool, secret: u64) -> Self {
        let ttl = if kernel { Ttl::Kernel } else { Ttl::Engine };
        let memory = Memory::new(1, secret);
        Self {
            engine: Engine::new(Options { ttl, worker: 0, secret }),
            snapshot: Snapshot::compile(fleet, &memory, &Defaults::default()),
            memory,
            extras: Extras::new(),
        }
    }

    fn process(&mut self, now: u64, bytes: &[u8]) -> Outcome {
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

/// What is compared but for what an implementation may choose: flow labels and IPv6 identifications.
#[derive(Debug, Default)]
struct Comparison {
    /// The engine's label for each of the model's: packets of one flow have one.
    labels: BTreeMap<u32, u32>,
}

impl Comparison {
    fn outcomes(&mut self, expected: &Outcome, found: &Outcome) -> Result<(), String> {
        let (mut expected, mut found) = (expected.clone(), found.clone());
        let pairs = expected.out.iter_mut().zip(&mut found.out);
        let labels: Vec<(u32, u32)> = pairs.map(|(one, other)| (take_label(one), take_label(other))).collect();
        number_identifications(&mut expected.out);
        number_identifications(&mut found.out);
        if expected != found {
            return Err(format!("\nmodel  {}\nengine {}", show(&expected), show(&found)));
        }
        labels.into_iter().try_for_each(|(model, engine)| self.label(model, engine))
    }

    fn label(&mut self, model: u32, engine: u32) -> Result<(), String> {
        let known = *self.labels.entry(model).or_insert(if model == 0 { 0 } else { engine });
        if known == engine { Ok(()) } else { Err(format!("flow label {engine:#x}, not {known:#x}")) }
    }
}

/// Takes the flow label out of an IPv6 packet.
fn take_label(packet: &mut [u8]) -> u32 {
    if packet.len() < 40 || packet[0] >> 4 != 6 {
        return 0;
    }
    let label = u32::from_be_bytes([0, packet[1] & 15, packet[2], packet[3]]);
    packet[1] &= 0xf0;
    packet[2..4].fill(0);
    label
}

/// Numbers the identifications of IPv6 fragments by their first appearance.
fn number_identifications(out: &mut [Vec<u8>]) {
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for packet in out.iter_mut().filter(|packet| packet.len() >= 48 && packet[0] >> 4 == 6 && packet[6] == FRAGMENT) {
        let identification = packet[44..48].to_vec();
        if !seen.contains(&identification) {
            seen.push(identification.clone());
        }
        let number = seen.iter().position(|known| *known == identification).unwrap_or(0) as u32;
        packet[44..48].copy_from_slice(&number.to_be_bytes());
    }
}

fn show(outcome: &Outcome) -> String {
    let packets = outcome.out.iter().map(|packet| format!("\n  {:5} {}", packet.len(), hex(packet)));
    format!("{} {:?} domain {:?}{}", outcome.verdict, outcome.reason, outcome.domain, packets.collect::<String>())
}

fn hex(bytes: &[u8]) -> String {
    bytes.chunks(4).map(|word| word.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + " ").collect()
}

/// The engine's counters as the model keeps them.
fn counts(domains: &[DomainCount]) -> Counts {
    let mut all = Counts::default();
    for domain in domains {
        let index = domain.name.name.strip_prefix('d').and_then(|number| number.parse().ok());
        let count = |count: engine::Count| reference::Count { packets: count.packets, bytes: count.bytes };
        all.forwarded.extend(domain.forwarded.iter().map(|(way, found)| ((index, direction(*way)), count(*found))));
        let dropped = domain.dropped.iter();
        all.dropped.extend(dropped.map(|(way, why, found)| ((index, direction(*way), why.word()), count(*found))));
        let said = |(kind, count): &(IcmpKind, u64)| ((index.unwrap_or(usize::MAX), message(*kind)), *count);
        all.icmp_sent.extend(domain.icmp_sent.iter().map(said));
        all.icmp_suppressed.extend(domain.icmp_suppressed.iter().map(said));
    }
    all
}

fn direction(direction: Direction) -> reference::Direction {
    match direction {
        Direction::ToCe => reference::Direction::ToCe,
        Direction::FromCe => reference::Direction::FromCe,
    }
}

fn message(kind: IcmpKind) -> Message {
    match kind {
        IcmpKind::Error => Message::Error,
        IcmpKind::EchoReply => Message::EchoReply,
        IcmpKind::RelayedError => Message::RelayedError,
    }
}
