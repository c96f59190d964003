//! The whole operator against an API server in memory: what people apply, what is made of it, what is said about it, and
//! how few requests that takes.

use std::{
    future::Future,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, routing::get};
use clap::Parser;
use culvert_operator::{cli::Options, control::control, events::Events, metrics::Metrics, rbac};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

#[path = "support/cluster.rs"]
mod cluster;

use cluster::Cluster;

const CULVERT: &str = "culvert.dev";
const NETWORKS: &str = "network-attachment-definitions";

/// An operator that looks after a cluster.
struct Operator {
    task: JoinHandle<anyhow::Result<()>>,
    stop: watch::Sender<bool>,
    metrics: Metrics,
}

impl Operator {
    fn start(cluster: &Cluster) -> Self {
        let (stop, stopped) = watch::channel(false);
        let metrics = Metrics::new().expect("metrics");
        let (client, counted) = (cluster.client(), metrics.clone());
        let task = tokio::spawn(async move {
            let options =
                Options::try_parse_from(["culvert-operator", "--relay-image", "x:1", "--speaker-image", "y:1"])?;
            let events = Events::new(client.clone(), "test");
            control(&client, &options, &events, &counted, stopped).await
        });
        Self { task, stop, metrics }
    }

    /// In good order.
    async fn stop(self) {
        _ = self.stop.send(true);
        self.task.await.expect("no panic").expect("a good end");
    }
}

fn fleet() -> Value {
    json!({"apiVersion": "culvert.dev/v1alpha1", "kind": "BorderRelay", "metadata": {"name": "default", "namespace": "isp"},
        "spec": {"replicas": 1, "dataplane": {"interfaces": [
            {"name": "net1", "side": "IPv4", "network": "v4", "nextHops": ["198.51.100.1"]},
            {"name": "net2", "side": "IPv6", "network": "v6", "nextHops": ["2001:db8:100::1"]}]},
        "allowed": {"ipv4Prefixes": ["192.0.2.0/23"], "softwirePrefixes": ["3001:db8:ffff::/48"]}}})
}

fn domain(name: &str, ipv4: &str, mape: &str, created: &str) -> Value {
    json!({"apiVersion": "culvert.dev/v1alpha1", "kind": "MapDomain",
        "metadata": {"name": name, "namespace": "isp", "creationTimestamp": created},
        "spec": {"softwireAddress": "3001:db8:ffff::1", "rules": [
            {"name": "r1", "ipv4Prefix": ipv4, "mapePrefix": mape, "eaBitsLength": 16, "psidOffset": 4}]}})
}

fn networks(cluster: &Cluster) {
    put_network(cluster, "v4", "198.51.100.0/24");
    put_network(cluster, "v6", "2001:db8:100::/64");
}

fn put_network(cluster: &Cluster, name: &str, subnet: &str) {
    let config = json!({"type": "macvlan", "ipam": {"type": "host-local", "subnet": subnet}}).to_string();
    let object = json!({"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": name, "namespace": "isp"}, "spec": {"config": config}});
    cluster.put("k8s.cni.cncf.io", NETWORKS, object);
}

fn apply(cluster: &Cluster, object: Value) {
    let resource = if object["kind"] == "BorderRelay" { "borderrelays" } else { "mapdomains" };
    cluster.put(CULVERT, resource, object);
}

fn condition(cluster: &Cluster, resource: &str, name: &str, about: &str) -> Option<(String, String, String)> {
    let object = cluster.get(CULVERT, resource, "isp", name)?;
    let conditions = object["status"]["conditions"].as_array()?.clone();
    let condition = conditions.into_iter().find(|condition| condition["type"] == about)?;
    let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("reason"), text("message")))
}

fn is(cluster: &Cluster, resource: &str, name: &str, about: &str, status: &str, reason: &str) -> bool {
    condition(cluster, resource, name, about).is_some_and(|(is, why, _)| (&*is, &*why) == (status, reason))
}

fn index(cluster: &Cluster) -> Option<Value> {
    let object = cluster.get("", "configmaps", "isp", "default-revision")?;
    serde_json::from_str(object["data"]["index.json"].as_str()?).ok()
}

fn sequence(cluster: &Cluster) -> u64 {
    index(cluster).and_then(|index| index["sequence"].as_u64()).unwrap_or_default()
}

/// Waits until it is so; how long that takes does not matter.
async fn becomes(cluster: &Cluster, what: &str, so: impl Fn() -> bool) {
    let waited = timeout(Duration::from_secs(60), async {
        while !so() {
            sleep(Duration::from_millis(10)).await;
        }
    });
    if waited.await.is_err() {
        let all = [cluster.all(CULVERT, "borderrelays"), cluster.all(CULVERT, "mapdomains")].concat();
        panic!("{what}: never, with\n{}", serde_json::to_string_pretty(&all).expect("JSON"));
    }
}

/// Waits until nothing is asked any more.
async fn settles(cluster: &Cluster) -> usize {
    let mut before = usize::MAX;
    loop {
        let now = cluster.requests().len();
        if now == before {
            return now;
        }
        before = now;
        sleep(Duration::from_millis(500)).await;
    }
}

async fn in_a_cluster<F: Future<Output = ()>>(test: impl FnOnce(Cluster) -> F) {
    let cluster = Cluster::default();
    networks(&cluster);
    cluster.put("", "namespaces", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "isp"}}));
    test(cluster).await;
}

#[tokio::test]
async fn kubectl_apply_makes_a_fleet() {
    in_a_cluster(|cluster| async move {
        let operator = Operator::start(&cluster);
        apply(&cluster, fleet());
        apply(&cluster, domain("a", "192.0.2.0/24", "2001:db8:ce::/48", "2026-01-01T00:00:00Z"));
        becomes(&cluster, "a revision with the domain", || index(&cluster).is_some_and(|index| index["domains"] == 1))
            .await;
        becomes(&cluster, "accepted", || is(&cluster, "mapdomains", "a", "Accepted", "True", "Accepted")).await;
        settles(&cluster).await;
        for (group, resource) in [
            ("apps", "deployments"),
            ("", "serviceaccounts"),
            ("rbac.authorization.k8s.io", "roles"),
            ("rbac.authorization.k8s.io", "rolebindings"),
            ("policy", "poddisruptionbudgets"),
            ("networking.k8s.io", "networkpolicies"),
        ] {
            let object = cluster.get(group, resource, "isp", "default-relay").expect(resource);
            assert_eq!(object["metadata"]["ownerReferences"][0]["kind"], "BorderRelay");
        }
        operator.stop().await;
    })
    .await;
}

/// What is watched is not asked for, and what is as it should be is not written: nothing happens without a reason.
#[tokio::test]
async fn a_cluster_at_rest_is_left_in_peace() {
    in_a_cluster(|cluster| async move {
        let _operator = Operator::start(&cluster);
        apply(&cluster, fleet());
        // One that makes no sense, and one that clashes: neither is tried again and again.
        apply(&cluster, domain("a", "192.0.2.0/24", "2001:db8:ce::/48", "2026-01-01T00:00:00Z"));
        apply(&cluster, domain("clash", "192.0.2.0/24", "2001:db8:cf::/48", "2026-01-02T00:00:00Z"));
        apply(&cluster, domain("nonsense", "192.0.2.0/33", "2001:db8:d0::/48", "2026-01-01T00:00:00Z"));
        becomes(&cluster, "refused", || is(&cluster, "mapdomains", "clash", "Accepted", "False", "Conflicted")).await;
        becomes(&cluster, "refused", || is(&cluster, "mapdomains", "nonsense", "Accepted", "False", "Invalid")).await;
        let settled = settles(&cluster).await;
        sleep(Duration::from_secs(3)).await;
        assert_eq!(cluster.requests().len(), settled, "{:?}", &cluster.requests()[settled..]);
    })
    .await;
}

/// A network is read once by each fleet at most, however much changes; and anew when it has changed itself.
#[tokio::test]
async fn a_network_is_read_when_it_has_changed() {
    in_a_cluster(|cluster| async move {
        let _operator = Operator::start(&cluster);
        apply(&cluster, fleet());
        becomes(&cluster, "a revision", || sequence(&cluster) == 1).await;
        settles(&cluster).await;
        let read = || {
            let is_network = |asked: &&cluster::Asked| asked.resource == NETWORKS && !asked.name.is_empty();
            cluster.requests().iter().filter(is_network).count()
        };
        let before = read();
        apply(&cluster, domain("a", "192.0.2.0/24", "2001:db8:ce::/48", "2026-01-01T00:00:00Z"));
        becomes(&cluster, "a revision with the domain", || sequence(&cluster) == 2).await;
        settles(&cluster).await;
        assert_eq!(read(), before, "a domain is no reason to read networks");
        put_network(&cluster, "v4", "198.51.100.0/25");
        becomes(&cluster, "both read again", || read() == before + 2).await;
    })
    .await;
}

#[tokio::test]
async fn a_conflict_is_told_and_once_resolved_goes_on_by_itself() {
    in_a_cluster(|cluster| async move {
        let _operator = Operator::start(&cluster);
        apply(&cluster, fleet());
        apply(&cluster, domain("young", "192.0.2.0/24", "2001:db8:cf::/48", "2026-01-02T00:00:00Z"));
        becomes(&cluster, "accepted", || is(&cluster, "mapdomains", "young", "Accepted", "True", "Accepted")).await;
        // Created before, and applied here after: age decides, not who came first.
        apply(&cluster, domain("old", "192.0.2.0/24", "2001:db8:ce::/48", "2026-01-01T00:00:00Z"));
        becomes(&cluster, "a conflict", || is(&cluster, "mapdomains", "young", "Conflicted", "True", "Conflicted"))
            .await;
        let (_, _, message) = condition(&cluster, "mapdomains", "young", "Conflicted").expect("a conflict");
        assert!(message.starts_with("spec.rules[0].ipv4Prefix: found 192.0.2.0/24"), "{message}");
        assert!(message.contains("spec.rules[0] of isp/old"), "{message}");
        assert!(condition(&cluster, "mapdomains", "old", "Conflicted").is_none());
        cluster.delete(CULVERT, "mapdomains", "isp", "old");
        becomes(&cluster, "accepted", || is(&cluster, "mapdomains", "young", "Accepted", "True", "Accepted")).await;
        assert!(condition(&cluster, "mapdomains", "young", "Conflicted").is_none());
    })
    .await;
}

#[tokio::test]
async fn the_number_survives_a_restart_and_the_loss_of_the_config_map() {
    in_a_cluster(|cluster| async move {
        let operator = Operator::start(&cluster);
        apply(&cluster, fleet());
        becomes(&cluster, "a revision", || sequence(&cluster) == 1).await;
        apply(&cluster, domain("a", "192.0.2.0/24", "2001:db8:ce::/48", "2026-01-01T00:00:00Z"));
        becomes(&cluster, "the next", || sequence(&cluster) == 2).await;
        settles(&cluster).await;
        let written = cluster.get("", "configmaps", "isp", "default-revision");
        operator.stop().await;

        let operator = Operator::start(&cluster);
        settles(&cluster).await;
        assert_eq!(
            cluster.get("", "configmaps", "isp", "default-revision"),
            written,
            "what says the same is not rewritten"
        );
        cluster.delete("", "configmaps", "isp", "default-revision");
        becomes(&cluster, "it is back", || sequence(&cluster) == 2).await;
        settles(&cluster).await;
        operator.stop().await;

        cluster.delete("", "configmaps", "isp", "default-revision");
        let _operator = Operator::start(&cluster);
        becomes(&cluster, "the next", || sequence(&cluster) == 3).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_forbidden_is_named_and_hinders_nothing_else() {
    in_a_cluster(|cluster| async move {
        cluster.forbid("networking.k8s.io", "networkpolicies", true);
        let _operator = Operator::start(&cluster);
        apply(&cluster, fleet());
        becomes(&cluster, "a condition", || is(&cluster, "borderrelays", "default", "Degraded", "True", "Forbidden"))
            .await;
        let (_, _, message) = condition(&cluster, "borderrelays", "default", "Degraded").expect("a condition");
        assert!(message.contains("cannot create resource \"networkpolicies\""), "{message}");
        assert!(cluster.get("apps", "deployments", "isp", "default-relay").is_some());
        cluster.forbid("networking.k8s.io", "networkpolicies", false);
        becomes(&cluster, "over", || condition(&cluster, "borderrelays", "default", "Degraded").is_none()).await;
    })
    .await;
}

#[tokio::test]
async fn a_fleet_that_makes_no_sense_keeps_what_it_has_and_delays_no_other() {
    in_a_cluster(|cluster| async move {
        let _operator = Operator::start(&cluster);
        let mut bad = fleet();
        bad["metadata"]["name"] = json!("bad");
        bad["spec"]["dataplane"]["interfaces"][0]["nextHops"] = json!(["2001:db8::1"]);
        apply(&cluster, bad);
        apply(&cluster, fleet());
        becomes(&cluster, "the other", || is(&cluster, "borderrelays", "default", "Accepted", "True", "Accepted"))
            .await;
        becomes(&cluster, "refused", || is(&cluster, "borderrelays", "bad", "Accepted", "False", "Invalid")).await;
        assert!(cluster.get("apps", "deployments", "isp", "bad-relay").is_none());
        let mut broken = fleet();
        broken["spec"]["dataplane"]["interfaces"][0]["side"] = json!("IPv6");
        let before = cluster.get("apps", "deployments", "isp", "default-relay");
        apply(&cluster, broken);
        becomes(&cluster, "refused", || is(&cluster, "borderrelays", "default", "Accepted", "False", "Invalid")).await;
        settles(&cluster).await;
        assert_eq!(cluster.get("apps", "deployments", "isp", "default-relay"), before);
        assert!(before.is_some());
    })
    .await;
}

/// Kubernetes deletes the children before the fleet, in no particular order, and takes no new ones there.
#[tokio::test]
async fn in_a_namespace_that_is_being_deleted_nothing_is_made_again() {
    in_a_cluster(|cluster| async move {
        let _operator = Operator::start(&cluster);
        apply(&cluster, fleet());
        becomes(&cluster, "a fleet", || cluster.get("apps", "deployments", "isp", "default-relay").is_some()).await;
        let has_deployment = || cluster.get("apps", "deployments", "isp", "default-relay").is_some();
        cluster.delete("apps", "deployments", "isp", "default-relay");
        becomes(&cluster, "made again", has_deployment).await;
        let metadata = json!({"name": "isp", "deletionTimestamp": "2026-01-01T00:00:00Z"});
        cluster.put("", "namespaces", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}));
        settles(&cluster).await;
        cluster.delete("apps", "deployments", "isp", "default-relay");
        settles(&cluster).await;
        assert!(!has_deployment());
    })
    .await;
}

/// Each change concerns who changed: a new revision is no news to the domains that were there.
#[tokio::test]
async fn many_domains_cost_no_more_than_each() {
    in_a_cluster(|cluster| async move {
        let _operator = Operator::start(&cluster);
        apply(&cluster, fleet());
        becomes(&cluster, "a revision", || sequence(&cluster) == 1).await;
        let names: Vec<String> = (0..20).map(|number| format!("d{number}")).collect();
        for (name, number) in names.iter().zip(0..) {
            let (ipv4, mape) = (format!("192.0.2.{}/29", number * 8), format!("2001:db8:{number:x}::/48"));
            let mut object = domain(name, &ipv4, &mape, "2026-01-01T00:00:00Z");
            object["spec"]["rules"][0]["eaBitsLength"] = json!(8);
            apply(&cluster, object);
            becomes(&cluster, "accepted", || is(&cluster, "mapdomains", name, "Accepted", "True", "Accepted")).await;
        }
        settles(&cluster).await;
        assert_eq!(sequence(&cluster), 21);
        let written = |name: &String| {
            let is_status = |asked: &&cluster::Asked| asked.resource == "mapdomains/status" && asked.name == *name;
            cluster.requests().iter().filter(is_status).count()
        };
        let counts: Vec<usize> = names.iter().map(written).collect();
        assert!(counts.iter().all(|count| (1..=2).contains(count)), "{counts:?}");
    })
    .await;
}

/// A relay on an address of this machine's own.
struct Relay {
    address: String,
    has: Arc<AtomicU16>,
}

impl Relay {
    async fn start(hash_of: Cluster) -> Self {
        // An address of this process: others run tests, too.
        let pid = std::process::id();
        let address = Ipv4Addr::new(127, 77, (pid >> 8) as u8, pid as u8);
        let has = Arc::new(AtomicU16::new(0));
        let (held, cluster) = (Arc::clone(&has), hash_of);
        let state = move || {
            let (held, cluster) = (Arc::clone(&held), cluster.clone());
            async move {
                let sequence = held.load(Ordering::Relaxed);
                // A long poll that is over soon.
                sleep(Duration::from_millis(50)).await;
                let hash = index(&cluster).map(|index| index["hash"].clone());
                Json(json!({"stateSequence": sequence, "ready": sequence > 0, "readyReasons": ["NoRevision"],
                    "revision": {"sequence": sequence, "hash": hash}}))
            }
        };
        let listener = TcpListener::bind((address, 9108)).await.expect("an address of the loopback interface");
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/state", get(state))).await });
        Self { address: address.to_string(), has }
    }
}

#[tokio::test]
async fn programmed_is_what_relays_say_and_changes_are_timed() {
    in_a_cluster(|cluster| async move {
        let operator = Operator::start(&cluster);
        apply(&cluster, fleet());
        becomes(&cluster, "a revision", || sequence(&cluster) == 1).await;
        let relay = Relay::start(cluster.clone()).await;
        let labels = json!({"app.kubernetes.io/name": "culvert-relay", "app.kubernetes.io/instance": "default",
            "app.kubernetes.io/managed-by": "culvert-operator"});
        let owner = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "default-relay-1", "uid": "x", "controller": true}]);
        let running = json!([{"name": "relay", "ready": true, "restartCount": 0, "image": "", "imageID": "", "started": true,
            "state": {"running": {}}}]);
        cluster.put("", "pods", json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "default-relay-1-a", "namespace": "isp", "labels": labels, "ownerReferences": owner},
            "spec": {"containers": [], "nodeName": "n1"},
            "status": {"phase": "Running", "podIP": relay.address, "initContainerStatuses": running}}));
        becomes(&cluster, "not ready", || is(&cluster, "borderrelays", "default", "Ready", "False", "NoRevision")).await;
        relay.has.store(1, Ordering::Relaxed);
        becomes(&cluster, "programmed", || is(&cluster, "borderrelays", "default", "Programmed", "True", "Programmed")).await;
        apply(&cluster, domain("a", "192.0.2.0/24", "2001:db8:ce::/48", "2026-01-01T00:00:00Z"));
        becomes(&cluster, "pending", || is(&cluster, "mapdomains", "a", "Programmed", "False", "Pending")).await;
        assert!(is(&cluster, "borderrelays", "default", "Ready", "True", "Ready"));
        relay.has.store(2, Ordering::Relaxed);
        becomes(&cluster, "programmed", || is(&cluster, "mapdomains", "a", "Programmed", "True", "Programmed")).await;
        becomes(&cluster, "ready", || is(&cluster, "mapdomains", "a", "Ready", "True", "Ready")).await;
        let text = operator.metrics.render().expect("metrics");
        let timed = r#"culvert_revision_propagation_seconds_count{fleet="default",namespace="isp"} 1"#;
        assert!(text.contains(timed), "{text}");
    })
    .await;
}

/// Everything that the operator asks for is in its roles, and everything that is in them it asks for.
#[tokio::test]
async fn the_roles_are_what_is_needed() {
    in_a_cluster(|cluster| async move {
        let operator = Operator::start(&cluster);
        apply(&cluster, fleet());
        apply(&cluster, domain("a", "192.0.2.0/24", "2001:db8:ce::/48", "2026-01-01T00:00:00Z"));
        // A chunk that a larger revision left.
        cluster.put(
            "",
            "configmaps",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "default-revision-1",
            "namespace": "isp", "labels": {"app.kubernetes.io/name": "culvert-relay",
            "app.kubernetes.io/managed-by": "culvert-operator", "app.kubernetes.io/instance": "default"}}}),
        );
        becomes(&cluster, "cleaned up", || cluster.get("", "configmaps", "isp", "default-revision-1").is_none()).await;
        becomes(&cluster, "accepted", || is(&cluster, "mapdomains", "a", "Accepted", "True", "Accepted")).await;
        let mut changed = fleet();
        changed["spec"]["replicas"] = json!(3);
        apply(&cluster, changed);
        let replicas =
            || cluster.get("apps", "deployments", "isp", "default-relay").map(|it| it["spec"]["replicas"].clone());
        becomes(&cluster, "scaled", || replicas() == Some(json!(3))).await;
        operator.stop().await;
        let rules = [rbac::fleets(), rbac::cluster()].concat();
        for asked in cluster.requests() {
            assert!(rbac::allows(&rules, asked.verb, &asked.group, &asked.resource), "{asked:?}");
        }
    })
    .await;
}
