//! Random fleets: every domain has rules of every kind, side by side, and any options.

use std::net::{Ipv4Addr, Ipv6Addr};

use mape::{
    DomainConfig, DomainName, Ipv4Net, Ipv6Net, RuleConfig, Version,
    options::{
        Answer, Dscp, DscpFromCe, DscpToCe, Fragmentation, Icmp, MssClamp, Mtu, Reassembly, ReassemblyV4, SourceCheck,
        Toggle,
    },
};
use proptest::prelude::*;

/// Two to four domains.
pub(crate) fn domains() -> impl Strategy<Value = Vec<DomainConfig>> {
    let number = |(number, config): (usize, DomainConfig)| numbered(number, config);
    prop::collection::vec(domain(), 2..=4).prop_map(move |plans| plans.into_iter().enumerate().map(number).collect())
}

/// A domain as number 0.
fn domain() -> impl Strategy<Value = DomainConfig> {
    (any::<bool>(), any::<bool>(), prop::sample::select(vec![0u8, 4, 6]), 0..3u8, options()).prop_map(
        |(draft, shares_relay, offset, v6, options)| DomainConfig {
            name: DomainName { namespace: "default".into(), name: String::new() },
            created: 0,
            softwire_address: if shares_relay { Ipv6Addr::UNSPECIFIED } else { Ipv6Addr::LOCALHOST },
            version: if draft { Version::Draft03 } else { Version::Rfc7597 },
            rules: rules(offset, [40, 48, 60][usize::from(v6)]),
            options,
        },
    )
}

/// Its names, addresses and prefixes, no two domains' alike; but BR addresses may be shared.
fn numbered(number: usize, mut config: DomainConfig) -> DomainConfig {
    config.name.name = format!("d{number}");
    config.created = number as i64;
    let relay = if config.softwire_address == Ipv6Addr::UNSPECIFIED { 0 } else { number };
    config.softwire_address = Ipv6Addr::from(0x2001_0db8_ffff << 80 | (relay as u128 + 1));
    for (at, rule) in config.rules.iter_mut().enumerate() {
        let is_group = rule.psid.is_some();
        let ipv4 = if is_group { 0x1464_0001 } else { rule.ipv4_prefix.network().to_bits() | (number as u32) << 20 };
        rule.ipv4_prefix = Ipv4Net::new_assert(Ipv4Addr::from(ipv4), rule.ipv4_prefix.prefix_len());
        let space = (number as u128 * 8 + at as u128) << 88;
        let ipv6 = Ipv6Addr::from(0x2a00_u128 << 112 | space);
        rule.mape_prefix = Ipv6Net::new_assert(ipv6, rule.mape_prefix.prefix_len());
        // The group's address is one for all domains: even and odd PSIDs, each domain's its own.
        rule.psid = rule.psid.map(|psid| psid * 4 + number as u16);
    }
    config
}

fn rules(offset: u8, v6: u8) -> Vec<RuleConfig> {
    let rule = |name: &str, ipv4: u32, length: u8, ea: u8, offset: u8, k: u8, psid: Option<u16>| RuleConfig {
        name: name.into(),
        ipv4_prefix: Ipv4Net::new_assert(Ipv4Addr::from(ipv4), length),
        mape_prefix: Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, v6),
        ea_bits_length: ea,
        psid_offset: offset,
        psid_length: Some(k),
        psid,
    };
    vec![
        rule("shared", 0x1400_0100, 24, 12, offset, 4, None),
        rule("whole", 0x1400_0200, 24, 8, offset, 0, None),
        rule("prefix", 0x1401_0000, 16, 8, offset, 0, None),
        rule("group-low", 0, 32, 0, 4, 3, Some(0)),
        rule("group-high", 0, 32, 0, 4, 3, Some(1)),
        rule("nested", 0x1400_0203, 32, 5, offset, 5, None),
    ]
}

fn options() -> impl Strategy<Value = mape::Options> {
    let sizes = (prop::sample::select(vec![1280u16, 1281, 1500, 1999]), any::<bool>(), 0..4u8);
    // 2,000 are enough for all that a scenario can hold.
    let most = prop_oneof![1 => Just(2000u32), 1 => 1..=6u32];
    let reassembly =
        (prop_oneof![1 => Just(0u8), 4 => Just(1), 4 => Just(2)], prop::bool::weighted(0.9), 1..=2u16, most);
    let handling = (prop::option::of(0..64u8), any::<bool>(), any::<bool>(), prop::bool::weighted(0.85));
    let rate = || prop_oneof![1 => Just(0u32), 2 => Just(1u32), 2 => Just(3u32), 8 => Just(1000u32)];
    let icmp = (rate(), rate(), prop::bool::weighted(0.9), prop::bool::weighted(0.8), any::<u8>());
    (sizes, reassembly, handling, icmp).prop_map(|(sizes, reassembly, handling, icmp)| {
        let (v6, is_outer, mss) = sizes;
        let (v4, reassembles_v6, timeout_seconds, max_datagrams) = reassembly;
        let (dscp, copies_dscp, by_prefix, hairpin) = handling;
        let (errors_per_second, echo_per_second, echo, source_check, last) = icmp;
        let answer = |answers: bool| if answers { Answer::Answer } else { Answer::Silent };
        let toggle = |enabled: bool| if enabled { Toggle::Enabled } else { Toggle::Disabled };
        let v4 = [ReassemblyV4::Disabled, ReassemblyV4::Virtual, ReassemblyV4::Full][usize::from(v4)];
        mape::Options {
            mtu: Mtu { v6 },
            fragmentation: if is_outer { Fragmentation::Outer } else { Fragmentation::Inner },
            reassembly: Reassembly { v4, v6: toggle(reassembles_v6), timeout_seconds, max_datagrams },
            tcp_mss_clamp: [MssClamp::Auto, MssClamp::Disabled, MssClamp::Limit(536), MssClamp::Auto][usize::from(mss)],
            dscp: Dscp {
                to_ce: dscp.map_or(DscpToCe::Copy, DscpToCe::Fixed),
                from_ce: if copies_dscp { DscpFromCe::Copy } else { DscpFromCe::Keep },
            },
            source_check: if by_prefix { SourceCheck::Prefix } else { SourceCheck::Strict },
            hairpin: toggle(hairpin),
            icmp: Icmp {
                errors_per_second,
                echo: answer(echo),
                echo_per_second,
                source_check_errors: answer(source_check),
                ipv4_source: Some(Ipv4Addr::new(198, 51, 100, last)),
            },
            ..mape::Options::default()
        }
    })
}
