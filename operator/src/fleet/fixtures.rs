//! Objects for tests.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use super::{
    build::{Collector, Settings},
    found::RelayPod,
};
use crate::{
    answer::Answer,
    relay::{Revision, State},
};

/// A pod that runs, and has not answered yet.
pub(crate) fn pod(name: &str, node: Option<&str>) -> RelayPod {
    let mut pod = Pod::default();
    pod.metadata.name = Some(name.to_owned());
    pod.spec.get_or_insert_default().node_name = node.map(str::to_owned);
    pod.status.get_or_insert_default().phase = Some("Running".to_owned());
    RelayPod { pod: Arc::new(pod), answer: None, speaker: None }
}

/// The same, and it carries traffic.
pub(crate) fn ready(pod: RelayPod) -> RelayPod {
    RelayPod { answer: Some(Answer::State(State { ready: true, ..State::default() })), ..pod }
}

/// The same, with this revision.
pub(crate) fn holding(pod: RelayPod, sequence: u64, hash: &str) -> RelayPod {
    let revision = Some(Revision { sequence, hash: hash.to_owned() });
    RelayPod { answer: Some(Answer::State(State { ready: true, revision, ..State::default() })), ..pod }
}

/// As the chart has them.
pub(crate) fn settings() -> Settings {
    Settings {
        relay_image: "culvert/relay:1".to_owned(),
        speaker_image: "culvert/speaker:1".to_owned(),
        priority_class: None,
        api_server_ports: vec![443, 6443],
        relay_clients: Vec::new(),
        collector: Collector::default(),
    }
}

/// A fleet called `default`.
pub(crate) fn relay() -> crds::BorderRelay {
    let text = r#"{"apiVersion": "culvert.dev/v1alpha1", "kind": "BorderRelay",
        "metadata": {"name": "default", "namespace": "isp", "uid": "u", "generation": 1}, "spec": {
        "dataplane": {"interfaces": [{"name": "net1", "network": "vf", "nextHops": ["198.51.100.1", "2001:db8:100::1"]}]},
        "allowed": {"ipv4Prefixes": ["192.0.2.0/24"], "softwirePrefixes": ["3001:db8:ffff::/48"]}}}"#;
    serde_json::from_str(text).expect("a fleet")
}
