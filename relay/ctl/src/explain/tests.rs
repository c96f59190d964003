//! The story and the engine must agree about any packet.

use std::net::{Ipv4Addr, Ipv6Addr};

use engine::wire::protocol::{DCCP, FRAGMENT, ICMP, SCTP, TCP, UDP, UDP_LITE};
use proptest::{prelude::*, sample::select};

use super::{
    args::{Endpoint, Protocol},
    *,
};
use crate::{fixtures::everything, map::batch_answer};

const RELAY: RelayArgs = RelayArgs { ipv4_source: Ipv4Addr::new(192, 0, 0, 8) };

/// Addresses in rules of every kind, beside them, and of no use at all.
fn address() -> impl Strategy<Value = Ipv4Addr> {
    let networks = [
        [67, 91, 205, 0],
        [67, 91, 205, 128],
        [67, 91, 206, 0],
        [10, 1, 7, 0],
        [10, 2, 0, 0],
        [10, 3, 0, 0],
        [192, 0, 2, 0],
        [198, 51, 100, 0],
        [203, 0, 113, 0],
        [127, 0, 0, 0],
        [8, 8, 8, 0],
    ];
    (select(networks.to_vec()), 0..=255u8).prop_map(|([a, b, c, d], host)| {
        let host = if (a, d) == (203, 0) { host % 4 } else { host };
        Ipv4Addr::new(a, b, c, if d == 128 { d } else { host })
    })
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (address(), any::<u16>()).prop_map(|(address, port)| Endpoint { address, port: Some(port) })
}

fn args() -> impl Strategy<Value = PacketArgs> {
    let protocol = select(vec![UDP, TCP, ICMP, UDP_LITE, SCTP, DCCP, 47]);
    let outer_src = proptest::option::weighted(0.5, outer_source());
    let br = proptest::option::weighted(
        0.2,
        (1..5u16).prop_map(|host| Ipv6Addr::new(0x3001, 0xdb8, 0xffff, 0, 0, 0, 0, host)),
    );
    let size = proptest::option::weighted(0.3, 60..2000u16);
    let ttl = prop_oneof![9 => Just(64u8), 1 => 0..3u8];
    (any::<bool>(), endpoint(), endpoint(), outer_src, br, protocol, size, any::<bool>(), ttl).prop_map(
        |(to_ce, src, dst, outer_src, br, protocol, size, df, ttl)| PacketArgs {
            to_ce,
            from_ce: !to_ce,
            hex: None,
            src: Some(src),
            dst: Some(dst),
            outer_src,
            br,
            proto: Protocol(protocol),
            size,
            df,
            ttl,
        },
    )
}

/// The address of some CE, or one beside it.
fn outer_source() -> impl Strategy<Value = Ipv6Addr> {
    (address(), any::<u16>(), select(vec![0u128, 0, 1, 1 << 64, 1 << 70])).prop_map(|(ipv4, port, differing)| {
        let fleet = everything();
        let address = fleet.to_ce(ipv4, Some(port)).map_or(Ipv6Addr::LOCALHOST, |target| target.ce_address);
        Ipv6Addr::from_bits(address.to_bits() ^ differing)
    })
}

/// Puts an ICMP error about `about` into the packet `ipv4`, whose payload is long enough.
fn make_icmp_error(ipv4: &mut [u8], about: &[u8]) {
    ipv4[9] = ICMP;
    ipv4[20..28].copy_from_slice(&[3, 1, 0, 0, 0, 0, 0, 0]);
    let length = about.len().min(ipv4.len() - 28);
    ipv4[28..28 + length].copy_from_slice(&about[..length]);
    ipv4[10..12].fill(0);
    let sum = engine::wire::checksum(&ipv4[..20]);
    ipv4[10..12].copy_from_slice(&sum.to_be_bytes());
}

fn check(fleet: &Fleet, packet: &[u8]) -> Result<Explanation, TestCaseError> {
    let explanation = explain(fleet, RELAY, packet);
    let steps = explanation.steps.join("\n");
    prop_assert!(!steps.contains(story::CONTRADICTION), "{}\n{steps}", explanation.packet);
    prop_assert!(!steps.is_empty(), "{}", explanation.packet);
    Ok(explanation)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_story_ends_as_the_packet_does(args in args()) {
        let fleet = everything();
        if let Ok(packet) = build::packet(&args, &fleet) {
            check(&fleet, &packet)?;
        }
    }

    /// An ICMP error to or from a CE is about a packet that went the other way, or about anybody's.
    #[test]
    fn the_story_of_an_icmp_error_too(mut args in args(), embedded in args(), turned in any::<bool>()) {
        let fleet = everything();
        args.size = Some(100);
        args.outer_src = None;
        let mut about = PacketArgs { to_ce: true, from_ce: false, ..embedded };
        if turned {
            (about.src, about.dst) = (args.dst, args.src);
        }
        if let (Ok(mut packet), Ok(about)) = (build::packet(&args, &fleet), build::packet(&about, &fleet)) {
            make_icmp_error(&mut packet[if args.to_ce { 0 } else { 40 }..], &about);
            check(&fleet, &packet)?;
        }
    }

    #[test]
    fn the_story_of_a_broken_packet_too(args in args(), cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte: u8) {
        let fleet = everything();
        if let Ok(mut packet) = build::packet(&args, &fleet) {
            let at = at.index(packet.len().min(64));
            packet[at] = byte;
            check(&fleet, &packet)?;
            packet.truncate(cut.index(packet.len()));
            check(&fleet, &packet)?;
        }
    }

    #[test]
    fn the_story_of_a_fragment_too(args in args(), more in any::<bool>(), offset in 0..4u16, outer in any::<bool>()) {
        let fleet = everything();
        if let Ok(mut packet) = build::packet(&args, &fleet) {
            let field = (u16::from(more) << 13 | offset).to_be_bytes();
            if outer && args.from_ce {
                let header = [&[4, 0], &(offset << 3 | u16::from(more)).to_be_bytes()[..], &[0, 0, 0, 7]].concat();
                let length = (packet.len() - 40 + header.len()) as u16;
                packet.splice(40..40, header);
                packet[6] = FRAGMENT;
                packet[4..6].copy_from_slice(&length.to_be_bytes());
            } else {
                let header = &mut packet[if args.to_ce { 0 } else { 40 }..];
                header[6..8].copy_from_slice(&field);
                engine::wire::seal(&mut header[..20]);
            }
            let explanation = check(&fleet, &packet)?;
            let waits = explanation.steps.last().is_some_and(|step| step.contains("ReassemblyTimeout"));
            prop_assert_eq!(explanation.verdict == "hold", waits, "{:?}", explanation.steps);
        }
    }

    #[test]
    fn the_story_of_noise_too(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
        check(&everything(), &packet)?;
    }

    /// `map --batch` says of an address and port what the engine does with a packet.
    #[test]
    fn the_batch_answers_as_the_engine_does(mut args in args()) {
        let fleet = everything();
        (args.ttl, args.size, args.proto, args.df) = (64, None, Protocol(UDP), false);
        let Ok(packet) = build::packet(&args, &fleet) else { return Ok(()) };
        let explanation = check(&fleet, &packet)?;
        let ce = if args.to_ce { args.dst } else { args.src }.unwrap();
        let mut query = format!(r#""ipv4":"{}","port":{}"#, ce.address, ce.port.unwrap());
        if args.from_ce {
            let outer = anatomy::Outer::parse(&packet).unwrap();
            query += &format!(r#","ipv6":"{}","br":"{}""#, outer.source, outer.destination);
        }
        let answer: serde_json::Value = serde_json::from_str(&batch_answer(&fleet, &format!("{{{query}}}"))).unwrap();
        let says = answer.get("drop").and_then(|word| word.as_str());
        match explanation.reason {
            // What a packet may not be at all, and what becomes of one that has left its CE, is not asked for.
            Some("Martian" | "HairpinDisabled") => {}
            Some("NotForRelay") => prop_assert_ne!(answer.get("forward"), Some(&true.into())),
            Some("NoRule" | "NoPort" | "ReservedPort" | "SpoofedSource") if says.is_some() => {
                prop_assert_eq!(says, explanation.reason);
            }
            // The source passes, and the CE that it turned to is none.
            Some("NoPort" | "ReservedPort") if args.from_ce => prop_assert_eq!(answer.get("forward"), Some(&true.into())),
            None => {
                prop_assert_eq!(says, None);
                let ce_address = answer["ceAddress"].as_str().unwrap();
                prop_assert!(explanation.emitted[0].packet.contains(ce_address) || args.from_ce);
            }
            other => prop_assert!(false, "{:?}: {}", other, answer),
        }
    }
}

#[test]
fn every_step_of_the_seed_is_told() {
    let fleet = crate::fixtures::seed();
    let packet = build::packet(&seed_args(), &fleet).unwrap();
    let explanation = explain(&fleet, RELAY, &packet);
    assert_eq!((explanation.verdict, explanation.reason, explanation.domain.as_deref()), ("emit", None, Some("isp-a")));
    let steps = explanation.steps.join("\n");
    for part in [
        "67.91.205.0/24: rule r1 of default/isp-a",
        "Port 6600 is 0001 10011100 1000 in bits",
        "8 PSID bits = 156 (0x9c)",
        "0x029c",
        "2001:db8:ce:29c::/64",
        "2001:db8:ce:29c:0:435b:cd02:9c",
        "its TTL 64 lowered to 63",
    ] {
        assert!(steps.contains(part), "{part}\n{steps}");
    }
}

fn seed_args() -> PacketArgs {
    PacketArgs {
        to_ce: true,
        from_ce: false,
        hex: None,
        src: None,
        dst: Some("67.91.205.2:6600".parse().unwrap()),
        outer_src: None,
        br: None,
        proto: Protocol(UDP),
        size: None,
        df: false,
        ttl: 64,
    }
}
