//! Sends packets through the engine and says how often that allocated; callgrind says how many instructions it took.
//!
//! ```sh
//! cargo run --release -p engine --example packets -- from-ce udp 1024 16384
//! ```
//!
//! All packets are made before the first is processed, as many in every run: the difference of two runs, one with
//! twice the count of the other, is what the engine did and nothing else. `e2e/bench/run` does that.

use std::net::{Ipv4Addr, Ipv6Addr};

use engine::{Defaults, Engine, Extras, HEADROOM, Memory, Now, Options, Packet, Snapshot, Ttl, Verdict, wire};
use mape::{DomainConfig, DomainName, Fleet, Ipv4Net, Ipv6Net, RuleConfig, Version, domain::MAX_RULES_PER_DOMAIN};

const USAGE: &str = "packets <to-ce|from-ce> <udp|tcp> <rules: a power of two up to 65536> <packets: up to 65536>";

/// Total length of the IPv4 packets: a ping's, of which a network can send the most.
const LENGTH: usize = 84;

/// Holds a packet, its headroom and its outer header.
const SLOT: usize = 256;

const BATCH: usize = 64;

const MADE: usize = 65_536;

/// Whoever is not a CE.
const INTERNET: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [direction, protocol, rules, count] = arguments.as_slice() else { panic!("{USAGE}") };
    let fleet = fleet(rules.parse().expect(USAGE));
    let count: usize = count.parse().expect(USAGE);
    let protocol = if protocol == "tcp" { wire::protocol::TCP } else { wire::protocol::UDP };
    let make = if direction == "to-ce" { to_ce } else { from_ce };

    let mut buffers = vec![0; MADE * SLOT];
    let slots = buffers.chunks_exact_mut(SLOT).zip(0..);
    let mut packets: Vec<Packet<'_>> = slots
        .map(|(slot, number)| {
            let bytes = make(&fleet, number, protocol);
            slot[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(&bytes);
            Packet::new(slot, HEADROOM, bytes.len())
        })
        .collect();

    let memory = Memory::new(1, 0);
    let snapshot = Snapshot::compile(&fleet, &memory, &Defaults::default());
    let mut engine = Engine::new(Options { ttl: Ttl::Engine, worker: 0, secret: 0 });
    let mut extras = Extras::new();
    let mut verdicts = [Verdict::default(); BATCH];
    let allocated = allocation_counter::measure(|| {
        for batch in packets[..count].chunks_mut(BATCH) {
            engine.process(&snapshot, Now(0), batch, &mut verdicts, &mut extras);
        }
    });

    let forwarded: u64 = memory.read().iter().flat_map(|domain| &domain.forwarded).map(|(_, c)| c.packets).sum();
    assert_eq!(forwarded, count as u64, "every packet is forwarded, or something else is measured");
    println!("allocations {}", allocated.count_total);
}

/// 10.0.0.0/12, as so many rules of equal size: all counts give every CE the same address.
fn fleet(rules: u32) -> Fleet {
    assert!(rules.is_power_of_two() && rules <= 1 << 16, "{USAGE}");
    let bits = rules.ilog2() as u8;
    let rule = |number: u32| RuleConfig {
        name: format!("r{number}"),
        ipv4_prefix: Ipv4Net::new_assert((10 << 24 | number << (20 - bits)).into(), 12 + bits),
        mape_prefix: Ipv6Net::new_assert((0x2001_0db8 << 96 | u128::from(number) << (92 - bits)).into(), 36 + bits),
        ea_bits_length: 28 - bits,
        psid_offset: 6,
        psid_length: Some(8),
        psid: None,
    };
    let numbers: Vec<u32> = (0..rules).collect();
    let domain = |numbers: &[u32]| DomainConfig {
        name: DomainName { namespace: "default".into(), name: format!("d{}", numbers[0]) },
        created: 0,
        softwire_address: Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1),
        version: Version::Rfc7597,
        rules: numbers.iter().map(|number| rule(*number)).collect(),
        options: mape::Options::default(),
    };
    Fleet::new(numbers.chunks(MAX_RULES_PER_DOMAIN).map(domain).collect()).expect("equal parts do not overlap")
}

fn to_ce(_: &Fleet, number: u32, protocol: u8) -> Vec<u8> {
    let (address, port) = ce(number);
    ipv4(protocol, (INTERNET, 443), (address, port))
}

fn from_ce(fleet: &Fleet, number: u32, protocol: u8) -> Vec<u8> {
    let (address, port) = ce(number);
    let target = fleet.to_ce(address, Some(port)).expect("the rules cover all of 10.0.0.0/12");
    let [source, destination] = [target.ce_address, target.domain.softwire_address()].map(wire::halves);
    let header = wire::ipv6_header(wire::first_word(0, number), LENGTH, wire::protocol::IPV4, source, destination);
    [header.to_vec(), ipv4(protocol, (address, port), (INTERNET, 443))].concat()
}

/// A CE's address and one of its ports, far from those of the number before, so that the lookup tables are walked.
fn ce(number: u32) -> (Ipv4Addr, u16) {
    let spread = number.wrapping_mul(0x9e37_79b1);
    ((10 << 24 | spread >> 12).into(), 1024 | spread as u16)
}

fn ipv4(protocol: u8, source: (Ipv4Addr, u16), destination: (Ipv4Addr, u16)) -> Vec<u8> {
    let header = wire::ipv4_header(0, LENGTH, protocol, source.0, destination.0);
    let mut packet = [header.to_vec(), vec![0; LENGTH - header.len()]].concat();
    packet[20..22].copy_from_slice(&source.1.to_be_bytes());
    packet[22..24].copy_from_slice(&destination.1.to_be_bytes());
    if protocol == wire::protocol::TCP {
        packet[32..34].copy_from_slice(&[0x50, 0x10]); // a header of five words, and an acknowledgement
    } else {
        packet[24..26].copy_from_slice(&((LENGTH - header.len()) as u16).to_be_bytes());
    }
    packet
}
