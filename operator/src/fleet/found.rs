//! All that a decision about a fleet is made from: what `gather` found.

use std::{collections::BTreeMap, sync::Arc};

use crds::{MapDomain, revision};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Node, Pod},
};
use mape::DomainName;

use super::build::SPEAKER;
use super::network::Network;
use crate::{answer::Answer, condition::Cause, relay, speaker};

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The domains whose `relayRefs` name the fleet.
    pub domains: Vec<Arc<MapDomain>>,
    /// The networks that the fleet names, by namespace and name.
    pub networks: BTreeMap<(String, String), Network>,
    /// What the namespace's Pod Security level is, if it says.
    pub pod_security: Option<String>,
    /// The fleet's Deployment.
    pub deployment: Option<Arc<Deployment>>,
    /// The fleet's pods, by name.
    pub pods: Vec<RelayPod>,
    /// The nodes.
    pub nodes: Vec<Arc<Node>>,
    /// What cannot be seen, and what is missed for it.
    pub unseen: Vec<Cause>,
    /// The revision that relays should forward by so far.
    pub current: Current,
}

/// A pod, and what the relay and the speaker in it say.
#[derive(Debug, Clone)]
pub struct RelayPod {
    /// The pod.
    pub pod: Arc<Pod>,
    /// How the relay answered last, if it was asked.
    pub answer: Option<Answer<relay::State>>,
    /// How the speaker answered last, if there is one and it was asked.
    pub speaker: Option<Answer<speaker::State>>,
}

impl RelayPod {
    /// What the relay says, if it does.
    #[must_use]
    pub fn state(&self) -> Option<&relay::State> {
        self.answer.as_ref()?.state()
    }

    /// What the speaker says, if it does.
    #[must_use]
    pub fn spoken(&self) -> Option<&speaker::State> {
        self.speaker.as_ref()?.state()
    }

    /// Whether there is a speaker beside the relay.
    #[must_use]
    pub fn speaks(&self) -> bool {
        has_speaker(&self.pod)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or_default()
    }

    /// Whether it is being deleted.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.pod.metadata.deletion_timestamp.is_some()
    }

    /// Whether it has ended for good.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.pod.status.as_ref().and_then(|status| status.phase.as_deref()), Some("Failed" | "Succeeded"))
    }

    /// The node it is on.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        self.pod.spec.as_ref()?.node_name.as_deref()
    }

    /// Whether it carries traffic: it would forward a packet, and some router of each family sends it packets if routers are
    /// told to.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let is_announced = || !self.speaks() || self.spoken().is_some_and(speaker::State::announces);
        !self.has_ended() && self.state().is_some_and(|state| state.ready) && is_announced()
    }
}

/// Whether there is a speaker in a relay's pod.
#[must_use]
pub fn has_speaker(pod: &Pod) -> bool {
    pod.spec.iter().flat_map(|spec| &spec.containers).any(|container| container.name == SPEAKER)
}

/// The revision as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Current {
    /// The highest number that anybody has seen: the next is higher.
    pub highest: u64,
    /// What is written down, if all of it can be read.
    pub held: Option<Held>,
}

/// A revision that is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The revision.
    pub revision: revision::Revision,
    /// Its hash.
    pub hash: String,
    /// Since which number each domain has been as it is.
    pub since: BTreeMap<DomainName, u64>,
    /// Its objects, the one with the index first.
    pub objects: Vec<revision::Object>,
}
