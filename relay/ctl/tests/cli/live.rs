//! Commands that ask a fleet in a cluster.

use crds::{
    Revision, manifest,
    revision::{self, Domain},
};
use mape::options::Toggle;
use serde_json::{Value, json};

use crate::{Bench, SEED, json as read};

const NAMESPACE: &str = "culvert-system";
const HERE: [&str; 2] = ["-n", NAMESPACE];

fn revision(sequence: u64) -> Revision {
    let domains = manifest::parse("seed.yaml", SEED).unwrap().domains.iter().map(Domain::from).collect();
    Revision { fleet: "default".to_owned(), sequence, domains, traceparent: None }
}

/// What a relay says that holds this revision.
fn state(revision: &Revision, packets: u64) -> Value {
    let count = json!({"packets": packets, "bytes": 100 * packets});
    json!({
        "started": "2026-11-24T10:00:00Z",
        "revision": {"sequence": revision.sequence, "hash": revision.hash()},
        "domains": [{"namespace": NAMESPACE, "name": "isp-a", "forwarded": {"to_ce": count},
                     "dropped": {"from_ce": {"SpoofedSource": count}}}],
        "history": [{"sequence": 12, "hash": "aa", "at": "2026-11-24T10:00:00Z", "domains": 1, "rules": 1}],
    })
}

/// A fleet of two relays with the seed's domain.
struct Cluster(Bench);

impl Cluster {
    fn new() -> Self {
        let cluster = Self(Bench::with_kubectl());
        let fleet = read(include_str!("../../src/status/tests/fleet.json"));
        cluster.finds("borderrelays.culvert.dev default", &fleet);
        cluster.finds("borderrelays.culvert.dev", &json!({"items": [fleet]}));
        for object in revision::encode(&revision(12)).unwrap() {
            let found = serde_json::to_value(object.config_map(NAMESPACE)).unwrap();
            cluster.finds(&format!("configmaps {} --namespace {NAMESPACE} --ignore-not-found", object.name), &found);
        }
        let pod = |name: &str| json!({"metadata": {"name": name, "namespace": NAMESPACE}, "status": {"phase": "Running", "podIP": "10.0.0.1"}});
        let labels = "app.kubernetes.io/name=culvert-relay,app.kubernetes.io/instance=default";
        cluster.finds(
            &format!("pods --namespace {NAMESPACE} --selector {labels}"),
            &json!({"items": [pod("b"), pod("a")]}),
        );
        cluster.finds("pods a", &pod("a"));
        cluster.domain(SEED);
        cluster.relay("a", &state(&revision(12), 0));
        cluster.relay("b", &state(&revision(12), 0));
        cluster
    }

    fn finds(&self, words: &str, found: &Value) {
        self.0.finds(&format!("--namespace={NAMESPACE}"), words, found);
    }

    /// The only domain in the cluster.
    fn domain(&self, manifest: &str) {
        self.0.write("domain.yaml", manifest);
        let object: Value = serde_saphyr::from_str(manifest).unwrap();
        self.finds(&format!("mapdomains.culvert.dev --namespace {NAMESPACE}"), &json!({"items": [object]}));
    }

    fn path(pod: &str, page: &str) -> String {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}:9108/proxy/{page}");
        format!("--namespace={NAMESPACE} get --request-timeout=30s --raw {path}")
    }

    fn relay(&self, pod: &str, state: &Value) {
        self.0.answer(&Self::path(pod, "state"), state.to_string());
    }

    /// What a relay has kept.
    fn kept(&self, pod: &str, revision: &Revision) {
        let [object] = &revision::encode(revision).unwrap()[..] else { panic!("one ConfigMap is enough") };
        self.0.answer(&Self::path(pod, "revision"), json!(object.config_map("")).to_string());
    }

    fn ask(&self, words: &[&str]) -> crate::Ran {
        self.0.ask(&[words, &HERE].concat())
    }
}

#[test]
fn a_live_fleet_takes_the_place_of_manifests() {
    let cluster = Cluster::new();
    let ran = cluster.ask(&["map", "--fleet", "default", "67.91.205.2:6600"]);
    assert!(ran.code == 0 && ran.stdout.contains("2001:db8:ce:29c:0:435b:cd02:9c"), "{}{}", ran.stdout, ran.stderr);
    let ran = cluster.ask(&["explain", "--fleet", "default", "--to-ce", "--dst", "67.91.205.2:6600"]);
    assert!(ran.code == 0 && ran.stdout.contains("counted for isp-a"), "{}{}", ran.stdout, ran.stderr);
    let ran = cluster.ask(&["check", "--fleet", "default"]);
    assert!(ran.stdout.ends_with("revision 12: 1 domain, 1 rule: valid\n"), "{}{}", ran.stdout, ran.stderr);
    let checked = read(&cluster.ask(&["check", "--fleet", "default", "-o", "json"]).stdout);
    assert_eq!((&checked["revision"], &checked["hash"]), (&12.into(), &revision(12).hash().into()));
    assert_eq!(cluster.ask(&["map", "-f", "seed.yaml", "67.91.205.2:6600"]).code, 2);
    let ran = cluster.ask(&["map", "--fleet", "other", "67.91.205.2:6600"]);
    assert!(ran.code == 1 && ran.stderr.contains("borderrelays.culvert.dev other"), "{}", ran.stderr);
}

#[test]
fn a_fleet_without_a_revision_is_an_error() {
    let cluster = Cluster::new();
    cluster.0.answer(
        &format!(
            "--namespace={NAMESPACE} get --output=json --request-timeout=30s configmaps default-revision --namespace \
             {NAMESPACE} --ignore-not-found"
        ),
        "",
    );
    let ran = cluster.ask(&["check", "--fleet", "default"]);
    let says = "culvertctl: the revision of culvert-system/default: there is no index yet\n";
    assert_eq!((ran.code, &*ran.stderr), (1, says));
}

#[test]
fn diff_is_as_diffs() {
    let cluster = Cluster::new();
    let ran = cluster.ask(&["diff"]);
    assert_eq!((ran.code, &*ran.stderr), (0, ""), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("The domains are the revision's\n  a: holds the revision\n  b: holds the revision\n"));

    cluster.domain(&SEED.replace("psidOffset: 4", "psidOffset: 6"));
    let mut old = revision(11);
    old.domains[0].config.options.hairpin = Toggle::Disabled;
    cluster.relay("b", &state(&old, 0));
    cluster.0.refuse(&Cluster::path("a", "state"));
    let ran = cluster.ask(&["diff"]);
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    for part in [
        "~ isp-a: differs from the revision\n    rules[r1].psidOffset: 4 -> 6\n",
        "? a: culvert-system/a: (Forbidden): nobody may",
        "the right to get pods/proxy in namespace culvert-system is needed",
        "~ b: holds revision 11 (",
    ] {
        assert!(ran.stdout.contains(part), "{part}\n{}", ran.stdout);
    }
    cluster.kept("b", &old);
    let ran = cluster.ask(&["diff"]);
    let says = "    ~ isp-a: differs from what it holds\n        hairpin: Disabled -> Enabled\n";
    assert!(ran.stdout.ends_with(says), "{}", ran.stdout);
    let difference = read(&cluster.ask(&["diff", "-o", "json"]).stdout);
    assert_eq!(difference["changes"][0]["fields"][0]["to"], 6);
    assert_eq!((&difference["relays"][0]["same"], &difference["relays"][1]["revision"]), (&false.into(), &11.into()));
    assert_eq!(Bench::with_kubectl().ask(&["diff"]).code, 2);
}

#[test]
fn files_are_compared_with_the_fleet() {
    let cluster = Cluster::new();
    assert_eq!(cluster.ask(&["diff", "-f", "seed.yaml"]).code, 0);
    cluster.0.write("new.yaml", SEED.replace("isp-a", "isp-b"));
    let ran = cluster.ask(&["diff", "-f", "new.yaml"]);
    assert!(ran.code == 1 && ran.stdout.ends_with("+ isp-b: not in the revision\n"), "{}{}", ran.stdout, ran.stderr);
    cluster.0.write("wrong.yaml", SEED.replace("psidLength: 8", "psidLength: 6"));
    let ran = cluster.ask(&["diff", "-f", "wrong.yaml"]);
    assert!(ran.code == 2 && ran.stderr.contains("wrong.yaml:12: spec.rules[0].psidLength"), "{}", ran.stderr);
    cluster.0.write("elsewhere.yaml", SEED.replace("culvert-system", "elsewhere"));
    assert_eq!(cluster.ask(&["diff", "-f", "elsewhere.yaml"]).code, 2);
}

#[test]
fn status_has_rates_on_request() {
    let cluster = Cluster::new();
    let mut domain: Value = serde_saphyr::from_str(SEED).unwrap();
    domain["spec"]["relayRefs"] = json!([{"name": "default"}]);
    cluster.finds("mapdomains.culvert.dev", &json!({"items": [domain]}));
    let ran = cluster.ask(&["status", "--rates"]);
    assert!(
        ran.stdout.contains("ADVERTISED  TO-CE/S  FROM-CE/S  DROPS/S  WHY-NOT\nisp-a"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    let status = read(&cluster.ask(&["status", "--rates", "-o", "json"]).stdout);
    assert_eq!(status["fleets"][0]["domains"][0]["rate"]["toCe"]["packets"], 0.0);
}

/// Both looks find the same: nothing moves.
#[test]
fn top_counts_between_two_looks() {
    let cluster = Cluster::new();
    let ran = cluster.ask(&["top", "--once", "--interval", "1", "-o", "json"]);
    let rates = read(&ran.stdout);
    assert_eq!((ran.code, &rates["relays"]), (0, &2.into()), "{}", ran.stderr);
    assert_eq!(rates["rows"]["isp-a"]["toCe"]["packets"], 0.0);
    let ran = cluster.ask(&["top", "--once", "--interval", "1", "--by", "relay"]);
    assert!(ran.stdout.contains("fleet culvert-system/default, 2 relays, per second"), "{}", ran.stdout);
    assert!(ran.stdout.contains("\na      0"), "{}", ran.stdout);
}

#[test]
fn a_relays_history_is_read_through_the_api_server() {
    let ran = Cluster::new().ask(&["history", "--relay", "a"]);
    assert!(
        ran.code == 0 && ran.stdout.contains("2026-11-24T10:00:00Z  1        1      aa"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    assert_eq!(Cluster::new().ask(&["history", "--relay", "a", "--file", "-"]).code, 2);
}

/// What the relay writes is passed on as it is.
#[test]
fn a_capture_is_the_relays() {
    let cluster = Cluster::new();
    let asks =
        |flags: &str| format!("--namespace={NAMESPACE} exec a --container relay -- /culvert-relay capture {flags}");
    cluster.0.answer(&asks("--verdict=drop --packets=5 --seconds=60 --snap-length=96"), b"\x0a\x0d\x0d\x0a");
    let words = ["capture", "--relay", "a", "--verdict", "drop", "--packets", "5"];
    let ran = cluster.ask(&words);
    assert_eq!((ran.code, &*ran.stdout), (0, "\n\r\r\n"), "{}", ran.stderr);
    assert_eq!(cluster.ask(&[&words[..], &["-w", "drops.pcapng"]].concat()).code, 0);
    assert_eq!(std::fs::read(cluster.0.path("drops.pcapng")).unwrap(), b"\n\r\r\n");
    let ran = cluster.ask(&["capture", "--relay", "a"]);
    assert!(ran.code == 1 && ran.stderr.contains("nobody may --namespace=culvert-system exec a"), "{}", ran.stderr);
    let ran = cluster.ask(&["capture", "--relay", "a", "--reason", "Boredom"]);
    assert!(ran.code == 2 && ran.stderr.contains("expected one of Truncated, "), "{}", ran.stderr);
}
