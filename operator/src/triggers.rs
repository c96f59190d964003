//! From what changed in the cluster to what has to be looked at again.

use std::{
    sync::{Arc, OnceLock},
    task::Poll,
};

use crds::{BorderRelay, MapDomain};
use futures_util::{Stream, stream};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::{Resource, ResourceExt, runtime::reflector::ObjectRef};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{fleet::validate::name_of, names, propagation::Propagation, watch::Change, world::World};

/// Where to say that something has to be looked at again.
#[derive(Clone)]
pub struct Triggers {
    fleets: UnboundedSender<ObjectRef<BorderRelay>>,
    domains: UnboundedSender<ObjectRef<MapDomain>>,
    pods: UnboundedSender<ObjectRef<Pod>>,
    world: Arc<OnceLock<World>>,
    propagation: Propagation,
}

/// Where to hear it.
pub struct Heard {
    /// Fleets to look at.
    pub fleets: UnboundedReceiver<ObjectRef<BorderRelay>>,
    /// Domains to look at.
    pub domains: UnboundedReceiver<ObjectRef<MapDomain>>,
    /// Pods that changed.
    pub pods: UnboundedReceiver<ObjectRef<Pod>>,
}

/// Both ends.
#[must_use]
pub fn triggers(propagation: Propagation) -> (Triggers, Heard) {
    let (fleets, heard_fleets) = unbounded_channel();
    let (domains, heard_domains) = unbounded_channel();
    let (pods, heard_pods) = unbounded_channel();
    let heard = Heard { fleets: heard_fleets, domains: heard_domains, pods: heard_pods };
    (Triggers { fleets, domains, pods, world: Arc::default(), propagation }, heard)
}

/// What is heard, as a stream.
pub fn heard<T: Send + 'static>(mut receiver: UnboundedReceiver<T>) -> impl Stream<Item = T> + Send + 'static {
    stream::poll_fn(move |context| match receiver.poll_recv(context) {
        Poll::Ready(item) => Poll::Ready(item),
        Poll::Pending => Poll::Pending,
    })
}

impl Triggers {
    /// Where the fleets and domains are found that a change concerns.
    pub(crate) fn learn(&self, world: World) {
        _ = self.world.set(world);
    }

    /// This fleet.
    pub fn fleet(&self, fleet: ObjectRef<BorderRelay>) {
        // Nobody hears it when everything is about to end.
        _ = self.fleets.send(fleet);
    }

    /// This domain.
    pub fn domain(&self, domain: ObjectRef<MapDomain>) {
        _ = self.domains.send(domain);
    }

    /// All fleets.
    pub fn all_fleets(&self) {
        self.fleets_where(|_| true);
    }

    fn all(&self) {
        self.all_fleets();
        let domains = self.world.get().map(|world| world.domains.state()).unwrap_or_default();
        domains.iter().for_each(|domain| self.domain(ObjectRef::from_obj(&**domain)));
    }

    fn fleets_where(&self, concerned: impl Fn(&BorderRelay) -> bool) {
        let fleets = self.world.get().map(|world| world.fleets.state_filter(concerned)).unwrap_or_default();
        fleets.iter().for_each(|fleet| self.fleet(ObjectRef::from_obj(&**fleet)));
    }

    pub(crate) fn fleet_changed(&self, change: &Change<BorderRelay>) {
        if matches!(change, Change::All) {
            return self.all();
        }
        let Some(world) = self.world.get() else { return };
        for fleet in change.subjects().map(|fleet| ObjectRef::from_obj(&**fleet)) {
            world.domains_of(&fleet).iter().for_each(|domain| self.domain(ObjectRef::from_obj(&**domain)));
            self.fleet(fleet);
        }
    }

    /// A domain's fleets are those that it names, and those that it named.
    pub(crate) fn domain_changed(&self, change: &Change<MapDomain>) {
        let Change::One { before, now } = change else { return self.all() };
        let generation = |domain: &Option<Arc<MapDomain>>| domain.as_ref().map(|it| (it.uid(), it.metadata.generation));
        let (Some(world), Some(subject)) = (self.world.get(), change.subjects().last()) else { return };
        self.domain(ObjectRef::from_obj(&**subject));
        if generation(before) == generation(now)
            && !change.subjects().any(|it| it.metadata.deletion_timestamp.is_some())
        {
            // Its status only: fleets do not care.
            return;
        }
        self.propagation.changed(name_of(subject));
        change.subjects().flat_map(|domain| world.fleets_of(domain)).for_each(|fleet| self.fleet(fleet));
    }

    pub(crate) fn pod_changed(&self, change: &Change<Pod>) {
        if let Change::All = change {
            let pods = self.world.get().map(|world| world.pods.state()).unwrap_or_default();
            pods.iter().for_each(|pod| _ = self.pods.send(ObjectRef::from_obj(&**pod)));
        }
        change.subjects().for_each(|pod| _ = self.pods.send(ObjectRef::from_obj(&**pod)));
        self.owned_changed(change);
    }

    /// Something of a fleet.
    pub(crate) fn owned_changed<K: Resource>(&self, change: &Change<K>) {
        if matches!(change, Change::All) {
            return self.all_fleets();
        }
        if let Some(object) = change.subjects().last()
            && let (Some(fleet), Some(namespace)) = (names::fleet_of(object.meta()), object.namespace())
        {
            self.fleet(ObjectRef::new(fleet).within(&namespace));
        }
    }

    pub(crate) fn node_changed(&self, change: &Change<Node>) {
        let Change::One { before, now } = change else { return self.all_fleets() };
        let closed = |node: &Option<Arc<Node>>| {
            let spec = node.as_ref().and_then(|node| node.spec.clone()).unwrap_or_default();
            (spec.unschedulable.unwrap_or_default(), spec.taints.unwrap_or_default())
        };
        // Peers may be for nodes with these labels.
        let labels = |node: &Option<Arc<Node>>| node.as_ref().map(|node| node.labels().clone());
        if (closed(before), labels(before)) != (closed(now), labels(now)) {
            self.all_fleets();
        }
    }

    pub(crate) fn namespace_changed(&self, change: &Change<Namespace>) {
        let Change::One { before, now } = change else { return self.all_fleets() };
        let labels = |namespace: &Option<Arc<Namespace>>| namespace.as_ref().map(|it| it.labels().clone());
        if labels(before) != labels(now) {
            let names: Vec<String> = change.subjects().map(|namespace| namespace.name_any()).collect();
            self.fleets_where(|fleet| fleet.namespace().is_some_and(|it| names.contains(&it)));
        }
    }
}
