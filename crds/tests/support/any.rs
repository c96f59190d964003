//! Any sound domain, as proptest makes them.

use std::net::{Ipv4Addr, Ipv6Addr};

use mape::{DomainConfig, DomainName, Ipv4Net, Ipv6Net, Options, RuleConfig, Version, options::*};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// Any sound domain.
pub(crate) fn domain() -> impl Strategy<Value = DomainConfig> {
    let name = ("[a-z]([a-z0-9-]{0,20}[a-z0-9])?", "[a-z0-9]([a-z0-9.]{0,20}[a-z0-9])?");
    let name = name.prop_map(|(namespace, name)| DomainName { namespace, name: name.replace('.', "x.x") });
    let rules = vec(rule(), 1..20).prop_map(|rules| rules.into_iter().enumerate().map(place).collect::<Vec<_>>());
    let version = select(&[Version::Rfc7597, Version::Draft03]);
    (name, 0..4_102_444_800_i64, any::<u64>(), version, rules, options(), option::of(8..=20_u8)).prop_map(
        |(name, created, br, version, rules, options, aggregate)| DomainConfig {
            name,
            created,
            softwire_address: Ipv6Addr::from_bits(0x3001 << 112 | u128::from(br)),
            version,
            options: aggregated(options, &rules, aggregate),
            rules,
        },
    )
}

/// With an aggregate of that length around the first rule.
fn aggregated(mut options: Options, rules: &[RuleConfig], length: Option<u8>) -> Options {
    if let (Some(length), Toggle::Enabled) = (length, options.advertise.auto_route) {
        let first = rules[0].ipv4_prefix;
        options.advertise.ipv4_aggregates = vec![Ipv4Net::new_assert(first.addr(), length).trunc()];
    }
    options
}

/// A rule in space of its own: the `at`th /20 and /40 behind a fixed start.
fn place((at, rule): (usize, RuleConfig)) -> RuleConfig {
    let ipv4 = Ipv4Addr::from_bits(0x1400_0000 + ((at as u32) << 12));
    let ipv6 = Ipv6Addr::from_bits(0x2a00 << 112 | (at as u128) << 88);
    RuleConfig {
        name: format!("{}{at}", rule.name),
        ipv4_prefix: Ipv4Net::new_assert(ipv4, rule.ipv4_prefix.prefix_len()),
        mape_prefix: Ipv6Net::new_assert(ipv6, rule.mape_prefix.prefix_len()),
        ..rule
    }
}

fn rule() -> impl Strategy<Value = RuleConfig> {
    prop_oneof![shared(), one_ce()]
}

fn shared() -> impl Strategy<Value = RuleConfig> {
    ("[a-z]{0,8}", 20..=32_u8, 40..=64_u8, 1..=28_u8, 0..=16_u8, any::<bool>()).prop_map(
        |(name, ipv4, ipv6, ea, offset, derived)| {
            let length = ea.saturating_sub(32 - ipv4).min(16);
            let ea_bits_length = ea.min(32 - ipv4 + 16);
            RuleConfig {
                name,
                ipv4_prefix: Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, ipv4),
                mape_prefix: Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, ipv6),
                ea_bits_length,
                psid_offset: offset.min(16 - length),
                psid_length: (!derived).then_some(length),
                psid: None,
            }
        },
    )
}

fn one_ce() -> impl Strategy<Value = RuleConfig> {
    ("[a-z]{0,8}", 40..=128_u8, 0..=16_u8, 0..=16_u8, any::<u16>()).prop_map(|(name, ipv6, offset, length, psid)| {
        RuleConfig {
            name,
            ipv4_prefix: Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 32),
            mape_prefix: Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, ipv6),
            ea_bits_length: 0,
            psid_offset: offset.min(16 - length),
            psid_length: Some(length),
            psid: (length > 0).then(|| (u32::from(psid) & ((1 << length) - 1)) as u16),
        }
    })
}

fn options() -> impl Strategy<Value = Options> {
    let toggle = || select(&[Toggle::Enabled, Toggle::Disabled]);
    let answer = || select(&[Answer::Answer, Answer::Silent]);
    let v4 = select(&[ReassemblyV4::Disabled, ReassemblyV4::Virtual, ReassemblyV4::Full]);
    let reassembly = (v4, toggle(), 1..=60_u16, 1..=1_048_576_u32)
        .prop_map(|(v4, v6, timeout_seconds, max_datagrams)| Reassembly { v4, v6, timeout_seconds, max_datagrams });
    let mss = prop_oneof![Just(MssClamp::Auto), Just(MssClamp::Disabled), (536..=1200_u16).prop_map(MssClamp::Limit)];
    let to_ce = prop_oneof![Just(DscpToCe::Copy), (0..=63_u8).prop_map(DscpToCe::Fixed)];
    let dscp =
        (to_ce, select(&[DscpFromCe::Keep, DscpFromCe::Copy])).prop_map(|(to_ce, from_ce)| Dscp { to_ce, from_ce });
    let ipv4_source = option::of((1..=126_u8, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| Ipv4Addr::new(a, b, c, d)));
    let icmp = (0..=1_000_000_u32, answer(), 0..=1_000_000_u32, answer(), ipv4_source).prop_map(
        |(errors_per_second, echo, echo_per_second, source_check_errors, ipv4_source)| Icmp {
            errors_per_second,
            echo,
            echo_per_second,
            source_check_errors,
            ipv4_source,
        },
    );
    let advertise = (toggle(), toggle()).prop_map(|(auto_route, mape_prefixes)| Advertise {
        auto_route,
        mape_prefixes,
        ipv4_aggregates: Vec::new(),
    });
    let fragmentation = select(&[Fragmentation::Inner, Fragmentation::Outer]);
    let source_check = select(&[SourceCheck::Strict, SourceCheck::Prefix]);
    let sizes = (1280..=16_384_u16, fragmentation, reassembly, mss);
    (sizes, dscp, source_check, toggle(), icmp, advertise).prop_map(
        |((v6, fragmentation, reassembly, tcp_mss_clamp), dscp, source_check, hairpin, icmp, advertise)| Options {
            mtu: Mtu { v6 },
            fragmentation,
            reassembly,
            tcp_mss_clamp,
            dscp,
            source_check,
            hairpin,
            icmp,
            advertise,
        },
    )
}
