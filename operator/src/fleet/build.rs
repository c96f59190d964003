//! What should be: every object of a fleet. Pure, as `validate` is.

use crds::{
    BorderRelay,
    revision::{self, fleet::FleetFile},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, ServiceAccount},
    networking::v1::{NetworkPolicy, NetworkPolicyPeer},
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};
use kube::ResourceExt;

use self::revisions::Beside;
use super::{
    found::{Found, Held},
    validate::Valid,
};

mod access;
mod collector;
mod container;
mod deployment;
mod network_policy;
mod pod;
mod revisions;

pub use access::role as relay_role;
pub use collector::Collector;
pub use container::SPEAKER;
pub use revisions::next;

/// What whoever runs the operator decides for all fleets.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The image of relays whose fleet names none.
    pub relay_image: String,
    /// The image of the speakers beside relays whose fleet names none.
    pub speaker_image: String,
    /// The PriorityClass of relays whose fleet names none.
    pub priority_class: Option<String>,
    /// The TCP ports of the API server, as a relay's NetworkPolicy has to let it out to them.
    pub api_server_ports: Vec<u16>,
    /// Who may reach relays' pages, as `from` of a NetworkPolicy; nobody in particular is everybody.
    pub relay_clients: Vec<NetworkPolicyPeer>,
    /// Where relays and speakers send traces and metrics.
    pub collector: Collector,
}

/// What should be.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Who relays are.
    pub service_account: ServiceAccount,
    /// What they may do.
    pub role: Role,
    /// That they may.
    pub role_binding: RoleBinding,
    /// The revision that relays should forward by.
    pub held: Held,
    /// Its ConfigMaps, the one with the index last.
    pub config_maps: Vec<ConfigMap>,
    /// How many relays may be missing when nodes are emptied.
    pub disruption: PodDisruptionBudget,
    /// Who may talk to them.
    pub network_policy: NetworkPolicy,
    /// The relays; `None` if they could not start for now: then the Deployment stays as it is.
    pub deployment: Option<Deployment>,
}

/// Builds it.
///
/// # Errors
/// If the domains are more than a revision holds.
pub fn build(
    relay: &BorderRelay,
    valid: &Valid,
    found: &Found,
    settings: &Settings,
    traceparent: Option<String>,
) -> Result<Wanted, revision::Error> {
    let fleet = relay.spec.bgp.is_some().then(|| FleetFile::new(relay, valid.peer_nodes.clone()));
    let beside = Beside { leaving: &valid.leaving, fleet: fleet.as_ref() };
    let held = next(&found.current, &relay.name_any(), &valid.domains, traceparent)?;
    let deployment = valid.holds.is_empty().then(|| deployment::deployment(relay, valid, settings));
    Ok(Wanted {
        service_account: access::service_account(relay),
        role: access::role(relay),
        role_binding: access::role_binding(relay),
        config_maps: revisions::config_maps(relay, &held, &beside),
        held,
        disruption: deployment::disruption(relay),
        network_policy: network_policy::network_policy(relay, settings),
        deployment,
    })
}
