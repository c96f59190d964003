//! The cluster as far as it matters here, kept up to date by watches: nothing is asked for that can be watched.

use std::{fmt::Debug, sync::Arc};

use crds::{BorderRelay, MapDomain};
use futures_util::FutureExt;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Namespace, Node, Pod, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{ApiResource, DynamicObject, GroupVersionKind, NamespaceResourceScope, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store, store},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use crate::{
    error::Error,
    names,
    networks::Networks,
    triggers::Triggers,
    watch::{Change, Health, follow},
};

/// What the standard for networks of pods calls its kind.
pub(crate) fn network_kind() -> ApiResource {
    let kind = GroupVersionKind::gvk("k8s.cni.cncf.io", "v1", "NetworkAttachmentDefinition");
    ApiResource::from_gvk_with_plural(&kind, NETWORKS)
}

/// The same in many.
pub(crate) const NETWORKS: &str = "network-attachment-definitions";

/// A store of objects of which only the metadata is kept.
pub type Metadata<K> = Store<PartialObjectMeta<K>>;

/// The stores.
#[derive(Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub struct World {
    pub fleets: Store<BorderRelay>,
    pub domains: Store<MapDomain>,
    pub pods: Store<Pod>,
    pub deployments: Store<Deployment>,
    pub nodes: Store<Node>,
    pub namespaces: Store<Namespace>,
    pub config_maps: Metadata<ConfigMap>,
    pub service_accounts: Metadata<ServiceAccount>,
    pub roles: Metadata<Role>,
    pub role_bindings: Metadata<RoleBinding>,
    pub disruptions: Metadata<PodDisruptionBudget>,
    pub network_policies: Metadata<NetworkPolicy>,
    pub networks: Networks,
    /// What cannot be watched, and why.
    pub health: Health,
}

/// Starts following the cluster, or one namespace of it. The tasks are in the set: they end with it.
#[must_use]
pub fn start(client: &Client, namespace: Option<&str>, triggers: &Triggers, tasks: &mut JoinSet<()>) -> World {
    let health = Health::default();
    let mut start = Start { client, namespace, triggers, tasks, health: health.clone() };
    let world = World {
        fleets: start.objects("borderrelays", watcher::Config::default(), Triggers::fleet_changed),
        domains: start.objects("mapdomains", watcher::Config::default(), Triggers::domain_changed),
        pods: start.objects("pods", made_here(), Triggers::pod_changed),
        deployments: start.objects("deployments", made_here(), Triggers::owned_changed),
        nodes: start.nodes(),
        namespaces: start.namespaces(),
        config_maps: start.metadata("configmaps"),
        service_accounts: start.metadata("serviceaccounts"),
        roles: start.metadata("roles"),
        role_bindings: start.metadata("rolebindings"),
        disruptions: start.metadata("poddisruptionbudgets"),
        network_policies: start.metadata("networkpolicies"),
        networks: Networks::default(),
        health,
    };
    start.networks(world.networks.clone());
    triggers.learn(world.clone());
    world
}

impl World {
    /// # Errors
    /// If something is not known yet without which nothing may be decided: a store that is empty because it has not been
    /// filled looks like a cluster without domains.
    pub fn is_known(&self) -> Result<(), Error> {
        self.known("mapdomains", &self.domains)?;
        self.known("pods", &self.pods)?;
        self.known("deployments", &self.deployments)
    }

    /// Returns when all that has to be known is.
    pub async fn becomes_known(&self) {
        // A store whose writer is gone is never known; then all ends anyway.
        _ = self.domains.wait_until_ready().await;
        _ = self.pods.wait_until_ready().await;
        _ = self.deployments.wait_until_ready().await;
    }

    fn known<K: Resource<DynamicType = ()> + Clone + 'static>(
        &self,
        kind: &'static str,
        store: &Store<K>,
    ) -> Result<(), Error> {
        let unanswered = || "the API server has not answered yet".to_owned();
        match store.wait_until_ready().now_or_never() {
            Some(Ok(())) => Ok(()),
            _ => Err(Error::NotWatched { kind, why: self.health.why_not(kind).unwrap_or_else(unanswered) }),
        }
    }

    /// Whether the namespace of an object is being deleted, as far as namespaces can be seen.
    #[must_use]
    pub fn is_going(&self, object: &impl ResourceExt) -> bool {
        let namespace = self.namespaces.get(&ObjectRef::new(&object.namespace().unwrap_or_default()));
        namespace.is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_some())
    }

    /// The fleets that a domain names.
    pub fn fleets_of(&self, domain: &MapDomain) -> impl Iterator<Item = ObjectRef<BorderRelay>> {
        let namespace = domain.namespace().unwrap_or_default();
        let names: Vec<String> = domain.spec.relay_refs.iter().map(|fleet| fleet.name.clone()).collect();
        names.into_iter().map(move |name| ObjectRef::new(&name).within(&namespace))
    }

    /// The domains that name a fleet.
    #[must_use]
    pub fn domains_of(&self, fleet: &ObjectRef<BorderRelay>) -> Vec<Arc<MapDomain>> {
        let names = |domain: &MapDomain| {
            domain.namespace() == fleet.namespace && domain.spec.relay_refs.iter().any(|named| named.name == fleet.name)
        };
        self.domains.state_filter(names)
    }
}

/// What every watch needs.
struct Start<'s> {
    client: &'s Client,
    namespace: Option<&'s str>,
    triggers: &'s Triggers,
    tasks: &'s mut JoinSet<()>,
    health: Health,
}

/// A kind in a namespace that can be watched.
trait Followed:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug + Send + Sync + 'static
{
}

impl<K> Followed for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + DeserializeOwned
        + Clone
        + Debug
        + Send
        + Sync
        + 'static
{
}

/// What we made, or what that made.
fn made_here() -> watcher::Config {
    watcher::Config::default().labels(names::OURS)
}

impl Start<'_> {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// The objects of a kind that are `chosen`.
    fn objects<K: Followed>(
        &mut self,
        kind: &'static str,
        chosen: watcher::Config,
        changed: fn(&Triggers, &Change<K>),
    ) -> Store<K> {
        let events = watcher(self.api(), chosen);
        self.follow(kind, events.modify(|object: &mut K| object.managed_fields_mut().clear()), changed)
    }

    /// Of the objects of a kind that we made only that they are there, and which version they are.
    fn metadata<K: Followed>(&mut self, kind: &'static str) -> Metadata<K> {
        let events = watcher(self.api::<PartialObjectMeta<K>>(), made_here());
        let events = events.modify(|object: &mut PartialObjectMeta<K>| object.managed_fields_mut().clear());
        self.follow(kind, events, Triggers::owned_changed)
    }

    fn nodes(&mut self) -> Store<Node> {
        let events = watcher(Api::<Node>::all(self.client.clone()), watcher::Config::default());
        // Which images a node has is most of what it says, and its heartbeat most of what it changes.
        let events = events.modify(|node| {
            node.managed_fields_mut().clear();
            node.annotations_mut().clear();
            node.status = None;
        });
        self.follow("nodes", events, Triggers::node_changed)
    }

    fn namespaces(&mut self) -> Store<Namespace> {
        let mut config = watcher::Config::default();
        if let Some(namespace) = self.namespace {
            config = config.fields(&format!("metadata.name={namespace}"));
        }
        let events = watcher(Api::<Namespace>::all(self.client.clone()), config);
        self.follow("namespaces", events, Triggers::namespace_changed)
    }

    /// Networks are read when they are needed, as they may lie in any namespace; a change says when to read them again.
    fn networks(&mut self, known: Networks) {
        let kind = network_kind();
        let api: Api<PartialObjectMeta<DynamicObject>> = match self.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind),
            None => Api::all_with(self.client.clone(), &kind),
        };
        let (health, triggers) = (self.health.clone(), self.triggers.clone());
        let events = watcher(api, watcher::Config::default());
        self.tasks.spawn(crate::watch::listen(NETWORKS, events, health, move || {
            known.changed();
            triggers.all_fleets();
        }));
    }

    fn follow<K>(
        &mut self,
        kind: &'static str,
        events: impl futures_util::Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
        changed: fn(&Triggers, &Change<K>),
    ) -> Store<K>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    {
        let (reader, writer) = store();
        let triggers = self.triggers.clone();
        let changed = move |change: &Change<K>| changed(&triggers, change);
        self.tasks.spawn(follow(kind, events, (reader.clone(), writer), self.health.clone(), changed));
        reader
    }
}
