//! A relay that starts, forwards and ends.

use crate::node::{BR, Node, Relay, isp_a, manifest};

const FORWARDED: &str = r#"culvert_forwarded_packets_total{direction="to_ce",domain="isp-a",namespace="test"}"#;

#[test]
fn it_leads_prefixes_and_br_address_to_the_tun_and_leaves_nothing_behind() {
    let node = Node::new();
    node.write("isp-a.yaml", &isp_a());
    let before = node.picture();
    let relay = node.relay(&["--ipv4-source", "198.51.100.100"]);
    assert_eq!(
        node.ip("route show 67.91.205.0/24").trim(),
        "67.91.205.0/24 dev culvert0 proto 97 scope link src 198.51.100.100"
    );
    assert!(node.ip(&format!("-6 route show {BR}")).starts_with(&format!("{BR} dev culvert0 proto 97")));
    let link = node.ip("-d link show culvert0");
    for setting in ["mtu 65535", "qlen 10000", "addrgenmode none", "multi_queue", "persist off"] {
        assert!(link.contains(setting), "{setting} in {link}");
    }
    assert_eq!(node.ip("-6 -br address show dev culvert0").trim(), "", "no link-local address");
    let (status, log) = relay.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(node.picture(), before);
}

#[test]
fn a_packet_crosses_and_is_counted_everywhere() {
    let node = Node::new();
    node.write("isp-a.yaml", &isp_a());
    let relay = node.relay(&[]);
    node.send_udp("67.91.205.2:6600");
    relay.until("counted", |relay| relay.metric(FORWARDED) == 1);
    let state = relay.state();
    assert_eq!(state["domains"][0]["forwarded"]["to_ce"]["packets"], 1, "{state}");
    assert_eq!(state["unattributed"]["dropped"], serde_json::json!({}), "the kernel talks into the TUN");
    assert_eq!(state["domains"][0]["softwireAddress"], BR);
    assert_eq!(state["workers"].as_array().unwrap().len(), 2);
    assert_eq!(relay.get("/livez").unwrap().0, 200);
    assert_eq!(relay.get("/").unwrap().0, 200);
    assert_eq!(relay.get("/nothing").unwrap().0, 404);
}

#[test]
fn json_logs_are_json_and_name_what_was_set() {
    let node = Node::new();
    node.write("isp-a.yaml", &isp_a());
    let (_, log) = node.relay(&["--log-format", "json"]).stop();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let started = lines.iter().find(|line| line["message"] == "forwarding").unwrap();
    assert_eq!(started["tun"], "culvert0");
    assert_eq!(started["domains"], 1);
}

/// Its address is one of ours, where nobody listens.
#[test]
fn a_collector_that_is_away_costs_one_line() {
    let node = Node::new();
    node.write("isp-a.yaml", &isp_a());
    let before = node.picture();
    let wrapper = ["env", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317", "OTEL_METRIC_EXPORT_INTERVAL=20"];
    let relay = node.launch(&wrapper, &[]).ready();
    relay.until("complains", |relay| relay.log().contains("metrics do not reach the collector"));
    node.send_udp("67.91.205.2:6600");
    relay.until("counted", |relay| relay.metric(FORWARDED) == 1);
    let (status, log) = relay.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(log.matches("metrics do not reach the collector").count(), 1, "{log}");
    assert_eq!(node.picture(), before);
}

#[test]
fn a_domain_without_auto_route_gets_no_routes_and_is_served_all_the_same() {
    let node = Node::new();
    node.write("isp-a.yaml", &manifest("isp-a", BR, "67.91.205.0/24", "  advertise: {autoRoute: Disabled}\n"));
    let relay = node.relay(&[]);
    assert_eq!(node.ip("route show 67.91.205.0/24"), "");
    node.ip("route add 67.91.205.0/24 dev culvert0");
    node.send_udp("67.91.205.2:6600");
    relay.until("counted", |relay| relay.metric(FORWARDED) == 1);
}

#[test]
fn what_somebody_else_removes_comes_back() {
    let node = Node::new();
    node.write("isp-a.yaml", &isp_a());
    let relay = node.relay(&["--route-table", "7597"]);
    let before = node.picture();
    node.ip("link set culvert0 down");
    node.ip("rule delete pref 7597");
    relay.until("not ready", |relay| !relay.is_ready());
    node.ip("link set culvert0 up");
    relay.until("back", Relay::is_ready);
    assert_eq!(node.picture(), before);
    node.ip("address flush dev culvert0");
    relay.until("routes again", |_| node.picture() == before);
}

#[test]
fn a_tun_that_somebody_deletes_ends_the_relay() {
    let node = Node::new();
    node.write("isp-a.yaml", &isp_a());
    let relay = node.relay(&[]);
    node.ip("link delete culvert0");
    let (status, log) = relay.end();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("the TUN device is gone"), "{log}");
}

/// Not root, no capability but CAP_NET_ADMIN; `/dev/net/tun` open to all as distributions have it. The program is
/// copied to where everybody may read it, wherever the checkout is.
const NOBODY: &str = "
    mount -t tmpfs -o mode=755 tmpfs /mnt
    cp \"$1\" /mnt/culvert-relay
    shift
    mknod -m 666 /mnt/tun c 10 200
    mount --bind /mnt/tun /dev/net/tun
    exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --bounding-set=-all,+net_admin \
        --inh-caps=-all,+net_admin --ambient-caps=-all,+net_admin -- /mnt/culvert-relay \"$@\"";

#[test]
fn cap_net_admin_is_enough() {
    let node = Node::new();
    node.share(&node.write("isp-a.yaml", &isp_a()));
    let before = node.picture();
    for flags in [&[][..], &["--route-table", "7597"]] {
        let relay = node.launch(&["unshare", "--mount", "sh", "-ec", NOBODY, "sh"], flags).ready();
        let status = std::fs::read_to_string(format!("/proc/{}/status", relay.id())).unwrap();
        assert!(status.contains("CapEff:\t0000000000001000") && status.contains("Uid:\t65534\t65534"), "{status}");
        node.send_udp("67.91.205.2:6600");
        relay.until("counted", |relay| relay.metric(FORWARDED) == 1);
        let (status, log) = relay.stop();
        assert_eq!(status.code(), Some(0), "{status}: {log}");
        assert!(!log.contains("WARN"), "{log}");
        assert_eq!(node.picture(), before);
    }
}
