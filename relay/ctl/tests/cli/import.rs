//! `culvertctl import junos`.

use super::{Bench, Ran};

/// The example of Juniper's page on MAP-E, with the interfaces it needs.
const JUNIPER: &str = include_str!("junos/juniper.set");
/// Every option of that page.
const JUNIPER_OPTIONS: &str = include_str!("junos/juniper-options.set");
/// A whole router, and the same as commands.
const ROUTER: &str = include_str!("junos/router.conf");
const ROUTER_SET: &str = include_str!("junos/router.set");

/// What the example becomes.
const DOMAIN: &str = r#"# map-e MAPE-DOMAIN1 of Junos
apiVersion: culvert.dev/v1alpha1
kind: MapDomain
metadata:
  name: mape-domain1
spec:
  softwireAddress: "3001:db8:ffff::1"
  version: RFC7597
  rules:
  - name: r1
    ipv4Prefix: 67.91.205.0/24
    mapePrefix: "2001:db8:ce:ab00::/56"
    eaBitsLength: 16
    psidOffset: 6
    psidLength: 8
  mtu:
    v6: 9192 # not written in Junos: its default
  reassembly:
    v4: Disabled
    v6: Disabled
  advertise:
    autoRoute: Enabled
"#;

fn import(text: &str) -> Ran {
    Bench::new().run_with_input(&["import", "junos", "-"], text)
}

/// The manifests of a text that has no errors.
fn imported(text: &str) -> String {
    let ran = import(text);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.stdout
}

/// A concentrator with these statements and whatever else it needs.
fn concentrator(statements: &str) -> String {
    format!(
        "services {{ softwire {{ softwire-concentrator {{ map-e A {{ softwire-address 3001:db8:ffff::1; \
         ipv4-prefix 67.91.205.0/24; mape-prefix 2001:db8:ce::/48; ea-bits-len 16; {statements} }} }} }} }}"
    )
}

#[test]
fn junipers_own_example() {
    let ran = import(JUNIPER);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, DOMAIN, ""));
}

#[test]
fn junipers_options() {
    let with_options = imported(&format!("{JUNIPER}{JUNIPER_OPTIONS}"));
    let expected = DOMAIN
        .replace("RFC7597", "Draft03")
        .replace(" # not written in Junos: its default", "")
        .replace("v4: Disabled", "v4: Full # v4-partial-reassembly is part of it")
        .replace("v6: Disabled", "v6: Enabled")
        .replace("autoRoute: Enabled", "autoRoute: Disabled");
    assert_eq!(with_options, expected);
}

#[test]
fn both_forms_give_the_same() {
    let bench = Bench::new();
    bench.write("router.conf", ROUTER);
    bench.write("router.set", ROUTER_SET);
    let (curly, set) = (bench.run(&["import", "junos", "router.conf"]), bench.run(&["import", "junos", "router.set"]));
    assert_eq!((curly.code, set.code), (0, 0), "{}{}", curly.stderr, set.stderr);
    assert_eq!(curly.stdout, include_str!("junos/router.yaml"));
    assert_eq!(set.stdout, curly.stdout);
    for (ran, file, [knob, whole]) in [(&curly, "router.conf", [61, 63]), (&set, "router.set", [37, 38])] {
        let expected = format!(
            "{file}:{knob}: warning: v6-reassembly of map-e old_lines is inactive: skipped\n\
             {file}:{whole}: warning: map-e TEST is inactive: skipped\n"
        );
        assert_eq!(ran.stderr, expected);
    }
}

#[test]
fn manifests_pass_check_and_hold_the_namespace() {
    let bench = Bench::new();
    let ran = bench.run_with_input(&["import", "junos", "--namespace", "culvert-system", "-"], ROUTER);
    let checked = bench.run_with_input(&["check", "-f", "-"], &ran.stdout);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(checked.stdout.contains("culvert-system/mape-domain1  r1"), "{}", checked.stdout);
    let bad = bench.run(&["import", "junos", "--namespace", "-x", "seed.yaml"]);
    assert_eq!(bad.code, 2, "{}", bad.stderr);
}

#[test]
fn parts_of_a_configuration_are_read_from_any_level() {
    let whole = imported(&concentrator("psid-length 8;"));
    for (level, ends) in
        [("services {", 1), ("services { softwire {", 2), ("services { softwire { softwire-concentrator {", 3)]
    {
        let text = concentrator("psid-length 8;").replacen(level, "", 1);
        assert_eq!(imported(text[..text.len() - 2 * ends].trim()), whole, "{level}");
    }
    let typed = "me@mx> show configuration | display set\nset softwire-concentrator map-e A softwire-address \
        3001:db8:ffff::1 ipv4-prefix 67.91.205.0/24\nme@mx# set map-e A mape-prefix 2001:db8:ce::/48 ea-bits-len 16 \
        psid-length 8\n\n{master}\n";
    assert_eq!(imported(typed), whole);
}

#[test]
fn reassembly_is_what_the_knobs_say() {
    for (statements, expected) in [
        ("", "    v4: Disabled\n    v6: Disabled\n"),
        ("v4-partial-reassembly;", "    v4: Virtual\n    v6: Disabled\n"),
        ("v4-reassembly; v6-reassembly;", "    v4: Full\n    v6: Enabled\n"),
    ] {
        assert!(imported(&concentrator(statements)).contains(expected), "{statements}");
    }
}

/// What `set`, `delete`, `deactivate` and `activate` leave, in the order given.
#[test]
fn commands_are_followed_in_order() {
    let map_e = "services softwire softwire-concentrator map-e";
    let other = JUNIPER.replace("MAPE-DOMAIN1", "OTHER");
    let both = format!(
        "{JUNIPER}{other}delete {map_e} OTHER\nset {map_e} MAPE-DOMAIN1 mtu-v6 1500\n\
         delete {map_e} MAPE-DOMAIN1 mtu-v6\ndeactivate {map_e} MAPE-DOMAIN1\nactivate {map_e} MAPE-DOMAIN1\n"
    );
    assert_eq!(imported(&both), DOMAIN);
    let replaced = import(&format!("{JUNIPER}set {map_e} MAPE-DOMAIN1 psid-offset 4\n"));
    assert!(replaced.stdout.contains("psidOffset: 4\n"), "{}", replaced.stdout);
    assert_eq!(replaced.stderr, "<stdin>:19: warning: psid-offset of map-e MAPE-DOMAIN1 replaces line 8\n");
}

#[test]
fn everything_that_cannot_be_carried_over_is_told_at_once() {
    let bench = Bench::new();
    bench.write("wrong.conf", include_str!("junos/wrong.conf"));
    let ran = bench.run(&["import", "junos", "wrong.conf"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert_eq!(ran.stderr, include_str!("junos/wrong.txt"));
}

#[test]
fn what_is_no_configuration_is_refused_with_its_line() {
    for (text, expected) in [
        ("", "<stdin>: no active map-e concentrator under `services softwire softwire-concentrator`"),
        ("system {\n  host-name br1;\n", "<stdin>:1: this `{` has no `}`"),
        ("system {\n}\n}\n", "<stdin>:3: `}` without a `{`"),
        ("system\n{\n{\n", "<stdin>:3: `{` without a name before it"),
        ("system {\n  host-name br1\n}\n", "<stdin>:2: this statement does not end in `;`"),
        ("a \"b\nc;", "<stdin>:1: this quoted string never ends"),
        ("a;\n/* b\nc;", "<stdin>:2: this comment never ends"),
        (
            "set a b\nedit services\nset softwire c\n",
            "<stdin>:2: `edit`: only set, delete, deactivate, activate are read",
        ),
        ("services { softwire { softwire-concentrator { map-e; } } }", "softwire-concentrator map-e`: it has no name"),
        ("services {\n inactive: softwire { softwire-concentrator { map-e A; } } }", "<stdin>:2: warning: map-e A is"),
    ] {
        let ran = import(text);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{text}");
        assert!(ran.stderr.contains(expected), "{text}: {}", ran.stderr);
    }
    assert_eq!(Bench::new().run(&["import", "junos", "none.conf"]).code, 1);
}
