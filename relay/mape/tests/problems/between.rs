//! What lies between domains.

use mape::{DomainConfig, Fleet, Problem};

use crate::domains::{aged, move_away, problems, rule, set, share_address, sound};

#[test]
fn the_older_domain_stays_unblamed() {
    let old = aged("z-old", 1);
    let clash = |change: fn(&mut DomainConfig)| {
        let mut young = aged("a-young", 2);
        move_away(&mut young);
        change(&mut young);
        let configs = vec![young, old.clone()];
        let problems = Fleet::new(configs).unwrap_err();
        let blamed = |problem: &Problem| problem.domain.name == "a-young";
        assert!(problems.iter().all(|problem| blamed(problem) && problem.conflicts_with == Some(old.name.clone())));
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        clash(|young| young.rules[0].ipv4_prefix = "192.0.2.0/24".parse().unwrap()),
        [
            "spec.rules[0].ipv4Prefix: found 192.0.2.0/24, allowed a prefix of its own, or one-CE rules with a psid on both sides: it clashes with spec.rules[0] of default/z-old: it has the same ipv4Prefix, 192.0.2.0/24"
        ]
    );
    assert_eq!(
        clash(|young| young.rules[0].mape_prefix = "2001:db8:1::/48".parse().unwrap()),
        [
            "spec.rules[0].mapePrefix: found 2001:db8:1::/48, allowed IPv6 space of its own: it clashes with spec.rules[0] of default/z-old: both make End-user prefixes of /64, and it has mapePrefix 2001:db8:1::/48"
        ]
    );
    // Its own CE's address is the older one's BR address, and the other way round.
    assert_eq!(
        clash(|young| set(&mut young.rules[0], "203.0.113.7/32", "3001:db8:ffff::1/128", 0)),
        [
            "spec.rules[0].mapePrefix: found 3001:db8:ffff::1/128, allowed space without other domains' BR addresses: the CE with 203.0.113.7/32, PSID 0 would have 3001:db8:ffff::1, the softwireAddress of default/z-old"
        ]
    );
    assert_eq!(
        clash(|young| young.softwire_address = "2001:db8:1:1234:0:c000:212:34".parse().unwrap()),
        [
            "spec.softwireAddress: found 2001:db8:1:1234:0:c000:212:34, allowed an address that is no CE's: rule r0 of default/z-old gives it to the CE with 192.0.2.18/32, PSID 52"
        ]
    );
    assert_eq!(
        clash(|young| young.rules[0] = rule("r0", "192.0.2.0/24", "2001:db8:1::/48")),
        [
            "spec.rules[0].ipv4Prefix: found 192.0.2.0/24, allowed a prefix of its own, or one-CE rules with a psid on both sides: it clashes with spec.rules[0] of default/z-old: it has the same ipv4Prefix, 192.0.2.0/24",
            "spec.rules[0].mapePrefix: found 2001:db8:1::/48, allowed IPv6 space of its own: it clashes with spec.rules[0] of default/z-old: both make End-user prefixes of /64, and it has mapePrefix 2001:db8:1::/48"
        ]
    );
}

#[test]
fn of_domains_equally_old_the_first_by_name_stays_unblamed() {
    let problems = problems(vec![sound("b"), sound("a")]);
    assert_eq!(
        problems,
        [
            "spec.rules[0].ipv4Prefix: found 192.0.2.0/24, allowed a prefix of its own, or one-CE rules with a psid on both sides: it clashes with spec.rules[0] of default/a: it has the same ipv4Prefix, 192.0.2.0/24",
            "spec.rules[1].ipv4Prefix: found 198.51.100.0/24, allowed a prefix of its own, or one-CE rules with a psid on both sides: it clashes with spec.rules[1] of default/a: it has the same ipv4Prefix, 198.51.100.0/24",
            "spec.rules[0].mapePrefix: found 2001:db8:1::/48, allowed IPv6 space of its own: it clashes with spec.rules[0] of default/a: both make End-user prefixes of /64, and it has mapePrefix 2001:db8:1::/48",
            "spec.rules[1].mapePrefix: found 2001:db8:2::/48, allowed IPv6 space of its own: it clashes with spec.rules[1] of default/a: both make End-user prefixes of /64, and it has mapePrefix 2001:db8:2::/48"
        ]
    );
}

#[test]
fn two_domains_need_two_names() {
    let mut again = aged("one", 5);
    move_away(&mut again);
    assert_eq!(
        problems(vec![again, sound("one")]),
        ["metadata.name: found default/one, allowed a name of its own: another domain has that namespace and name"]
    );
}

#[test]
fn what_nests_or_shares_a_br_address_is_legal() {
    let one = sound("one");
    let mut two = sound("two");
    two.softwire_address = one.softwire_address;
    // Inside the other's IPv4 prefix, and inside its IPv6 prefix with longer End-user prefixes.
    set(&mut two.rules[0], "192.0.2.128/25", "2001:db8:1:8000::/52", 15);
    set(&mut two.rules[1], "192.0.2.7/32", "2001:db8:1:9000::/60", 0);
    two.rules[1].psid_length = Some(0);
    Fleet::new(vec![one, two]).unwrap();

    let mut shared = sound("shared");
    share_address(&mut shared, (6, 52), (6, 53));
    Fleet::new(vec![shared]).unwrap();

    // One aggregate for both.
    let (mut one, mut two) = (sound("one"), sound("two"));
    move_away(&mut two);
    set(&mut two.rules[0], "192.0.3.0/24", "2001:db8:3::/48", 16);
    for domain in [&mut one, &mut two] {
        domain.options.advertise.ipv4_aggregates = vec!["192.0.0.0/16".parse().unwrap()];
    }
    Fleet::new(vec![one, two]).unwrap();
}
