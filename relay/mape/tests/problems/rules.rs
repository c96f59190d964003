//! One domain's rules.

use mape::Ipv6Net;

use crate::domains::{Case, expect, many, one_ce, set, share_address};

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
