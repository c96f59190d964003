//! Whatever comes in: never a panic, never a packet out that is not sound, and the same verdict at any batch size.

use engine::{
    Defaults, DomainCount, Engine, Extras, HEADROOM, Memory, Now, Options, Outcome, Packet, SLOT, Snapshot, Ttl,
    Verdict,
};
use proptest::{collection::vec, prelude::*, sample::Index};

#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/layers.rs"]
mod layers;

use layers::checksum;

/// A change to a packet: bytes overwritten, the end cut off or put on.
#[derive(Debug, Clone)]
enum Change {
    Byte(Index, u8),
    Bit(Index, u8),
    Cut(Index),
    Longer(u8),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Change::Bit(at, bit)),
        any::<Index>().prop_map(Change::Cut),
        any::<u8>().prop_map(Change::Longer),
    ]
}

fn apply(packet: &mut Vec<u8>, change: &Change) {
    let length = packet.len();
    match change {
        Change::Longer(bytes) => packet.resize(length + usize::from(*bytes), 0xa5),
        _ if length == 0 => {}
        Change::Byte(at, byte) => packet[at.index(length)] = *byte,
        Change::Bit(at, bit) => packet[at.index(length)] ^= 1 << bit,
        Change::Cut(at) => packet.truncate(at.index(length)),
    }
}

/// A sequence of packets, each some nanoseconds after the one before: changed ones of the cases, and noise.
fn sequence() -> impl Strategy<Value = Vec<(u32, Vec<u8>)>> {
    let known = corpus::packets();
    let changed = (any::<Index>(), vec(change(), 0..4)).prop_map(move |(which, changes)| {
        let mut packet = which.get(&known).clone();
        changes.iter().for_each(|change| apply(&mut packet, change));
        packet
    });
    let noise = (prop_oneof![Just(0x45u8), Just(0x60u8), any::<u8>()], vec(any::<u8>(), 0..200));
    let noise = noise.prop_map(|(first, rest)| [vec![first], rest].concat());
    vec((0..1_000_000_000u32, prop_oneof![9 => changed, 1 => noise]), 1..20)
}

/// What came out for one packet: its verdict, and all packets.
type Fate = (Verdict, Vec<Vec<u8>>);

/// Plays the packets in buffers that end `spare` bytes behind them; with none, all go the full way.
fn play(
    fleet: &mape::Fleet,
    ttl: Ttl,
    packets: &[(Now, Vec<u8>)],
    batch_size: usize,
    spare: usize,
) -> (Vec<Fate>, Vec<DomainCount>) {
    let memory = Memory::new(1, 0);
    let snapshot = Snapshot::compile(fleet, &memory, &Defaults::default());
    let mut engine = Engine::new(Options { ttl, worker: 0, secret: 1 });
    let mut extras = Extras::new();
    let mut outcomes = Vec::new();
    for group in packets.chunks(batch_size) {
        let mut buffers: Vec<Vec<u8>> =
            group.iter().map(|(_, bytes)| [vec![0; HEADROOM], bytes.clone(), vec![0xa5; spare]].concat()).collect();
        let mut batch: Vec<Packet<'_>> = buffers
            .iter_mut()
            .zip(group)
            .map(|(buffer, (_, bytes))| Packet::new(buffer, HEADROOM, bytes.len()))
            .collect();
        let mut verdicts = vec![Verdict::default(); batch.len()];
        engine.process(&snapshot, group[0].0, &mut batch, &mut verdicts, &mut extras);
        for (place, (packet, verdict)) in batch.iter().zip(verdicts).enumerate() {
            let first = verdict.leaves().then(|| packet.bytes().to_vec());
            let more = extras.packets().filter(|(cause, _)| *cause == place).map(|(_, packet)| packet.to_vec());
            outcomes.push((verdict, first.into_iter().chain(more).collect()));
        }
    }
    (outcomes, memory.read())
}

/// Lengths that add up, and right IPv4 header checksums, outside and inside.
fn is_sound(packet: &[u8]) -> Result<(), String> {
    let fail = |what: &str| Err(format!("{what}: {packet:02x?}"));
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => {
            let header = usize::from(packet[0] & 15) * 4;
            if header < 20 || header > packet.len() || checksum(&[&packet[..header]]) != 0 {
                return fail("IPv4 header");
            }
            if usize::from(u16::from_be_bytes([packet[2], packet[3]])) != packet.len() {
                fail("IPv4 length")
            } else {
                Ok(())
            }
        }
        Some(6) if packet.len() >= 40 => {
            if 40 + usize::from(u16::from_be_bytes([packet[4], packet[5]])) != packet.len() {
                return fail("IPv6 length");
            }
            if packet[6] == 4 { is_sound(&packet[40..]) } else { Ok(()) }
        }
        _ => fail("no IP packet"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_comes_out_is_sound(packets in sequence(), kernel in any::<bool>()) {
        let ttl = if kernel { Ttl::Kernel } else { Ttl::Engine };
        let mut now = 0;
        let timed: Vec<(Now, Vec<u8>)> = packets.into_iter().map(|(step, packet)| {
            now += u64::from(step);
            (Now(now), packet)
        }).collect();
        let fleet = corpus::fleet();
        for (verdict, out) in play(&fleet, ttl, &timed, 1, SLOT).0 {
            // What a fragment sets free leaves whatever becomes of itself.
            let must_leave = verdict.leaves() || verdict.outcome == Outcome::Joined;
            prop_assert!(!must_leave || !out.is_empty());
            for packet in out {
                // In the kernel's hands the checksum outside was verified before, so a wrong one goes through as it came.
                let result = if kernel && packet[0] >> 4 == 6 && packet[6] == 4 { Ok(()) } else { is_sound(&packet) };
                prop_assert!(result.is_ok(), "{}", result.unwrap_err());
            }
        }
    }

    #[test]
    fn the_same_verdicts_at_any_batch_size(packets in sequence(), batch_size in 2..20usize) {
        let at_once: Vec<(Now, Vec<u8>)> = packets.into_iter().map(|(_, packet)| (Now(0), packet)).collect();
        let fleet = corpus::fleet();
        prop_assert_eq!(
            play(&fleet, Ttl::Engine, &at_once, 1, SLOT),
            play(&fleet, Ttl::Engine, &at_once, batch_size, SLOT)
        );
    }

    #[test]
    fn the_express_way_does_what_the_full_way_does(packets in sequence(), kernel in any::<bool>()) {
        let ttl = if kernel { Ttl::Kernel } else { Ttl::Engine };
        let at_once: Vec<(Now, Vec<u8>)> = packets.into_iter().map(|(_, packet)| (Now(0), packet)).collect();
        let fleet = corpus::fleet();
        prop_assert_eq!(play(&fleet, ttl, &at_once, 20, SLOT), play(&fleet, ttl, &at_once, 20, 0));
    }
}
