//! Fleets for tests.

use mape::{
    DomainConfig, DomainName, Fleet, Options, RuleConfig, Version,
    options::{SourceCheck, Toggle},
};

/// `67.91.205.2:6600` is `2001:db8:ce:29c:0:435b:cd02:9c`.
pub(crate) fn seed() -> Fleet {
    Fleet::new(vec![seed_config()]).unwrap()
}

/// The seed, and rules of every other kind, in domains with other options.
pub(crate) fn everything() -> Fleet {
    let kinds = vec![
        rule("r1", "10.1.0.0/16", "2001:db8:1000::/40", 22, 6, None, None),
        rule("full", "192.0.2.0/24", "2001:db8:f000::/48", 8, 4, None, None),
        rule("delegated", "198.51.100.0/24", "2001:db8:e000::/48", 4, 4, None, None),
        rule("one-a", "203.0.113.1/32", "2001:db8:a::/56", 0, 0, Some(2), Some(0)),
        rule("one-b", "203.0.113.1/32", "2001:db8:b::/56", 0, 0, Some(2), Some(1)),
        rule("alone", "203.0.113.2/32", "2001:db8:c::/64", 0, 4, None, None),
    ];
    let late = vec![
        rule("past-64", "10.2.0.0/24", "2001:db8:2000::/64", 12, 4, None, None),
        rule("zero-offset", "10.3.0.0/24", "2001:db8:3000::/40", 16, 0, None, None),
        rule("nested", "67.91.205.128/32", "2001:db8:4000::/56", 8, 4, None, None),
    ];
    Fleet::new(vec![
        seed_config(),
        config("other", "kinds", "3001:db8:ffff::2", Version::Rfc7597, kinds, Options::default()),
        config(
            "other",
            "late",
            "3001:db8:ffff::3",
            Version::Draft03,
            late,
            Options { source_check: SourceCheck::Prefix, hairpin: Toggle::Disabled, ..Options::default() },
        ),
    ])
    .unwrap()
}

fn seed_config() -> DomainConfig {
    let rules = vec![rule("r1", "67.91.205.0/24", "2001:db8:ce::/48", 16, 4, Some(8), None)];
    config("default", "isp-a", "3001:db8:ffff::1", Version::Rfc7597, rules, Options::default())
}

fn config(
    namespace: &str,
    name: &str,
    relay: &str,
    version: Version,
    rules: Vec<RuleConfig>,
    options: Options,
) -> DomainConfig {
    DomainConfig {
        name: DomainName { namespace: namespace.into(), name: name.into() },
        created: 0,
        softwire_address: relay.parse().unwrap(),
        version,
        rules,
        options,
    }
}

fn rule(
    name: &str,
    ipv4: &str,
    ipv6: &str,
    ea_bits_length: u8,
    psid_offset: u8,
    psid_length: Option<u8>,
    psid: Option<u16>,
) -> RuleConfig {
    RuleConfig {
        name: name.into(),
        ipv4_prefix: ipv4.parse().unwrap(),
        mape_prefix: ipv6.parse().unwrap(),
        ea_bits_length,
        psid_offset,
        psid_length,
        psid,
    }
}
