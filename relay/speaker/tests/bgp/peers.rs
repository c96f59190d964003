//! Sessions, and who hears of them.

use std::process::Command;

use serde_json::json;

use crate::{
    lab::{Lab, POD4, POD6, ROUTER4, run, until},
    router::{Router, neighbour_with},
    speaker::{BR_PREFIX, Files, PREFIX, Speaker, bgp, both, is_there, isp_a, peer},
};

#[test]
fn the_relay_and_the_operator_hear_of_sessions() {
    let lab = Lab::new();
    let router = Router::start(&lab);
    let mut files = Files::new(&lab);
    let speaker = Speaker::start(&lab);
    assert_eq!(speaker.get("/startupz").0, "503");
    let mut relay = speaker.listen();
    assert_eq!(relay.next()["peers"], json!([]), "no fleet yet");
    assert_eq!(speaker.state()["readyReasons"], json!(["NoFleet", "NoRevision"]));
    files.fleet(&both());
    files.revision(vec![isp_a()]);
    let line = relay.until_all("up", true);
    let mut v4 = line["peers"][0].clone();
    assert!(v4["since"].as_str().unwrap().ends_with('Z'), "{v4}");
    v4["since"].take();
    let wanted = json!({"name": "tor1-v4", "interface": "net1", "address": ROUTER4, "port": 179, "families": ["IPv4"],
                        "session": "Established", "bfd": "Up", "up": true, "since": null});
    assert_eq!(v4, wanted);
    assert_eq!(line["peers"][1]["families"], json!(["IPv6"]));
    // A heartbeat, though nothing changes.
    let (one, other) = (relay.next(), relay.next());
    assert_eq!(one["sequence"], other["sequence"]);
    let state = speaker.until_ready();
    assert_eq!((&state["fleetGeneration"], &state["revision"]["sequence"]), (&json!(1), &json!(1)));
    assert_eq!((&state["bird"]["version"], &state["bird"]["running"]), (&json!(installed_bird()), &json!(true)));
    assert_eq!(
        (&state["pod"], &state["node"], &state["draining"]),
        (&json!("default-1"), &json!("node1"), &json!(false))
    );
    assert_eq!([speaker.get("/readyz").0, speaker.get("/livez").0, speaker.get("/startupz").0], ["200", "200", "200"]);
    // A long poll is answered by the next change.
    let after = state["stateSequence"].as_u64().unwrap();
    lab.route(PREFIX, "");
    let (_, body) = speaker.get(&format!("/state?after={after}"));
    assert!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["stateSequence"].as_u64().unwrap() > after);
    assert!(router.neighbour(POD4)["remoteRouterId"].as_str().is_some_and(|id| id != "0.0.0.0"));
    let labels = format!("{{address=\"{ROUTER4}\",interface=\"net1\",peer=\"tor1-v4\"}}");
    assert_eq!(speaker.metric(&format!("culvert_bgp_session_up{labels}")), "1");
    assert_eq!(speaker.metric(&format!("culvert_bfd_session_up{labels}")), "1");
}

/// The relay hears of the port before there is a session: it has to let the router's answers in.
#[test]
fn a_router_may_listen_at_another_port() {
    let lab = Lab::new();
    // It never calls.
    let lines = neighbour_with(POD4, "remote-as 64512", "ipv4", &["bfd profile fast", "passive"]);
    let router = Router::listening(&lab, "64500", &lines, 1179);
    let mut files = Files::new(&lab);
    files.fleet(&bgp(&[peer("tor1-v4", ROUTER4, &json!({"port": 1180}))]));
    files.revision(vec![isp_a()]);
    let speaker = Speaker::start(&lab);
    let mut relay = speaker.listen();
    let line = relay.until_all("nobody at that port", false);
    assert_eq!(line["peers"][0]["port"], 1180);
    files.fleet(&bgp(&[peer("tor1-v4", ROUTER4, &json!({"port": 1179}))]));
    let line = relay.until_all("up", true);
    assert_eq!(line["peers"][0]["port"], 1179);
    router.until_session(POD4);
}

#[test]
fn bird_that_is_killed_is_started_again_and_its_peers_are_down_meanwhile() {
    let lab = Lab::new();
    let router = Router::start(&lab);
    Files::of_isp_a(&lab);
    lab.route(PREFIX, "");
    let speaker = Speaker::start(&lab);
    let mut relay = speaker.listen();
    relay.until_all("up", true);
    router.until_path(PREFIX, |_| true);
    let before = speaker.bird();
    run("kill", &["-KILL", &before.to_string()]);
    let line = relay.until_all("down after kill -9 of BIRD", false);
    assert_eq!(line["peers"][0]["session"], "Down");
    relay.until_all("up again", true);
    router.until_path(PREFIX, |_| true);
    assert_ne!(speaker.bird(), before);
    assert_eq!(speaker.metric("culvert_bgp_bird_starts_total"), "2");
}

#[test]
fn bird_ends_with_its_speaker() {
    let lab = Lab::new();
    let router = Router::start(&lab);
    Files::of_isp_a(&lab);
    lab.route(PREFIX, "");
    let speaker = Speaker::start(&lab);
    router.until_path(PREFIX, |_| true);
    let bird = speaker.bird();
    speaker.signal("KILL");
    until("BIRD has ended", || (!is_there(bird)).then_some(()), || bird);
    router.until_no_path(PREFIX);
    speaker.end();
}

/// Over IPv6 link-local addresses, with everything: BFD, MD5, GTSM, IPv4 by RFC 8950.
#[test]
fn a_router_on_a_link_without_addresses_calls() {
    let lab = Lab::new();
    for address in [&format!("{POD4}/24"), &format!("{POD6}/64")] {
        lab.in_pod(&format!("address del {address} dev net1"));
    }
    lab.in_router("address flush dev eth1 scope global");
    let more = ["bfd profile fast", "password horse", "ttl-security hops 1"];
    let router =
        Router::configured(&lab, "64500", &neighbour_with("eth1", "interface remote-as 64512", "ipv4 ipv6", &more));
    let mut files = Files::new(&lab);
    files.password("key", "horse");
    let unnumbered = json!({"name": "tor1", "interface": "net1", "peerASN": 64500, "extendedNextHop": "Enabled",
                            "ttlSecurity": "Enabled", "passwordSecretRef": {"name": "bgp", "key": "key"}});
    files.fleet(&bgp(&[unnumbered]));
    files.revision(vec![isp_a()]);
    let speaker = Speaker::start(&lab);
    let line = speaker.listen().until_all("up", true);
    let peer = &line["peers"][0];
    assert!(peer["address"].as_str().unwrap().starts_with("fe80::"), "{peer}");
    assert_eq!((&peer["name"], &peer["families"]), (&json!("tor1"), &json!(["IPv4", "IPv6"])));
    lab.route(PREFIX, "");
    lab.route(BR_PREFIX, "");
    router.until_path(PREFIX, |_| true);
    router.until_path(BR_PREFIX, |_| true);
    let kernel = || run("ip", &["-n", &lab.router, "route", "show", PREFIX]);
    until("kernel route", || kernel().contains("via inet6 fe80::").then_some(()), kernel);
    // Its advertisements give nobody an address or a default route.
    let global = run("ip", &["-n", &lab.router, "-6", "address", "show", "dev", "eth1", "scope", "global"]);
    assert_eq!(global, "");
}

#[test]
fn what_keeps_a_session_away_is_told() {
    let lab = Lab::new();
    let mut files = Files::new(&lab);
    files.fleet(&bgp(&[peer("nowhere", "203.0.113.1", &json!({})), peer("tor1", ROUTER4, &json!({}))]));
    files.revision(vec![isp_a()]);
    let speaker = Speaker::start(&lab);
    let state = speaker.until("obstacle", |state| state["obstacles"][0]["reason"] == "NoWayToPeer");
    assert_eq!(state["sessions"].as_array().unwrap().len(), 1);
    // Addresses come and go.
    lab.in_pod("address add 203.0.113.7/24 dev net1");
    speaker.until("mended", |state| state["obstacles"] == json!([]) && state["sessions"][0]["peer"] == "nowhere");
    lab.in_pod("address del 203.0.113.7/24 dev net1");
    speaker.until("again", |state| state["obstacles"][0]["reason"] == "NoWayToPeer");
    assert_eq!(speaker.state()["readyReasons"], json!(["IPv4SessionsDown"]));
}

/// The version of the BIRD that is here, by its own words; they are on standard error.
fn installed_bird() -> String {
    let path = format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap());
    let said = Command::new("bird").env("PATH", path).arg("--version").output().unwrap().stderr;
    String::from_utf8(said).unwrap().trim().rsplit(' ').next().unwrap().to_owned()
}
