//! What the relay's routes say, and what routers hear.

use serde_json::{Value, json};

use crate::{
    lab::{Lab, POD4, POD6, ROUTER4, run},
    router::{Router, neighbour, neighbour_with},
    speaker::{
        BR, BR_PREFIX, Files, PREFIX, Speaker, bgp, both_without_bfd, domain, is_there, isp_a, peer, without_bfd,
    },
};

const OTHER: &str = "192.0.2.128/25";

fn communities(path: &Value) -> String {
    path["community"]["string"].as_str().unwrap_or_default().to_owned()
}

fn is_graceful_shutdown(path: &Value) -> bool {
    communities(path).contains("graceful-shutdown")
}

#[test]
fn a_routes_metric_says_what_is_announced() {
    let lab = Lab::new();
    let router = Router::without_bfd(&lab);
    let mut files = Files::new(&lab);
    files.fleet(&both_without_bfd());
    files.revision(vec![domain("isp-a", BR, &[PREFIX, OTHER], &["64512:200", "65535:65281", "4200000000:1:2"])]);
    let speaker = Speaker::start(&lab);
    let mut relay = speaker.listen();
    relay.until_all("up", true);
    speaker.until_ready();
    assert_eq!(router.prefixes(), Vec::<String>::new());
    lab.route(PREFIX, "");
    lab.route(OTHER, "metric 7597");
    lab.route(BR_PREFIX, "");
    let path = router.until_path(PREFIX, |path| !is_graceful_shutdown(path));
    assert_eq!(communities(&path), "64512:200 no-export");
    assert_eq!(path["largeCommunity"]["string"], "4200000000:1:2");
    router.until_path(BR_PREFIX, |path| !is_graceful_shutdown(path));
    // The new route is added before the old one goes.
    lab.route(PREFIX, "metric 8326");
    lab.unroute(PREFIX, 0);
    router.until_path(PREFIX, is_graceful_shutdown);
    lab.route(BR_PREFIX, "metric 8326");
    lab.unroute(BR_PREFIX, 1024);
    router.until_path(BR_PREFIX, is_graceful_shutdown);
    lab.route(PREFIX, "metric 7597");
    router.until_no_path(PREFIX);
    lab.route(PREFIX, "");
    router.until_path(PREFIX, |path| !is_graceful_shutdown(path));
    assert_eq!(router.path(OTHER), None, "local only");
    let announced = json!({"IPv4": [PREFIX], "IPv6": [BR_PREFIX]});
    let state = speaker.until("announced", |state| state["announced"] == announced);
    assert_eq!(state["wanted"], json!({"IPv4": 2, "IPv6": 1}));
    assert_eq!(speaker.metric("culvert_bgp_announced_prefixes{family=\"IPv4\"}"), "1");
    // The relay dies: its TUN goes, and its routes with it.
    lab.in_pod("link del culvert0");
    router.until_no_path(PREFIX);
    router.until_no_path(BR_PREFIX);
    speaker.until("nothing announced", |state| state["announced"] == json!({"IPv4": [], "IPv6": []}));
}

#[test]
fn a_relay_that_was_taken_over_announces_no_more_than_the_fleet_has() {
    let lab = Lab::new();
    let router = Router::without_bfd(&lab);
    let mut files = Files::new(&lab);
    files.fleet(&both_without_bfd());
    // A domain outside of what the fleet is allowed: whoever wrote the revision was taken over, too.
    files.revision(vec![isp_a(), domain("evil", "2001:db8:6666::1", &["198.18.0.0/24"], &[])]);
    let speaker = Speaker::start(&lab);
    speaker.until_ready();
    for prefix in
        ["0.0.0.0/0", "192.0.2.0/24", "192.0.2.0/26", "198.18.0.0/24", "8.8.8.0/24", "::/0", "2001:db8:ffff::/48"]
    {
        lab.route(prefix, "");
    }
    for prefix in ["2001:db8:6666::1/128", "2001:db8:ffff::2/128"] {
        lab.route(prefix, "");
    }
    // Somebody else's route for what the fleet does have.
    lab.in_pod(&format!("route add {BR_PREFIX} dev culvert0 table 4646 proto 4"));
    // Announced last: when this is there, all that was before would be.
    lab.route(PREFIX, "");
    router.until_path(PREFIX, |_| true);
    speaker.until("learnt", |state| state["announced"]["IPv4"] == json!([PREFIX]));
    assert_eq!(router.prefixes(), [PREFIX]);
}

#[test]
fn prefixes_change_and_bird_stays() {
    let lab = Lab::new();
    let router = Router::without_bfd(&lab);
    let mut files = Files::without_bfd(&lab);
    let speaker = Speaker::start(&lab);
    speaker.until_ready();
    let (bird, since) = (speaker.bird(), speaker.state()["sessions"][0]["since"].clone());
    for prefix in [PREFIX, OTHER, BR_PREFIX] {
        lab.route(prefix, "");
    }
    router.until_path(PREFIX, |_| true);
    assert_eq!(router.path(OTHER), None);
    for round in 0..3 {
        files.revision(vec![domain("isp-a", BR, &[OTHER], &["64512:7"])]);
        router.until_path(OTHER, |path| communities(path) == "64512:7");
        router.until_no_path(PREFIX);
        files.revision(vec![isp_a()]);
        router.until_path(PREFIX, |_| true);
        router.until_no_path(OTHER);
        speaker.until("taken", |state| state["revision"]["sequence"] == 3 + round * 2);
    }
    // Attributes of a peer, too.
    files.fleet(&bgp(&[
        peer("tor1-v4", ROUTER4, &json!({"med": 77, "asPathPrepend": 2, "bfd": {"mode": "Disabled"}})),
        peer("tor1-v6", crate::lab::ROUTER6, &without_bfd()),
    ]));
    let path = router.until_path(PREFIX, |path| path["metric"] == 77);
    assert_eq!(path["aspath"]["string"], "64512 64512 64512");
    assert_eq!(speaker.until("fleet", |state| state["fleetGeneration"] == 2)["sessions"][0]["since"], since);
    assert_eq!(speaker.bird(), bird);
    assert!(is_there(bird));
    assert_eq!(speaker.metric("culvert_bgp_bird_starts_total"), "1");
    assert_eq!(speaker.metric("culvert_bgp_configure_total{result=\"refused\"}"), "0");
}

/// The relay has both shapes for a while; the filter has too, and lets both go with the relay's routes.
#[test]
fn an_aggregate_and_its_rules_replace_each_other_without_a_gap() {
    const AGGREGATE: &str = "192.0.2.0/24";
    let lab = Lab::new();
    let router = Router::without_bfd(&lab);
    let mut files = Files::new(&lab);
    let plain = || domain("isp-a", BR, &[PREFIX, OTHER], &["64512:7"]);
    let aggregated = || {
        let mut domain = plain();
        domain.config.options.advertise.ipv4_aggregates = vec![AGGREGATE.parse().unwrap()];
        domain
    };
    files.fleet(&both_without_bfd());
    files.revision(vec![plain()]);
    let speaker = Speaker::start(&lab);
    speaker.until_ready();
    for prefix in [PREFIX, OTHER, BR_PREFIX] {
        lab.route(prefix, "");
    }
    router.until_path(PREFIX, |_| true);
    for (shape, sequence) in [(aggregated(), 2), (plain(), 3), (aggregated(), 4)] {
        let (new, old): (&[&str], &[&str]) =
            if sequence == 3 { (&[PREFIX, OTHER], &[AGGREGATE]) } else { (&[AGGREGATE], &[PREFIX, OTHER]) };
        files.revision(vec![shape]);
        // The relay has not read it yet.
        let wanted = new.len();
        speaker.until("taken", |state| {
            state["revision"]["sequence"] == sequence && state["wanted"] == json!({"IPv4": wanted, "IPv6": 1})
        });
        for prefix in old {
            assert!(router.path(prefix).is_some(), "{prefix} is announced as long as the relay has it");
        }
        new.iter().for_each(|prefix| lab.route(prefix, ""));
        for prefix in new {
            router.until_path(prefix, |path| communities(path) == "64512:7");
        }
        for prefix in old {
            assert_eq!(communities(&router.path(prefix).unwrap()), "64512:7");
            lab.unroute(prefix, 0);
            router.until_no_path(prefix);
        }
    }
}

#[test]
fn internal_bgp_has_local_preferences() {
    let lab = Lab::new();
    let router = Router::configured(&lab, "64512", &neighbour(POD4, "64512", "ipv4"));
    let mut files = Files::new(&lab);
    files.fleet(&bgp(&[peer("inside", ROUTER4, &json!({"peerASN": 64512}))]));
    files.revision(vec![crds::revision::Domain { local_preference: Some(250), ..isp_a() }]);
    let speaker = Speaker::start(&lab);
    lab.route(PREFIX, "");
    let path = router.until_path(PREFIX, |_| true);
    assert_eq!(path["locPrf"], 250);
    lab.route(PREFIX, "metric 8326");
    lab.unroute(PREFIX, 0);
    let path = router.until_path(PREFIX, is_graceful_shutdown);
    assert_eq!(path["locPrf"], 0);
    drop(speaker);
}

/// RFC 8950, and a router several hops away.
#[test]
fn ipv4_goes_over_ipv6_and_further_than_a_segment() {
    let lab = Lab::new();
    // FRR 8.4 has BFD of several hops with a neighbour that it has GTSM with: no BFD here.
    let more = ["capability extended-nexthop", "ttl-security hops 1"];
    let multihop = ["ebgp-multihop 4", "update-source 203.0.113.9"];
    let lines = [
        neighbour_with(POD6, "remote-as 64512", "ipv4 ipv6", &more),
        neighbour_with(POD4, "remote-as 64512", "ipv4", &multihop),
    ];
    lab.in_router("address add 203.0.113.9/32 dev lo");
    lab.in_pod(&format!("route add 203.0.113.9/32 via {ROUTER4}"));
    let router = Router::configured(&lab, "64500", &lines.concat());
    let mut files = Files::new(&lab);
    let extended = json!({"extendedNextHop": "Enabled", "ttlSecurity": "Enabled", "bfd": {"mode": "Disabled"}});
    let far = json!({"multihopTTL": 4, "bfd": {"mode": "Disabled"}});
    files.fleet(&bgp(&[peer("near", crate::lab::ROUTER6, &extended), peer("far", "203.0.113.9", &far)]));
    files.revision(vec![isp_a()]);
    let speaker = Speaker::start(&lab);
    let state = speaker.until("up", |state| {
        state["sessions"].as_array().is_some_and(|all| all.len() == 2 && all.iter().all(|it| it["up"] == true))
    });
    assert_eq!(state["sessions"][0]["families"], json!(["IPv4", "IPv6"]));
    assert_eq!(
        (&state["sessions"][1]["interface"], &state["sessions"][1]["localAddress"]),
        (&json!("net1"), &json!(POD4))
    );
    lab.route(PREFIX, "");
    lab.route(BR_PREFIX, "");
    let hops = |prefix: &str| {
        let table = router.json(&format!("show bgp ipv4 unicast {prefix} json"));
        let paths = table["paths"].as_array().cloned().unwrap_or_default();
        let mut hops: Vec<String> =
            paths.iter().map(|path| path["nexthops"][0]["afi"].as_str().unwrap_or_default().to_owned()).collect();
        hops.sort();
        hops
    };
    crate::lab::until("both next hops", || (hops(PREFIX) == ["ipv4", "ipv6"]).then_some(()), || hops(PREFIX));
    router.until_path(BR_PREFIX, |_| true);
    // The kernel of the router uses them.
    let kernel = || run("ip", &["-n", &lab.router, "route", "show", PREFIX]);
    crate::lab::until("kernel route", || kernel().contains("dev eth1").then_some(()), kernel);
}
