//! What a compiled fleet says of itself.

use engine::{Defaults, Memory, Snapshot};
use mape::{DomainConfig, DomainName, Fleet, Options, RuleConfig, Version};

fn compile(domains: Vec<DomainConfig>) -> Snapshot {
    let fleet = Fleet::new(domains).expect("sound domains");
    Snapshot::compile(&fleet, &Memory::new(1, 0), &Defaults::default())
}

/// A domain of one-CE rules, by their IPv4 addresses and PSIDs of four bits.
fn domain(name: &str, created: i64, number: u16, rules: &[(&str, Option<u16>)]) -> DomainConfig {
    let rule = |(at, (ipv4, psid)): (usize, &(&str, Option<u16>))| RuleConfig {
        name: format!("r{at}"),
        ipv4_prefix: ipv4.parse().expect("a literal"),
        mape_prefix: format!("2001:db8:{number:x}:{at:x}::/64").parse().expect("a prefix"),
        ea_bits_length: 0,
        psid_offset: 6,
        psid_length: psid.map(|_| 4),
        psid: *psid,
    };
    DomainConfig {
        name: DomainName { namespace: "default".into(), name: name.into() },
        created,
        softwire_address: format!("3001:db8:ffff::{number:x}").parse().expect("an address"),
        version: Version::Rfc7597,
        rules: rules.iter().enumerate().map(rule).collect(),
        options: Options::default(),
    }
}

#[test]
fn domains_are_counted_by_age() {
    let young = domain("young", 2, 1, &[("192.0.2.1/32", None)]);
    let old = domain("old", 1, 2, &[("192.0.2.2/32", None)]);
    let snapshot = compile(vec![young, old]);
    let names: Vec<&str> = snapshot.domains().iter().map(|domain| domain.name.as_str()).collect();
    assert_eq!(names, ["old", "young"]);
    assert_eq!(snapshot.domain_name(1), snapshot.domains().last());
    assert_eq!(snapshot.domain_name(2), None);
}

/// A /16 is one table where that is dense enough: eight cells for each rule.
#[test]
fn many_prefixes_share_a_table() {
    let bytes = |count: u16, length: u8| {
        let prefixes: Vec<String> = (0..count).map(|number| format!("10.1.{number}.0/{length}")).collect();
        let rules: Vec<(&str, Option<u16>)> = prefixes.iter().map(|prefix| (prefix.as_str(), None)).collect();
        compile(vec![domain("one", 0, 1, &rules)]).tables().bytes() - 64 * rules.len()
    };
    assert_eq!(bytes(1, 20), 4 * 16, "sixteen /20");
    assert_eq!(bytes(1, 24), 4 * 256);
    assert_eq!(bytes(127, 26), 4 * (256 + 127 * 4), "a table of four for each /24");
    assert_eq!(bytes(128, 26), 4 * 1024, "each /26 of the /16");
}

/// A table of 256 cells for its /16 and one for its /24, 4 bytes each, and 64 for the rule. Where addresses are shared, the
/// rules' PSIDs take a cell each, from the first to the last, and 16 bytes for the group.
#[test]
fn a_lone_address_costs_little() {
    let bytes = |rules: &[(&str, Option<u16>)]| compile(vec![domain("one", 0, 1, rules)]).tables().bytes();
    assert_eq!(bytes(&[("192.0.2.1/32", None)]), 2048 + 64);
    assert_eq!(bytes(&[("192.0.2.1/32", Some(3)), ("192.0.2.1/32", Some(7))]), 2048 + 5 * 4 + 2 * 64 + 16);
}
