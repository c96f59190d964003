//! May it be so? Pure: what was found goes in, what may be built comes out.
//!
//! What is wrong with the fleet itself stops everything and changes nothing. What is wrong with a domain concerns that
//! domain alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crds::{
    BorderRelay, FleetConfig, MapDomain,
    fleet::{InterfaceConfig, PeerConfig},
    revision,
};
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;
use mape::{DomainConfig, DomainName, Fleet, Problem};

use super::{found::Found, network::Network};
use crate::condition::Cause;

mod contest;
mod drain;

pub use contest::{Contest, contest};
pub use drain::leaving;

/// A fleet that may be built.
#[derive(Debug, Clone)]
pub struct Valid {
    /// The fleet.
    pub fleet: FleetConfig,
    /// The domains that it serves: sound each, allowed, and sound together.
    pub domains: Vec<revision::Domain>,
    /// The domains that it does not, and why.
    pub refused: BTreeMap<DomainName, Refusal>,
    /// The devices that a relay needs, and how many of each.
    pub devices: BTreeMap<String, u32>,
    /// Why pods may not be made or changed for now: they could not start.
    pub holds: Vec<Cause>,
    /// What is odd, and may be why relays are not ready.
    pub hints: Vec<Cause>,
    /// The pods that have to leave.
    pub leaving: BTreeSet<String>,
    /// For each peer with a `nodeSelector` the nodes that it selects.
    pub peer_nodes: BTreeMap<String, BTreeSet<String>>,
}

/// Why a fleet does not serve a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Its spec makes no sense.
    Invalid(Vec<Problem>),
    /// The fleet may not serve it.
    NotAllowed(Vec<Problem>),
    /// It clashes with older domains.
    Conflicted(Vec<Problem>),
    /// There is no more room in a relay's tables.
    FleetFull(Vec<Problem>),
}

impl Refusal {
    /// The word for it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "Invalid",
            Self::NotAllowed(_) => "NotAllowed",
            Self::Conflicted(_) => "Conflicted",
            Self::FleetFull(_) => "FleetFull",
        }
    }

    /// What has to change.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid(problems)
            | Self::NotAllowed(problems)
            | Self::Conflicted(problems)
            | Self::FleetFull(problems) => problems,
        }
    }
}

/// Checks a fleet and all that concerns it.
///
/// # Errors
/// Every problem of the `BorderRelay` itself.
pub fn validate(relay: &BorderRelay, found: &Found) -> Result<Valid, Vec<Problem>> {
    let fleet = FleetConfig::try_from(relay)?;
    let (domains, refused) = domains(&fleet, found);
    let leaving = leaving(&found.pods, &found.nodes, &fleet.pod_template.tolerations);
    let mut holds = Vec::new();
    let mut hints = Vec::new();
    let mut devices = BTreeMap::new();
    for (at, interface) in fleet.interfaces.iter().enumerate() {
        match network(at, interface, found) {
            Ok((device, hint)) => {
                hints.extend(hint);
                device.into_iter().for_each(|device| *devices.entry(device).or_default() += 1);
            }
            Err(hold) => holds.push(hold),
        }
    }
    holds.extend(pod_security(&fleet.name.namespace, found));
    let peer_nodes = peer_nodes(&fleet, &found.nodes);
    Ok(Valid { fleet, domains, refused, devices, holds, hints, leaving, peer_nodes })
}

/// A domain by itself.
///
/// # Errors
/// Every problem found.
pub fn domain(domain: &MapDomain) -> Result<DomainConfig, Vec<Problem>> {
    let config = DomainConfig::try_from(domain)?;
    Fleet::new(vec![config.clone()])?;
    Ok(config)
}

type Judged = (Vec<revision::Domain>, BTreeMap<DomainName, Refusal>);

fn domains(fleet: &FleetConfig, found: &Found) -> Judged {
    let mut refused = BTreeMap::new();
    let mut sound = Vec::new();
    let mut written = BTreeMap::new();
    for object in &found.domains {
        match allowed(fleet, object) {
            Ok(config) => {
                written.insert(config.name.clone(), object);
                sound.push(config);
            }
            Err((name, refusal)) => _ = refused.insert(name, refusal),
        }
    }
    let Contest { kept, lost } = contest(sound);
    refused.extend(lost.into_iter().map(|(name, problems)| (name, lost_to(problems))));
    let domain = |config: DomainConfig| {
        let advertise = &written[&config.name].spec.advertise;
        revision::Domain::new(config, advertise)
    };
    (kept.into_iter().map(domain).collect(), refused)
}

fn allowed(fleet: &FleetConfig, object: &MapDomain) -> Result<DomainConfig, (DomainName, Refusal)> {
    let config = domain(object).map_err(|problems| (name_of(object), Refusal::Invalid(problems)))?;
    let problems = fleet.allowed.refuse(&fleet.name, &config);
    if problems.is_empty() { Ok(config) } else { Err((config.name, Refusal::NotAllowed(problems))) }
}

/// The namespace and name of a domain.
#[must_use]
pub fn name_of(object: &MapDomain) -> DomainName {
    let metadata = &object.metadata;
    DomainName {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
    }
}

fn lost_to(problems: Vec<Problem>) -> Refusal {
    let clashes = problems.iter().any(|problem| problem.conflicts_with.is_some());
    if clashes { Refusal::Conflicted(problems) } else { Refusal::FleetFull(problems) }
}

/// The device that the interface needs, and what is odd about its network; or why no pod can have it.
fn network(at: usize, interface: &InterfaceConfig, found: &Found) -> Result<(Option<String>, Option<Cause>), Cause> {
    let crds::fleet::Network { namespace, name } = &interface.network;
    let field = format!("spec.dataplane.interfaces[{at}].network");
    match found.networks.get(&(namespace.clone(), name.clone())) {
        Some(Network::Found { resource, addresses }) => {
            let missing = addresses.missing(interface.side);
            let hint = (!missing.is_empty()).then(|| {
                let families = missing.join(" and ");
                let message = format!(
                    "{field}: NetworkAttachmentDefinition {namespace}/{name} gives a pod no {families} address; add an \
                     `ipam` to its spec.config that does"
                );
                Cause::new("NetworkWithoutIPAM", message)
            });
            Ok((resource.clone(), hint))
        }
        Some(Network::NoSuchKind) => {
            let message = format!(
                "{field}: the cluster has no NetworkAttachmentDefinitions at all; install Multus, which gives pods more \
                 networks, and then create {namespace}/{name}"
            );
            Err(Cause::new("NetworkNotFound", message))
        }
        Some(Network::Unreadable(why)) => {
            Err(Cause::new("NetworkUnreadable", format!("{field}: {namespace}/{name} cannot be read: {why}")))
        }
        Some(Network::Missing) | None => {
            let message = format!(
                "{field}: there is no NetworkAttachmentDefinition {namespace}/{name}; create it, or name another (`kubectl \
                 get net-attach-def -A` lists them)"
            );
            Err(Cause::new("NetworkNotFound", message))
        }
    }
}

fn peer_nodes(fleet: &FleetConfig, nodes: &[Arc<Node>]) -> BTreeMap<String, BTreeSet<String>> {
    let peers = fleet.bgp.iter().flat_map(|bgp| &bgp.peers).filter(|peer| !peer.node_selector.is_empty());
    let selected = |peer: &PeerConfig| {
        let selects =
            |node: &Node| peer.node_selector.iter().all(|(label, value)| node.labels().get(label) == Some(value));
        nodes.iter().filter(|node| selects(node)).map(|node| node.name_any()).collect()
    };
    peers.map(|peer| (peer.name.clone(), selected(peer))).collect()
}

/// NET_ADMIN asks for the level `privileged`.
fn pod_security(namespace: &str, found: &Found) -> Option<Cause> {
    let level = found.pod_security.as_deref().filter(|level| *level != "privileged")?;
    let message = format!(
        "namespace {namespace} enforces the Pod Security level `{level}`, and relays need NET_ADMIN: kubectl label namespace \
         {namespace} pod-security.kubernetes.io/enforce=privileged --overwrite"
    );
    Some(Cause::new("PodSecurityForbids", message))
}
