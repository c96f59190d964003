//! The pod's leave, as a router sees it.

use std::time::Instant;

use serde_json::json;

use crate::{
    lab::{Lab, POD4, until},
    router::Router,
    speaker::{BR_PREFIX, Files, PREFIX, Speaker, is_there},
};

#[test]
fn it_asks_then_withdraws_then_says_goodbye() {
    let lab = Lab::new();
    let router = Router::without_bfd(&lab);
    Files::without_bfd(&lab);
    lab.route(PREFIX, "");
    lab.route(BR_PREFIX, "");
    let speaker = Speaker::start(&lab);
    speaker.until_ready();
    let plain = |path: &serde_json::Value| path["community"].is_null();
    router.until_path(PREFIX, plain);
    router.until_path(BR_PREFIX, plain);
    speaker.until("announced", |state| state["announced"]["IPv6"] == json!([BR_PREFIX]));
    let bird = speaker.bird();
    speaker.signal("TERM");
    let begun = Instant::now();
    for prefix in [PREFIX, BR_PREFIX] {
        let path = router.until_path(prefix, |path| !plain(path));
        assert_eq!(path["community"]["string"], "graceful-shutdown");
    }
    let state = speaker.state();
    assert_eq!((&state["draining"], &state["readyReasons"]), (&json!(true), &json!(["Ending"])), "{state}");
    for prefix in [PREFIX, BR_PREFIX] {
        router.until_no_path(prefix);
        assert!(router.has_session(POD4), "withdrawn before the session ends");
    }
    assert!(!speaker.log().contains("BIRD has ended"));
    assert!(is_there(bird), "BIRD speaks to the end");
    let (status, log) = speaker.end();
    println!("drained in {:.1?}", begun.elapsed());
    assert!(status.success() && !is_there(bird), "{log}");
    let said =
        || router.log().contains(r#"6/2 (Cease/Administrative Shutdown) "culvert: default-1 leaves""#).then_some(());
    until("goodbye", said, || router.log());
}

#[test]
fn without_anything_announced_it_ends_at_once() {
    let lab = Lab::new();
    let router = Router::without_bfd(&lab);
    Files::without_bfd(&lab);
    lab.route(PREFIX, "metric 7597");
    let speaker = Speaker::start(&lab);
    speaker.until_ready();
    router.until_session(POD4);
    speaker.signal("TERM");
    let begun = Instant::now();
    let (status, log) = speaker.end();
    println!("ended in {:.1?}", begun.elapsed());
    assert!(status.success(), "{log}");
    assert!(!log.contains("GracefulShutdown"), "{log}");
}
