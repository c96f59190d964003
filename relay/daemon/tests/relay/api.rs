//! The revision by way of the API server: a small one, that has what the relay's Role allows and nothing else.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, ErrorKind, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use crds::revision::{Object, Revision, encode};
use serde_json::{Value, json};

use crate::{
    node::{BR, Relay},
    pod::{NODE, OTHER, Pod, domain, isp_a, revision},
};

/// ConfigMaps by name, and everything that happened to them.
#[derive(Default)]
struct Store {
    version: u64,
    objects: BTreeMap<String, Value>,
    /// (version, name, event)
    events: Vec<(u64, String, Value)>,
    /// Watches from before this version are told 410 Gone.
    forgotten: u64,
    /// What was asked for: verb and object.
    asked: Vec<(String, String)>,
    connections: Vec<TcpStream>,
}

/// An API server on the pod's node.
struct Server {
    store: Arc<(Mutex<Store>, Condvar)>,
    over: Arc<AtomicBool>,
    refuses: Arc<AtomicBool>,
}

impl Server {
    fn start(pod: &Pod) -> Self {
        let listener = pod.cluster.inside(|| TcpListener::bind((NODE, 8080)).unwrap());
        let server = Self { store: Arc::default(), over: Arc::default(), refuses: Arc::default() };
        let (store, over, refuses) = (Arc::clone(&server.store), Arc::clone(&server.over), Arc::clone(&server.refuses));
        thread::spawn(move || {
            for connection in listener.incoming() {
                let connection = connection.unwrap();
                if over.load(Relaxed) {
                    return;
                }
                if refuses.load(Relaxed) {
                    continue;
                }
                store.0.lock().unwrap().connections.push(connection.try_clone().unwrap());
                let store = Arc::clone(&store);
                // A connection that the relay or the test closes ends its thread.
                thread::spawn(move || while answer(&connection, &store).is_some() {});
            }
        });
        server
    }

    /// Writes a revision as the operator does: the index last.
    fn put(&self, revision: &Revision) {
        let mut objects = encode(revision).unwrap();
        objects.reverse();
        objects.iter().for_each(|object| self.put_object(object));
    }

    fn put_object(&self, object: &Object) {
        let mut map = serde_json::to_value(object.config_map("isps")).unwrap();
        (map["kind"], map["apiVersion"]) = (json!("ConfigMap"), json!("v1"));
        let (store, changed) = &*self.store;
        let mut store = store.lock().unwrap();
        store.version += 1;
        map["metadata"]["resourceVersion"] = store.version.to_string().into();
        let known = store.objects.insert(object.name.clone(), map.clone()).is_some();
        let kind = if known { "MODIFIED" } else { "ADDED" };
        let event = (store.version, object.name.clone(), json!({"type": kind, "object": map}));
        store.events.push(event);
        changed.notify_all();
    }

    fn delete(&self, name: &str) {
        let (store, changed) = &*self.store;
        let mut store = store.lock().unwrap();
        store.version += 1;
        let map = store.objects.remove(name).unwrap();
        let event = (store.version, name.to_owned(), json!({"type": "DELETED", "object": map}));
        store.events.push(event);
        changed.notify_all();
    }

    /// Everything before now is forgotten, and all who watch are cut off.
    fn compact(&self) {
        let mut store = self.store.0.lock().unwrap();
        store.version += 1;
        store.forgotten = store.version;
        drop(store);
        self.cut();
    }

    /// Closes all connections.
    fn cut(&self) {
        let connections = std::mem::take(&mut self.store.0.lock().unwrap().connections);
        connections.iter().for_each(|connection| _ = connection.shutdown(Shutdown::Both));
        self.store.1.notify_all();
    }

    /// Answers nobody from now on.
    fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Relaxed);
        self.cut();
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.store.0.lock().unwrap().asked.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        self.cut();
    }
}

/// Answers one request; `None`: the connection is over.
fn answer(mut connection: &TcpStream, store: &(Mutex<Store>, Condvar)) -> Option<()> {
    let mut lines = BufReader::new(connection).lines();
    let request = lines.next()?.ok()?;
    while !lines.next()?.ok()?.is_empty() {}
    let target = request.strip_prefix("GET ")?.split(' ').next()?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    assert_eq!(path, "/api/v1/namespaces/isps/configmaps");
    let parameters: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    // What a Role with `resourceNames` lets through.
    let name = parameters["fieldSelector"].strip_prefix("metadata.name%3D").unwrap().to_owned();
    connection.set_read_timeout(None).ok()?;
    let watches = parameters.get("watch").is_some_and(|watch| ["true", "1"].contains(watch));
    store.0.lock().unwrap().asked.push((if watches { "watch" } else { "list" }.to_owned(), name.clone()));
    if watches {
        let from = parameters["resourceVersion"].parse().unwrap();
        return watch(connection, store, &name, from);
    }
    let store = store.0.lock().unwrap();
    let items: Vec<&Value> = store.objects.get(&name).into_iter().collect();
    let version = store.version.to_string();
    let list =
        json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items});
    let body = list.to_string();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    connection.write_all((head + &body).as_bytes()).ok()
}

fn watch(mut connection: &TcpStream, store: &(Mutex<Store>, Condvar), name: &str, mut from: u64) -> Option<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.write_all(head.as_bytes()).ok()?;
    loop {
        let mut guard = store.0.lock().unwrap();
        if from < guard.forgotten {
            drop(guard);
            let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410,
                                "reason": "Expired", "message": "too old resource version"});
            chunk(connection, &json!({"type": "ERROR", "object": status}))?;
            return None;
        }
        let news: Vec<Value> = guard
            .events
            .iter()
            .filter(|(at, of, _)| *at > from && of == name)
            .map(|(_, _, event)| event.clone())
            .collect();
        from = from.max(guard.version);
        if news.is_empty() {
            // Not forever, so that a connection that is gone is noticed.
            guard = store.1.wait_timeout(guard, Duration::from_millis(200)).unwrap().0;
        }
        drop(guard);
        connection.set_read_timeout(Some(Duration::from_millis(1))).ok()?;
        match connection.peek(&mut [0]) {
            Ok(0) => return None,
            Err(error) if ![ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => return None,
            _ => {}
        }
        for event in news {
            chunk(connection, &event)?;
        }
    }
}

fn chunk(mut connection: &TcpStream, event: &Value) -> Option<()> {
    let line = event.to_string() + "\n";
    connection.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes()).ok()
}

fn relay(pod: &Pod) -> Relay<'_> {
    let path = pod.state.path().join("kubeconfig");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": format!("http://{NODE}:8080")}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "relay"}}],
        "users": [{"name": "relay", "user": {"token": "test"}}]});
    fs::write(&path, config.to_string()).unwrap();
    pod.launch_with(&["--watch"], &[("KUBECONFIG", path.to_str().unwrap().to_owned())])
}

fn sequence(relay: &Relay<'_>) -> u64 {
    relay.state()["revision"]["sequence"].as_u64().unwrap_or(0)
}

fn two() -> [mape::DomainConfig; 2] {
    [isp_a(), domain("isp-b", BR, &[OTHER])]
}

/// Domains whose packed form needs several ConfigMaps.
fn many() -> Vec<mape::DomainConfig> {
    let noise =
        |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let rule = |number: u64| mape::RuleConfig {
        name: format!("{:016x}", noise(number)),
        ipv4_prefix: ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::from_bits(0x1400_0000 + number as u32), 32),
        mape_prefix: ipnet::Ipv6Net::new_assert(
            (0x2a00 << 112 | u128::from(noise(number)) << 40 | u128::from(noise(number + 1) >> 24)).into(),
            128,
        ),
        ea_bits_length: 0,
        psid_offset: 0,
        psid_length: Some(0),
        psid: None,
    };
    let many = (0..40).map(|at: u64| {
        let mut config = domain(&format!("many-{at:02}"), BR, &[]);
        config.rules = (at * 1000..at * 1000 + 1000).map(rule).collect();
        // Nobody announces forty thousand routes in a test.
        config.options.advertise.auto_route = mape::options::Toggle::Disabled;
        config
    });
    [isp_a()].into_iter().chain(many).collect()
}

#[test]
fn changes_come_by_a_watch_of_the_named_objects_only() {
    let pod = Pod::new();
    let server = Server::start(&pod);
    let relay = relay(&pod);
    relay.until("nothing yet", |relay| relay.get("/state").is_some_and(|(_, state)| state.contains("\"NoRevision\"")));
    server.put(&revision(1, &[isp_a()]));
    relay.until("ready", Relay::is_ready);
    assert_eq!(relay.state()["revision"]["source"], "Api");
    assert!(pod.crosses());
    server.put(&revision(2, &two()));
    relay.until("second", |relay| sequence(relay) == 2);
    assert_eq!(relay.metric("culvert_api_away_seconds"), 0);
    for (verb, name) in server.asked() {
        assert!(["list", "watch"].contains(&verb.as_str()) && name == "default-revision", "{verb} {name}");
    }
}

#[test]
fn a_revision_of_several_objects_is_taken_when_all_are_there() {
    let pod = Pod::new();
    let server = Server::start(&pod);
    server.put(&revision(1, &[isp_a()]));
    let relay = relay(&pod).ready();
    let large = revision(2, &many());
    let objects = encode(&large).unwrap();
    assert!(objects.len() > 2, "{}", objects.len());
    let (index, chunks) = objects.split_first().unwrap();
    server.put_object(index);
    relay.until("incomplete", |relay| relay.state()["revisionError"]["reason"] == "Incomplete");
    assert!(sequence(&relay) == 1 && pod.crosses());
    chunks.iter().for_each(|chunk| server.put_object(chunk));
    relay.until("second", |relay| sequence(relay) == 2);
    assert_eq!(relay.state()["revision"]["rules"], 40_001);
    assert!(pod.crosses());
    // A smaller one leaves objects behind, which nobody reads any more.
    server.put(&revision(3, &[isp_a()]));
    relay.until("third", |relay| sequence(relay) == 3);
    assert_eq!(relay.state()["revisionError"], Value::Null);
}

#[test]
fn it_forwards_on_while_the_api_server_is_away_and_through_a_restart() {
    let pod = Pod::new();
    let server = Server::start(&pod);
    server.put(&revision(1, &two()));
    let first = relay(&pod).ready();
    server.refuse(true);
    first.until("away", |relay| !relay.state()["apiAway"].is_null());
    assert!(first.is_ready() && pod.crosses());
    assert!(first.state()["apiAway"]["since"].as_str().unwrap().ends_with('Z'));
    drop(first);
    let second = relay(&pod).ready();
    assert_eq!((sequence(&second), second.state()["revision"]["source"].as_str()), (1, Some("LastGood")));
    assert!(pod.crosses());
    server.put(&revision(2, &[isp_a()]));
    server.refuse(false);
    second.until("back", |relay| sequence(relay) == 2 && relay.state()["apiAway"].is_null());
    assert_eq!(second.state()["revision"]["source"], "Api");
}

#[test]
fn a_watch_that_is_gone_is_begun_again_and_misses_nothing() {
    let pod = Pod::new();
    let server = Server::start(&pod);
    server.put(&revision(1, &[isp_a()]));
    let relay = relay(&pod).ready();
    for number in 2..5 {
        // 410 Gone, with a change in between.
        server.put(&revision(number * 2, &two()));
        server.compact();
        server.put(&revision(number * 2 + 1, &[isp_a()]));
        relay.until("taken", |relay| sequence(relay) == number * 2 + 1);
    }
    // Objects that are deleted take nothing away.
    server.delete("default-revision");
    server.cut();
    server.put(&revision(20, &two()));
    relay.until("taken", |relay| sequence(relay) == 20);
    server.delete("default-revision");
    server.cut();
    server.put(&revision(3, &[isp_a()]));
    relay.until("older", |relay| relay.state()["revisionError"]["reason"] == "Older");
    assert!(sequence(&relay) == 20 && pod.crosses());
}
