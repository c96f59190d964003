//! A flood of fragments whose first ones never come: what is kept stays bounded, every lost one is counted, and whoever sends
//! little keeps what is his.

use engine::{
    Defaults, Direction, DropReason, Engine, Extras, HEADROOM, Memory, Now, Options, Outcome, Packet, Snapshot, Ttl,
    Verdict,
    wire::{first_word, halves, ipv4_header, ipv6_header, protocol, seal},
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
    fn new(v4: ReassemblyV4, datagrams: u64) -> Self {
        Self::with_secret(v4, datagrams, 7)
    }

    fn with_secret(v4: ReassemblyV4, datagrams: u64, secret: u64) -> Self {
        let reassembly = Reassembly { v4, max_datagrams: datagrams as u32, ..Reassembly::default() };
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
        let memory = Memory::new(1, secret);
        let snapshot =
            Snapshot::compile(&Fleet::new(vec![domain]).expect("a sound domain"), &memory, &Defaults::default());
        let engine = Engine::new(Options { ttl: Ttl::Engine, worker: 0, secret });
        Self { memory, snapshot, engine, extras: Extras::new() }
    }

    /// What becomes of a fragment to 67.91.205.2, and how many packets leave.
    fn send(&mut self, source: u32, identification: u16, fragment: u16, payload: &[u8]) -> (Outcome, usize) {
        self.play(&inner([source, CUSTOMER], identification, fragment, payload))
    }

    fn play(&mut self, packet: &[u8]) -> (Outcome, usize) {
        let mut buffer = [&[0; HEADROOM][..], packet].concat();
        let (mut batch, mut verdicts) = ([Packet::new(&mut buffer, HEADROOM, packet.len())], [Verdict::default()]);
        self.engine.process(&self.snapshot, Now(0), &mut batch, &mut verdicts, &mut self.extras);
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

/// An IPv4 fragment.
fn inner([source, destination]: [u32; 2], identification: u16, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let mut header = ipv4_header(0, 20 + payload.len(), protocol::UDP, source.into(), destination.into());
    header[4..6].copy_from_slice(&identification.to_be_bytes());
    header[6..8].copy_from_slice(&fragment.to_be_bytes());
    seal(&mut header);
    [&header, payload].concat()
}

/// A packet from the CE of 67.91.205.2 with this PSID.
fn from_ce(psid: u8, next_header: u8, payload: &[u8]) -> Vec<u8> {
    let ce = format!("2001:db8:ce:2{psid:02x}:0:435b:cd02:{psid:x}").parse().expect("an address");
    let relay = "3001:db8:ffff::1".parse().expect("a literal");
    let header = ipv6_header(first_word(0, 0), payload.len(), next_header, halves(ce), halves(relay));
    [&header, payload].concat()
}

/// An IPv6 fragment from the CE of 67.91.205.2 with this PSID; more follow.
fn outer(psid: u8, identification: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = identification.to_be_bytes();
    from_ce(psid, protocol::FRAGMENT, &[&[protocol::IPV4, 0, 0x10, 0x01, 0, 0, high, low], payload].concat())
}

const CUSTOMER: u32 = 0x435b_cd02;
const MORE: u16 = 0x2000;
const HONEST: u32 = 0xcb00_710a;

/// The port 6600 of a CE, and 16 bytes.
const FIRST: [u8; 24] = *b"\0\x35\x19\xc8\0\x40\0\0abcdefghijklmnop";

fn flood(v4: ReassemblyV4, sources: u32) {
    let mut relay = Relay::new(v4, DATAGRAMS);
    let mut sent = 0;
    for round in 0..20u16 {
        for number in 0..2 * DATAGRAMS as u32 {
            let (outcome, _) = relay.send(0x0b00_0000 + number % sources, (sent % 0x10000) as u16, 100, &[0; 64]);
            assert_eq!(outcome, Outcome::Hold);
            sent += 1;
        }
        assert_eq!(relay.kept().datagrams, DATAGRAMS);
        assert!(relay.kept().bytes <= DATAGRAMS * 1024 + 131_072, "{:?}", relay.kept());
        // An honest datagram, reversed, with as much of the flood between its fragments as the domain may keep.
        assert_eq!(relay.send(HONEST, round, 4, &[1; 8]).0, Outcome::Hold);
        assert_eq!(relay.send(HONEST, round, 3 | MORE, &[1; 8]).0, Outcome::Hold);
        for number in 0..DATAGRAMS as u32 / 2 {
            relay.send(0x0b00_0000 + number % sources, (sent % 0x10000) as u16, 100, &[0; 64]);
            sent += 1;
        }
        let (outcome, leaving) = relay.send(HONEST, round, MORE, &FIRST);
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

/// Sends an early fragment of somebody's, then three times as many of a flood as the domain may keep, and asks whether
/// the first one is still there.
fn survives(honest: &[u8], flood: impl Fn(u16) -> Vec<u8>) -> bool {
    let mut relay = Relay::new(ReassemblyV4::Full, DATAGRAMS);
    assert_eq!(relay.play(honest).0, Outcome::Hold);
    for number in 0..3 * DATAGRAMS as u16 {
        assert_eq!(relay.play(&flood(number)).0, Outcome::Hold);
    }
    assert_eq!(relay.kept().datagrams, DATAGRAMS);
    // Of what is still there it is a duplicate.
    relay.play(honest).0 == Outcome::Drop { reason: DropReason::DuplicateFragment, reply: false }
}

/// The oldest datagram of all, but neither its source nor its destination is the flood's.
#[test]
fn who_sends_little_keeps_it() {
    let to_ce = |source: u32, destination: u32, number: u16| inner([source, destination], number, 100, &[0; 64]);
    let honest = to_ce(HONEST, CUSTOMER, 0);
    let elsewhere = CUSTOMER + 1;
    assert!(survives(&honest, |number| to_ce(0x0b00_0001, elsewhere, number)), "from one to one");
    assert!(survives(&honest, |number| to_ce(0x0b00_0001 + u32::from(number), elsewhere, number)), "from all to one");

    let of_ce = |psid: u8, destination: u32, number: u16| {
        from_ce(psid, protocol::IPV4, &inner([CUSTOMER, destination], number, 100, &[0; 64]))
    };
    let honest = of_ce(0x9c, HONEST, 0);
    assert!(survives(&honest, |number| of_ce(0x34, 0x0b00_0001, number)), "from another CE to one");
    assert!(survives(&honest, |number| of_ce(0x34, 0x0b00_0001 + u32::from(number), number)), "from another CE to all");

    let honest = outer(0x9c, 0, &[0; 64]);
    assert!(survives(&honest, |number| outer(0x34, number, &[0; 64])), "in IPv6 fragments of another CE");
    let of_many = |number: u16| outer((number % 8) as u8, number, &[0; 64]);
    assert!(survives(&honest, of_many), "in IPv6 fragments of several others");
}

/// Room for one datagram is room for 1024 + 131,072 bytes of fragments, each with 128 of overhead.
#[test]
fn a_datagram_is_bounded_in_bytes() {
    // What each fragment weighs: the packet as it came, or its payload.
    for (v4, weight, fit) in [(ReassemblyV4::Virtual, 28 + 128, 846), (ReassemblyV4::Full, 8 + 128, 971)] {
        let mut relay = Relay::new(v4, 1);
        for number in 1..=fit {
            // Every other eight bytes, so that they never make a whole.
            assert_eq!(relay.send(HONEST, 1, (2 * number) | MORE, &[0; 8]).0, Outcome::Hold);
            assert_eq!(relay.kept(), engine::Kept { datagrams: 1, bytes: u64::from(number) * weight });
        }
        assert_eq!(relay.dropped(DropReason::ReassemblyFull), 0);
        assert_eq!(relay.send(HONEST, 1, (2 * (fit + 1)) | MORE, &[0; 8]).0, Outcome::Hold);
        assert_eq!(relay.dropped(DropReason::ReassemblyFull), fit.into());
        assert_eq!(relay.kept(), engine::Kept { datagrams: 1, bytes: weight });
    }
}

/// Of senders who have as much, to receivers who have as much, it is the oldest datagram that goes, whatever the secret.
#[test]
fn of_equals_the_oldest_goes() {
    for secret in 0..16 {
        let mut relay = Relay::with_secret(ReassemblyV4::Virtual, 2, secret);
        let fragment =
            |sender: u32, field: u16, payload: &[u8]| inner([HONEST + sender, CUSTOMER + sender], 1, field, payload);
        for sender in 0..3 {
            assert_eq!(relay.play(&fragment(sender, 4, &[1; 8])).0, Outcome::Hold);
        }
        assert_eq!(relay.dropped(DropReason::ReassemblyFull), 1);
        assert_eq!(relay.play(&fragment(1, MORE, &FIRST)), (Outcome::Emit, 2), "secret {secret}: the second was kept");
        assert_eq!(relay.play(&fragment(2, MORE, &FIRST)), (Outcome::Emit, 2), "secret {secret}: the third was kept");
    }
}
