//! `--route-table NUMBER`: rules and routes beside the box's own.

use crate::node::{Node, isp_a};

const TABLE: [&str; 2] = ["--route-table", "7597"];

#[test]
fn the_rules_stand_before_local_and_go_in_the_end() {
    let node = Node::new();
    node.write("isp-a.yaml", &isp_a());
    let before = node.picture();
    let relay = node.relay(&TABLE);
    for family in ["-4", "-6"] {
        let rules = node.ip(&format!("{family} rule"));
        let expected = [
            "0:\tfrom all iif culvert0 lookup 7597 proto 97",
            "0:\tfrom all iif culvert0 unreachable proto 97",
            "0:\tfrom all lookup local",
            "7597:\tfrom all lookup 7597 suppress_ifgroup default proto 97",
        ];
        let found: Vec<_> = rules.lines().map(str::trim_end).collect();
        assert_eq!(found[..4], expected, "{family}");
    }
    assert!(node.ip("route show 67.91.205.0/24").is_empty(), "nothing in the main table");
    assert!(node.ip("route get 67.91.205.2").contains("dev culvert0"));
    let (status, log) = relay.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(node.picture(), before);
}

#[test]
fn a_killed_relays_rules_are_adopted() {
    let node = Node::new();
    node.write("isp-a.yaml", &isp_a());
    let before = node.picture();
    let killed = node.relay(&TABLE);
    let rules = node.ip("rule");
    drop(killed);
    let next = node.relay(&TABLE);
    assert_eq!(node.ip("rule"), rules, "no rule twice");
    next.stop();
    assert_eq!(node.picture(), before);
}

#[test]
fn the_boxs_own_traffic_does_not_see_the_tables_next_hops() {
    let node = Node::new();
    node.write("isp-a.yaml", &isp_a());
    node.ip("route add default via 198.51.100.2 table 7597");
    node.ip("route add 192.0.2.0/24 via 198.51.100.3");
    let _relay = node.relay(&TABLE);
    assert!(node.ip("route get 192.0.2.1").contains("via 198.51.100.3"));
    assert!(node.ip("route get 192.0.2.1 from 67.91.205.2 iif culvert0").contains("via 198.51.100.2"));
}
