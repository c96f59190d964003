//! The compiled tables and the packet path against `mape`, the obvious form of the same arithmetic: random fleets of
//! rules of every kind, nested and side by side.

use std::net::{Ipv4Addr, Ipv6Addr};

use engine::{
    Defaults, DropReason, Engine, Extras, HEADROOM, Memory, Now, Options, Outcome, Packet, SLOT, Snapshot, Ttl, Verdict,
};
use mape::{
    DomainConfig, DomainName, Fleet, Ipv4Net, Ipv6Net, Refusal, RuleConfig, Version,
    options::{Icmp, SourceCheck},
};
use proptest::{collection::vec, prelude::*, sample::Index};

#[path = "support/layers.rs"]
mod layers;

/// One rule in a domain of its own. Rules are made so that most are sound; the unsound are left out.
fn domain() -> impl Strategy<Value = DomainConfig> {
    let rule = (8..=32u8, any::<u32>(), 0..=6u8, 0..=8u8, 0..5u8, any::<u16>(), 32..=72u8);
    let options = (any::<bool>(), any::<bool>(), 0..3u16);
    (rule, options, 0..4000u16).prop_map(|((length, bits, offset, k, kind, psid, v6), (draft, prefix, br), number)| {
        // 20.0.0.0/8 and 20.1.0.0/16 are crowded, so that rules nest.
        let crowded = [0x1400_0000 | bits & 0x00ff_ffff, 0x1401_0000 | bits & 0xffff, 0x1401_0200 | bits & 0xff];
        let address = Ipv4Addr::from(crowded[usize::from(number % 3)]);
        let one_ce = kind == 0;
        let length = if one_ce { 32 } else { length.max(12) };
        let suffix = 32 - length;
        let (ea, k, psid) = match kind {
            0 => (0, k, (k > 0).then_some(psid & ((1 << k) - 1))),
            1 => (suffix.saturating_sub(k), 0, None),
            _ => (suffix + k, k, None),
        };
        let mape_prefix = Ipv6Addr::from(0x2001_0db8u128 << 96 | u128::from(number) << 84);
        let rule = RuleConfig {
            name: "r".into(),
            ipv4_prefix: Ipv4Net::new_assert(address, length).trunc(),
            mape_prefix: Ipv6Net::new_assert(mape_prefix, v6.clamp(44, 128 - ea)).trunc(),
            ea_bits_length: ea,
            psid_offset: offset,
            psid_length: Some(k),
            psid,
        };
        let source_check = if prefix { SourceCheck::Prefix } else { SourceCheck::Strict };
        let icmp = Icmp { errors_per_second: 0, ..Icmp::default() };
        let options = mape::Options { source_check, icmp, ..mape::Options::default() };
        DomainConfig {
            name: DomainName { namespace: "default".into(), name: format!("d{number}") },
            created: 0,
            softwire_address: Ipv6Addr::from(0x3001_0db8u128 << 96 | u128::from(br + 1)),
            version: if draft { Version::Draft03 } else { Version::Rfc7597 },
            rules: vec![rule],
            options,
        }
    })
}

/// As many of some domains as are sound together.
fn fleet() -> impl Strategy<Value = Fleet> {
    vec(domain(), 1..24).prop_map(|domains| {
        let mut sound: Vec<DomainConfig> = Vec::new();
        for domain in domains {
            let mut more = sound.clone();
            more.push(domain);
            if Fleet::new(more.clone()).is_ok() {
                sound = more;
            }
        }
        Fleet::new(sound).expect("sound domains")
    })
}

/// An address: in a rule, or just outside.
fn address(fleet: &Fleet, which: Index, low: u32) -> Ipv4Addr {
    let rules: Vec<_> = fleet.rules().map(|(_, rule)| rule.ipv4_prefix()).collect();
    if rules.is_empty() {
        return Ipv4Addr::from(0x1400_0000 | low & 0x00ff_ffff);
    }
    let prefix = which.get(&rules);
    let host = low & u32::MAX.checked_shr(prefix.prefix_len().into()).unwrap_or(0);
    let beside = u32::from(low.is_multiple_of(7));
    Ipv4Addr::from((prefix.network().to_bits() | host).wrapping_add(beside))
}

fn send(fleet: &Fleet, text: &str) -> (Outcome, Vec<u8>) {
    let bytes = layers::parse(text);
    let memory = Memory::new(1, 0);
    let snapshot = Snapshot::compile(fleet, &memory, &Defaults::default());
    let mut buffer = [vec![0; HEADROOM], bytes.clone(), vec![0; SLOT]].concat();
    let mut batch = [Packet::new(&mut buffer, HEADROOM, bytes.len())];
    let mut verdicts = [Verdict::default()];
    let mut engine = Engine::new(Options { ttl: Ttl::Engine, worker: 0, secret: 0 });
    engine.process(&snapshot, Now(0), &mut batch, &mut verdicts, &mut Extras::new());
    (verdicts[0].outcome, batch[0].bytes().to_vec())
}

fn reason(refusal: Refusal) -> DropReason {
    match refusal {
        Refusal::NoRule => DropReason::NoRule,
        Refusal::NoPort => DropReason::NoPort,
        Refusal::ReservedPort => DropReason::ReservedPort,
        Refusal::SpoofedSource => DropReason::SpoofedSource,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn to_ce_goes_where_mape_says(fleet in fleet(), picks in vec((any::<Index>(), any::<u32>(), any::<u16>()), 8)) {
        for (which, low, port) in picks {
            let ipv4 = address(&fleet, which, low);
            let port = if low.is_multiple_of(5) { port % 2048 } else { port };
            let (outcome, packet) = send(&fleet, &format!("ipv4 src=198.51.100.10 dst={ipv4} | udp src=53 dst={port}"));
            match fleet.to_ce(ipv4, Some(port)) {
                Ok(target) => {
                    prop_assert_eq!(outcome, Outcome::Emit);
                    prop_assert_eq!(&packet[8..24], target.domain.softwire_address().octets());
                    prop_assert_eq!(&packet[24..40], target.ce_address.octets(), "{} {}", ipv4, port);
                }
                Err(Refusal::NoRule) => prop_assert_eq!(outcome, Outcome::Punt(DropReason::NoRule)),
                Err(refusal) => prop_assert_eq!(outcome, Outcome::Drop { reason: reason(refusal), reply: false }),
            }
        }
    }

    #[test]
    fn from_ce_lets_pass_whom_mape_accepts(
        fleet in fleet(),
        picks in vec((any::<Index>(), any::<u32>(), any::<u16>(), prop::option::of(0..128u32), 0..4u128), 8),
    ) {
        for (which, low, port, flip, br) in picks {
            let ipv4 = address(&fleet, which, low);
            let target = fleet.to_ce(ipv4, Some(port)).ok();
            let source = target.map_or(Ipv6Addr::LOCALHOST, |target| target.ce_address);
            let source = Ipv6Addr::from(source.to_bits() ^ flip.map_or(0, |bit| 1 << bit));
            let own = target.map_or(1, |target| target.domain.softwire_address().to_bits() & 3);
            let relay = Ipv6Addr::from(0x3001_0db8u128 << 96 | if br == 0 { own } else { br });
            if !fleet.is_br_address(relay) {
                continue;
            }
            let text = format!("ipv6 src={source} dst={relay} | ipv4 src={ipv4} dst=198.51.100.10 | udp src={port} dst=53");
            let (outcome, packet) = send(&fleet, &text);
            match fleet.check_source(source, Some(relay), ipv4, Some(port)) {
                Ok(_) => {
                    prop_assert_eq!(outcome, Outcome::Emit, "{}", text);
                    prop_assert_eq!(&packet[12..16], ipv4.octets());
                }
                Err(refusal) => {
                    prop_assert_eq!(outcome, Outcome::Drop { reason: reason(refusal), reply: false }, "{}", text);
                }
            }
        }
    }

    #[test]
    fn tables_are_no_larger_than_the_fleet_was_checked_for(fleet in fleet()) {
        let memory = Memory::new(1, 0);
        let snapshot = Snapshot::compile(&fleet, &memory, &Defaults::default());
        let cells = (snapshot.tables().cells.len() + snapshot.tables().bindings.len()) as u64;
        prop_assert!(cells <= fleet.lookup_cells(), "{} > {}", cells, fleet.lookup_cells());
    }
}
