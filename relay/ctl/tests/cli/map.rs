//! `culvertctl map ADDRESS`.

use super::{Bench, SEED, json};

fn map(query: &str) -> super::Ran {
    Bench::new().run(&["map", "-f", "seed.yaml", query])
}

/// The capture on Juniper's MAP-E page, from either end.
#[test]
fn the_seed_is_found_from_either_end() {
    for query in [
        "67.91.205.2:6600",
        "2001:db8:ce:29c::",
        "2001:db8:ce:29c::/64",
        "2001:db8:ce:29c:0:435b:cd02:9c",
        "2001:db8:ce:29c:8000::/65",
    ] {
        let ran = map(query);
        assert_eq!(ran.code, 0, "{query}");
        for part in [
            "domain           culvert-system/isp-a\n",
            "rule             r1: 67.91.205.0/24 <-> 2001:db8:ce::/48\n",
            "IPv4 address     67.91.205.2\n",
            "PSID             156 (0x9c) of 256\n",
            "End-user prefix  2001:db8:ce:29c::/64\n",
            "CE address       2001:db8:ce:29c:0:435b:cd02:9c\n",
            "BR address       3001:db8:ffff::1\n",
            "ports            240 of 65536\n                 6592-6607 10688-10703 ",
        ] {
            assert!(ran.stdout.contains(part), "{query}: {part}\n{}", ran.stdout);
        }
    }
}

#[test]
fn json_says_the_same() {
    let bench = Bench::new();
    let found = json(&bench.run(&["map", "-f", "seed.yaml", "67.91.205.2:6600", "-o", "json"]).stdout);
    assert_eq!(found["domain"], "isp-a");
    assert_eq!(found["psid"], 156);
    assert_eq!(found["prefix"], "2001:db8:ce:29c::/64");
    assert_eq!(found["ceAddress"], "2001:db8:ce:29c:0:435b:cd02:9c");
    assert_eq!(found["ports"][0], serde_json::json!([6592, 6607]));
    let refused = bench.run(&["map", "-f", "seed.yaml", "67.91.205.2:80", "-o", "json"]);
    assert_eq!((refused.code, json(&refused.stdout)["drop"].as_str()), (1, Some("ReservedPort")));
}

#[test]
fn refusals_are_sentences_that_say_what_would_have_matched() {
    for (query, part) in [
        ("67.91.205.2", "ask for 67.91.205.2:PORT"),
        ("67.91.205.2:80", "reserves ports 0 to 4095"),
        ("67.91.206.2:6600", "The nearest is 67.91.205.0/24"),
        ("2001:db8:ce::/48", "shorter than an End-user prefix, /64"),
        ("2001:db8:cf::", "The rules have 2001:db8:ce::/48 (r1 of culvert-system/isp-a)"),
        ("3001:db8:ffff::1", "is the BR address of culvert-system/isp-a"),
    ] {
        let ran = map(query);
        assert_eq!(ran.code, 1, "{query}");
        assert!(ran.stdout.contains(part), "{query}: {}", ran.stdout);
    }
}

#[test]
fn an_address_beside_the_ce_address_is_remarked_on() {
    let ran = map("2001:db8:ce:29c::1");
    assert!(ran.stdout.contains("dropped as SpoofedSource"), "{}", ran.stdout);
}

#[test]
fn what_is_not_shared_needs_no_port() {
    let bench = Bench::new();
    bench.write("full.yaml", SEED.replace("eaBitsLength: 16", "eaBitsLength: 8").replace("    psidLength: 8\n", ""));
    let ran = bench.run(&["map", "-f", "full.yaml", "67.91.205.2"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("PSID             none: the address is not shared\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("0-65535"), "{}", ran.stdout);
    bench.write(
        "delegated.yaml",
        SEED.replace("eaBitsLength: 16", "eaBitsLength: 4").replace("    psidLength: 8\n", ""),
    );
    let ran = bench.run(&["map", "-f", "delegated.yaml", "67.91.205.93"]);
    assert!(ran.stdout.contains("IPv4 prefix      67.91.205.80/28\n"), "{}", ran.stdout);
}
