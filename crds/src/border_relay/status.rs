//! What the operator says about a fleet.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator says about a fleet.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct BorderRelayStatus {
    /// The `metadata.generation` that all else here is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// `Accepted`, `Programmed`, `Advertised` and `Ready` are always present; `Conflicted` and `Degraded` only when
    /// true. Each message names the field or the relay it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// How many pods there are, those that leave included.
    #[serde(default)]
    pub replicas: i64,

    /// How many relays carry traffic.
    #[serde(default)]
    pub ready_replicas: i64,

    /// How many relays that are not draining forward by the current revision.
    #[serde(default)]
    pub programmed_replicas: i64,

    /// How many of them routers have been told of: all that they serve, in both families.
    #[serde(default)]
    pub advertised_replicas: i64,

    /// How many BGP sessions of theirs are up, of how many: `7/8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<String>,

    /// The labels of the fleet's pods, as a selector: for autoscalers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,

    /// The revision that relays should forward by: all the domains of the fleet, numbered and hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionStatus>,

    /// The relays, one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["pod"]))]
    pub relays: Vec<RelayStatus>,
}

/// A revision, as the status names it.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
pub struct RevisionStatus {
    /// Its number: a newer one has a higher.
    pub sequence: i64,
    /// SHA-256, in hex, of what it says: what `culvertctl check` prints for the same domains.
    pub hash: String,
    /// How many domains it holds.
    pub domains: i64,
    /// How many mapping rules they have together.
    pub rules: i64,
}

/// A relay.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RelayStatus {
    /// Its pod.
    #[schemars(length(min = 1, max = 253))]
    pub pod: String,
    /// The node it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The number of the revision that it forwards by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// How many of its BGP sessions are up, of how many: `2/2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<String>,
    /// About how many packets it has dropped in the last minute, to two digits: its metrics say which, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_last_minute: Option<i64>,
    /// `Ready`: it carries traffic. `NotReady`: it does not, and `reason` says why. `Draining`: it leaves.
    pub state: RelayState,
    /// Why it is not ready, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What a relay is up to.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayState {
    /// It carries traffic.
    Ready,
    /// It does not.
    NotReady,
    /// It leaves.
    Draining,
}
