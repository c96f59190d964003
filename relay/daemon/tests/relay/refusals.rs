//! What a relay does not start with: a sentence, an exit code, and nothing left behind.

use crate::node::{ADMIN, BR, Node, isp_a, manifest};

const HOST: i32 = 4;
const MANIFESTS: i32 = 3;

/// The relay ends by itself, with this exit code and one line of log that has these words in it; the box stays as it was.
fn refused(node: &Node, wrapper: &[&str], flags: &[&str], code: i32, words: &[&str]) {
    let before = node.picture();
    let (status, log) = node.launch(wrapper, flags).end();
    assert_eq!(status.code(), Some(code), "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
    for word in words {
        assert!(log.contains(word), "{word} in {log}");
    }
    assert_eq!(node.picture(), before);
}

fn node() -> Node {
    let node = Node::new();
    node.write("isp-a.yaml", &isp_a());
    node
}

#[test]
fn forwarding_off() {
    let node = node();
    node.sysctl("net.ipv4.ip_forward", 0);
    refused(&node, &[], &[], HOST, &["IPv4 forwarding is off", "sysctl -w net.ipv4.ip_forward=1"]);
    node.sysctl("net.ipv6.conf.all.forwarding", 0);
    refused(&node, &[], &[], HOST, &["net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"]);
}

#[test]
fn no_capability() {
    let wrapper = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", "--"];
    refused(&node(), &wrapper, &[], HOST, &["CAP_NET_ADMIN is missing"]);
}

#[test]
fn a_tun_of_that_name() {
    let node = node();
    let first = node.relay(&[]);
    refused(&node, &[], &["--admin", "127.0.0.1:9109"], HOST, &["culvert0"]);
    assert!(first.is_ready());
    drop(first);
    node.ip("tuntap add culvert0 mode tun multi_queue");
    refused(&node, &[], &[], HOST, &["there is an interface culvert0 already", "ip link delete culvert0"]);
    refused(&node, &[], &["--tun-name", "inet"], HOST, &["there is an interface inet already"]);
}

#[test]
fn a_collector_without_an_address() {
    let wrapper = ["env", "OTEL_EXPORTER_OTLP_ENDPOINT=collector:4317"];
    refused(&node(), &wrapper, &[], HOST, &["OTEL_EXPORTER_OTLP_ENDPOINT=collector:4317", "http://HOST:PORT"]);
}

#[test]
fn a_busy_port() {
    let node = node();
    let listener = node.inside(|| std::net::TcpListener::bind(ADMIN).unwrap());
    refused(&node, &[], &[], HOST, &[ADMIN, "in use"]);
    drop(listener);
}

#[test]
fn a_route_that_is_there() {
    let node = node();
    for route in ["67.91.205.0/24 via 198.51.100.2 dev inet metric 50", "blackhole 67.91.205.0/24"] {
        node.ip(&format!("route add {route}"));
        refused(
            &node,
            &[],
            &[],
            HOST,
            &["67.91.205.0/24 of test/isp-a has a route already, in table main", "proto boot"],
        );
        node.ip(&format!("route delete {route}"));
    }
    node.ip(&format!("-6 route add {BR} via 2001:db8:1::2"));
    refused(&node, &[], &[], HOST, &[BR, "via 2001:db8:1::2 dev core"]);
    node.relay(&["--route-table", "7597"]).stop();
}

#[test]
fn a_br_address_of_the_box() {
    let node = node();
    node.ip(&format!("address add {BR}/128 dev core nodad"));
    refused(&node, &[], &[], HOST, &[BR, "is an address of this box (dev core)"]);
}

#[test]
fn a_customers_address_as_source() {
    refused(
        &node(),
        &[],
        &["--ipv4-source", "67.91.205.9"],
        HOST,
        &["--ipv4-source 67.91.205.9", "rule r1 in test/isp-a"],
    );
}

#[test]
fn bad_manifests() {
    let node = node();
    node.write("isp-a.yaml", &manifest("isp-a", BR, "67.91.205.0/24", "  mtu: {v6: 1279}\n"));
    refused(&node, &[], &[], MANIFESTS, &["isp-a.yaml:", "spec.mtu.v6"]);
    node.write("isp-a.yaml", "");
    refused(&node, &[], &[], MANIFESTS, &["isp-a.yaml", "no MapDomain"]);
    std::fs::remove_file(node.folder.path().join("isp-a.yaml")).unwrap();
    refused(&node, &[], &[], MANIFESTS, &["no *.yaml"]);
    node.write("other.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: other}}");
    refused(&node, &[], &[], MANIFESTS, &["no MapDomain or BorderRelay in"]);
    // A fleet is read and checked, and says nothing to forward by.
    node.write("other.yaml", include_str!("../../../../deploy/examples/fleet.yaml"));
    refused(&node, &[], &[], MANIFESTS, &["no MapDomain in"]);
    std::fs::remove_file(node.folder.path().join("other.yaml")).unwrap();
    node.write("isp-a.yaml", &isp_a());
    refused(&node, &[], &["--config", "/nonexistent.yaml"], MANIFESTS, &["/nonexistent.yaml"]);
}
