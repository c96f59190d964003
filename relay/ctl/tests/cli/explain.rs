//! `culvertctl explain`.

use super::{Bench, Ran, json};

fn explain(arguments: &[&str]) -> Ran {
    Bench::new().run(&[&["explain", "-f", "seed.yaml"], arguments].concat())
}

#[test]
fn a_packet_to_a_ce_is_told_step_by_step() {
    let ran = explain(&["--to-ce", "--dst", "67.91.205.2:6600"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let expected = "\
IPv4 198.51.100.10:443 -> 67.91.205.2:6600, UDP, 28 bytes, TTL 64

 1. The longest match for 67.91.205.2 is 67.91.205.0/24: rule r1 of culvert-system/isp-a, 67.91.205.0/24 <-> 2001:db8:ce::/48.
 2. Port 6600 is 0001 10011100 1000 in bits: 4 offset bits A = 1 (not 0, so the port is a CE's), then 8 PSID bits = 156 (0x9c).
 3. The 16 EA bits are the last 8 bits of 67.91.205.2, then the 8 of the PSID: 0x029c. Behind 2001:db8:ce::/48 they make the End-user prefix 2001:db8:ce:29c::/64.
 4. The CE address is 2001:db8:ce:29c:0:435b:cd02:9c: that prefix, zero subnet bits, and the interface identifier 0:435b:cd02:9c (IPv4 address and PSID, version RFC7597).
 5. It has 28 bytes, and the tunnel takes 1460 (mtu.v6 1500 less 40): it fits.
 6. It goes to the CE in IPv6 from 3001:db8:ffff::1, its TTL 64 lowered to 63.

Verdict: emit, counted for isp-a
Out: IPv6 3001:db8:ffff::1 -> 2001:db8:ce:29c:0:435b:cd02:9c, 68 bytes, hop limit 64, carrying IPv4 198.51.100.10:443 -> 67.91.205.2:6600, UDP, 28 bytes, TTL 63
";
    assert_eq!(ran.stdout, expected);
}

/// What failed, and what would have passed.
#[test]
fn every_refusal_says_what_would_have_passed() {
    let ce = "2001:db8:ce:29c:0:435b:cd02:9c";
    let cases: [(&[&str], &str, &str); 12] = [
        (&["--to-ce", "--dst", "67.91.205.2:80"], "drop as ReservedPort", "Ports from 4096 on have a CE."),
        (&["--to-ce", "--dst", "67.91.206.2:80"], "punt as NoRule", "The nearest is 67.91.205.0/24"),
        (
            &["--to-ce", "--dst", "67.91.205.2", "--proto", "47"],
            "drop as NoPort",
            "TCP, UDP, UDP-Lite, SCTP and DCCP have a port",
        ),
        (&["--to-ce", "--dst", "67.91.205.2:6600", "--ttl", "1"], "drop as TtlExpired", "2 or more would pass"),
        (
            &["--to-ce", "--dst", "67.91.205.2:6600", "--proto", "tcp", "--size", "1500", "--df"],
            "drop as TooBig",
            "1460 bytes or fewer would fit",
        ),
        (
            &["--to-ce", "--src", "127.0.0.1:1", "--dst", "67.91.205.2:6600"],
            "drop as Martian",
            "0/8, 127/8, 224/4 and 240/4",
        ),
        (
            &["--from-ce", "--outer-src", "2001:db8:ce:29c::", "--src", "67.91.205.2:6600"],
            "drop as SpoofedSource",
            "only 2001:db8:ce:29c:0:435b:cd02:9c would pass",
        ),
        (
            &["--from-ce", "--outer-src", ce, "--src", "67.91.205.2:6608"],
            "drop as SpoofedSource",
            "from 2001:db8:ce:29c:0:435b:cd02:9c the ports 6592-6607, 10688-10703,",
        ),
        (
            &["--from-ce", "--outer-src", "2001:db8:1::1", "--src", "67.91.205.2:6600"],
            "drop as SpoofedSource",
            "It is in no CE's.",
        ),
        (
            &["--from-ce", "--outer-src", ce, "--src", "67.91.205.2:6600", "--br", "3001:db8:ffff::2"],
            "punt as NotForRelay",
            "Those of these domains: 3001:db8:ffff::1.",
        ),
        (
            &["--from-ce", "--outer-src", ce, "--src", "10.0.0.1:6600"],
            "drop as NoRule",
            "The inner source is nobody's.",
        ),
        (&["--hex", "45 00 00 1c 00 01"], "drop as Truncated", "Of the IPv4 header's 20 bytes 6 are there."),
    ];
    for (arguments, verdict, part) in cases {
        let ran = explain(arguments);
        assert_eq!(ran.code, 1, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stdout.contains(&format!("Verdict: {verdict}")), "{arguments:?}\n{}", ran.stdout);
        assert!(ran.stdout.contains(part), "{part}\n{}", ran.stdout);
    }
}

#[test]
fn from_a_ce_to_the_internet_and_to_a_ce() {
    let ran = explain(&["--from-ce", "--src", "67.91.205.2:6600"]);
    assert!(ran.code == 0 && ran.stdout.contains("the source check passes"), "{}", ran.stdout);
    assert!(ran.stdout.contains("goes on to the Internet"), "{}", ran.stdout);
    let ran = explain(&["--from-ce", "--src", "67.91.205.2:6600", "--dst", "67.91.205.3:5000", "--proto", "sctp"]);
    assert!(ran.code == 0 && ran.stdout.contains("hairpin"), "{}", ran.stdout);
    assert!(ran.stdout.contains("IPv6 3001:db8:ffff::1 -> 2001:db8:ce:338:0:435b:cd03:38"), "{}", ran.stdout);
}

#[test]
fn json_carries_the_steps_and_the_bytes_that_come_out() {
    let ran = explain(&["--to-ce", "--dst", "67.91.205.2:6600", "-o", "json"]);
    let told = json(&ran.stdout);
    assert_eq!((told["verdict"].as_str(), told["domain"].as_str()), (Some("emit"), Some("isp-a")));
    assert_eq!(told["steps"].as_array().unwrap().len(), 6);
    let bytes = told["emitted"][0]["bytes"].as_str().unwrap();
    assert_eq!((bytes.len(), &bytes[48..80]), (2 * 68, "20010db800ce029c0000435bcd02009c"));
    // What came out is, fed back as hex, a packet to a CE: not for the relay.
    let ran = explain(&["--hex", bytes]);
    assert!(ran.stdout.contains("Verdict: punt as NotForRelay"), "{}", ran.stdout);
}
