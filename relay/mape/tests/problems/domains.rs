//! Domains that nothing can be said against, and ways to spoil them.

use mape::{DomainConfig, DomainName, Fleet, Ipv4Net, Ipv6Net, Options, RuleConfig, Version};

/// What is done to a sound domain, and what is said about it.
pub(crate) type Case = (fn(&mut DomainConfig), &'static [&'static str]);

pub(crate) fn expect(cases: &[Case]) {
    for (at, (change, expected)) in cases.iter().enumerate() {
        let mut domain = sound("one");
        change(&mut domain);
        assert_eq!(problems(vec![domain]), *expected, "case {at}");
    }
}

/// What is said about a fleet, one line for each problem.
pub(crate) fn problems(configs: Vec<DomainConfig>) -> Vec<String> {
    let problems = Fleet::new(configs).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

/// A domain with two rules, that nothing can be said against.
pub(crate) fn sound(name: &str) -> DomainConfig {
    DomainConfig {
        name: DomainName { namespace: "default".into(), name: name.into() },
        created: 0,
        softwire_address: "3001:db8:ffff::1".parse().unwrap(),
        version: Version::Rfc7597,
        rules: vec![rule("r0", "192.0.2.0/24", "2001:db8:1::/48"), rule("r1", "198.51.100.0/24", "2001:db8:2::/48")],
        options: Options::default(),
    }
}

pub(crate) fn aged(name: &str, created: i64) -> DomainConfig {
    DomainConfig { created, ..sound(name) }
}

/// Gives a domain space of its own.
pub(crate) fn move_away(domain: &mut DomainConfig) {
    domain.softwire_address = "3001:db8:ffff::2".parse().unwrap();
    set(&mut domain.rules[0], "203.0.113.0/24", "2001:db8:3::/48", 16);
    set(&mut domain.rules[1], "203.0.112.0/24", "2001:db8:4::/48", 16);
}

pub(crate) fn rule(name: &str, ipv4: &str, mape: &str) -> RuleConfig {
    RuleConfig {
        name: name.into(),
        ipv4_prefix: ipv4.parse().unwrap(),
        mape_prefix: mape.parse().unwrap(),
        ea_bits_length: 16,
        psid_offset: 6,
        psid_length: Some(8),
        psid: None,
    }
}

pub(crate) fn set(rule: &mut RuleConfig, ipv4: &str, mape: &str, ea_bits_length: u8) {
    let psid_length = None;
    let name = std::mem::take(&mut rule.name);
    *rule = RuleConfig { name, ea_bits_length, psid_length, ..self::rule("", ipv4, mape) };
}

pub(crate) fn one_ce(rule: &mut RuleConfig, psid_length: Option<u8>, psid: Option<u16>) {
    set(rule, "192.0.2.18/32", "2001:db8:1::/56", 0);
    (rule.psid_length, rule.psid) = (psid_length, psid);
}

/// Two CEs of one address; each given as PSID offset and PSID.
pub(crate) fn share_address(domain: &mut DomainConfig, one: (u8, u16), two: (u8, u16)) {
    for (rule, (offset, psid)) in domain.rules.iter_mut().zip([one, two]) {
        one_ce(rule, Some(8), Some(psid));
        rule.psid_offset = offset;
    }
    domain.rules[1].mape_prefix = "2001:db8:2::/56".parse().unwrap();
}

/// One-CE rules, each with its own address and prefix.
pub(crate) fn many(count: u32) -> Vec<RuleConfig> {
    (0..count).map(binding).collect()
}

/// A one-CE rule, by number.
pub(crate) fn binding(number: u32) -> RuleConfig {
    RuleConfig {
        name: format!("r{number}"),
        ipv4_prefix: Ipv4Net::new_assert((10 << 24 | number).into(), 32),
        mape_prefix: Ipv6Net::new_assert((0x2001_0db8u128 << 96 | u128::from(number) << 64).into(), 64),
        ea_bits_length: 0,
        psid_offset: 0,
        psid_length: None,
        psid: None,
    }
}
