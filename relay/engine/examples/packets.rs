//! Sends packets through the engine and says how often that allocated and how long it took; callgrind says how many
//! instructions it took.
//!
//! ```sh
//! cargo run --release -p engine --example packets -- from-ce udp 1024 16384
//! ```
//!
//! All packets are made before the first is processed, as many in every run: the difference of two runs, one with
//! twice the count of the other, is what the engine did and nothing else. `e2e/bench/run` does that.
//!
//! Fragments are two for each datagram: in `order`, so that the second finds the port of the first; `reversed`, so that it is
//! held until that comes; or `joined`, whole before they go on. Time passes so that 8,192 datagrams are remembered.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    ops::Range,
    time::Instant,
};

use engine::{Defaults, Engine, Extras, HEADROOM, Memory, Now, Options, Packet, Snapshot, Ttl, Verdict, wire};
use mape::{
    DomainConfig, DomainName, Fleet, Ipv4Net, Ipv6Net, RuleConfig, Version,
    domain::MAX_RULES_PER_DOMAIN,
    options::{Reassembly, ReassemblyV4},
};

const USAGE: &str = "packets <to-ce|from-ce> <udp|tcp|order|reversed|joined> <rules: a power of two up to 65536> \
    <packets: up to 65536>";

/// Total length of the IPv4 packets: a ping's, of which a network can send the most.
const LENGTH: usize = 84;

/// Holds a packet, its headroom and its outer header.
const SLOT: usize = 256;

const BATCH: usize = 64;

const MADE: usize = 65_536;

/// Bytes of payload that the first fragment of a datagram has.
const FIRST: usize = 32;

/// As many datagrams are remembered at a time.
const REMEMBERED: u64 = 8192;

/// The default of `reassembly.timeoutSeconds`, in nanoseconds.
const TIMEOUT: u64 = 2_000_000_000;

/// What the packets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Whole, of this protocol.
    Whole(u8),
    /// The first fragment before the second.
    Order,
    /// The second before the first.
    Reversed,
    /// As in order, but put together.
    Joined,
}

impl Kind {
    fn parse(word: &str) -> Self {
        match word {
            "udp" => Self::Whole(wire::protocol::UDP),
            "tcp" => Self::Whole(wire::protocol::TCP),
            "order" => Self::Order,
            "reversed" => Self::Reversed,
            "joined" => Self::Joined,
            _ => panic!("{USAGE}"),
        }
    }
}

/// Whoever is not a CE.
const INTERNET: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [direction, kind, rules, count] = arguments.as_slice() else { panic!("{USAGE}") };
    let kind = Kind::parse(kind);
    let fleet = fleet(rules.parse().expect(USAGE), kind);
    let count: usize = count.parse().expect(USAGE);
    let make = if direction == "to-ce" { to_ce } else { from_ce };

    let mut buffers = vec![0; MADE * SLOT];
    let slots = buffers.chunks_exact_mut(SLOT).zip(0..);
    let mut packets: Vec<Packet<'_>> = slots
        .map(|(slot, number)| {
            let bytes = make(&fleet, number, kind);
            slot[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(&bytes);
            Packet::new(slot, HEADROOM, bytes.len())
        })
        .collect();

    let memory = Memory::new(1, 0);
    let snapshot = Snapshot::compile(&fleet, &memory, &Defaults::default());
    let mut engine = Engine::new(Options { ttl: Ttl::Engine, worker: 0, secret: 0 });
    let mut extras = Extras::new();
    let mut verdicts = [Verdict::default(); BATCH];
    let begun = Instant::now();
    let allocated = allocation_counter::measure(|| {
        for (number, batch) in (0u64..).zip(packets[..count].chunks_mut(BATCH)) {
            let now = Now(number * (BATCH as u64 / 2) * TIMEOUT / REMEMBERED);
            engine.process(&snapshot, now, batch, &mut verdicts, &mut extras);
        }
    });
    let took = begun.elapsed();

    let forwarded: u64 = memory.read().iter().flat_map(|domain| &domain.forwarded).map(|(_, c)| c.packets).sum();
    assert_eq!(forwarded, count as u64, "every packet is forwarded, or something else is measured");
    println!("allocations {}", allocated.count_total);
    println!("nanoseconds {}", took.as_nanos());
}

/// 10.0.0.0/12, as so many rules of equal size: all counts give every CE the same address.
fn fleet(rules: u32, kind: Kind) -> Fleet {
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
    let v4 = if kind == Kind::Joined { ReassemblyV4::Full } else { ReassemblyV4::Virtual };
    let options = mape::Options { reassembly: Reassembly { v4, ..Reassembly::default() }, ..mape::Options::default() };
    let domain = |numbers: &[u32]| DomainConfig {
        name: DomainName { namespace: "default".into(), name: format!("d{}", numbers[0]) },
        created: 0,
        softwire_address: Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1),
        version: Version::Rfc7597,
        rules: numbers.iter().map(|number| rule(*number)).collect(),
        options: options.clone(),
    };
    Fleet::new(numbers.chunks(MAX_RULES_PER_DOMAIN).map(domain).collect()).expect("equal parts do not overlap")
}

fn to_ce(_: &Fleet, number: u32, kind: Kind) -> Vec<u8> {
    inner(number, kind, |ce| [(INTERNET, 443), ce])
}

fn from_ce(fleet: &Fleet, number: u32, kind: Kind) -> Vec<u8> {
    let inner = inner(number, kind, |ce| [ce, (INTERNET, 443)]);
    let (address, port) = ce(number, kind);
    let target = fleet.to_ce(address, Some(port)).expect("the rules cover all of 10.0.0.0/12");
    let [source, destination] = [target.ce_address, target.domain.softwire_address()].map(wire::halves);
    let first = wire::first_word(0, number);
    [&wire::ipv6_header(first, inner.len(), wire::protocol::IPV4, source, destination), &inner[..]].concat()
}

/// A CE's address and one of its ports, far from those of the number before, so that the lookup tables are walked. Both
/// fragments of a datagram have one.
fn ce(number: u32, kind: Kind) -> (Ipv4Addr, u16) {
    let flow = if matches!(kind, Kind::Whole(_)) { number } else { number / 2 };
    let spread = flow.wrapping_mul(0x9e37_79b1);
    ((10 << 24 | spread >> 12).into(), 1024 | spread as u16)
}

fn inner(number: u32, kind: Kind, ends: impl Fn((Ipv4Addr, u16)) -> [(Ipv4Addr, u16); 2]) -> Vec<u8> {
    let [source, destination] = ends(ce(number, kind));
    let protocol = if let Kind::Whole(protocol) = kind { protocol } else { wire::protocol::UDP };
    let whole = ipv4(protocol, source, destination);
    let is_first = number.is_multiple_of(2) != (kind == Kind::Reversed);
    match kind {
        Kind::Whole(_) => whole,
        _ if is_first => fragment(&whole, number / 2, 0..FIRST, MORE_FRAGMENTS),
        _ => fragment(&whole, number / 2, FIRST..LENGTH - wire::IPV4_HEADER, (FIRST / 8) as u16),
    }
}

fn fragment(whole: &[u8], identification: u32, part: Range<usize>, field: u16) -> Vec<u8> {
    let (header, payload) = whole.split_at(wire::IPV4_HEADER);
    let mut packet = [header, &payload[part]].concat();
    let total = packet.len() as u16;
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet[4..6].copy_from_slice(&(identification as u16).to_be_bytes());
    packet[6..8].copy_from_slice(&field.to_be_bytes());
    wire::seal(&mut packet[..wire::IPV4_HEADER]);
    packet
}

/// The flag of a fragment that others follow.
const MORE_FRAGMENTS: u16 = 0x2000;

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
