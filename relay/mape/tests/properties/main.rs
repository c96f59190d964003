//! What holds for every sound rule and every fleet, whatever their numbers.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{collections::BTreeSet, net::Ipv4Addr, net::Ipv6Addr};

use mape::{
    DomainConfig, DomainName, Fleet, Ipv6Net, Options, Refusal, Rule, RuleConfig, Target, Version, options::SourceCheck,
};
use proptest::prelude::*;

mod rules;

use rules::{crowd, one_rule, shared_address};

// Each port of a CE, or of an address: dear, so few.
proptest! {
    #![proptest_config(cases(25))]

    #[test]
    fn every_owned_port_maps_back_to_its_ce(config in one_rule(), ce: u64, host: u32) {
        let fleet = fleet(config);
        let rule = &fleet.domains()[0].rules()[0];
        let given = fleet.assigned(nth_ce(rule, ce)).unwrap();
        let address = host_in(given.ipv4, host);
        let mut ports = 0;
        for port in rule.layout().ranges(given.psid.unwrap_or(mape::Psid(0))).flatten() {
            let target = fleet.to_ce(address, Some(port)).unwrap();
            prop_assert_eq!((target.ce_address, target.psid), (given.ce_address, given.psid));
            ports += 1;
        }
        prop_assert_eq!(ports, rule.layout().ports_per_ce());
    }

    #[test]
    fn rules_on_one_address_own_each_port_once(config in shared_address()) {
        let fleet = fleet(config);
        let rules = fleet.domains()[0].rules();
        let address = rules[0].ipv4_prefix().addr();
        for port in 0..=u16::MAX {
            let owners: Vec<&Rule> = rules.iter().filter(|rule| rule.psid_of(port).is_some()).collect();
            match fleet.to_ce(address, Some(port)) {
                Ok(target) => prop_assert_eq!(&owners, &vec![target.rule]),
                Err(refusal) => {
                    let reserved = rules[0].layout().is_reserved(port);
                    prop_assert_eq!(refusal, if reserved { Refusal::ReservedPort } else { Refusal::NoPort });
                    prop_assert!(owners.is_empty());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(250))]

    #[test]
    fn no_two_ces_share_a_port(config in one_rule(), ce: u64, other: u64) {
        let fleet = fleet(config);
        let rule = &fleet.domains()[0].rules()[0];
        let (one, two) = (nth_ce(rule, ce), nth_ce(rule, other));
        prop_assume!(one != two);
        let (one, two) = (fleet.assigned(one).unwrap(), fleet.assigned(two).unwrap());
        prop_assert_ne!(one.ce_address, two.ce_address);
        if one.ipv4.contains(&two.ipv4) || two.ipv4.contains(&one.ipv4) {
            let ports = |psid: Option<mape::Psid>| rule.layout().ranges(psid.unwrap()).flatten();
            let taken: BTreeSet<u16> = ports(one.psid).collect();
            prop_assert!(ports(two.psid).all(|port| !taken.contains(&port)));
        }
    }

    #[test]
    fn to_ce_and_from_ce_are_inverses(config in prop_oneof![one_rule(), shared_address()], at: usize, ce: u64, host: u32) {
        let fleet = fleet(config);
        let rules = fleet.domains()[0].rules();
        let prefix = nth_ce(&rules[at % rules.len()], ce);
        for query in [prefix, Ipv6Net::new_assert(fleet.assigned(prefix).unwrap().ce_address, 128)] {
            let given = fleet.assigned(query).unwrap();
            let port = given.rule.layout().ranges(given.psid.unwrap_or(mape::Psid(0))).next().map(|range| *range.end());
            let Some(port) = port else { continue };
            let target = fleet.to_ce(host_in(given.ipv4, host), Some(port)).unwrap();
            prop_assert_eq!((target.rule, target.psid), (given.rule, given.psid));
            prop_assert_eq!((target.end_user_prefix, target.ce_address), (prefix, given.ce_address));
        }
    }

    #[test]
    fn a_prefix_shorter_than_a_ces_is_nobodys(config in one_rule(), ce: u64, cut in 1u8..=8) {
        let fleet = fleet(config);
        let rule = &fleet.domains()[0].rules()[0];
        prop_assume!(cut <= rule.ea_bits_length());
        let prefix = nth_ce(rule, ce);
        let wider = Ipv6Net::new_assert(prefix.addr(), prefix.prefix_len() - cut).trunc();
        prop_assert_eq!(fleet.assigned(wider), Err(mape::PrefixError::TooShort(wider, prefix.prefix_len())));
    }

    #[test]
    fn only_the_way_back_is_accepted(
        mut config in prop_oneof![one_rule(), shared_address()], ce: u64, at: usize, strict: bool, any_source: u128,
    ) {
        config.options.source_check = if strict { SourceCheck::Strict } else { SourceCheck::Prefix };
        let fleet = fleet(config);
        let rules = fleet.domains()[0].rules();
        let given = fleet.assigned(nth_ce(&rules[at % rules.len()], ce)).unwrap();
        let Some(port) = given.rule.layout().ranges(given.psid.unwrap_or(mape::Psid(0))).next() else { return Ok(()) };
        let address = given.ipv4.addr();
        let relay = given.domain.softwire_address();
        let check = |source: u128, relay: Ipv6Addr| {
            fleet.check_source(source.into(), Some(relay), address, Some(*port.start())).map(|target| target.ce_address)
        };
        let source = given.ce_address.to_bits();
        prop_assert_eq!(check(source, relay), Ok(given.ce_address));
        prop_assert_eq!(check(source, Ipv6Addr::LOCALHOST), Err(Refusal::SpoofedSource));
        for bit in 0..128u8 {
            let must_match = strict || bit < given.end_user_prefix.prefix_len();
            let expected = if must_match { Err(Refusal::SpoofedSource) } else { Ok(given.ce_address) };
            prop_assert_eq!(check(source ^ (1 << (127 - bit)), relay), expected, "bit {}", bit);
        }
        let same = if strict { any_source == source } else { given.end_user_prefix.contains(&Ipv6Addr::from(any_source)) };
        prop_assert_eq!(check(any_source, relay).is_ok(), same);
    }

    #[test]
    fn the_longest_prefix_of_any_domain_wins(configs in crowd(), host: u32, port: u16) {
        let Some(fleet) = agreed(configs) else { return Ok(()) };
        let address = Ipv4Addr::from_bits(10 << 24 | host & 0x3_ffff);
        let covering = fleet.rules().filter(|(_, rule)| rule.ipv4_prefix().contains(&address));
        let longest = covering.max_by_key(|(_, rule)| rule.ipv4_prefix().prefix_len());
        let Some((domain, rule)) = longest else {
            prop_assert_eq!(fleet.to_ce(address, Some(port)).err(), Some(Refusal::NoRule));
            return Ok(());
        };
        match fleet.to_ce(address, Some(port)) {
            Ok(target) => {
                prop_assert_eq!((target.domain, target.rule), (domain, rule));
                round_trip(&fleet, &target, address, port)?;
            }
            Err(refusal) => {
                prop_assert_eq!(refusal, Refusal::ReservedPort);
                prop_assert!(rule.layout().is_reserved(port));
            }
        }
    }

    /// What the operator relies on: without those that are blamed, the others work.
    #[test]
    fn a_fleet_without_its_blamed_domains_is_sound(configs in crowd()) {
        let Err(problems) = Fleet::new(configs.clone()) else { return Ok(()) };
        let blamed: BTreeSet<_> = problems.iter().map(|problem| &problem.domain).collect();
        let oldest = configs.iter().min_by_key(|config| (config.created, &config.name)).unwrap();
        let alone = Fleet::new(vec![oldest.clone()]).is_ok();
        prop_assert!(!alone || !blamed.contains(&oldest.name), "the oldest is blamed for what others do: {problems:?}");
        let kept: Vec<DomainConfig> = configs.iter().filter(|config| !blamed.contains(&config.name)).cloned().collect();
        prop_assert_eq!(Fleet::new(kept).err(), None, "after {:?}", problems);
    }
}

#[test]
fn a_domain_says_what_was_written() {
    for version in [Version::Rfc7597, Version::Draft03] {
        let written = DomainConfig { version, ..a_domain() };
        let fleet = fleet(written.clone());
        let domain = &fleet.domains()[0];
        assert_eq!((domain.name(), domain.version()), (&written.name, version));
        assert_eq!((domain.softwire_address(), domain.options()), (written.softwire_address, &written.options));
        assert!(fleet.is_br_address(written.softwire_address));
    }
}

/// A CE's End-user prefix may hold the BR address, as long as it is no CE's whole address.
#[test]
fn a_br_address_is_no_ces_even_in_its_prefix() {
    let mut config = a_domain();
    config.options.source_check = SourceCheck::Prefix;
    config.softwire_address = "2001:db8:1:1234::1".parse().unwrap();
    let fleet = fleet(config);
    let check = |source: &str| {
        fleet.check_source(source.parse().unwrap(), None, "192.0.2.18".parse().unwrap(), Some(0x34 << 2 | 1 << 10))
    };
    assert!(check("2001:db8:1:1234::2").is_ok());
    assert_eq!(check("2001:db8:1:1234::1").err(), Some(Refusal::SpoofedSource));
    assert!(!fleet.is_br_address("2001:db8:1:1234::2".parse().unwrap()));
}

/// Failures are not kept in files: what one finds becomes a test with a name.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// 192.0.2.0/24 with PSIDs of eight bits: 192.0.2.18 and PSID 0x34 are 2001:db8:1:1234::/64.
fn a_domain() -> DomainConfig {
    let rule = RuleConfig {
        name: "r".into(),
        ipv4_prefix: "192.0.2.0/24".parse().unwrap(),
        mape_prefix: "2001:db8:1::/48".parse().unwrap(),
        ea_bits_length: 16,
        psid_offset: 6,
        psid_length: Some(8),
        psid: None,
    };
    DomainConfig {
        name: DomainName { namespace: "default".into(), name: "one".into() },
        created: 0,
        softwire_address: "3001:db8:ffff::1".parse().unwrap(),
        version: Version::Rfc7597,
        rules: vec![rule],
        options: Options::default(),
    }
}

fn fleet(config: DomainConfig) -> Fleet {
    Fleet::new(vec![config]).unwrap()
}

/// The fleet of those domains that nobody blames.
fn agreed(configs: Vec<DomainConfig>) -> Option<Fleet> {
    let Err(problems) = Fleet::new(configs.clone()) else { return Fleet::new(configs).ok() };
    let blamed = |config: &DomainConfig| problems.iter().any(|problem| problem.domain == config.name);
    Fleet::new(configs.into_iter().filter(|config| !blamed(config)).collect()).ok()
}

/// A CE's prefix, its whole address and the source check agree with the way to it.
fn round_trip(fleet: &Fleet, target: &Target<'_>, address: Ipv4Addr, port: u16) -> Result<(), TestCaseError> {
    for query in [target.end_user_prefix, Ipv6Net::new_assert(target.ce_address, 128)] {
        let given = fleet.assigned(query).unwrap();
        prop_assert_eq!((given.domain, given.rule), (target.domain, target.rule), "{} of {:?}", query, target);
        prop_assert_eq!((given.psid, given.ce_address), (target.psid, target.ce_address));
        prop_assert!(given.ipv4.contains(&address));
        prop_assert_eq!(given.shadowed_by, None);
    }
    let relay = Some(target.domain.softwire_address());
    prop_assert_eq!(&fleet.check_source(target.ce_address, relay, address, Some(port)), &Ok(*target));
    Ok(())
}

/// The End-user prefix of a rule's CE, by number.
fn nth_ce(rule: &Rule, number: u64) -> Ipv6Net {
    let ea = u128::from(number % rule.ces());
    let place = 128 - u32::from(rule.end_user_length());
    let bits = rule.mape_prefix().network().to_bits() | ea.checked_shl(place).unwrap_or(0);
    Ipv6Net::new_assert(bits.into(), rule.end_user_length())
}

/// Some address of a prefix.
fn host_in(prefix: mape::Ipv4Net, host: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(prefix.network().to_bits() | host & prefix.hostmask().to_bits())
}
