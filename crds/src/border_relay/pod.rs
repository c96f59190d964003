//! The pods of a fleet: how they leave, how they are replaced, what they are like.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, LocalObjectReference, ResourceRequirements, Toleration, TopologySpreadConstraint,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cel::SUBDOMAIN;

/// How a relay takes its leave.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Drain {
    /// How long a relay that leaves asks routers to prefer others (GRACEFUL_SHUTDOWN, RFC 8326) before it withdraws, in
    /// seconds: as long as routers take to move traffic.
    #[schemars(range(min = 0, max = 300))]
    pub graceful_shutdown_seconds: i64,
    /// How long it still forwards after it has withdrawn, in seconds: for packets that are on their way.
    #[schemars(range(min = 0, max = 300))]
    pub withdraw_seconds: i64,
}

impl Default for Drain {
    fn default() -> Self {
        Self { graceful_shutdown_seconds: 10, withdraw_seconds: 2 }
    }
}

/// How a change of the pods spreads over the fleet.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Rollout {
    /// How many relays may be missing meanwhile.
    #[schemars(range(min = 0, max = 512))]
    pub max_unavailable: i64,
    /// How many more than `replicas` there may be meanwhile. Where a node has one virtual function, a new relay waits for
    /// an old one to leave: then 0 is the only number that does not wait for ever.
    #[schemars(range(min = 0, max = 512))]
    pub max_surge: i64,
}

impl Default for Rollout {
    fn default() -> Self {
        Self { max_unavailable: 1, max_surge: 0 }
    }
}

/// What the pods are like, beyond what makes them relays.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct PodTemplate {
    /// Labels of the pods, beside the operator's own (`app.kubernetes.io/*` and `culvert.dev/*` are not yours to set).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub labels: BTreeMap<String, String>,

    /// Annotations of the pods, beside the operator's own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub annotations: BTreeMap<String, String>,

    /// The relay's image. Left out, the one that belongs to the operator: name one to try a version on one fleet first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^\S+$"))]
    pub image: Option<String>,

    /// When nodes fetch the images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,

    /// Secrets with which nodes fetch the images.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub image_pull_secrets: Vec<LocalObjectReference>,

    /// CPU, memory and devices of the relay's container. The devices that the networks name are asked for without your
    /// doing. Equal requests and limits in whole CPUs keep the relay on CPUs of its own where the kubelet does that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,

    /// The container beside the relay that speaks BGP.
    pub speaker: Container,

    /// Only nodes with these labels run relays.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub node_selector: BTreeMap<String, String>,

    /// Node taints that the pods put up with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub tolerations: Vec<Toleration>,

    /// Which nodes and neighbours the pods like or avoid, where `nodeSelector` and `topologySpreadConstraints` cannot say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,

    /// How the pods spread over nodes and zones. Left out, over nodes as evenly as can be. A constraint without a
    /// `labelSelector` is about the fleet's own pods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,

    /// The PriorityClass of the pods: what is evicted or waits when a node is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub priority_class_name: Option<String>,

    /// How long a pod may take to stop, in seconds: `drain` and 5 seconds must fit.
    #[schemars(range(min = 5, max = 3600))]
    pub termination_grace_period_seconds: i64,
}

impl Default for PodTemplate {
    fn default() -> Self {
        Self {
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            image: None,
            image_pull_policy: None,
            image_pull_secrets: Vec::new(),
            resources: None,
            speaker: Container::default(),
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            affinity: None,
            topology_spread_constraints: Vec::new(),
            priority_class_name: None,
            termination_grace_period_seconds: 30,
        }
    }
}

/// A container of a relay's pod.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Its image. Left out, the one that belongs to the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^\S+$"))]
    pub image: Option<String>,

    /// Its CPU and memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

/// When nodes fetch an image.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}
