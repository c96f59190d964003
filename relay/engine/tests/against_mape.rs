//! The compiled tables and the packet path against `mape`, the obvious form of the same arithmetic: random fleets of
//! rules of every kind, nested and side by side.

use std::net::Ipv6Addr;

use engine::{
    Defaults, DropReason, Engine, Extras, HEADROOM, Memory, Now, Options, Outcome, Packet, SLOT, Snapshot, Ttl, Verdict,
};
use mape::{Fleet, Refusal};
use proptest::{collection::vec, prelude::*, sample::Index};

#[path = "support/fleets.rs"]
mod fleets;
#[path = "support/layers.rs"]
mod layers;

use fleets::{address, fleet};

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
