//! A relay with sides: what gets through, and what must not.

use crate::pod::{Pod, isp_a, revision};

#[test]
fn packets_cross_whatever_rp_filter_is() {
    for value in [0, 1, 2] {
        let pod = Pod::with_rp_filter(value);
        let relay = pod.relay(&[]);
        assert!(pod.crosses(), "rp_filter {value}: {}", relay.log());
        let state = relay.state();
        assert_eq!(state["obstacles"], serde_json::json!([]), "{state}");
        let (status, log) = relay.stop();
        assert_eq!(status.code(), Some(0), "{log}");
    }
}

#[test]
fn a_revision_is_loaded_and_reported() {
    let pod = Pod::new();
    let before = pod.pod.picture();
    let relay = pod.relay(&[]);
    let state = relay.state();
    assert_eq!(state["revision"]["sequence"], 1, "{state}");
    assert_eq!(state["revision"]["source"], "Mounted");
    assert_eq!(state["revision"]["hash"], revision(1, &[isp_a()]).hash());
    assert_eq!((&state["pod"], &state["node"]), (&"default-0".into(), &"node-a".into()));
    let (status, log) = relay.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(pod.pod.picture(), before);
}
