//! Every problem that a configuration can have, word for word: these sentences are all an engineer sees.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use mape::{
    DomainConfig, DomainName, Fleet, Ipv4Net, Ipv6Net, Options, Problem, RuleConfig, Version,
    options::{DscpToCe, MssClamp},
};

/// What is done to a sound domain, and what is said about it.
type Case = (fn(&mut DomainConfig), &'static [&'static str]);

#[test]
fn options_are_checked_one_by_one() {
    let cases: &[Case] = &[
        (
            |domain| domain.softwire_address = "::".parse().unwrap(),
            &[
                "spec.softwireAddress: found ::, allowed a routable unicast IPv6 address: CEs send to it across the IPv6 network (RFC 7597 s.5.4)",
            ],
        ),
        (
            |domain| domain.softwire_address = "::1".parse().unwrap(),
            &[
                "spec.softwireAddress: found ::1, allowed a routable unicast IPv6 address: CEs send to it across the IPv6 network (RFC 7597 s.5.4)",
            ],
        ),
        (
            |domain| domain.softwire_address = "fe80::1".parse().unwrap(),
            &[
                "spec.softwireAddress: found fe80::1, allowed a routable unicast IPv6 address: CEs send to it across the IPv6 network (RFC 7597 s.5.4)",
            ],
        ),
        (
            |domain| domain.softwire_address = "ff0e::1".parse().unwrap(),
            &[
                "spec.softwireAddress: found ff0e::1, allowed a routable unicast IPv6 address: CEs send to it across the IPv6 network (RFC 7597 s.5.4)",
            ],
        ),
        (
            |domain| domain.softwire_address = "::ffff:192.0.2.1".parse().unwrap(),
            &[
                "spec.softwireAddress: found ::ffff:192.0.2.1, allowed a routable unicast IPv6 address: CEs send to it across the IPv6 network (RFC 7597 s.5.4)",
            ],
        ),
        (
            |domain| domain.options.mtu.v6 = 1279,
            &[
                "spec.mtu.v6: found 1279, allowed 1280 to 16384: IPv6 promises 1280 (RFC 8200 s.5), and the relay carries packets up to 16 KiB",
            ],
        ),
        (
            |domain| domain.options.mtu.v6 = 16_385,
            &[
                "spec.mtu.v6: found 16385, allowed 1280 to 16384: IPv6 promises 1280 (RFC 8200 s.5), and the relay carries packets up to 16 KiB",
            ],
        ),
        (
            |domain| domain.options.tcp_mss_clamp = MssClamp::Limit(535),
            &[
                "spec.tcpMssClamp: found 535, allowed 536 to 1420: the least default is 536 (RFC 9293 s.3.7.1), and mtu.v6 (1500) less 80 of headers fits",
            ],
        ),
        (
            |domain| domain.options.tcp_mss_clamp = MssClamp::Limit(1421),
            &[
                "spec.tcpMssClamp: found 1421, allowed 536 to 1420: the least default is 536 (RFC 9293 s.3.7.1), and mtu.v6 (1500) less 80 of headers fits",
            ],
        ),
        (
            |domain| domain.options.dscp.to_ce = DscpToCe::Fixed(64),
            &["spec.dscp.toCE: found 64, allowed 0 to 63: a DSCP has six bits (RFC 2474 s.3)"],
        ),
        (
            |domain| domain.options.reassembly.timeout_seconds = 0,
            &[
                "spec.reassembly.timeoutSeconds: found 0, allowed 1 to 60: RFC 7597 s.8.3.2 needs fragments only while their datagram arrives; RFC 8200 s.4.5 ends at 60 s",
            ],
        ),
        (
            |domain| domain.options.reassembly.timeout_seconds = 61,
            &[
                "spec.reassembly.timeoutSeconds: found 61, allowed 1 to 60: RFC 7597 s.8.3.2 needs fragments only while their datagram arrives; RFC 8200 s.4.5 ends at 60 s",
            ],
        ),
        (
            |domain| domain.options.reassembly.max_datagrams = 0,
            &[
                "spec.reassembly.maxDatagrams: found 0, allowed 1 to 1048576: memory for incomplete datagrams is bounded, and none at all is `Disabled`",
            ],
        ),
        (
            |domain| domain.options.reassembly.max_datagrams = 1_048_577,
            &[
                "spec.reassembly.maxDatagrams: found 1048577, allowed 1 to 1048576: memory for incomplete datagrams is bounded, and none at all is `Disabled`",
            ],
        ),
        (
            |domain| domain.options.icmp.errors_per_second = 1_000_001,
            &[
                "spec.icmp.errorsPerSecond: found 1000001, allowed 0 to 1000000: ICMP is rate-limited (RFC 1812 s.4.3.2.8, RFC 4443 s.2.4)",
            ],
        ),
        (
            |domain| domain.options.icmp.echo_per_second = 1_000_001,
            &[
                "spec.icmp.echoPerSecond: found 1000001, allowed 0 to 1000000: ICMP is rate-limited (RFC 1812 s.4.3.2.8, RFC 4443 s.2.4)",
            ],
        ),
        (
            |domain| domain.options.icmp.ipv4_source = Some("127.0.0.1".parse().unwrap()),
            &[
                "spec.icmp.ipv4Source: found 127.0.0.1, allowed a unicast IPv4 address: a router that drops martian sources would drop our errors (RFC 1812 s.4.3.2.4, s.5.3.7)",
            ],
        ),
    ];
    expect(cases);
}

#[test]
fn the_bits_of_a_rule_fit_together() {
    let cases: &[Case] = &[
        (
            |domain| domain.rules.clear(),
            &[
                "spec.rules: found 0, allowed 1 to 1000: a domain is its rules (RFC 7597 s.3), and one object holds no more",
            ],
        ),
        (
            |domain| domain.rules = many(1001),
            &[
                "spec.rules: found 1001, allowed 1 to 1000: a domain is its rules (RFC 7597 s.3), and one object holds no more",
            ],
        ),
        (
            |domain| domain.rules[0].name = String::new(),
            &[
                "spec.rules[0].name: found ``, allowed 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit: it is used as a label (RFC 1123)",
            ],
        ),
        (
            |domain| domain.rules[0].name = "R1".into(),
            &[
                "spec.rules[0].name: found `R1`, allowed 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit: it is used as a label (RFC 1123)",
            ],
        ),
        (
            |domain| domain.rules[0].name = "-r".into(),
            &[
                "spec.rules[0].name: found `-r`, allowed 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit: it is used as a label (RFC 1123)",
            ],
        ),
        (
            |domain| domain.rules[0].name = "r".repeat(64),
            &[
                "spec.rules[0].name: found `rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr`, allowed 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit: it is used as a label (RFC 1123)",
            ],
        ),
        (
            |domain| domain.rules[1].name = "r0".into(),
            &["spec.rules[1].name: found `r0`, allowed a name of its own: spec.rules[0] has that name already"],
        ),
        (
            |domain| domain.rules[0].ipv4_prefix = "192.0.2.1/24".parse().unwrap(),
            &["spec.rules[0].ipv4Prefix: found 192.0.2.1/24, allowed 192.0.2.0/24: a prefix has no host bits"],
        ),
        (
            |domain| domain.rules[0].ipv4_prefix = "127.1.2.0/24".parse().unwrap(),
            &[
                "spec.rules[0].ipv4Prefix: found 127.1.2.0/24, allowed unicast space: 0/8, 127/8, 224/4 and 240/4 are nobody's to give away (RFC 6890, RFC 1812 s.5.3.7)",
            ],
        ),
        (
            |domain| domain.rules[0].ipv4_prefix = "255.255.255.0/24".parse().unwrap(),
            &[
                "spec.rules[0].ipv4Prefix: found 255.255.255.0/24, allowed unicast space: 0/8, 127/8, 224/4 and 240/4 are nobody's to give away (RFC 6890, RFC 1812 s.5.3.7)",
            ],
        ),
        (
            |domain| set(&mut domain.rules[0], "126.0.0.0/7", "2001:db8::/32", 33),
            &[
                "spec.rules[0].ipv4Prefix: found 126.0.0.0/7, allowed unicast space: 0/8, 127/8, 224/4 and 240/4 are nobody's to give away (RFC 6890, RFC 1812 s.5.3.7)",
            ],
        ),
        (
            |domain| set(&mut domain.rules[0], "32.0.0.0/7", "2001:db8::/32", 33),
            &[
                "spec.rules[0].ipv4Prefix: found 32.0.0.0/7, allowed /8 to /32: no registry ever allocated more, and it would swallow the Internet",
            ],
        ),
        (
            |domain| domain.rules[0].mape_prefix = "2001:db8:1::1/48".parse().unwrap(),
            &["spec.rules[0].mapePrefix: found 2001:db8:1::1/48, allowed 2001:db8:1::/48: a prefix has no host bits"],
        ),
        (
            |domain| domain.rules[0].mape_prefix = "::/0".parse().unwrap(),
            &[
                "spec.rules[0].mapePrefix: found ::/0, allowed routable unicast space: CEs are reached there across the IPv6 network (RFC 7597 s.5.2)",
            ],
        ),
        (
            |domain| domain.rules[0].mape_prefix = "fe80::/48".parse().unwrap(),
            &[
                "spec.rules[0].mapePrefix: found fe80::/48, allowed routable unicast space: CEs are reached there across the IPv6 network (RFC 7597 s.5.2)",
            ],
        ),
        (
            |domain| domain.rules[0].mape_prefix = "ff0e::/48".parse().unwrap(),
            &[
                "spec.rules[0].mapePrefix: found ff0e::/48, allowed routable unicast space: CEs are reached there across the IPv6 network (RFC 7597 s.5.2)",
            ],
        ),
        (
            |domain| set(&mut domain.rules[0], "10.0.0.0/8", "2001:db8::/32", 49),
            &[
                "spec.rules[0].eaBitsLength: found 49, allowed 0 to 48: 32 bits of an IPv4 address and 16 of a port are all there is (RFC 7597 s.5.2)",
            ],
        ),
        (
            |domain| set(&mut domain.rules[0], "10.0.0.0/8", "2001:db8::/32", 48),
            &[
                "spec.rules[0].eaBitsLength: found 48, allowed 0 to 40: it leaves 24 bits for the PSID, and a port has 16 (RFC 7597 s.5.1)",
            ],
        ),
        (
            |domain| set(&mut domain.rules[0], "192.0.2.0/24", "2001:db8:1::/120", 9),
            &[
                "spec.rules[0].eaBitsLength: found 9, allowed 0 to 8: with mapePrefix's /120 it makes an End-user prefix of 129 bits, and an IPv6 address has 128",
            ],
        ),
        (
            |domain| domain.rules[0].psid_length = Some(17),
            &["spec.rules[0].psidLength: found 17, allowed 0 to 16: a port has 16 bits (RFC 7597 s.5.1)"],
        ),
        (
            |domain| domain.rules[0].psid_length = Some(6),
            &[
                "spec.rules[0].psidLength: found 6, allowed 8: eaBitsLength (16) less the 8 host bits of 192.0.2.0/24 is the PSID (RFC 7597 s.5.2); leave it out to have it derived",
            ],
        ),
        (
            |domain| domain.rules[0].psid_offset = 17,
            &["spec.rules[0].psidOffset: found 17, allowed 0 to 16: a port has 16 bits (RFC 7597 s.5.1)"],
        ),
        (
            |domain| domain.rules[0].psid_offset = 9,
            &[
                "spec.rules[0].psidOffset: found 9, allowed 0 to 8: offset and PSID (psidLength 8) share the 16 bits of a port (RFC 7597 s.5.1)",
            ],
        ),
        (
            |domain| set(&mut domain.rules[0], "192.0.2.0/24", "2001:db8:1::/48", 25),
            &[
                "spec.rules[0].eaBitsLength: found 25, allowed 0 to 24: it leaves 17 bits for the PSID, and a port has 16 (RFC 7597 s.5.1)",
            ],
        ),
        (
            |domain| domain.rules[0].psid = Some(5),
            &[
                "spec.rules[0].psid: found 5, allowed none: the EA bits carry the PSID; it is for rules with eaBitsLength 0",
            ],
        ),
        (
            |domain| one_ce(&mut domain.rules[0], Some(8), None),
            &[
                "spec.rules[0].psid: found none, allowed 0 to 255: without EA bits nothing else says which share of the ports the CE owns (RFC 7597, A.5)",
            ],
        ),
        (
            |domain| one_ce(&mut domain.rules[0], Some(8), Some(256)),
            &["spec.rules[0].psid: found 256, allowed 0 to 255: it has psidLength (8) bits"],
        ),
        (
            |domain| one_ce(&mut domain.rules[0], None, Some(0)),
            &["spec.rules[0].psid: found 0, allowed none: with psidLength 0 the CE owns every port"],
        ),
        (
            |domain| one_ce(&mut domain.rules[0], Some(17), Some(0)),
            &["spec.rules[0].psidLength: found 17, allowed 0 to 16: a port has 16 bits (RFC 7597 s.5.1)"],
        ),
        (
            |domain| {
                one_ce(&mut domain.rules[0], Some(8), Some(52));
                domain.rules[0].ipv4_prefix = "192.0.2.16/31".parse().unwrap();
            },
            &[
                "spec.rules[0].ipv4Prefix: found 192.0.2.16/31, allowed a /32: a CE with a share of the ports has one address (RFC 7597 s.5.2)",
            ],
        ),
    ];
    expect(cases);
}

#[test]
fn rules_of_one_domain_do_not_clash() {
    let cases: &[Case] = &[
        (
            |domain| domain.rules[1].ipv4_prefix = domain.rules[0].ipv4_prefix,
            &[
                "spec.rules[1].ipv4Prefix: found 192.0.2.0/24, allowed a prefix of its own, or one-CE rules with a psid on both sides: it clashes with spec.rules[0]: it has the same ipv4Prefix, 192.0.2.0/24",
            ],
        ),
        (
            |domain| domain.rules[1].mape_prefix = domain.rules[0].mape_prefix,
            &[
                "spec.rules[1].mapePrefix: found 2001:db8:1::/48, allowed IPv6 space of its own: it clashes with spec.rules[0]: both make End-user prefixes of /64, and it has mapePrefix 2001:db8:1::/48",
            ],
        ),
        (
            |domain| domain.rules[1].mape_prefix = "2001:db8:1:8000::/48".parse::<Ipv6Net>().unwrap().trunc(),
            &[
                "spec.rules[1].mapePrefix: found 2001:db8:1::/48, allowed IPv6 space of its own: it clashes with spec.rules[0]: both make End-user prefixes of /64, and it has mapePrefix 2001:db8:1::/48",
            ],
        ),
        (
            |domain| share_address(domain, (6, 52), (6, 52)),
            &[
                "spec.rules[1].psid: found 52, allowed a PSID of its own: it clashes with spec.rules[0]: it has the same ipv4Prefix, 192.0.2.18/32, and owns some of the ports of PSID 52",
            ],
        ),
        (
            |domain| share_address(domain, (6, 52), (4, 53)),
            &[
                "spec.rules[1].psidOffset: found 4, allowed 6: it clashes with spec.rules[0]: it has the same ipv4Prefix, 192.0.2.18/32",
            ],
        ),
        (
            |domain| domain.softwire_address = "2001:db8:1:1234:0:c000:212:34".parse().unwrap(),
            &[
                "spec.softwireAddress: found 2001:db8:1:1234:0:c000:212:34, allowed an address that is no CE's: rule r0 of default/one gives it to the CE with 192.0.2.18/32, PSID 52",
            ],
        ),
    ];
    expect(cases);
}

#[test]
fn all_problems_show_at_once() {
    let mut one = sound("one");
    one.options.mtu.v6 = 100;
    one.rules[0].psid_offset = 20;
    one.rules[1].name = "B".into();
    one.rules[1].ipv4_prefix = "0.0.0.0/0".parse().unwrap();
    let mut two = sound("two");
    two.rules.clear();
    assert_eq!(
        problems(vec![two, one]),
        [
            "spec.mtu.v6: found 100, allowed 1280 to 16384: IPv6 promises 1280 (RFC 8200 s.5), and the relay carries packets up to 16 KiB",
            "spec.rules[1].name: found `B`, allowed 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit: it is used as a label (RFC 1123)",
            "spec.rules[0].psidOffset: found 20, allowed 0 to 16: a port has 16 bits (RFC 7597 s.5.1)",
            "spec.rules[1].ipv4Prefix: found 0.0.0.0/0, allowed unicast space: 0/8, 127/8, 224/4 and 240/4 are nobody's to give away (RFC 6890, RFC 1812 s.5.3.7)",
            "spec.rules[1].psidLength: found 8, allowed 0: eaBitsLength (16) less the 32 host bits of 0.0.0.0/0 is the PSID (RFC 7597 s.5.2); leave it out to have it derived",
            "spec.rules: found 0, allowed 1 to 1000: a domain is its rules (RFC 7597 s.3), and one object holds no more"
        ]
    );
}

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
}

#[test]
fn a_fleet_holds_a_million_rules() {
    let fleet = |count: u32| {
        let rules = |at: u32| (at..count.min(at + 1000)).map(binding).collect();
        let domains = (0..count).step_by(1000).map(|at| DomainConfig { rules: rules(at), ..sound(&format!("d{at}")) });
        problems(domains.collect())
    };
    assert_eq!(fleet(1 << 20), [""; 0]);
    assert_eq!(
        fleet((1 << 20) + 1),
        [
            "spec.rules: found 1048577 rules in the whole fleet, allowed 0 to 1048576: a relay's tables are bounded; make it two fleets"
        ]
    );
}

/// What a fleet needs of its relays' tables, and its problems.
fn needs(rules: &[RuleConfig]) -> (u64, Vec<String>) {
    let chunks = rules.chunks(1000).enumerate();
    let domains: Vec<_> =
        chunks.map(|(at, rules)| DomainConfig { rules: rules.to_vec(), ..sound(&format!("d{at}")) }).collect();
    (Fleet::new(domains.clone()).map_or(0, |fleet| fleet.lookup_cells()), problems(domains))
}

/// One-CE rules for the address 10.0.0.0 and so many more, with PSIDs of `length` bits.
fn shared(more: u32, length: u8, psids: &[u16]) -> Vec<RuleConfig> {
    let rule = |(at, psid): (usize, &u16)| RuleConfig {
        ipv4_prefix: Ipv4Net::new_assert((10 << 24 | more).into(), 32),
        psid_length: Some(length),
        psid: Some(*psid),
        ..binding(more << 8 | u32::from(length) << 1 | at as u32)
    };
    psids.iter().enumerate().map(rule).collect()
}

/// 256 for a /16 and for a /24 with longer rules in them, 8 for each rule, and one for each PSID from the first to the last.
#[test]
fn lookup_cells_are_counted() {
    let cells = |prefix: &str| needs(&[RuleConfig { ipv4_prefix: prefix.parse().unwrap(), ..binding(0) }]).0;
    assert_eq!(cells("10.0.0.0/16"), 8);
    assert_eq!(cells("10.0.0.0/24"), 8 + 256);
    assert_eq!(cells("10.0.0.0/32"), 8 + 2 * 256);
    assert_eq!(needs(&shared(0, 4, &[3, 7])).0, 2 * 8 + 2 * 256 + 5);
    // PSID 1 of two bits is 4 to 7 of four.
    assert_eq!(needs(&[shared(0, 2, &[1]), shared(0, 4, &[9])].concat()).0, 2 * 8 + 2 * 256 + 6);
}

/// Two PSIDs of 16 bits, as far apart as they can be, cost a table of 65,536 cells: there may be 1,023 of those, and a bit.
#[test]
fn a_fleet_fits_the_lookup_tables() {
    let fleet = |last: u16| {
        let full = (0..1023).flat_map(|number| shared(number, 16, &[0, u16::MAX]));
        needs(&full.chain(shared(1023, 16, &[0, last])).collect::<Vec<_>>())
    };
    assert_eq!(fleet(47_871), (1 << 26, vec![]));
    assert_eq!(
        fleet(47_872).1,
        [
            "spec.rules: found rules that need 67108865 cells of lookup table in the whole fleet, allowed 0 to 67108864: a relay's tables are bounded: each /24 with a longer rule in it takes 256 cells, each shared /32 one cell for each PSID between its first and last; make it two fleets"
        ]
    );
}

/// The defaults, and the last values that each check lets pass.
#[test]
fn the_bounds_themselves_are_sound() {
    let changes: &[fn(&mut DomainConfig)] = &[
        |_| {},
        |domain| domain.options.mtu.v6 = 1280,
        |domain| domain.options.mtu.v6 = 16_384,
        |domain| domain.options.tcp_mss_clamp = MssClamp::Limit(536),
        |domain| domain.options.tcp_mss_clamp = MssClamp::Limit(1420),
        |domain| domain.options.dscp.to_ce = DscpToCe::Fixed(63),
        |domain| domain.options.reassembly.timeout_seconds = 60,
        |domain| domain.options.reassembly.max_datagrams = 1_048_576,
        |domain| domain.options.icmp.errors_per_second = 0,
        |domain| domain.rules = many(1000),
        |domain| domain.rules[0].name = "r".repeat(63),
        |domain| {
            set(&mut domain.rules[0], "10.0.0.0/8", "2001:db8::/32", 40);
            domain.rules[0].psid_offset = 0;
        },
        |domain| set(&mut domain.rules[0], "192.0.2.0/24", "2001:db8:1::/112", 16),
        |domain| domain.rules[0].psid_offset = 8,
        |domain| domain.rules[0].psid_length = None,
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut domain = sound("one");
        change(&mut domain);
        assert_eq!(problems(vec![domain]), [""; 0], "change {at}");
    }
}

fn expect(cases: &[Case]) {
    for (at, (change, expected)) in cases.iter().enumerate() {
        let mut domain = sound("one");
        change(&mut domain);
        assert_eq!(problems(vec![domain]), *expected, "case {at}");
    }
}

/// What is said about a fleet, one line for each problem.
fn problems(configs: Vec<DomainConfig>) -> Vec<String> {
    let problems = Fleet::new(configs).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

/// A domain with two rules, that nothing can be said against.
fn sound(name: &str) -> DomainConfig {
    DomainConfig {
        name: DomainName { namespace: "default".into(), name: name.into() },
        created: 0,
        softwire_address: "3001:db8:ffff::1".parse().unwrap(),
        version: Version::Rfc7597,
        rules: vec![rule("r0", "192.0.2.0/24", "2001:db8:1::/48"), rule("r1", "198.51.100.0/24", "2001:db8:2::/48")],
        options: Options::default(),
    }
}

fn aged(name: &str, created: i64) -> DomainConfig {
    DomainConfig { created, ..sound(name) }
}

/// Gives a domain space of its own.
fn move_away(domain: &mut DomainConfig) {
    domain.softwire_address = "3001:db8:ffff::2".parse().unwrap();
    set(&mut domain.rules[0], "203.0.113.0/24", "2001:db8:3::/48", 16);
    set(&mut domain.rules[1], "203.0.112.0/24", "2001:db8:4::/48", 16);
}

fn rule(name: &str, ipv4: &str, mape: &str) -> RuleConfig {
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

fn set(rule: &mut RuleConfig, ipv4: &str, mape: &str, ea_bits_length: u8) {
    let psid_length = None;
    let name = std::mem::take(&mut rule.name);
    *rule = RuleConfig { name, ea_bits_length, psid_length, ..self::rule("", ipv4, mape) };
}

fn one_ce(rule: &mut RuleConfig, psid_length: Option<u8>, psid: Option<u16>) {
    set(rule, "192.0.2.18/32", "2001:db8:1::/56", 0);
    (rule.psid_length, rule.psid) = (psid_length, psid);
}

/// Two CEs of one address; each given as PSID offset and PSID.
fn share_address(domain: &mut DomainConfig, one: (u8, u16), two: (u8, u16)) {
    for (rule, (offset, psid)) in domain.rules.iter_mut().zip([one, two]) {
        one_ce(rule, Some(8), Some(psid));
        rule.psid_offset = offset;
    }
    domain.rules[1].mape_prefix = "2001:db8:2::/56".parse().unwrap();
}

/// One-CE rules, each with its own address and prefix.
fn many(count: u32) -> Vec<RuleConfig> {
    (0..count).map(binding).collect()
}

/// A one-CE rule, by number.
fn binding(number: u32) -> RuleConfig {
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
