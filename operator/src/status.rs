//! Writes the status of an object: all of it, under one field manager.

use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::{context::Context, error::Error, names};

/// Writes it.
///
/// # Errors
/// What the API server says.
pub async fn write<K, S>(context: &Context, object: &K, status: &S) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + std::fmt::Debug,
    S: Serialize,
{
    let name = object.name_any();
    let api: Api<K> = Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        // Another object of the same name is not meant.
        "metadata": {"name": name, "uid": object.uid()},
        "status": status,
    });
    let params = PatchParams::apply(names::MANAGER).force();
    let written = api.patch_status(&name, &params, &Patch::Apply(&patch)).await;
    written.map(|_| ()).map_err(|error| Error::api("write the status of", format!("{} {name}", K::kind(&())), error))
}
