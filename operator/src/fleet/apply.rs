//! Makes it so: server-side apply, under one field manager. What is as it should be is left alone.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};

use crds::{BorderRelay, revision};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
    core::{NamespaceResourceScope, ObjectMeta},
    runtime::reflector::{self, ObjectRef, Store},
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::{build::Wanted, found::Held};
use crate::{
    context::Context,
    error::{Error, code},
    names,
};

/// What was written of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// A hash of what was wanted.
    wanted: [u8; 32],
    /// Which version of the object that made.
    version: Option<String>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The revision, if it is written down.
    pub held: Option<Held>,
    /// What could not be done. One thing that is forbidden does not keep the others from being done.
    pub failures: Vec<Error>,
}

/// Writes what is wanted.
pub async fn apply(context: &Context, relay: &BorderRelay, wanted: Wanted) -> Outcome {
    let Wanted { service_account, role, role_binding, held, config_maps, disruption, network_policy, deployment } =
        wanted;
    let world = &context.world;
    let writer = Writer::new(context, relay);
    let mut outcome = Outcome::default();
    // The revision first: relays that run wait for it.
    match revision(&writer, &config_maps).await {
        Ok(()) => outcome.held = Some(held),
        Err(error) => outcome.failures.push(error),
    }
    let done = [
        writer.write(&service_account, &world.service_accounts).await,
        writer.write(&role, &world.roles).await,
        writer.write(&role_binding, &world.role_bindings).await,
        writer.write(&disruption, &world.disruptions).await,
        writer.write(&network_policy, &world.network_policies).await,
    ];
    outcome.failures.extend(done.into_iter().filter_map(Result::err));
    // Pods without a revision would only wait.
    if let Some(deployment) = deployment.filter(|_| outcome.held.is_some()) {
        outcome.failures.extend(writer.write(&deployment, &world.deployments).await.err());
    }
    writer.remember();
    outcome
}

/// The chunks, then the index, then nothing that is left over.
async fn revision(writer: &Writer<'_>, config_maps: &[ConfigMap]) -> Result<(), Error> {
    let store = &writer.context.world.config_maps;
    for config_map in config_maps {
        writer.write(config_map, store).await?;
    }
    let needed: Vec<String> = config_maps.iter().map(ResourceExt::name_any).collect();
    let fleet = writer.relay.name_any();
    for name in revision::object_names(&fleet).filter(|name| !needed.contains(name)) {
        if store.get(&ObjectRef::new(&name).within(&writer.namespace)).is_some() {
            writer.delete::<ConfigMap>(&name).await?;
        }
    }
    Ok(())
}

/// Writes objects of one fleet.
struct Writer<'c> {
    context: &'c Context,
    relay: &'c BorderRelay,
    namespace: String,
    before: Arc<BTreeMap<String, Applied>>,
    now: Mutex<BTreeMap<String, Applied>>,
}

impl<'c> Writer<'c> {
    fn new(context: &'c Context, relay: &'c BorderRelay) -> Self {
        let before = context.applied.get(&ObjectRef::from_obj(relay), relay.uid().as_deref()).unwrap_or_default();
        let namespace = relay.namespace().unwrap_or_default();
        Self { context, relay, namespace, before, now: Mutex::default() }
    }

    /// Writes an object, unless it was written as it is wanted and has not been touched since.
    async fn write<K, S>(&self, object: &K, store: &Store<S>) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize + DeserializeOwned + Clone + Debug,
        S: Resource + reflector::Lookup<DynamicType = ()> + Clone + 'static,
    {
        let name = object.name_any();
        let what = format!("{} {name}", K::kind(&()));
        let json = serde_json::to_vec(object).expect("an object has a JSON form");
        let wanted = Sha256::digest(&json).into();
        let seen = store.get(&ObjectRef::new(&name).within(&self.namespace));
        if let Some(before) = self.before.get(&what)
            && before.wanted == wanted
            && seen.is_some_and(|seen| before.version == version(seen.meta()))
        {
            self.note(what, before.clone());
            return Ok(());
        }
        let api: Api<K> = Api::namespaced(self.context.client.clone(), &self.namespace);
        let params = PatchParams::apply(names::MANAGER).force();
        let written = api.patch(&name, &params, &Patch::Apply(object)).await;
        let written = written.map_err(|error| Error::api("apply", what.clone(), error))?;
        self.note(what, Applied { wanted, version: version(written.meta()) });
        Ok(())
    }

    async fn delete<K>(&self, name: &str) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
    {
        let api: Api<K> = Api::namespaced(self.context.client.clone(), &self.namespace);
        match api.delete(name, &DeleteParams::default()).await {
            Err(error) if code(&error) != Some(404) => {
                Err(Error::api("delete", format!("{} {name}", K::kind(&())), error))
            }
            _ => Ok(()),
        }
    }

    fn note(&self, what: String, applied: Applied) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).insert(what, applied);
    }

    fn remember(self) {
        let now = self.now.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.context.applied.put(ObjectRef::from_obj(self.relay), self.relay.uid(), Arc::new(now));
    }
}

/// What changes when somebody changes an object. Where there is a generation a new status is no change.
fn version(metadata: &ObjectMeta) -> Option<String> {
    metadata.generation.map(|generation| format!("g{generation}")).or_else(|| metadata.resource_version.clone())
}
