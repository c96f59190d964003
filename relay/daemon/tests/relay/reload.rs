//! Manifests that change while the relay runs.

use crate::node::{BR, Node, Relay, isp_a, manifest};

const OTHER_BR: &str = "3001:db8:eeee::1";
const FAILURES: &str = "culvert_config_reload_failures_total";

fn isp_bb() -> String {
    manifest("isp-bb", OTHER_BR, "67.91.206.0/24", "")
}

fn hash(relay: &Relay<'_>) -> String {
    relay.state()["config"]["hash"].as_str().unwrap().to_owned()
}

/// Waits until the relay works by other manifests.
fn changed(relay: &Relay<'_>, before: &str) {
    relay.until("other manifests", |relay| hash(relay) != before);
}

#[test]
fn routes_come_and_go_with_their_domains() {
    let node = Node::new();
    node.write("isp-a.yaml", &isp_a());
    let relay = node.relay(&[]);
    let before = node.picture();
    let first = hash(&relay);
    node.write("isp-bb.yaml", &isp_bb());
    changed(&relay, &first);
    relay.until("route", |_| !node.ip("route show 67.91.206.0/24").is_empty());
    relay.until("route", |_| !node.ip(&format!("-6 route show {OTHER_BR}")).is_empty());
    std::fs::remove_file(node.folder.path().join("isp-bb.yaml")).unwrap();
    relay.until("back", |relay| hash(relay) == first);
    assert_eq!(node.picture(), before);
    assert_eq!(relay.metric("culvert_config_reloads_total"), 2);
}

#[test]
fn a_domains_own_source_becomes_an_address_and_the_routes_source() {
    let node = Node::new();
    node.write("isp-a.yaml", &isp_a());
    let relay = node.relay(&[]);
    let before = hash(&relay);
    node.write("isp-a.yaml", &manifest("isp-a", BR, "67.91.205.0/24", "  icmp: {ipv4Source: 198.51.100.7}\n"));
    changed(&relay, &before);
    relay.until("source", |_| node.ip("route show 67.91.205.0/24").contains("src 198.51.100.7"));
    assert!(node.ip("-br address show dev culvert0").contains("198.51.100.7/32"));
    let before = hash(&relay);
    node.write("isp-a.yaml", &isp_a());
    changed(&relay, &before);
    relay.until("gone", |_| !node.ip("-br address show dev culvert0").contains("198.51.100.7/32"));
    assert!(node.ip("route show 67.91.205.0/24").contains("src 192.0.0.8"));
}

#[test]
fn bad_manifests_are_refused_and_told_of_until_they_are_mended() {
    let node = Node::new();
    node.write("isp-a.yaml", &isp_a());
    let relay = node.relay(&[]);
    let before = (hash(&relay), node.picture());
    for bad in [manifest("isp-a", BR, "67.91.205.0/24", "  mtu: {v6: 1}\n  hairpin: Maybe\n"), String::new()] {
        let failures = relay.metric(FAILURES);
        node.write("isp-a.yaml", &bad);
        relay.until("refused", |relay| relay.metric(FAILURES) == failures + 1);
        assert!(!relay.state()["config"]["lastError"]["errors"].as_array().unwrap().is_empty());
        assert_eq!(relay.metric("culvert_config_last_reload_successful"), 0);
        assert_eq!((hash(&relay), node.picture()), before);
        assert!(relay.is_ready());
    }
    node.write("isp-a.yaml", &isp_a());
    relay.until("mended", |relay| relay.metric("culvert_config_last_reload_successful") == 1);
    assert!(relay.state()["config"]["lastError"].is_null());
}

#[test]
fn a_new_prefix_that_has_a_route_already_is_refused() {
    let node = Node::new();
    node.write("isp-a.yaml", &isp_a());
    let relay = node.relay(&[]);
    node.ip("route add 67.91.206.0/24 via 198.51.100.2");
    let before = (hash(&relay), node.picture());
    node.write("isp-bb.yaml", &isp_bb());
    relay.until("refused", |relay| relay.metric(FAILURES) == 1);
    assert!(
        relay.state()["config"]["lastError"]["errors"][0].as_str().unwrap().contains("67.91.206.0/24 of test/isp-bb")
    );
    assert_eq!((hash(&relay), node.picture()), before);
    node.ip("route delete 67.91.206.0/24");
    relay.signal("HUP");
    relay.until("taken", |_| node.ip("route show 67.91.206.0/24").contains("dev culvert0"));
}

#[test]
fn counters_outlive_a_reload() {
    const FORWARDED: &str = r#"culvert_forwarded_packets_total{direction="to_ce",domain="isp-a",namespace="test"}"#;
    let node = Node::new();
    node.write("isp-a.yaml", &isp_a());
    let relay = node.relay(&[]);
    node.send_udp("67.91.205.2:6600");
    relay.until("counted", |relay| relay.metric(FORWARDED) == 1);
    let before = hash(&relay);
    node.write("isp-a.yaml", &manifest("isp-a", BR, "67.91.205.0/24", "  mtu: {v6: 1400}\n"));
    changed(&relay, &before);
    node.send_udp("67.91.205.2:6600");
    relay.until("counted on", |relay| relay.metric(FORWARDED) == 2);
}
