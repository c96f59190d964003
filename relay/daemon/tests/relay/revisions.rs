//! Revisions: which one is taken, what is kept, and that no change loses a packet.

use std::{
    fs,
    net::Ipv6Addr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread::{self, sleep},
    time::Duration,
};

use crds::revision::Files;

use crate::{
    node::{BR, Relay},
    pod::{LONG_DRAIN, OTHER, Pod, RULE, domain, files, files_with_drain, history, isp_a, revision, set_of},
    traffic::during,
};

fn sequence(relay: &Relay<'_>) -> u64 {
    relay.state()["revision"]["sequence"].as_u64().unwrap_or(0)
}

fn error(relay: &Relay<'_>) -> String {
    relay.state()["revisionError"]["reason"].as_str().unwrap_or_default().to_owned()
}

/// The IPv4 routes of the relay's table, without those of its self-test.
fn routes(pod: &Pod) -> String {
    let routes = pod.pod.ip("route show table 4646");
    routes.lines().filter(|line| !line.starts_with("192.0.0.")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_pod_without_a_revision_waits_for_one() {
    let pod = Pod::new();
    let relay = pod.launch(&[]);
    relay.until("no revision", |relay| relay.get("/startupz").is_some_and(|(status, _)| status == 503));
    relay.until("why", |relay| relay.get("/readyz").unwrap().1.contains("NoRevision"));
    assert_eq!(relay.get("/livez").unwrap().0, 200);
    pod.mount(&revision(3, &[isp_a()]));
    relay.until("ready", Relay::is_ready);
    assert_eq!(sequence(&relay), 3);
    assert!(pod.crosses());
}

#[test]
fn a_mounted_revision_is_followed_and_an_older_one_is_not() {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    pod.mount(&revision(2, &[isp_a(), domain("isp-b", BR, &[OTHER])]));
    relay.until("second", |relay| sequence(relay) == 2);
    assert!(routes(&pod).contains(OTHER.0));
    assert_eq!(relay.metric("culvert_revision_sequence"), 2);
    pod.mount(&revision(1, &[isp_a()]));
    pod.mount(&revision(3, &[isp_a()]));
    relay.until("third", |relay| sequence(relay) == 3);
    assert_eq!(error(&relay), "");
}

#[test]
fn what_cannot_be_used_is_told_and_changes_nothing() {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    let before = routes(&pod);
    let good = files(&revision(2, &[isp_a(), domain("isp-b", BR, &[OTHER])]));
    let with = |file: &str, bytes: &[u8]| Files::from([(file.to_owned(), bytes.to_vec())]);
    let truncated = &good["domains-0.gz"][..20];
    let newer =
        String::from_utf8(good["index.json"].clone()).unwrap().replace("\"formatVersion\": 1", "\"formatVersion\": 3");
    let cases = [
        ("Incomplete", [good.clone(), with("domains-0.gz", truncated)]),
        ("NewerFormat", [good.clone(), with("index.json", newer.as_bytes())]),
        ("Unreadable", [good.clone(), with("index.json", b"{")]),
        ("SequenceReused", [files(&revision(1, &[domain("isp-b", BR, &[OTHER])])), Files::new()]),
    ];
    for (reason, parts) in cases {
        pod.mount_files(&parts.into_iter().flatten().collect());
        relay.until(reason, |relay| error(relay) == reason);
        assert_eq!((sequence(&relay), routes(&pod)), (1, before.clone()));
        assert_eq!(relay.metric(&format!(r#"culvert_revision_refused{{reason="{reason}"}}"#)), 1);
        assert!(relay.is_ready() && pod.crosses());
    }
    pod.mount_files(&good);
    relay.until("mended", |relay| sequence(relay) == 2 && error(relay).is_empty());
}

#[test]
fn a_start_takes_the_highest_number_that_is_whole() {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    pod.mount(&revision(5, &[isp_a(), domain("isp-b", BR, &[OTHER])]));
    relay.until("fifth", |relay| sequence(relay) == 5);
    relay.until("kept", |_| fs::read_to_string(history(&pod)).is_ok_and(|text| text.lines().count() == 2));
    drop(relay);
    // The mounted copy is older: the kubelet lags, or the API server came back from a backup.
    pod.mount(&revision(4, &[isp_a()]));
    let relay = pod.launch(&[]).ready();
    assert_eq!((sequence(&relay), relay.state()["revision"]["source"].as_str()), (5, Some("LastGood")));
    assert!(routes(&pod).contains(OTHER.0) && pod.crosses());
    drop(relay);
    // It is newer, but cut off.
    let mut cut = files(&revision(6, &[isp_a()]));
    cut.get_mut("domains-0.gz").unwrap().truncate(30);
    pod.mount_files(&cut);
    let relay = pod.launch(&[]).ready();
    assert_eq!((sequence(&relay), error(&relay)), (5, "Incomplete".to_owned()));
    drop(relay);
    // The last good one is cut off, the mounted one whole.
    let kept = pod.state.path().join("current/domains-0.gz");
    fs::write(&kept, &fs::read(&kept).unwrap()[..10]).unwrap();
    pod.mount(&revision(4, &[isp_a()]));
    let relay = pod.launch(&[]).ready();
    assert_eq!((sequence(&relay), relay.state()["revision"]["source"].as_str()), (4, Some("Mounted")));
    assert!(pod.crosses());
}

#[test]
fn the_history_outlives_the_container() {
    let pod = Pod::new();
    drop(pod.relay(&[]));
    let relay = pod.launch(&[]).ready();
    pod.mount(&revision(2, &[isp_a(), domain("isp-b", BR, &[OTHER])]));
    relay.until("second", |relay| sequence(relay) == 2);
    let state = relay.state();
    let shown: Vec<u64> =
        state["history"].as_array().unwrap().iter().map(|it| it["sequence"].as_u64().unwrap()).collect();
    assert_eq!(shown, [1, 1, 2]);
    relay.until("written", |_| fs::read_to_string(history(&pod)).unwrap().lines().count() == 3);
    let text = fs::read_to_string(history(&pod)).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last, state["history"][2]);
    assert_eq!((&last["domains"], &last["rules"]), (&2.into(), &2.into()));
    assert_eq!(last["hash"], state["revision"]["hash"]);
}

#[test]
fn a_state_directory_that_cannot_be_used_is_an_obstacle_and_no_more() {
    let pod = Pod::new();
    pod.mount(&revision(1, &[isp_a()]));
    fs::write(pod.state.path().join("current"), "no directory").unwrap();
    fs::create_dir(history(&pod)).unwrap();
    let relay = pod.launch(&[]).ready();
    relay.until("named", |relay| relay.state()["obstacles"].to_string().contains("StateDirUnusable"));
    assert!(pod.crosses());
}

#[test]
fn a_pod_on_the_drain_list_says_so_then_withdraws_and_forwards_on() {
    let pod = Pod::new();
    let relay = pod.relay(&LONG_DRAIN);
    let announcement = |relay: &Relay<'_>| relay.state()["announcement"].as_str().unwrap().to_owned();
    relay.until("announced", |relay| announcement(relay) == "Full");
    assert_eq!(pod.metrics(), set_of(&["", "1024"]));
    let now = revision(1, &[isp_a()]);
    let traffic = during(&pod, || {
        pod.mount_files(&files_with_drain(&now, &["default-0", "other"]));
        relay.until("leaving", |relay| announcement(relay) == "Leaving");
        assert_eq!(pod.metrics(), set_of(&["8326"]));
        assert_eq!(relay.get("/readyz").unwrap(), (503, "Draining\n".to_owned()));
        assert_eq!(relay.state()["draining"], true);
        assert_eq!(relay.metric("culvert_announcing"), 1);
        relay.until("withdrawn", |relay| announcement(relay) == "Local");
        assert_eq!(pod.metrics(), set_of(&["7597"]));
        assert_eq!((relay.metric("culvert_announcing"), relay.metric("culvert_draining")), (0, 1));
        assert_eq!(relay.metric(r#"culvert_withdrawals_total{reason="Draining"}"#), 1);
        pod.mount_files(&files_with_drain(&now, &["other"]));
        relay.until("back", |relay| relay.is_ready() && announcement(relay) == "Full");
        assert_eq!(pod.metrics(), set_of(&["", "1024"]));
    });
    println!("through all phases of a drain and back: {traffic}");
    assert_eq!(traffic.lost(), 0);
    assert_eq!(relay.state()["draining"], false);
}

#[test]
fn a_pod_that_starts_on_the_drain_list_announces_nothing() {
    let pod = Pod::new();
    pod.mount_files(&files_with_drain(&revision(1, &[isp_a()]), &["default-0"]));
    let relay = pod.launch(&["--graceful-shutdown-seconds", "60"]);
    relay.until("draining", |relay| relay.get("/readyz").is_some_and(|(_, reasons)| reasons == "Draining\n"));
    assert_eq!((pod.metrics(), relay.state()["announcement"].as_str()), (set_of(&["7597"]), Some("Local")));
    assert!(pod.crosses());
}

#[test]
fn a_long_poll_answers_when_something_changes() {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    let before = relay.state()["stateSequence"].as_u64().unwrap();
    let changed = AtomicBool::new(false);
    thread::scope(|scope| {
        let poll = scope.spawn(|| {
            // What settles after the start may be told of before.
            let mut after = before;
            loop {
                let (status, text) = relay.get(&format!("/state?after={after}")).unwrap();
                let state: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(status, 200);
                after = state["stateSequence"].as_u64().unwrap();
                if state["revision"]["sequence"] == 2 {
                    return changed.load(Relaxed);
                }
            }
        });
        sleep(Duration::from_millis(300));
        changed.store(true, Relaxed);
        pod.mount(&revision(2, &[isp_a(), domain("isp-b", BR, &[OTHER])]));
        assert!(poll.join().unwrap());
    });
    assert_eq!(relay.get("/state?after=x").unwrap().0, 400);
}

#[test]
fn what_is_removed_is_withdrawn_first_and_forwarded_until_it_has_drained() {
    let pod = Pod::new();
    pod.mount(&revision(1, &[isp_a(), domain("isp-b", BR, &[OTHER])]));
    let relay = pod.launch(&["--withdraw-seconds", "10"]).ready();
    relay.until("announced", |_| !routes(&pod).contains("7597"));
    pod.mount(&revision(2, &[domain("isp-b", BR, &[OTHER])]));
    relay.until("second", |relay| sequence(relay) == 2);
    let removed = |metric: &str| format!("{} dev culvert0 proto 97 scope link src 198.51.100.1 {metric}", RULE.0);
    assert!(routes(&pod).contains(&removed("metric 7597")), "{}", routes(&pod));
    assert!(pod.crosses() && relay.state()["leaving"] == true);
    // A later one is neither lost nor has to wait.
    let third = ("67.91.207.0/24", "2001:db8:d0::/48");
    pod.mount(&revision(3, &[domain("isp-b", BR, &[OTHER]), domain("isp-c", BR, &[third])]));
    relay.until("third", |relay| sequence(relay) == 3);
    assert!(routes(&pod).contains(&removed("metric 7597")), "the first still drains");
    assert!(routes(&pod).contains(&format!("{} dev culvert0 proto 97 scope link src 198.51.100.1 \n", third.0)));
    relay.until("gone", |relay| !routes(&pod).contains(RULE.0) && relay.state()["leaving"] == false);
    assert!(!pod.crosses());
    let names: Vec<_> = relay.state()["domains"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["isp-b", "isp-c"]);
}

#[test]
fn what_comes_back_while_it_drains_stays() {
    let pod = Pod::new();
    let relay = {
        pod.mount(&revision(1, &[isp_a()]));
        pod.launch(&["--withdraw-seconds", "10"]).ready()
    };
    pod.mount(&revision(2, &[]));
    relay.until("second", |relay| sequence(relay) == 2 && relay.state()["leaving"] == true);
    pod.mount(&revision(3, &[isp_a()]));
    relay.until("third", |relay| sequence(relay) == 3 && relay.state()["leaving"] == false);
    // It would have been gone by then.
    sleep(Duration::from_secs(11));
    assert!(pod.crosses() && !routes(&pod).contains("7597"));
}

#[test]
fn no_change_loses_a_packet_of_others_nor_of_a_rule_that_moves() {
    let pod = Pod::new();
    let relay = pod.relay(&["--withdraw-seconds", "1"]);
    relay.until("announced", |_| !routes(&pod).contains("7597"));
    let control = during(&pod, || sleep(Duration::from_secs(4)));
    println!("control: {control}");
    let other: Ipv6Addr = "3001:db8:eeee::1".parse().unwrap();
    let with = |rules: &[(&str, &str)]| domain("isp-a", BR, rules);
    // The customer's rule stays, moves to another domain and back, and changes its place among others.
    let edits = [
        vec![with(&[RULE, OTHER])],
        vec![domain("isp-b", BR, &[RULE]), with(&[OTHER])],
        vec![domain("isp-b", BR, &[OTHER, RULE])],
        vec![with(&[RULE])],
        vec![with(&[("67.91.0.0/18", "2001:db8:aa::/48"), RULE])],
        vec![with(&[RULE]), domain("isp-c", &other.to_string(), &[OTHER])],
    ];
    let mut number = 1;
    let traffic = during(&pod, || {
        for edit in edits.iter().cycle().take(30) {
            number += 1;
            pod.mount(&revision(number, edit));
            relay.until("taken", |relay| sequence(relay) == number);
        }
    });
    println!("30 changes: {traffic}");
    assert_eq!((control.lost(), traffic.lost()), (0, 0));
}
