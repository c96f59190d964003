//! Next hops by what the speaker says, and routes that are announced or not by them.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use mape::options::Toggle;
use serde_json::Value;

use crate::{
    node::Relay,
    pod::{CE, Pod, RULE, domain, isp_a, revision, set_of},
    speaker::{Speaker, peer},
    traffic::during,
};

const ANNOUNCED: [&str; 2] = ["", "1024"];
const LOCAL: [&str; 1] = ["7597"];

/// Long enough for some packets.
const PAUSE: Duration = Duration::from_millis(100);

/// Two routers on each segment: of the same box, which is enough to tell their addresses apart.
fn pod_with_two_routers() -> Pod {
    let pod = Pod::new();
    pod.internet.ip("address add 198.51.100.253/24 dev far");
    pod.core.ip("address add 2001:db8:1::fd/64 dev far nodad");
    pod
}

/// The four sessions of two routers.
fn routers(up: [bool; 4]) -> [Value; 4] {
    [
        peer("tor1", "net1", "198.51.100.254", &["IPv4"], up[0]),
        peer("tor2", "net1", "198.51.100.253", &["IPv4"], up[1]),
        peer("tor1-6", "net2", "2001:db8:1::fe", &["IPv6"], up[2]),
        peer("tor2-6", "net2", "2001:db8:1::fd", &["IPv6"], up[3]),
    ]
}

const ALL_UP: [bool; 4] = [true; 4];

fn launch<'p>(pod: &'p Pod, speaker: &Speaker, flags: &[&str]) -> Relay<'p> {
    let socket = speaker.socket();
    pod.launch(&[&["--peer-state", socket.to_str().unwrap()], flags].concat())
}

fn start<'p>(pod: &'p Pod, speaker: &Speaker) -> Relay<'p> {
    pod.mount(&revision(1, &[isp_a()]));
    speaker.says(&routers(ALL_UP));
    let relay = launch(pod, speaker, &[]).ready();
    relay.until("announced", |_| pod.metrics() == set_of(&ANNOUNCED));
    relay
}

/// Which of the four the kernel sends packets to.
fn used(pod: &Pod) -> [bool; 4] {
    let defaults = ["-4", "-6"].map(|family| pod.pod.ip(&format!("{family} route show table 4646 default"))).concat();
    ["198.51.100.254", "198.51.100.253", "2001:db8:1::fe", "2001:db8:1::fd"]
        .map(|router| defaults.split_whitespace().any(|word| word == router))
}

fn reasons(relay: &Relay<'_>) -> String {
    relay.get("/readyz").unwrap().1.trim().to_owned()
}

/// Waits until something is so, looking as often as can be, and prints how long that took.
fn time(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: not in time");
    }
    println!("{what}: {:?}, the looks included", begun.elapsed());
}

#[test]
fn packets_leave_by_the_peers_that_are_up() {
    let (pod, speaker) = (pod_with_two_routers(), Speaker::start());
    let relay = start(&pod, &speaker);
    assert_eq!(used(&pod), ALL_UP);
    let state = relay.state();
    assert_eq!(state["obstacles"], serde_json::json!([]), "{state}");
    let hop = &state["nextHops"][0];
    assert_eq!((&hop["peer"], &hop["session"]), (&"tor1".into(), &"Established, BFD Up".into()), "{hop}");
    let traffic = during(&pod, || {
        for down in [0, 1, 2, 3, 1, 0, 3, 2] {
            let mut up = ALL_UP;
            up[down] = false;
            speaker.says(&routers(up));
            time("a peer that is down leaves", || used(&pod) == up);
            assert_eq!(pod.metrics(), set_of(&ANNOUNCED), "there is another");
            sleep(PAUSE);
            speaker.says(&routers(ALL_UP));
            time("a peer that is up joins", || used(&pod) == ALL_UP);
        }
        // One router goes, then the other instead of it.
        for up in [[true, false, true, false], [true, true, true, true], [false, true, false, true], ALL_UP] {
            speaker.says(&routers(up));
            time("routers change", || used(&pod) == up);
            sleep(PAUSE);
        }
    });
    println!("peers come and go: {traffic}");
    assert_eq!(traffic.lost(), 0);
    assert_eq!(relay.metric(r#"culvert_withdrawals_total{reason="IPv4SideDown"}"#), 0);
}

#[test]
fn one_side_without_a_peer_has_both_families_withdrawn() {
    let (pod, speaker) = (pod_with_two_routers(), Speaker::start());
    let relay = start(&pod, &speaker);
    for (up, reason) in [([false, false, true, true], "IPv4SideDown"), ([true, true, false, false], "IPv6SideDown")] {
        speaker.says(&routers(up));
        time("both families are withdrawn", || pod.metrics() == set_of(&LOCAL));
        assert_eq!(used(&pod), up);
        relay.until("not ready", |relay| reasons(relay).contains(reason));
        let state = relay.state();
        assert_eq!((&state["announcement"], &state["ready"]), (&"Local".into(), &false.into()), "{state}");
        relay.until("told", |relay| relay.state()["obstacles"].to_string().contains("NextHopDown"));
        assert!(relay.state()["obstacles"].to_string().contains("Idle, BFD Down"));
        assert_eq!(relay.metric("culvert_announcing"), 0);
        assert_eq!(relay.metric(&format!(r#"culvert_not_ready{{reason="{reason}"}}"#)), 1);
        assert_eq!(relay.metric(&format!(r#"culvert_withdrawals_total{{reason="{reason}"}}"#)), 1);
        speaker.says(&routers(ALL_UP));
        time("announced again", || pod.metrics() == set_of(&ANNOUNCED));
        assert!(pod.crosses());
        assert_eq!(relay.metric("culvert_announcing"), 1);
    }
}

#[test]
fn a_side_that_loses_its_carrier_has_both_families_withdrawn() {
    let (pod, speaker) = (pod_with_two_routers(), Speaker::start());
    let relay = start(&pod, &speaker);
    pod.core.ip("link set far down");
    // The speaker knows nothing of it yet.
    time("both families are withdrawn", || pod.metrics() == set_of(&LOCAL));
    relay.until("named", |relay| relay.state()["obstacles"].to_string().contains("InterfaceDown"));
}

#[test]
fn nothing_is_announced_until_the_speaker_speaks() {
    let (pod, speaker) = (pod_with_two_routers(), Speaker::start());
    speaker.is_gone(true);
    pod.mount(&revision(1, &[isp_a()]));
    let relay = launch(&pod, &speaker, &[]);
    let obstacles = |relay: &Relay<'_>| relay.get("/state").map(|(_, state)| state).unwrap_or_default();
    relay.until("silent", |relay| obstacles(relay).contains("SpeakerSilent"));
    assert!(!obstacles(&relay).contains("NextHopMissing"), "that is not known yet");
    assert!(reasons(&relay).contains("SpeakerSilent"));
    speaker.is_gone(false);
    relay.until("no peer", |relay| obstacles(relay).contains("NextHopMissing"));
    assert!(!obstacles(&relay).contains("SpeakerSilent"));
    assert_eq!(pod.metrics(), set_of(&LOCAL));
    speaker.says(&routers(ALL_UP));
    relay.until("ready", Relay::is_ready);
    assert!(pod.crosses());
}

#[test]
fn a_silent_speaker_closes_the_gate_and_packets_go_on() {
    let (pod, speaker) = (pod_with_two_routers(), Speaker::start());
    let relay = start(&pod, &speaker);
    let silent = |what: &str| {
        time(what, || pod.metrics() == set_of(&LOCAL));
        relay.until("silent", |relay| reasons(relay) == "SpeakerSilent");
        assert_eq!(used(&pod), ALL_UP, "packets on their way need them");
        sleep(Duration::from_millis(500));
    };
    let back = || time("it speaks again", || pod.metrics() == set_of(&ANNOUNCED));
    let traffic = during(&pod, || {
        speaker.is_gone(true);
        silent("the connection ends");
        speaker.is_gone(false);
        back();
        speaker.hangs(true);
        silent("no line comes");
        speaker.hangs(false);
        back();
    });
    println!("a speaker that is gone, then one that hangs: {traffic}");
    assert_eq!(traffic.lost(), 0);
    assert_eq!(relay.metric(r#"culvert_withdrawals_total{reason="SpeakerSilent"}"#), 2);
}

#[test]
fn a_peer_that_does_not_answer_gets_no_packets_whatever_the_speaker_says() {
    let (pod, speaker) = (Pod::new(), Speaker::start());
    // Nobody has these addresses: a router whose session stays up for as long as its hold time.
    pod.mount(&revision(1, &[isp_a()]));
    speaker.says(&routers(ALL_UP));
    let relay = launch(&pod, &speaker, &[]);
    relay.until("ready", Relay::is_ready);
    time("who does not answer leaves", || used(&pod) == [true, false, true, false]);
    assert!(pod.crosses());
    // It is being asked all the time, which is no answer.
    for _ in 0..20 {
        assert_eq!(used(&pod), [true, false, true, false]);
        sleep(Duration::from_millis(200));
    }
    pod.internet.ip("address add 198.51.100.253/24 dev far");
    pod.core.ip("address add 2001:db8:1::fd/64 dev far nodad");
    time("who answers is back", || used(&pod) == ALL_UP);
}

/// RFC 8950.
#[test]
fn ipv4_packets_leave_to_an_ipv6_router() {
    let (pod, speaker) = (Pod::new(), Speaker::start());
    let link_local = |node: &crate::node::Node| {
        let addresses = node.ip("-6 -br address show dev far scope link");
        addresses.split_whitespace().nth(2).unwrap().split('/').next().unwrap().to_owned()
    };
    let (internet, core) = (link_local(&pod.internet), link_local(&pod.core));
    pod.mount(&revision(1, &[isp_a()]));
    speaker.says(&[peer("tor1", "net1", &internet, &["IPv4"], true), peer("tor1-6", "net2", &core, &["IPv6"], true)]);
    let relay = launch(&pod, &speaker, &[]).ready();
    let default = pod.pod.ip("route show table 4646 default");
    assert!(default.contains(&format!("via inet6 {internet} dev net1")), "{default}");
    assert!(pod.crosses());
    // Without a peer for IPv4 that side is down.
    speaker.says(&[peer("tor1-6", "net2", &core, &["IPv6"], true)]);
    relay.until("down", |relay| reasons(relay).contains("IPv4SideDown"));
    assert_eq!(pod.pod.ip("route show table 4646 default"), "");
}

#[test]
fn next_hops_by_flags_are_kept_on_their_side() {
    let (pod, speaker) = (pod_with_two_routers(), Speaker::start());
    pod.mount(&revision(1, &[isp_a()]));
    speaker.says(&routers([false, true, true, false]));
    let relay = launch(&pod, &speaker, &["--next-hop", "net1=198.51.100.254"]).ready();
    assert_eq!(used(&pod), [true, false, true, false]);
    assert!(pod.crosses() && relay.is_ready());
}

/// 4646 has what leads to the TUN, and 4647 then what leads to the CEs.
#[test]
fn mape_prefixes_are_announced_and_packets_to_their_ces_leave() {
    let (pod, speaker) = (pod_with_two_routers(), Speaker::start());
    let relay = start(&pod, &speaker);
    let mut with = isp_a();
    with.options.advertise.mape_prefixes = Toggle::Enabled;
    let leads_to_tun = |metric: &str| {
        let route = pod.pod.ip(&format!("-6 route show {} table 4646", RULE.1));
        route.contains(&format!("dev culvert0 proto 97 metric {metric} "))
    };
    let sequence = |number: u64| relay.until("taken", |relay| relay.state()["revision"]["sequence"] == number);
    let mut number = 1;
    let traffic = during(&pod, || {
        for _ in 0..5 {
            pod.mount(&revision(number + 1, &[with.clone()]));
            sequence(number + 1);
            assert!(leads_to_tun("1024"), "{}", pod.pod.ip("-6 route show table 4646"));
            for up in [[true, true, true, false], [true, true, false, true], ALL_UP] {
                speaker.says(&routers(up));
                time("a peer comes or goes", || used(&pod) == up);
                sleep(PAUSE);
            }
            pod.mount(&revision(number + 2, &[isp_a()]));
            sequence(number + 2);
            assert_eq!(pod.pod.ip(&format!("-6 route show {} table 4646", RULE.1)), "");
            number += 2;
        }
    });
    println!("MAP-E prefixes come and go: {traffic}");
    assert_eq!(traffic.lost(), 0);
    pod.mount(&revision(number + 1, &[with]));
    sequence(number + 1);
    // What the pod itself answers to CEs leaves too.
    pod.core.run("ping", &["-c", "1", "-W", "5", "-I", CE, "2001:db8:1::1"]);
    speaker.says(&routers([false, false, true, true]));
    time("MAP-E prefixes are withdrawn too", || leads_to_tun("7597") && pod.metrics() == set_of(&LOCAL));
    let (status, log) = relay.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    for what in ["-6 route show table all", "-6 rule"] {
        let left = pod.pod.ip(what);
        assert!(!left.contains("464"), "{left}");
    }
}

#[test]
fn a_thousand_prefixes_are_withdrawn_together() {
    let (pod, speaker) = (pod_with_two_routers(), Speaker::start());
    let rules: Vec<(String, String)> = (0..1000)
        .map(|number| {
            let [.., high, low] = u32::to_be_bytes(number);
            (format!("67.{high}.{low}.0/24"), format!("2001:db8:{:x}::/48", 0xa000 + number))
        })
        .collect();
    let rules: Vec<(&str, &str)> = rules.iter().map(|(ipv4, ipv6)| (ipv4.as_str(), ipv6.as_str())).collect();
    pod.mount(&revision(1, &[domain("isp-a", crate::node::BR, &rules)]));
    speaker.says(&routers(ALL_UP));
    let relay = launch(&pod, &speaker, &[]).ready();
    relay.until("announced", |_| pod.metrics() == set_of(&ANNOUNCED));
    speaker.says(&routers([true, true, false, false]));
    time("1,000 prefixes are withdrawn", || pod.metrics() == set_of(&LOCAL));
    speaker.says(&routers(ALL_UP));
    time("1,000 prefixes are announced", || pod.metrics() == set_of(&ANNOUNCED));
}

#[test]
fn a_killed_relay_takes_its_routes_along_and_the_next_one_goes_on() {
    let (pod, speaker) = (pod_with_two_routers(), Speaker::start());
    let relay = start(&pod, &speaker);
    relay.signal("KILL");
    time("TUN and routes are gone", || {
        let links = pod.pod.ip("-br link");
        pod.metrics().is_empty() && !links.contains("culvert0")
    });
    relay.end();
    let next = launch(&pod, &speaker, &[]).ready();
    next.until("announced", |_| pod.metrics() == set_of(&ANNOUNCED));
    assert!(pod.crosses() && used(&pod) == ALL_UP);
}
