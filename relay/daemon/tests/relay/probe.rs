//! `culvert-relay probe`: packets through a real relay, on both segments of a test's pod. The test is the API server and the operator.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use crds::{BorderRelay, MapDomain};
use mape::DomainConfig;
use serde_json::{Value, json};

use crate::{
    node::{Node, Relay},
    pod::{POD, Pod, SIDE, SIDE6, revision},
};

const FLEETS: &str = "/apis/culvert.dev/v1alpha1/namespaces/isps/borderrelays";
const DOMAINS: &str = "/apis/culvert.dev/v1alpha1/namespaces/isps/mapdomains";
const PODS: &str = "/api/v1/namespaces/isps/pods";
const API: &str = "127.0.0.1:8080";
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the test's pod is: the next hops of the relay.
const HOST: &str = "198.51.100.254";
const CE: &str = "2001:db8:1::fe";

/// Objects by their path.
type Store = Arc<Mutex<BTreeMap<String, Value>>>;

/// A relay's pod, and a test's pod on the same segments.
struct Stage {
    relay: Pod,
    test: Node,
    store: Store,
}

impl Stage {
    fn new() -> Self {
        let (relay, test) = (Pod::new(), Node::bare());
        for (node, link) in [(&relay.internet, "net1"), (&relay.core, "net2")] {
            node.ip(&format!("link set far netns {} name {link}", test.name));
            test.ip(&format!("link set {link} up"));
        }
        test.ip(&format!("address add {HOST}/24 dev net1"));
        test.ip(&format!("address add {CE}/64 dev net2 nodad"));
        // The pods' own network.
        relay.pod.ip(&format!("link add eth1 type veth peer name eth0 netns {}", test.name));
        relay.pod.ip("address add 10.244.2.1/24 dev eth1");
        relay.pod.ip("link set eth1 up");
        test.ip("address add 10.244.2.2/24 dev eth0");
        test.ip("link set eth0 up");
        test.ip(&format!("route add {POD}/32 via 10.244.2.1"));
        let pods = [("test", pod(&test, HOST, CE)), ("relay", pod(&relay.pod, SIDE, SIDE6))];
        let pods = pods.map(|(name, pod)| (format!("{PODS}/{name}"), pod));
        let store: Store = Arc::new(Mutex::new(pods.into()));
        let listener = test.inside(|| TcpListener::bind(API).unwrap());
        let objects = Arc::clone(&store);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (connection, objects) = (connection.unwrap(), Arc::clone(&objects));
                thread::spawn(move || while answer(&connection, &objects).is_some() {});
            }
        });
        Self { relay, test, store }
    }

    /// Starts a test of a fleet of one relay.
    fn probe(&self) -> Probe {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": format!("http://{API}")}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "users": [{"name": "test", "user": {"token": "test"}}]});
        let path = self.test.write("kubeconfig", &config.to_string());
        let mut command = Command::new("ip");
        // As Kubernetes runs it: root without any capability but CAP_NET_RAW.
        command.args(["netns", "exec", &self.test.name, "setpriv", "--no-new-privs", "--bounding-set=-all,+net_raw"]);
        command.args(["--inh-caps=-all,+net_raw", "--", env!("CARGO_BIN_EXE_culvert-relay"), "probe"]);
        command.args(["--fleet", &fleet().to_string(), "--pod", "test", "--timeout-seconds", "30"]);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("KUBECONFIG", path);
        Probe(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Does what the operator would: has the relay forward by the domain that was made, or by what `change` makes of it.
    fn operate(&self, relay: &Relay<'_>, change: impl Fn(&mut DomainConfig)) {
        let name = format!("{DOMAINS}/default");
        relay.until("made", |_| self.store.lock().unwrap().contains_key(&name));
        let made: MapDomain = serde_json::from_value(self.store.lock().unwrap()[&name].clone()).unwrap();
        let mut domain = DomainConfig::try_from(&made).unwrap();
        change(&mut domain);
        self.relay.mount(&revision(1, &[domain]));
        relay.until("ready", Relay::is_ready);
        let is = |about: &str| json!({"type": about, "status": "True", "reason": about, "message": "", "lastTransitionTime": "2026-11-01T12:00:00Z"});
        let mut store = self.store.lock().unwrap();
        for path in [format!("{FLEETS}/default"), name] {
            let conditions = [is("Accepted"), is("Programmed")];
            store.get_mut(&path).unwrap()["status"] = json!({
                "conditions": conditions, "readyReplicas": 1, "programmedReplicas": 1, "selector": "app.kubernetes.io/name=culvert-relay",
                "revision": {"sequence": 1, "hash": "", "domains": 1, "rules": 1}});
        }
    }
}

/// What the chart writes of a fleet.
fn fleet() -> Value {
    json!({
        "apiVersion": "culvert.dev/v1alpha1", "kind": "BorderRelay", "metadata": {"name": "default", "namespace": "isps"},
        "spec": {"replicas": 1, "allowed": {"ipv4Prefixes": [], "softwirePrefixes": []}, "dataplane": {"interfaces": [
            {"name": "net1", "side": "IPv4", "network": "v4"}, {"name": "net2", "side": "IPv6", "network": "v6"}]}}})
}

/// A pod on both segments.
fn pod(node: &Node, ipv4: &str, ipv6: &str) -> Value {
    let mac = |link: &str| node.run("cat", &[&format!("/sys/class/net/{link}/address")]).trim().to_owned();
    let networks = json!([
        {"name": "isps/v4", "interface": "net1", "ips": [ipv4], "mac": mac("net1"), "dns": {}},
        {"name": "isps/v6", "interface": "net2", "ips": [ipv6], "mac": mac("net2"), "dns": {}}]);
    let name = if ipv4 == HOST { "test" } else { "relay" };
    let annotations = json!({"k8s.v1.cni.cncf.io/network-status": networks.to_string()});
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "uid": "u-1", "annotations": annotations},
        "spec": {"nodeName": "node-a", "containers": []}, "status": {"podIP": POD}})
}

/// Answers one request; `None`: the connection is over.
fn answer(mut connection: &TcpStream, store: &Store) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let (mut words, mut length) = (line.split(' '), 0);
    let (verb, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if header.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = target.split('?').next()?;
    let mut store = store.lock().unwrap();
    let object = match verb.as_str() {
        "GET" if path == PODS => {
            let is_made = store.contains_key(&format!("{FLEETS}/default"));
            let relays: Vec<&Value> = store.get(&format!("{PODS}/relay")).filter(|_| is_made).into_iter().collect();
            Some(json!({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": relays}))
        }
        "GET" => store.get(path).cloned(),
        "DELETE" => store.remove(path),
        _ => {
            let object: Value = serde_json::from_slice(&body).unwrap();
            store.insert(format!("{path}/{}", object["metadata"]["name"].as_str().unwrap()), object.clone());
            Some(object)
        }
    };
    let status = if object.is_some() { "200 OK" } else { "404 Not Found" };
    let missing = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound", "message": "no"});
    let body = object.unwrap_or(missing).to_string();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    connection.write_all((head + &body).as_bytes()).ok()
}

/// The test, killed in the end.
struct Probe(Child);

impl Probe {
    /// Waits for its end: whether it passed, and what it said.
    fn end(mut self) -> (bool, String) {
        let begun = Instant::now();
        while self.0.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < 2 * PATIENCE, "it does not end");
            sleep(Duration::from_millis(20));
        }
        let mut said = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.0.wait().unwrap().success(), said)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn packets_of_both_sizes_cross_both_ways_and_nothing_stays() {
    let stage = Stage::new();
    let relay = stage.relay.launch(&[]);
    let probe = stage.probe();
    stage.operate(&relay, |_| {});
    let fleet: BorderRelay =
        serde_json::from_value(stage.store.lock().unwrap()[&format!("{FLEETS}/default")].clone()).unwrap();
    let hops: Vec<_> = fleet.spec.dataplane.interfaces.iter().map(|interface| &interface.next_hops).collect();
    assert_eq!(hops, [&[HOST], &[CE]]);
    assert_eq!(fleet.metadata.owner_references.unwrap()[0].uid, "u-1");
    let (passed, said) = probe.end();
    assert!(passed, "{said}");
    for words in [
        "relay relay on node-a",
        "crossed from CE, 100 bytes, ",
        "crossed from CE, 1460 bytes, ",
        "crossed to CE, 100 bytes, ",
        "crossed to CE, 1460 bytes, ",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
    for direction in ["from_ce", "to_ce"] {
        let forwarded =
            format!(r#"culvert_forwarded_packets_total{{direction="{direction}",domain="default",namespace="isps"}}"#);
        assert!(relay.metric(&forwarded) >= 2, "{direction}");
    }
    let left: Vec<String> =
        stage.store.lock().unwrap().keys().filter(|path| !path.starts_with(PODS)).cloned().collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_relay_that_drops_is_told_with_direction_and_reason() {
    let stage = Stage::new();
    let relay = stage.relay.launch(&[]);
    let probe = stage.probe();
    // The port is another CE's.
    stage.operate(&relay, |domain| domain.rules[0].psid = Some(0x35));
    let (passed, said) = probe.end();
    assert!(!passed, "{said}");
    for words in [
        "LOST from CE, 100 bytes: 2001:db8:1::fe > 2001:2::7597:1 | 198.18.75.97:1232 > 198.51.100.254:",
        "LOST to CE, 100 bytes",
        "dropped NoPort ",
        "the fleet stays",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
    assert!(stage.store.lock().unwrap().contains_key(&format!("{FLEETS}/default")));
}

#[test]
fn a_segment_that_carries_less_than_it_says_is_told() {
    let stage = Stage::new();
    stage.relay.pod.ip("link set net2 mtu 1400");
    let relay = stage.relay.launch(&[]);
    let probe = stage.probe();
    stage.operate(&relay, |_| {});
    let (passed, said) = probe.end();
    assert!(!passed, "{said}");
    for words in [
        "crossed from CE, 100 bytes, ",
        "LOST from CE, 1460 bytes",
        "crossed to CE, 100 bytes, ",
        "LOST to CE, 1460 bytes",
        "compare MTUs",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
}

#[test]
fn a_relay_that_hears_nothing_is_told() {
    let stage = Stage::new();
    let relay = stage.relay.launch(&[]);
    let path = format!("{PODS}/relay");
    let right = stage.store.lock().unwrap()[&path].to_string();
    let mac = stage.relay.pod.run("cat", &["/sys/class/net/net2/address"]);
    // Frames to this address go to nobody.
    let wrong = serde_json::from_str(&right.replace(mac.trim(), "02:00:00:00:00:99")).unwrap();
    stage.store.lock().unwrap().insert(path, wrong);
    let probe = stage.probe();
    stage.operate(&relay, |_| {});
    let (passed, said) = probe.end();
    assert!(!passed, "{said}");
    for words in ["LOST from CE, 100 bytes", "did not get there", "the IPv6 segment", "crossed to CE, 1460 bytes, "] {
        assert!(said.contains(words), "{words} in {said}");
    }
}

#[test]
fn a_fleet_that_is_no_tests_is_left_alone() {
    let stage = Stage::new();
    let (path, fleet) = (format!("{FLEETS}/default"), fleet());
    stage.store.lock().unwrap().insert(path.clone(), fleet.clone());
    let (passed, said) = stage.probe().end();
    assert!(!passed && said.contains("BorderRelay default is there, and is no test's"), "{said}");
    assert_eq!(stage.store.lock().unwrap()[&path], fleet);
}
