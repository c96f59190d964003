//! A flood of fragments whose first ones never come: what is kept stays bounded, every lost one is counted, and whoever sends
//! little keeps what is his.

use engine::{
    Defaults, Direction, DropReason, Engine, Extras, HEADROOM, Memory, Now, Options, Outcome, Packet, Snapshot, Ttl,
    Verdict,
    wire::{ipv4_header, seal},
};
use mape::{
    DomainConfig, DomainName, Fleet, RuleConfig, Version,
    options::{Reassembly, ReassemblyV4},
};

const DATAGRAMS: u64 = 1000;

struct Relay {
    memory: Memory,
    snapshot: Snapshot,
    engine: Engine,
    extras: Extras,
}

impl Relay {
    fn new(v4: ReassemblyV4) -> Self {
        let reassembly = Reassembly { v4, max_datagrams: DATAGRAMS as u32, ..Reassembly::default() };
        let rule = RuleConfig {
            name: "r1".into(),
            ipv4_prefix: "67.91.205.0/24".parse().expect("a literal"),
            mape_prefix: "2001:db8:ce::/48".parse().expect("a literal"),
            ea_bits_length: 16,
            psid_offset: 4,
            psid_length: Some(8),
            psid: None,
        };
        let domain = DomainConfig {
            name: DomainName { namespace: "test".into(), name: "isp-a".into() },
            created: 0,
            softwire_address: "3001:db8:ffff::1".parse().expect("a literal"),
            version: Version::Rfc7597,
            rules: vec![rule],
            options: mape::Options { reassembly, ..mape::Options::default() },
        };
        let memory = Memory::new(1, 7);
        let snapshot =
            Snapshot::compile(&Fleet::new(vec![domain]).expect("a sound domain"), &memory, &Defaults::default());
        let engine = Engine::new(Options { ttl: Ttl::Engine, worker: 0, secret: 7 });
        Self { memory, snapshot, engine, extras: Extras::new() }
    }

    /// What becomes of a fragment to 67.91.205.2, and how many packets leave.
    fn send(&mut self, now: u64, source: u32, identification: u16, fragment: u16, payload: &[u8]) -> (Outcome, usize) {
        let mut header = ipv4_header(0, 20 + payload.len(), 17, source.into(), [67, 91, 205, 2].into());
        header[4..6].copy_from_slice(&identification.to_be_bytes());
        header[6..8].copy_from_slice(&fragment.to_be_bytes());
        seal(&mut header);
        let mut buffer = [&[0; HEADROOM][..], &header, payload].concat();
        let length = buffer.len() - HEADROOM;
        let (mut batch, mut verdicts) = ([Packet::new(&mut buffer, HEADROOM, length)], [Verdict::default()]);
        self.engine.process(&self.snapshot, Now(now), &mut batch, &mut verdicts, &mut self.extras);
        let own = usize::from(verdicts[0].leaves());
        (verdicts[0].outcome, own + self.extras.packets().count())
    }

    fn dropped(&self, wanted: DropReason) -> u64 {
        let counts = self.memory.read();
        let counted = counts.iter().flat_map(|domain| &domain.dropped);
        let wanted = counted.filter(|(way, reason, _)| (*way, *reason) == (Direction::ToCe, wanted));
        wanted.map(|(.., count)| count.packets).sum()
    }

    fn kept(&self) -> engine::Kept {
        self.memory.read()[1].reassembly
    }
}

const MORE: u16 = 0x2000;
const HONEST: u32 = 0xcb00_710a;

/// The port 6600 of a CE, and 16 bytes.
const FIRST: [u8; 24] = *b"\0\x35\x19\xc8\0\x40\0\0abcdefghijklmnop";

fn flood(v4: ReassemblyV4, sources: u32) {
    let mut relay = Relay::new(v4);
    let mut sent = 0;
    for round in 0..20u16 {
        for number in 0..2 * DATAGRAMS as u32 {
            let (outcome, _) = relay.send(0, 0x0b00_0000 + number % sources, (sent % 0x10000) as u16, 100, &[0; 64]);
            assert_eq!(outcome, Outcome::Hold);
            sent += 1;
        }
        assert_eq!(relay.kept().datagrams, DATAGRAMS);
        assert!(relay.kept().bytes <= DATAGRAMS * 1024 + 131_072, "{:?}", relay.kept());
        // An honest datagram, reversed, with as much of the flood between its fragments as the domain may keep.
        assert_eq!(relay.send(0, HONEST, round, 4, &[1; 8]).0, Outcome::Hold);
        assert_eq!(relay.send(0, HONEST, round, 3 | MORE, &[1; 8]).0, Outcome::Hold);
        for number in 0..DATAGRAMS as u32 / 2 {
            relay.send(0, 0x0b00_0000 + number % sources, (sent % 0x10000) as u16, 100, &[0; 64]);
            sent += 1;
        }
        let (outcome, leaving) = relay.send(0, HONEST, round, MORE, &FIRST);
        let expected = if v4 == ReassemblyV4::Full { (Outcome::Joined, 1) } else { (Outcome::Emit, 3) };
        assert_eq!((outcome, leaving), expected, "round {round}");
    }
    relay.memory.expire(Now(2_000_000_000));
    assert_eq!(relay.kept(), engine::Kept::default());
    let lost = relay.dropped(DropReason::ReassemblyFull) + relay.dropped(DropReason::ReassemblyTimeout);
    assert_eq!(lost, sent, "every fragment of the flood is counted");
}

#[test]
fn a_flood_from_one_source_harms_nobody_else() {
    flood(ReassemblyV4::Virtual, 1);
    flood(ReassemblyV4::Full, 1);
}

#[test]
fn a_flood_from_all_over_to_the_same_address_harms_only_old_datagrams() {
    flood(ReassemblyV4::Virtual, 100_000);
    flood(ReassemblyV4::Full, 100_000);
}
