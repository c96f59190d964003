//! The router that docs/scaling.md shows.

use serde_json::json;

use crate::{
    lab::{Lab, POD4, ROUTER4},
    router::Router,
    speaker::{BR, Files, PREFIX, Speaker, bgp, domain, peer},
};

const PAGE: &str = include_str!("../../../../docs/scaling.md");

/// The lines of bfdd and of bgpd: a program refuses those of the other.
fn frr() -> (String, String) {
    let block = PAGE.split_once("\nFRR:\n\n```\n").and_then(|(_, rest)| rest.split_once("```")).unwrap().0;
    let (bfd, bgp) = block.split_at(block.find("ip prefix-list").unwrap());
    assert!(bfd.starts_with("bfd\n") && bgp.contains("router bgp"), "{block}");
    (bfd.to_owned(), bgp.to_owned())
}

#[test]
fn frrs_snippet_takes_what_the_fleet_has_and_nothing_else() {
    let lab = Lab::new();
    let (bfd, bgpd) = frr();
    let router = Router::verbatim(&lab, &bgpd, &bfd, 179);
    let mut files = Files::new(&lab);
    files.fleet(&bgp(&[peer("tor1-v4", ROUTER4, &json!({"ttlSecurity": "Enabled"}))]));
    // The filter of the router's own: a fleet that has more.
    let other = "192.0.2.192/26";
    files.revision(vec![domain("isp-a", BR, &[PREFIX, other], &[])]);
    let speaker = Speaker::start(&lab);
    let mut relay = speaker.listen();
    relay.until_all("up, with BFD and GTSM", true);
    assert_eq!(router.neighbour(POD4)["peerGroup"], "RELAYS");
    lab.route(PREFIX, "");
    router.until_path(PREFIX, |_| true);
    // The router says nothing, and refuses a prefix that its list does not have.
    assert_eq!(router.prefixes(), [PREFIX]);
    router.ask(&["configure terminal", "ip prefix-list FLEET seq 1 deny 192.0.2.192/26"]);
    lab.route(other, "");
    speaker.until("both", |state| state["announced"]["IPv4"] == json!([PREFIX, other]));
    let sent = router.json("show bgp ipv4 unicast summary json");
    let counts = &sent["peers"][POD4];
    assert_eq!((&counts["pfxRcd"], &counts["pfxSnt"]), (&json!(1), &json!(0)), "{sent}");
    assert_eq!(router.prefixes(), [PREFIX]);
}
