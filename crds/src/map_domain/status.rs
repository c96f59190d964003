//! What the operator says about a domain.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator says about a domain.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct MapDomainStatus {
    /// The `metadata.generation` that all else here is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// `Accepted`, `Programmed`, `Advertised` and `Ready` are always present; `Conflicted` and `Degraded` only when
    /// true. Each message names the field or the relay it is about.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// How many mapping rules there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_count: Option<i64>,

    /// How many CEs all rules together can hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ce_count: Option<i64>,

    /// The numbers that follow from each rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub rules: Vec<RuleStatus>,
}

/// The numbers that follow from a rule.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RuleStatus {
    /// The rule's name.
    pub name: String,
    /// How many bits of a port are the PSID.
    pub psid_length: i64,
    /// How many CEs share one address.
    pub sharing_ratio: i64,
    /// How many ports each CE owns.
    #[serde(rename = "portsPerCE")]
    pub ports_per_ce: i64,
    /// How many CEs the rule can hold.
    pub ces: i64,
}
