//! `culvertctl check`.

use super::{Bench, SEED, json};

#[test]
fn valid_manifests_give_a_table() {
    let ran = Bench::new().run(&["check", "-f", "seed.yaml"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let mut lines = ran.stdout.lines();
    let head = lines.next().unwrap();
    let row: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert!(head.starts_with("DOMAIN"), "{head}");
    let expected = [
        "culvert-system/isp-a",
        "r1",
        "67.91.205.0/24",
        "2001:db8:ce::/48",
        "16",
        "4",
        "8",
        "1:256",
        "240",
        "65536",
        "/64",
    ];
    assert_eq!(row, expected);
    assert!(ran.stdout.ends_with("1 domain, 1 rule: valid\n"), "{}", ran.stdout);
}

#[test]
fn json_has_the_same_numbers() {
    let ran = Bench::new().run(&["check", "-f", "seed.yaml", "-o", "json"]);
    let checked = json(&ran.stdout);
    let rule = &checked["domains"][0]["rules"][0];
    assert_eq!(checked["domains"][0]["name"], "isp-a");
    let numbers =
        ["psidLength", "sharingRatio", "portsPerCe", "ces", "endUserPrefixLength"].map(|key| rule[key].as_u64());
    assert_eq!(numbers, [8, 256, 240, 65536, 64].map(Some));
    assert_eq!(checked["hash"].as_str().unwrap().len(), 64);
}

#[test]
fn standard_input_folders_and_several_files_are_read() {
    let bench = Bench::new();
    assert_eq!(bench.run_with_input(&["check", "-f", "-"], SEED).code, 0);
    let other = SEED.replace("isp-a", "isp-b").replace("67.91.205", "67.91.207").replace(":ce::", ":cf::");
    bench.write("other.yaml", other);
    for arguments in [["check", "-f", "seed.yaml", "other.yaml"].as_slice(), &["check", "-f", "."]] {
        let ran = bench.run(arguments);
        assert!(ran.stdout.ends_with("2 domains, 2 rules: valid\n"), "{} {}", ran.stdout, ran.stderr);
    }
}

/// A fleet is checked like a domain, and the domains that name it against what it allows.
#[test]
fn fleets_are_checked_too() {
    let bench = Bench::new();
    let fleet = include_str!("../../../../deploy/examples/fleet.yaml");
    bench.write("fleet.yaml", fleet);
    let ran = bench.run(&["check", "-f", "fleet.yaml", "seed.yaml"]);
    let says =
        "BorderRelay culvert-system/default: 2 relays, 1 interface, 0 BGP peers\n1 domain, 1 rule, 1 fleet: valid\n";
    assert!(ran.stdout.ends_with(says), "{} {}", ran.stdout, ran.stderr);
    let ran = bench.run(&["check", "-f", "fleet.yaml", "-o", "json"]);
    let checked = json(&ran.stdout);
    let fleet_read = &checked["fleets"][0];
    assert_eq!((&fleet_read["name"], &fleet_read["replicas"]), (&"default".into(), &2.into()));

    bench.write("fleet.yaml", fleet.replace("67.91.205.0/24", "67.91.204.0/24"));
    let ran = bench.run(&["check", "-f", "fleet.yaml", "seed.yaml"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(
        ran.stderr.contains("spec.rules[0].ipv4Prefix: found 67.91.205.0/24, allowed in 67.91.204.0/24"),
        "{}",
        ran.stderr
    );
}

#[test]
fn every_error_has_file_line_and_field_and_they_are_counted() {
    let bench = Bench::new();
    let wrong = SEED.replace("psidLength: 8", "psidLength: 6").replace("3001:db8:ffff::1", "fe80::1");
    bench.write("wrong.yaml", wrong);
    bench.write("broken.yaml", "kind: [");
    for arguments in [
        ["check", "-f", "wrong.yaml", "broken.yaml"].as_slice(),
        &["check", "-f", "wrong.yaml", "broken.yaml", "-o", "json"],
    ] {
        let ran = bench.run(arguments);
        assert_eq!(ran.code, 1);
        for part in [
            "wrong.yaml:5: spec.softwireAddress: ",
            "wrong.yaml:12: spec.rules[0].psidLength: found 6, allowed 8",
            "broken.yaml:",
            "culvertctl: 3 errors",
        ] {
            assert!(ran.stderr.contains(part), "{part}\n{}", ran.stderr);
        }
    }
    let ran = bench.run(&["check", "-f", "wrong.yaml", "-o", "json"]);
    let errors = json(&ran.stdout);
    assert_eq!(errors["errors"][0]["line"], 5);
    assert_eq!(errors["errors"][1]["field"], "spec.rules[0].psidLength");
    assert_eq!(bench.run(&["check", "-f", "none.yaml"]).code, 1);
}

/// Every command reads manifests alike.
#[test]
fn invalid_manifests_stop_every_command() {
    let bench = Bench::new();
    bench.write("wrong.yaml", SEED.replace("psidLength: 8", "psidLength: 6"));
    bench.write("in.pcap", super::pcap::Pcap::default().bytes());
    for arguments in [
        ["map", "-f", "wrong.yaml", "67.91.205.2:6600"].as_slice(),
        &["map", "-f", "wrong.yaml", "--batch"],
        &["replay", "-f", "wrong.yaml", "in.pcap", "out.pcap"],
        &["explain", "-f", "wrong.yaml", "--to-ce", "--dst", "67.91.205.2:6600"],
    ] {
        let ran = bench.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{arguments:?}");
        assert!(ran.stderr.contains("wrong.yaml:12: spec.rules[0].psidLength"), "{}", ran.stderr);
    }
    assert!(!bench.path("out.pcap").exists());
}
