//! Who relays are, and the only thing they may do: read their own revision.

use crds::{BorderRelay, revision};
use k8s_openapi::api::{
    core::v1::ServiceAccount,
    rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
};
use kube::{Resource, ResourceExt};

use crate::names;

pub(super) fn service_account(relay: &BorderRelay) -> ServiceAccount {
    ServiceAccount {
        metadata: names::owned(names::child(&relay.name_any()), relay),
        // The pod mounts a token for the one container that needs it.
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// What a fleet's relays may do.
#[must_use]
pub fn role(relay: &BorderRelay) -> Role {
    let rule = PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["configmaps".to_owned()]),
        resource_names: Some(revision::object_names(&relay.name_any()).collect()),
        verbs: ["get", "list", "watch"].map(str::to_owned).to_vec(),
        ..PolicyRule::default()
    };
    Role { metadata: names::owned(names::child(&relay.name_any()), relay), rules: Some(vec![rule]) }
}

pub(super) fn role_binding(relay: &BorderRelay) -> RoleBinding {
    let name = names::child(&relay.name_any());
    RoleBinding {
        role_ref: RoleRef {
            api_group: Role::group(&()).into_owned(),
            kind: Role::kind(&()).into_owned(),
            name: name.clone(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: name.clone(),
            namespace: relay.namespace(),
            ..Subject::default()
        }]),
        metadata: names::owned(name, relay),
    }
}
