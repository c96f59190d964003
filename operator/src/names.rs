//! What objects are called, and whose they are.

use std::collections::BTreeMap;

use crds::BorderRelay;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};
use sha2::{Digest, Sha256};

/// The field manager of everything that is written, and who events are from.
pub const MANAGER: &str = "culvert-operator";

/// What every relay's pod is, in the label `app.kubernetes.io/name`.
pub const RELAY: &str = "culvert-relay";

/// Labels of everything that belongs to a fleet.
pub const NAME: &str = "app.kubernetes.io/name";
/// The fleet's name.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// Who made it.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// A label selector for everything that this operator made.
pub const OURS: &str = "app.kubernetes.io/managed-by=culvert-operator,app.kubernetes.io/name=culvert-relay";

/// As long as a name may be that has to be a label too (RFC 1123).
const LABEL_LENGTH: usize = 63;

/// The name of a fleet's Deployment and all else there is one of: `FLEET-relay`. Long names are cut, and kept apart by a
/// hash.
#[must_use]
pub fn child(fleet: &str) -> String {
    let name = format!("{fleet}-relay");
    if name.len() <= LABEL_LENGTH {
        return name;
    }
    let hash = Sha256::digest(fleet);
    let hash: String = hash[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let kept = fleet[..LABEL_LENGTH - "-relay".len() - 1 - hash.len()].trim_end_matches(['-', '.']);
    format!("{kept}-{hash}-relay")
}

/// The labels that select a fleet's pods. They may never change: a Deployment's selector cannot.
#[must_use]
pub fn selector(fleet: &str) -> BTreeMap<String, String> {
    pairs([(NAME, RELAY), (INSTANCE, fleet)])
}

/// The labels of everything that belongs to a fleet.
#[must_use]
pub fn labels(fleet: &str) -> BTreeMap<String, String> {
    pairs([(NAME, RELAY), (INSTANCE, fleet), (MANAGED_BY, MANAGER), ("app.kubernetes.io/part-of", "culvert")])
}

/// The metadata of an object that goes when its fleet goes.
#[must_use]
pub fn owned(name: String, fleet: &BorderRelay) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: fleet.namespace(),
        labels: Some(labels(&fleet.name_any())),
        owner_references: fleet.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// The name of the fleet that an object belongs to, by its labels.
#[must_use]
pub fn fleet_of(metadata: &ObjectMeta) -> Option<&str> {
    let label = |key: &str| metadata.labels.as_ref()?.get(key).map(String::as_str);
    (label(NAME) == Some(RELAY) && label(MANAGED_BY) == Some(MANAGER)).then(|| label(INSTANCE)).flatten()
}

/// Whether `owner` of some object is a ReplicaSet of the fleet's Deployment: labels alone can be set by anybody.
#[must_use]
pub fn is_replica_set(owner: &OwnerReference, fleet: &str) -> bool {
    let of_deployment = owner.name.strip_prefix(&child(fleet)).is_some_and(|rest| rest.starts_with('-'));
    owner.kind == "ReplicaSet" && owner.controller == Some(true) && of_deployment
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_and_stays_different() {
        let long = "a".repeat(63);
        let other = "a".repeat(62) + "b";
        assert_eq!(child("default"), "default-relay");
        assert_eq!(child(&"a".repeat(57)).len(), 63);
        assert_eq!(child(&long).len(), 63);
        assert_ne!(child(&long), child(&other));
        assert!(!child(&("a".repeat(47) + &"-".repeat(15) + "a")).contains("--"));
    }

    #[test]
    fn only_a_replica_set_of_the_deployment_makes_relays() {
        let owner = |kind: &str, name: &str| OwnerReference {
            kind: kind.to_owned(),
            name: name.to_owned(),
            controller: Some(true),
            ..OwnerReference::default()
        };
        assert!(is_replica_set(&owner("ReplicaSet", "default-relay-5d9c"), "default"));
        assert!(!is_replica_set(&owner("ReplicaSet", "default-relayer"), "default"));
        assert!(!is_replica_set(&owner("Job", "default-relay-5d9c"), "default"));
    }
}
