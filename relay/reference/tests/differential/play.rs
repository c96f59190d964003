//! Plays a scenario to both, and compares.

use engine::{Direction, DomainCount, IcmpKind, Now};
use mape::Fleet;
use reference::{Counts, Message, Model};

use crate::{
    build::{apply, packet},
    compare::{Comparison, hex},
    model,
    scenario::Scenario,
    subject::Subject,
};

/// Plays all steps; says where they part. In the engine, destinations share rate limits, and senders share lists of what they
/// sent, by a secret hash: what goes wrong by that chance goes right with another secret.
pub(crate) fn play(scenario: &Scenario) -> Result<(), String> {
    (7..15).map(|secret| play_with(scenario, secret)).find(Result::is_ok).unwrap_or_else(|| play_with(scenario, 7))
}

fn play_with(scenario: &Scenario, secret: u64) -> Result<(), String> {
    let fleet = Fleet::new(scenario.domains.clone()).map_err(|problems| format!("{problems:?}"))?;
    let mut subject = Subject::new(&fleet, scenario.kernel, secret);
    let ttl = if scenario.kernel { reference::Ttl::Kernel } else { reference::Ttl::Engine };
    let mut model = Model::new(model::for_model(&fleet), ttl);
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
    same_kept(&mut model, &subject, now)?;
    // Long after, all that was held is counted.
    now += 1_000_000_000_000;
    model.process(now, &[]);
    subject.process(now, &[]);
    subject.memory.expire(Now(now));
    let (expected, found) = (model.counts(), counts(&subject.memory.read()));
    if *expected == found { Ok(()) } else { Err(format!("counters\nmodel  {expected:?}\nengine {found:?}")) }
}

/// What each domain keeps in the end.
fn same_kept(model: &mut Model, subject: &Subject, now: u64) -> Result<(), String> {
    subject.memory.expire(Now(now));
    let counted = subject.memory.read();
    let mut domains = counted.iter().filter_map(|domain| Some((number(domain)?, domain.reassembly)));
    domains.try_for_each(|(domain, found)| {
        let (datagrams, bytes) = model.kept(now, domain);
        let same = (found.datagrams, found.bytes) == (datagrams as u64, bytes as u64);
        if same { Ok(()) } else { Err(format!("domain {domain} keeps {found:?}, not {datagrams} of {bytes} bytes")) }
    })
}

/// The place of a domain in the fleet.
fn number(domain: &DomainCount) -> Option<usize> {
    domain.name.name.strip_prefix('d').and_then(|number| number.parse().ok())
}

/// The engine's counters as the model keeps them.
fn counts(domains: &[DomainCount]) -> Counts {
    let mut all = Counts::default();
    for domain in domains {
        let index = number(domain);
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
