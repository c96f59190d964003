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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
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

    /// How many relays of all its fleets forward by the domain, of how many: `3/4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub programmed: Option<String>,

    /// The fleets of `relayRefs`, one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub fleets: Vec<FleetStatus>,
}

impl MapDomainStatus {
    /// Writes down what follows from the rules.
    pub fn derive(&mut self, domain: &mape::Domain) {
        self.rules = domain.rules().iter().map(RuleStatus::from).collect();
        self.rule_count = i64::try_from(self.rules.len()).ok();
        self.ce_count = Some(self.rules.iter().fold(0, |sum, rule| rule.ces.saturating_add(sum)));
    }

    /// Writes down how far the fleets are.
    pub fn count(&mut self, fleets: Vec<FleetStatus>) {
        let (programmed, total) =
            fleets.iter().fold((0, 0), |(programmed, total), it| (programmed + it.programmed, total + it.total));
        self.programmed = Some(format!("{programmed}/{total}"));
        self.fleets = fleets;
    }
}

/// How far a fleet is with a domain.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct FleetStatus {
    /// The name of the `BorderRelay`.
    pub name: String,
    /// How many of its relays that are not draining forward by the domain as it is now.
    pub programmed: i64,
    /// How many such relays there are.
    pub total: i64,
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

impl From<&mape::Rule> for RuleStatus {
    fn from(rule: &mape::Rule) -> Self {
        let layout = rule.layout();
        Self {
            name: rule.name().to_owned(),
            psid_length: layout.length().into(),
            sharing_ratio: layout.sharing_ratio().into(),
            ports_per_ce: layout.ports_per_ce().into(),
            ces: rule.ces().try_into().unwrap_or(i64::MAX),
        }
    }
}
