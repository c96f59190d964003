//! Options, one by one, and how far each may go.

use mape::{
    DomainConfig,
    options::{DscpToCe, MssClamp, Toggle},
};

use crate::domains::{Case, expect, many, problems, set, sound};

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
fn aggregates_are_checked_one_by_one() {
    let cases: &[Case] = &[
        (
            |domain| aggregate(domain, &["192.0.2.1/16"]),
            &["spec.advertise.ipv4Aggregates[0]: found 192.0.2.1/16, allowed 192.0.0.0/16: a prefix has no host bits"],
        ),
        (
            |domain| aggregate(domain, &["192.0.0.0/7"]),
            &[
                "spec.advertise.ipv4Aggregates[0]: found 192.0.0.0/7, allowed /8 to /32: no registry ever allocated more, and it would swallow the Internet",
            ],
        ),
        (
            |domain| aggregate(domain, &["192.0.2.0/24", "127.0.0.0/8"]),
            &[
                "spec.advertise.ipv4Aggregates[1]: found 127.0.0.0/8, allowed unicast space: 0/8, 127/8, 224/4 and 240/4 are nobody's to give away (RFC 6890, RFC 1812 s.5.3.7)",
            ],
        ),
        (
            |domain| aggregate(domain, &["192.0.2.0/24", "198.51.100.0/24", "192.0.0.0/16"]),
            &[
                "spec.advertise.ipv4Aggregates[2]: found 192.0.0.0/16, allowed a prefix apart from the others: spec.advertise.ipv4Aggregates[0] is 192.0.2.0/24, and one of them is enough",
            ],
        ),
        (
            |domain| aggregate(domain, &["192.0.2.0/24", "192.0.2.0/24"]),
            &[
                "spec.advertise.ipv4Aggregates[1]: found 192.0.2.0/24, allowed a prefix apart from the others: spec.advertise.ipv4Aggregates[0] is 192.0.2.0/24, and one of them is enough",
            ],
        ),
        (
            |domain| aggregate(domain, &["192.0.2.0/25", "203.0.113.0/24"]),
            &[
                "spec.advertise.ipv4Aggregates[0]: found 192.0.2.0/25, allowed a prefix that holds a rule's ipv4Prefix: it would draw traffic that is nobody's in this domain",
                "spec.advertise.ipv4Aggregates[1]: found 203.0.113.0/24, allowed a prefix that holds a rule's ipv4Prefix: it would draw traffic that is nobody's in this domain",
            ],
        ),
        (
            |domain| {
                aggregate(domain, &["192.0.2.0/24"]);
                domain.options.advertise.auto_route = Toggle::Disabled;
            },
            &[
                "spec.advertise.ipv4Aggregates: found 192.0.2.0/24, allowed none, or autoRoute Enabled: without routes there is nothing to aggregate",
            ],
        ),
        (
            |domain| {
                domain.rules = many(33);
                let prefixes = domain.rules.iter().map(|rule| rule.ipv4_prefix).collect();
                domain.options.advertise.ipv4_aggregates = prefixes;
            },
            &[
                "spec.advertise.ipv4Aggregates: found 33, allowed 0 to 32: each is looked for in all rules; more rules than that need larger aggregates",
            ],
        ),
    ];
    expect(cases);
}

fn aggregate(domain: &mut DomainConfig, prefixes: &[&str]) {
    domain.options.advertise.ipv4_aggregates = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
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
        |domain| aggregate(domain, &["192.0.2.0/24", "198.0.0.0/8"]),
        |domain| {
            domain.rules = many(32);
            domain.options.advertise.ipv4_aggregates = domain.rules.iter().map(|rule| rule.ipv4_prefix).collect();
        },
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
