//! How many relays, how they are replaced, and how many may be missing.

use crds::{BorderRelay, border_relay::Rollout};
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use kube::ResourceExt;

use super::{Settings, pod::template};
use crate::{fleet::validate::Valid, names};

pub(super) fn deployment(relay: &BorderRelay, valid: &Valid, settings: &Settings) -> Deployment {
    let fleet = relay.name_any();
    let Rollout { max_unavailable, max_surge } = valid.fleet.rollout;
    let strategy = DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(whole(max_surge)),
            max_unavailable: Some(whole(max_unavailable)),
        }),
    };
    Deployment {
        metadata: names::owned(names::child(&fleet), relay),
        spec: Some(DeploymentSpec {
            replicas: Some(valid.fleet.replicas.into()),
            selector: selector(&fleet),
            strategy: Some(strategy),
            revision_history_limit: Some(3),
            template: template(&fleet, valid, settings),
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

/// One relay at a time, and one that is broken anyway does not hold up whoever empties a node.
pub(super) fn disruption(relay: &BorderRelay) -> PodDisruptionBudget {
    let fleet = relay.name_any();
    PodDisruptionBudget {
        metadata: names::owned(names::child(&fleet), relay),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selector(&fleet)),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}

pub(super) fn selector(fleet: &str) -> LabelSelector {
    LabelSelector { match_labels: Some(names::selector(fleet)), ..LabelSelector::default() }
}

fn whole(number: i64) -> IntOrString {
    IntOrString::Int(number.try_into().unwrap_or(i32::MAX))
}
