//! A cluster with fleets, seen through the user's own kubectl.

use std::process;

use crds::{
    BorderRelay, MapDomain, Revision,
    revision::{self, Files, INDEX, Index, Object},
};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use serde::Deserialize;

use crate::{
    cli::{FleetArgs, KubeArgs},
    failure::Failure,
};

mod kubectl;
pub(crate) mod relay;
mod retry;

pub(crate) use kubectl::{Kubectl, cannot_start};
use relay::RelayState;

/// The resources by their full names: others may have the short ones too.
const FLEETS: &str = "borderrelays.culvert.dev";
const DOMAINS: &str = "mapdomains.culvert.dev";

/// A cluster.
pub(crate) struct Cluster {
    kubectl: Kubectl,
}

/// A fleet, and where it is.
pub(crate) struct LiveFleet {
    kubectl: Kubectl,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

#[derive(Deserialize)]
struct List<T> {
    items: Vec<T>,
}

impl Cluster {
    pub(crate) fn new(args: &KubeArgs) -> Self {
        Self { kubectl: Kubectl::new(args) }
    }

    /// The fleets of the namespace, or of all.
    pub(crate) fn fleets(&self, everywhere: bool) -> Result<Vec<BorderRelay>, Failure> {
        self.list(FLEETS, everywhere)
    }

    /// The domains of the namespace, or of all.
    pub(crate) fn domains(&self, everywhere: bool) -> Result<Vec<MapDomain>, Failure> {
        self.list(DOMAINS, everywhere)
    }

    /// A fleet that is there.
    pub(crate) fn fleet(&self, namespace: &str, name: &str) -> LiveFleet {
        LiveFleet { kubectl: self.kubectl.clone(), namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// What the relay in that pod says.
    pub(crate) fn relay(&self, pod: &str) -> Result<RelayState, Failure> {
        let found: Pod = self.kubectl.get(&["pods", pod])?;
        relay::state(&self.kubectl, &found.metadata.namespace.unwrap_or_default(), pod)
    }

    /// A command that runs in that pod's container, without its streams.
    pub(crate) fn exec(&self, pod: &str, container: &str, command: &[&str]) -> process::Command {
        self.kubectl.command(&[&["exec", pod, "--container", container, "--"], command].concat())
    }

    fn list<T: serde::de::DeserializeOwned>(&self, kind: &str, everywhere: bool) -> Result<Vec<T>, Failure> {
        let words = [kind, "--all-namespaces"];
        let list: List<T> = self.kubectl.get(if everywhere { &words } else { &words[..1] })?;
        Ok(list.items)
    }
}

impl LiveFleet {
    /// The one that is named, or the only one there is.
    pub(crate) fn find(args: &FleetArgs) -> Result<Self, Failure> {
        let cluster = Cluster::new(&args.kube);
        let fleet = match &args.fleet {
            Some(name) => cluster.kubectl.get(&[FLEETS, name])?,
            None => only(cluster.fleets(false)?)?,
        };
        let namespace = fleet.metadata.namespace.unwrap_or_default();
        Ok(Self { kubectl: cluster.kubectl, namespace, name: fleet.metadata.name.unwrap_or_default() })
    }

    /// The domains that name it in `spec.relayRefs`.
    pub(crate) fn domains(&self) -> Result<Vec<MapDomain>, Failure> {
        let list: List<MapDomain> = self.kubectl.get(&[DOMAINS, "--namespace", &self.namespace])?;
        Ok(list.items.into_iter().filter(|domain| serves(&self.name, domain)).collect())
    }

    /// Its relays' pods, by name.
    pub(crate) fn pods(&self) -> Result<Vec<Pod>, Failure> {
        let labels = format!("app.kubernetes.io/name=culvert-relay,app.kubernetes.io/instance={}", self.name);
        let list: List<Pod> = self.kubectl.get(&["pods", "--namespace", &self.namespace, "--selector", &labels])?;
        let mut pods = list.items;
        pods.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        Ok(pods)
    }

    /// What its relays say: those that run.
    pub(crate) fn ask(&self) -> Result<Vec<relay::Answer>, Failure> {
        let pods = self.pods()?;
        let names = pods.iter().filter(|pod| relay::runs(pod)).filter_map(|pod| pod.metadata.name.clone());
        Ok(relay::states(&self.kubectl, &self.namespace, &names.collect::<Vec<_>>()))
    }

    /// What a relay forwards by, if it is the revision of that hash that it has kept.
    pub(crate) fn held(&self, pod: &str, hash: &str) -> Option<Revision> {
        let files = relay::revision(&self.kubectl, &self.namespace, pod).ok()?;
        revision::decode(&files).ok().filter(|revision| revision.hash() == hash)
    }

    /// The revision that the operator wrote last.
    pub(crate) fn revision(&self) -> Result<Revision, Failure> {
        retry::until_whole(|| self.files().map(|files| revision::decode(&files))).and_then(|decoded| {
            decoded.map_err(|error| Failure::Revision { fleet: format!("{}/{}", self.namespace, self.name), error })
        })
    }

    /// The files of its ConfigMaps: as many as the index names.
    fn files(&self) -> Result<Files, Failure> {
        let first = revision::object_name(&self.name, 0);
        let mut files = self.config_maps(&[&first])?;
        let index = files.get(INDEX).and_then(|bytes| Index::parse(bytes).ok());
        let chunks = index.iter().flat_map(|index| &index.chunks).map(|chunk| chunk.object.as_str());
        let others: Vec<&str> = chunks.filter(|object| *object != first).collect();
        if !others.is_empty() {
            files.extend(self.config_maps(&others)?);
        }
        Ok(files)
    }

    fn config_maps(&self, names: &[&str]) -> Result<Files, Failure> {
        let mut found = Files::new();
        for name in names {
            let words = ["configmaps", *name, "--namespace", &self.namespace, "--ignore-not-found"];
            let config_map: Option<ConfigMap> = self.kubectl.get_if_there(&words)?;
            found.extend(config_map.iter().flat_map(Object::files_of));
        }
        Ok(found)
    }
}

/// Whether a domain names that fleet.
pub(crate) fn serves(fleet: &str, domain: &MapDomain) -> bool {
    domain.spec.relay_refs.iter().any(|reference| reference.name == fleet)
}

/// Where there is one, nobody has to name it.
fn only(mut fleets: Vec<BorderRelay>) -> Result<BorderRelay, Failure> {
    match (fleets.pop(), fleets.is_empty()) {
        (Some(fleet), true) => Ok(fleet),
        (None, _) => Err(Failure::Fleet("there is no BorderRelay in this namespace: -n says which one".to_owned())),
        (Some(last), false) => {
            fleets.push(last);
            let names = fleets.into_iter().filter_map(|fleet| fleet.metadata.name);
            Err(Failure::Fleet(format!("--fleet has to say which one: {}", crate::text::list(names))))
        }
    }
}
