//! What there is. Almost everything is known from watches; networks are read when they have changed, and once, after a start, the
//! revision.

use std::collections::{BTreeMap, btree_map::Entry};

use crds::{
    BorderRelay,
    revision::{self, Files, INDEX, Index, Object},
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt, core::DynamicObject, runtime::reflector::ObjectRef};

use super::{
    found::{Current, Found, Held, RelayPod},
    network::Network,
};
use crate::{
    condition::Cause,
    context::Context,
    error::{Error, code, said},
    names, networks,
    watch::Health,
    world::{NETWORKS, network_kind},
};

/// The label with a namespace's Pod Security level.
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// Gathers what concerns a fleet.
///
/// # Errors
/// If something without which nothing can be decided is not known.
pub(super) async fn gather(context: &Context, relay: &BorderRelay) -> Result<Found, Error> {
    let world = &context.world;
    world.is_known()?;
    let key = ObjectRef::from_obj(relay);
    let namespace = relay.namespace().unwrap_or_default();
    let name = relay.name_any();
    let pods = pods(context, relay);
    let mut current = current(context, relay).await?;
    current.highest = current.highest.max(seen(relay, &pods));
    let namespaced = |name: &str| ObjectRef::new(name).within(&namespace);
    let mut domains = world.domains_of(&key);
    // One that is being deleted has left already.
    domains.retain(|domain| domain.metadata.deletion_timestamp.is_none());
    domains.sort_by_key(|domain| domain.name_any());
    Ok(Found {
        domains,
        networks: networks(context, relay).await,
        pod_security: world
            .namespaces
            .get(&ObjectRef::new(&namespace))
            .and_then(|namespace| namespace.labels().get(ENFORCE).cloned()),
        deployment: world.deployments.get(&namespaced(&names::child(&name))),
        pods,
        nodes: world.nodes.state(),
        unseen: unseen(&world.health),
        current,
    })
}

fn pods(context: &Context, relay: &BorderRelay) -> Vec<RelayPod> {
    let (namespace, name) = (relay.namespace(), relay.name_any());
    let own = |pod: &k8s_openapi::api::core::v1::Pod| {
        pod.namespace() == namespace
            && names::fleet_of(&pod.metadata) == Some(&*name)
            && pod.owner_references().iter().any(|owner| names::is_replica_set(owner, &name))
    };
    let mut pods = context.world.pods.state_filter(own);
    pods.sort_by_key(|pod| pod.name_any());
    let answers = &context.answers;
    pods.into_iter().map(|pod| RelayPod { answer: answers.relay(&pod), speaker: answers.speaker(&pod), pod }).collect()
}

/// Kinds without which a fleet works, and what it does not notice then.
const OPTIONAL: [(&str, &str); 3] = [
    ("nodes", "relays on cordoned nodes do not drain, and no peer with a nodeSelector has sessions"),
    ("namespaces", "whether the namespace's Pod Security level forbids relays is found out by trying"),
    ("configmaps", "nobody notices if somebody else changes the revision"),
];

fn unseen(health: &Health) -> Vec<Cause> {
    let cause = |(kind, missed): (&'static str, &str)| {
        let why = health.why_not(kind)?;
        let reason = Error::NotWatched { kind, why: why.clone() }.cause().reason;
        Some(Cause { reason, message: format!("cannot list and watch {kind}, so {missed}: {why}") })
    };
    OPTIONAL.into_iter().filter_map(cause).collect()
}

/// The highest number that the status or any relay knows: the ConfigMaps may have been deleted.
fn seen(relay: &BorderRelay, pods: &[RelayPod]) -> u64 {
    let told = relay.status.as_ref().and_then(|status| status.revision.as_ref());
    let told = told.and_then(|revision| u64::try_from(revision.sequence).ok()).unwrap_or_default();
    let held = pods.iter().filter_map(|pod| pod.state()?.revision.as_ref()).map(|revision| revision.sequence);
    // A relay that says nonsense must not use up the numbers.
    held.filter(|sequence| *sequence < 1 << 62).chain([told]).max().unwrap_or_default()
}

/// The revision as it was written last, from memory or, after a start, from the cluster.
async fn current(context: &Context, relay: &BorderRelay) -> Result<Current, Error> {
    let key = ObjectRef::from_obj(relay);
    if let Some(current) = context.currents.get(&key, relay.uid().as_deref()) {
        return Ok(current);
    }
    let api: Api<ConfigMap> = Api::namespaced(context.client.clone(), &relay.namespace().unwrap_or_default());
    let mut files = Files::new();
    let first = revision::object_name(&relay.name_any(), 0);
    let mut wanted = vec![first];
    while let Some(name) = wanted.pop() {
        let found = api.get_opt(&name).await.map_err(|error| Error::api("read", format!("ConfigMap {name}"), error))?;
        let more = found.as_ref().map(Object::files_of).unwrap_or_default();
        if let Some(index) = more.get(INDEX).and_then(|index| Index::parse(index).ok()) {
            wanted.extend(index.chunks.into_iter().map(|chunk| chunk.object).filter(|object| *object != name));
        }
        files.extend(more);
    }
    let current = read(&relay.name_any(), &files);
    context.currents.put(key, relay.uid(), current.clone());
    Ok(current)
}

/// A revision that cannot be read is as if it were not there; only its number is not used again.
fn read(fleet: &str, files: &Files) -> Current {
    let index = files.get(INDEX).and_then(|index| Index::parse(index).ok()).filter(|index| index.fleet == fleet);
    let Some(index) = index else { return Current::default() };
    let held = revision::decode(files).ok().map(|revision| {
        let since = revision.domains.iter().map(|domain| (domain.config.name.clone(), revision.sequence)).collect();
        Held { hash: index.hash.clone(), objects: objects(&index, files), since, revision }
    });
    Current { highest: index.sequence, held }
}

/// The objects that the files are from, without what is beside the revision.
fn objects(index: &Index, files: &Files) -> Vec<Object> {
    let first = revision::object_name(&index.fleet, 0);
    let mut objects = vec![Object { name: first, files: Files::new() }];
    objects[0].files.extend(files.get_key_value(INDEX).map(|(file, bytes)| (file.clone(), bytes.clone())));
    for chunk in &index.chunks {
        if objects.last().is_some_and(|last| last.name != chunk.object) {
            objects.push(Object { name: chunk.object.clone(), files: Files::new() });
        }
        let bytes = files.get(&chunk.file).cloned().unwrap_or_default();
        objects.iter_mut().rev().take(1).for_each(|object| _ = object.files.insert(chunk.file.clone(), bytes.clone()));
    }
    objects
}

async fn networks(context: &Context, relay: &BorderRelay) -> BTreeMap<networks::Key, Network> {
    let own = relay.namespace().unwrap_or_default();
    let mut networks = BTreeMap::new();
    for interface in &relay.spec.dataplane.interfaces {
        let (namespace, name) = interface.network.split_once('/').unwrap_or((&own, &interface.network));
        let key = (namespace.to_owned(), name.to_owned());
        if let Entry::Vacant(entry) = networks.entry(key) {
            let network = network(context, entry.key()).await;
            entry.insert(network);
        }
    }
    networks
}

/// A network as it was read last, if its change would have been heard of.
async fn network(context: &Context, key: &networks::Key) -> Network {
    let (world, (namespace, name)) = (&context.world, key);
    let watched = context.namespace.as_ref().is_none_or(|only| only == namespace);
    if !watched || world.health.why_not(NETWORKS).is_some() {
        return read_network(context, namespace, name).await;
    }
    if let Some(network) = world.networks.get(key) {
        return network;
    }
    let as_of = world.networks.now();
    let network = read_network(context, namespace, name).await;
    // It may be readable the next time, whatever changes.
    if !matches!(network, Network::Unreadable(_)) {
        world.networks.put(key.clone(), network.clone(), as_of);
    }
    network
}

async fn read_network(context: &Context, namespace: &str, name: &str) -> Network {
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), namespace, &network_kind());
    match api.get(name).await {
        Ok(definition) => Network::from(&definition),
        Err(error) if code(&error) == Some(404) && said(&error).contains(name) => Network::Missing,
        // The path itself is unknown.
        Err(error) if code(&error) == Some(404) => Network::NoSuchKind,
        Err(error) => Network::Unreadable(said(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::build::next;

    fn files(held: &Held) -> Files {
        held.objects.iter().flat_map(|object| object.files.clone()).collect()
    }

    #[test]
    fn after_a_start_the_revision_is_as_it_was_written() {
        let written = next(&Current { highest: 6, held: None }, "default", &[], None).unwrap();
        let current = read("default", &files(&written));
        assert_eq!((current.highest, current.held.as_ref()), (7, Some(&written)));
        assert_eq!(next(&current, "default", &[], None).unwrap(), written);
    }

    #[test]
    fn the_number_of_what_cannot_be_read_is_not_used_again() {
        let written = next(&Current { highest: 6, held: None }, "default", &[], None).unwrap();
        let mut damaged = files(&written);
        damaged.insert("domains-0.gz".to_owned(), b"else".to_vec());
        assert_eq!(read("default", &damaged), Current { highest: 7, held: None });
        assert_eq!(read("default", &Files::new()), Current::default());
        assert_eq!(read("another", &files(&written)), Current::default());
    }
}
