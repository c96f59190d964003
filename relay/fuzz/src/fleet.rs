//! Domains of every kind: rules that share, nest, delegate and bind; both layouts; options away from their defaults.

use mape::{
    DomainConfig, DomainName, Fleet, Options, RuleConfig, Version,
    options::{DscpFromCe, DscpToCe, Fragmentation, MssClamp, ReassemblyV4, SourceCheck, Toggle},
};

/// # Panics
/// Never: the domains are sound together.
pub(crate) fn fleet() -> Fleet {
    let mut strict = domain("strict", "3001:db8:ffff::1", Version::Rfc7597);
    strict.rules = vec![
        rule("shared", "67.91.205.0/24", "2001:db8:ce::/48", 16, 4),
        // Inside it: a CE for each address; and inside that, two CEs on one address.
        rule("nested", "67.91.205.128/25", "2001:db8:cf::/48", 7, 0),
        bound("one", "67.91.205.200/32", "2001:db8:d0:100::/56", 52),
        bound("two", "67.91.205.200/32", "2001:db8:d0:200::/56", 53),
        rule("whole", "192.0.2.19/32", "2001:db8:d0:300::/56", 0, 6),
    ];
    strict.options.icmp.errors_per_second = 10;

    // The same BR address.
    let mut prefixes = domain("prefixes", "3001:db8:ffff::1", Version::Rfc7597);
    prefixes.rules = vec![
        rule("delegated", "10.0.0.0/8", "2001:db8:1000::/40", 8, 6),
        rule("past-64", "203.0.113.0/24", "2001:db8:2000::/60", 12, 6),
    ];
    prefixes.options.mtu.v6 = 1280;
    prefixes.options.source_check = SourceCheck::Prefix;

    let mut draft = domain("draft", "2404:9200:225:100::64", Version::Draft03);
    draft.rules = vec![rule("v6plus", "106.72.0.0/15", "240b:10::/31", 25, 4)];
    draft.options.fragmentation = Fragmentation::Outer;
    draft.options.reassembly.v4 = ReassemblyV4::Disabled;
    draft.options.reassembly.v6 = Toggle::Disabled;
    draft.options.tcp_mss_clamp = MssClamp::Limit(536);
    draft.options.dscp.to_ce = DscpToCe::Fixed(46);
    draft.options.dscp.from_ce = DscpFromCe::Copy;

    let mut lonely = domain("lonely", "3001:db8:ffff::2", Version::Draft03);
    lonely.rules = vec![rule("one-to-one", "192.88.98.0/24", "2001:db8:3000::/56", 8, 6)];
    lonely.options.reassembly.v4 = ReassemblyV4::Full;
    lonely.options.hairpin = Toggle::Disabled;
    lonely.options.tcp_mss_clamp = MssClamp::Disabled;

    Fleet::new(vec![strict, prefixes, draft, lonely]).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn domain(name: &str, br_address: &str, version: Version) -> DomainConfig {
    DomainConfig {
        name: DomainName { namespace: "fuzz".into(), name: name.into() },
        created: 0,
        softwire_address: br_address.parse().expect("an address"),
        version,
        rules: Vec::new(),
        options: Options::default(),
    }
}

fn rule(name: &str, ipv4: &str, mape: &str, ea_bits_length: u8, psid_offset: u8) -> RuleConfig {
    RuleConfig {
        name: name.into(),
        ipv4_prefix: ipv4.parse().expect("a prefix"),
        mape_prefix: mape.parse().expect("a prefix"),
        ea_bits_length,
        psid_offset,
        psid_length: None,
        psid: None,
    }
}

fn bound(name: &str, ipv4: &str, mape: &str, psid: u16) -> RuleConfig {
    RuleConfig { psid_length: Some(8), psid: Some(psid), ..rule(name, ipv4, mape, 0, 6) }
}
