//! Domains that contradict each other, at random: who stays does not depend on luck.

use std::collections::BTreeSet;

use culvert_operator::fleet::validate::{Contest, contest};
use mape::{DomainConfig, DomainName, Fleet, Options, RuleConfig, Version};
use proptest::{collection::vec, prelude::*, sample::select};

/// The same outcome, slowly: one by one, oldest first, each that fits.
fn one_by_one(mut domains: Vec<DomainConfig>) -> Vec<DomainConfig> {
    domains.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    let mut kept: Vec<DomainConfig> = Vec::new();
    for domain in domains {
        kept.push(domain);
        if Fleet::new(kept.clone()).is_err() {
            kept.pop();
        }
    }
    kept
}

prop_compose! {
    /// Few prefixes, so that many clash: shared /24s, and one-CE rules of one /32 with PSIDs of two lengths and offsets.
    fn rule()(
        one_ce in any::<bool>(),
        ipv4 in 0u8..3,
        ipv6 in 0u8..5,
        length in select(vec![2u8, 4]),
        psid in 0u16..4,
        offset in select(vec![4u8, 4, 4, 6]),
    ) -> RuleConfig {
        let shared = (format!("192.0.{ipv4}.0/24"), format!("2001:db8:{ipv6:x}::/48"));
        let own = (format!("198.51.100.{ipv4}/32"), format!("2001:db8:f{ipv6:x}{psid:x}::/56"));
        let (ipv4_prefix, mape_prefix) = if one_ce { own } else { shared };
        RuleConfig {
            name: String::new(),
            ipv4_prefix: ipv4_prefix.parse().expect("a prefix"),
            mape_prefix: mape_prefix.parse().expect("a prefix"),
            ea_bits_length: if one_ce { 0 } else { 16 },
            psid_offset: offset,
            psid_length: one_ce.then_some(length),
            psid: one_ce.then_some(psid),
        }
    }
}

/// Some are those that CEs compute: of 192.0.N.1 and PSID 1, out of 192.0.N.0/24 and 2001:db8:N::/48.
fn br_address(number: u8) -> String {
    if number < 3 { format!("2001:db8:{number}:101:0:c000:{number}01:1") } else { format!("3001:db8::{number}") }
}

fn domains() -> impl Strategy<Value = Vec<DomainConfig>> {
    let domain = (0i64..4, vec(rule(), 1..4), 0u8..6);
    vec(domain, 1..10).prop_map(|all| {
        let config = |(at, (created, rules, br)): (usize, (i64, Vec<RuleConfig>, u8))| DomainConfig {
            name: DomainName { namespace: "isp".to_owned(), name: format!("d{at}") },
            created,
            softwire_address: br_address(br).parse().expect("an address"),
            version: Version::Rfc7597,
            rules: rules.into_iter().zip(0..).map(|(rule, at)| RuleConfig { name: format!("r{at}"), ..rule }).collect(),
            options: Options::default(),
        };
        let all: Vec<DomainConfig> = all.into_iter().enumerate().map(config).collect();
        all.into_iter().filter(|domain| Fleet::new(vec![domain.clone()]).is_ok()).collect()
    })
}

fn names(kept: &[DomainConfig]) -> BTreeSet<DomainName> {
    kept.iter().map(|domain| domain.name.clone()).collect()
}

proptest! {
    #[test]
    fn what_stays_is_sound_and_what_went_is_named(domains in domains()) {
        let Contest { kept, lost } = contest(domains.clone());
        prop_assert!(Fleet::new(kept.clone()).is_ok());
        prop_assert_eq!(kept.len() + lost.len(), domains.len());
        let kept = names(&kept);
        prop_assert!(lost.keys().all(|name| !kept.contains(name)));
    }

    #[test]
    fn it_is_as_if_they_had_come_one_by_one(domains in domains()) {
        prop_assert_eq!(contest(domains.clone()).kept, one_by_one(domains));
    }

    /// So an older domain is never left out for a younger one.
    #[test]
    fn whoever_goes_clashes_with_an_older_one_that_stays(domains in domains()) {
        let Contest { kept, lost } = contest(domains.clone());
        let age = |name: &DomainName| domains.iter().find(|it| it.name == *name).map(|it| (it.created, it.name.clone()));
        for (name, problems) in &lost {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                let other = problem.conflicts_with.as_ref().expect("the other domain");
                prop_assert!(names(&kept).contains(other), "{} clashes with {}, which went too", name, other);
                prop_assert!(age(other) < age(name));
                prop_assert!(problem.field.starts_with("spec."));
            }
        }
    }

    #[test]
    fn the_order_in_which_they_are_found_does_not_matter(
        (domains, shuffled) in domains().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        prop_assert_eq!(contest(domains), contest(shuffled));
    }

    #[test]
    fn a_clash_resolved_brings_the_younger_one_back(domains in domains()) {
        let Contest { lost, .. } = contest(domains.clone());
        for domain in domains.iter().filter(|domain| lost.contains_key(&domain.name)) {
            let clashes = |other: &DomainConfig| Fleet::new(vec![other.clone(), domain.clone()]).is_err();
            let mut resolved = domains.clone();
            resolved.retain(|other| other.name == domain.name || !clashes(other));
            prop_assert!(names(&contest(resolved).kept).contains(&domain.name));
        }
    }
}

/// A chain: the second clashes with the first, the third only with the second. So the third works.
#[test]
fn who_clashes_only_with_one_that_went_stays() {
    let domain = |name: &str, created, prefixes: &[(&str, &str)]| DomainConfig {
        name: DomainName { namespace: "isp".to_owned(), name: name.to_owned() },
        created,
        softwire_address: "3001:db8:ffff::1".parse().unwrap(),
        version: Version::Rfc7597,
        rules: prefixes
            .iter()
            .map(|(ipv4, ipv6)| RuleConfig {
                name: ipv4.replace(['.', '/'], "-"),
                ipv4_prefix: ipv4.parse().unwrap(),
                mape_prefix: ipv6.parse().unwrap(),
                ea_bits_length: 16,
                psid_offset: 4,
                psid_length: None,
                psid: None,
            })
            .collect(),
        options: Options::default(),
    };
    let first = domain("first", 1, &[("192.0.2.0/24", "2001:db8:1::/48")]);
    let second = domain("second", 2, &[("192.0.2.0/24", "2001:db8:2::/48"), ("192.0.3.0/24", "2001:db8:3::/48")]);
    let third = domain("third", 3, &[("192.0.3.0/24", "2001:db8:4::/48")]);
    let Contest { kept, lost } = contest(vec![third, second, first]);
    let kept: Vec<&str> = kept.iter().map(|domain| &*domain.name.name).collect();
    assert_eq!(kept, ["first", "third"]);
    let why = lost.values().next().unwrap()[0].to_string();
    assert_eq!(
        why,
        "spec.rules[0].ipv4Prefix: found 192.0.2.0/24, allowed a prefix of its own, or one-CE rules with a psid on both \
         sides: it clashes with spec.rules[0] of isp/first: it has the same ipv4Prefix, 192.0.2.0/24"
    );
}
