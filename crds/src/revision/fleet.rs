//! The fleet, for the speakers in its pods: a file beside the revision, which changes without it.
//!
//! A new peer, a new timer or another prefix in `allowed` reaches speakers this way, and restarts nothing.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use mape::{DomainName, Problem};
use serde::{Deserialize, Serialize};

use crate::{BorderRelay, BorderRelaySpec, FleetConfig, border_relay::PodTemplate};

/// Its file, in the ConfigMap of the index.
pub const FILE: &str = "fleet.json";

/// What the file says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetFile {
    /// The `metadata.generation` of the `BorderRelay`.
    pub generation: i64,
    /// What it says, but for how many relays there are and what their pods are like.
    pub spec: BorderRelaySpec,
    /// For each peer with a `nodeSelector` the nodes that it selects.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub peer_nodes: BTreeMap<String, BTreeSet<String>>,
}

/// Why a file says nothing.
#[derive(Debug, thiserror::Error)]
pub enum FleetFileError {
    /// It is no such file at all.
    #[error("{FILE}: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// The fleet makes no sense. An operator writes none that does not.
    #[error("{FILE}: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Unsound(Vec<Problem>),
}

impl FleetFile {
    /// What a fleet's speakers have to know of it; `peer_nodes`: the nodes that each peer's `nodeSelector` selects.
    #[must_use]
    pub fn new(relay: &BorderRelay, peer_nodes: BTreeMap<String, BTreeSet<String>>) -> Self {
        let grace = relay.spec.pod_template.termination_grace_period_seconds;
        let pod_template = PodTemplate { termination_grace_period_seconds: grace, ..PodTemplate::default() };
        let spec = BorderRelaySpec { replicas: 0, pod_template, ..relay.spec.clone() };
        Self { generation: relay.metadata.generation.unwrap_or_default(), spec, peer_nodes }
    }

    /// The file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a fleet has a JSON form")
    }

    /// What such a file says.
    ///
    /// # Errors
    /// [`FleetFileError::Unreadable`].
    pub fn decode(file: &[u8]) -> Result<Self, FleetFileError> {
        Ok(serde_json::from_slice(file)?)
    }

    /// What the fleet of that name means.
    ///
    /// # Errors
    /// [`FleetFileError::Unsound`].
    pub fn config(&self, name: &DomainName) -> Result<FleetConfig, FleetFileError> {
        let DomainName { namespace, name } = name.clone();
        let metadata = ObjectMeta { namespace: Some(namespace), name: Some(name), ..ObjectMeta::default() };
        let relay = BorderRelay { metadata, spec: self.spec.clone(), status: None };
        FleetConfig::try_from(&relay).map_err(FleetFileError::Unsound)
    }

    /// Whether relays on this node have a session with this peer.
    #[must_use]
    pub fn is_peer_of(&self, peer: &str, node: &str) -> bool {
        let selects =
            self.spec.bgp.iter().flat_map(|bgp| &bgp.peers).any(|it| it.name == peer && !it.node_selector.is_empty());
        !selects || self.peer_nodes.get(peer).is_some_and(|nodes| nodes.contains(node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay() -> BorderRelay {
        let text = r#"{"apiVersion": "culvert.dev/v1alpha1", "kind": "BorderRelay",
            "metadata": {"name": "default", "namespace": "isp", "generation": 3}, "spec": {"replicas": 16,
            "dataplane": {"interfaces": [{"name": "net1", "network": "vf"}]},
            "bgp": {"localASN": 64512, "peers": [{"name": "everywhere", "address": "192.0.2.1", "peerASN": 64500},
                {"name": "rack-1", "address": "192.0.2.2", "peerASN": 64500, "nodeSelector": {"rack": "1"}}]},
            "podTemplate": {"labels": {"a": "b"}, "terminationGracePeriodSeconds": 60},
            "drain": {"gracefulShutdownSeconds": 40, "withdrawSeconds": 5},
            "allowed": {"ipv4Prefixes": ["192.0.2.0/24"], "softwirePrefixes": ["3001:db8:ffff::/48"]}}}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_speaker_reads_of_its_fleet_what_the_operator_writes() {
        let nodes = BTreeMap::from([("rack-1".to_owned(), BTreeSet::from(["node1".to_owned()]))]);
        let file = FleetFile::new(&relay(), nodes);
        let read = FleetFile::decode(&file.encode()).unwrap();
        assert_eq!(read, file);
        let name = DomainName { namespace: "isp".to_owned(), name: "default".to_owned() };
        let (read, written) = (read.config(&name).unwrap(), FleetConfig::try_from(&relay()).unwrap());
        assert_eq!((&read.bgp, &read.allowed, &read.drain), (&written.bgp, &written.allowed, &written.drain));
    }

    #[test]
    fn how_many_relays_there_are_and_what_their_pods_are_like_changes_nothing() {
        let mut other = relay();
        other.spec.replicas = 4;
        other.spec.pod_template.labels.clear();
        assert_eq!(FleetFile::new(&relay(), BTreeMap::new()), FleetFile::new(&other, BTreeMap::new()));
    }

    #[test]
    fn a_peer_for_some_nodes_is_a_peer_there_only() {
        let file = FleetFile::new(&relay(), BTreeMap::from([("rack-1".to_owned(), ["node1".to_owned()].into())]));
        assert!(file.is_peer_of("everywhere", "node2") && file.is_peer_of("rack-1", "node1"));
        assert!(!file.is_peer_of("rack-1", "node2"));
        assert!(!FleetFile::new(&relay(), BTreeMap::new()).is_peer_of("rack-1", "node1"));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let name = DomainName { namespace: "isp".to_owned(), name: "default".to_owned() };
        assert!(FleetFile::decode(b"{").unwrap_err().to_string().starts_with("fleet.json: "));
        let mut broken = FleetFile::new(&relay(), BTreeMap::new());
        broken.spec.allowed.ipv4_prefixes.clear();
        let said = broken.config(&name).unwrap_err().to_string();
        assert!(said.contains("spec.allowed.ipv4Prefixes"), "{said}");
    }
}
