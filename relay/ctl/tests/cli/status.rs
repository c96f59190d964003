//! `culvertctl status`, and what all commands have in common that ask a cluster.

use serde_json::{Value, json};

use crate::{Bench, json as read};

const FLEETS: &str = "borderrelays.culvert.dev";
const DOMAINS: &str = "mapdomains.culvert.dev";

fn fleet() -> Value {
    read(include_str!("../../src/status/tests/fleet.json"))
}

fn domains() -> Value {
    read(include_str!("../../src/status/tests/domains.json"))
}

fn bench(flags: &str, more: &str) -> Bench {
    let bench = Bench::with_kubectl();
    bench.finds(flags, &format!("{FLEETS}{more}"), &json!({"items": [fleet()]}));
    bench.finds(flags, &format!("{DOMAINS}{more}"), &json!({"items": domains()}));
    bench
}

#[test]
fn the_fleets_of_a_namespace_are_shown() {
    let ran = bench("--namespace=culvert-system", "").ask(&["status", "-n", "culvert-system"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
    assert_eq!(ran.stdout, include_str!("../../src/status/tests/status.txt"));
}

#[test]
fn programs_get_the_same_as_json() {
    let ran = bench("--context=c --kubeconfig=k", " --all-namespaces").ask(&[
        "status",
        "-A",
        "--context",
        "c",
        "--kubeconfig",
        "k",
        "-o",
        "json",
    ]);
    let status = read(&ran.stdout);
    let fleet = &status["fleets"][0];
    assert_eq!((&fleet["wanted"], &fleet["ready"], &fleet["revision"]["sequence"]), (&3.into(), &1.into(), &12.into()));
    assert_eq!(fleet["troubles"][0]["reason"], "SilentSide");
    assert_eq!(fleet["relays"][1]["droppedLastMinute"], 430);
    assert_eq!(fleet["domains"][1]["accepted"], "NotAllowed");
    assert_eq!(status["domainsWithoutFleet"][0]["name"], "isp-c");
}

#[test]
fn what_kubectl_says_is_passed_on() {
    let bench = Bench::with_kubectl();
    let ran = bench.ask(&["status"]);
    let says = format!("culvertctl: kubectl get {FLEETS}: (Forbidden): nobody may get --output=json");
    assert!(ran.code == 1 && ran.stderr.starts_with(&says), "{}", ran.stderr);
    bench.finds("", FLEETS, &json!({"items": [fleet()]}));
    bench.finds("", DOMAINS, &json!({"items": []}));
    let ran = bench.ask(&["status", "--fleet", "other"]);
    assert!(ran.code == 1 && ran.stderr.contains("no BorderRelay other"), "{}", ran.stderr);
}

#[test]
fn without_kubectl_it_says_so() {
    let bench = Bench::new();
    let ran = crate::command(bench.folder.path()).env("PATH", bench.folder.path()).arg("status").output().unwrap();
    let ran = crate::Ran::from(ran);
    assert!(ran.code == 1 && ran.stderr.contains("has to be on the PATH"), "{}", ran.stderr);
}
