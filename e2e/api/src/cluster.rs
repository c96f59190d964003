//! The API server, and what we leave there: nothing.

use anyhow::{Context as _, Result, bail};
use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, Error,
    api::{DeleteParams, DynamicObject, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

/// What the API server says of an object: nothing, or why not.
pub(crate) type Verdict = Result<(), String>;

/// An API server with our definitions and a namespace for this run.
pub(crate) struct Cluster {
    client: Client,
    namespace: String,
    /// The definitions that were not there before.
    made: Vec<String>,
}

impl Cluster {
    pub(crate) async fn prepare() -> Result<Self> {
        let Some(path) = std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty()) else {
            bail!("KUBECONFIG is not set: it names the API server to try. `e2e/api/run` starts one of its own")
        };
        let read = Kubeconfig::read_from(&path).with_context(|| format!("KUBECONFIG={}", path.display()))?;
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
        let url = config.cluster_url.clone();
        let client = Client::try_from(config)?;
        let version = client.apiserver_version().await.with_context(|| format!("nothing answers at {url}"))?;
        println!("the API server at {url} is {}", version.git_version);
        let namespace = format!("culvert-api-{}", std::process::id());
        let mut cluster = Self { client, namespace, made: Vec::new() };
        if let Err(error) = cluster.fill().await {
            cluster.clean_up().await.context(error.to_string())?;
            return Err(error);
        }
        Ok(cluster)
    }

    async fn fill(&mut self) -> Result<()> {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}});
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.create(&PostParams::default(), &serde_json::from_value(namespace)?).await?;
        for definition in [crds::yaml::map_domain(), crds::yaml::border_relay()] {
            self.define(definition).await?;
        }
        Ok(())
    }

    async fn define(&mut self, definition: Value) -> Result<()> {
        let name = definition["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let mut wanted: CustomResourceDefinition = serde_json::from_value(definition)?;
        match definitions.get_opt(&name).await? {
            None => {
                definitions
                    .create(&PostParams::default(), &wanted)
                    .await
                    .with_context(|| format!("{name} is refused"))?;
                self.made.push(name.clone());
            }
            Some(found) => {
                wanted.metadata.resource_version = found.metadata.resource_version;
                definitions.replace(&name, &PostParams::default(), &wanted).await?;
            }
        }
        // It serves the new schema a moment later.
        for _ in 0..200 {
            let kind = &wanted.spec.names.kind;
            let probe =
                json!({"apiVersion": "culvert.dev/v1alpha1", "kind": kind, "metadata": {"name": "probe"}, "spec": {}});
            if let Ok(Err(said)) = self.tries(&probe).await
                && said.contains("Required value")
            {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        bail!("{name} is not served after 10 s")
    }

    /// Removes all that was made.
    pub(crate) async fn clean_up(&self) -> Result<()> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        for name in &self.made {
            definitions.delete(name, &DeleteParams::default()).await?;
        }
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.delete(&self.namespace, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Whether the object could be created.
    pub(crate) async fn tries(&self, object: &Value) -> Result<Verdict> {
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        verdict(self.api(object).create(&dry, &serde_json::from_value(object.clone())?).await)
    }

    /// Whether `old`, which is created for it, could become `new`.
    pub(crate) async fn tries_update(&self, old: &Value, new: &Value) -> Result<Verdict> {
        let created = self.create(old).await?;
        let mut new: DynamicObject = serde_json::from_value(new.clone())?;
        let name = created.metadata.name.clone().unwrap_or_default();
        new.metadata.resource_version = created.metadata.resource_version;
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let outcome = verdict(self.api(old).replace(&name, &dry, &new).await);
        self.delete(old).await?;
        outcome
    }

    pub(crate) async fn create(&self, object: &Value) -> Result<DynamicObject> {
        Ok(self.api(object).create(&PostParams::default(), &serde_json::from_value(object.clone())?).await?)
    }

    pub(crate) async fn delete(&self, object: &Value) -> Result<()> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        self.api(object).delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    pub(crate) fn api(&self, object: &Value) -> Api<DynamicObject> {
        let kind = object["kind"].as_str().unwrap_or_default();
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(crds::GROUP, crds::VERSION, kind));
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }
}

/// A refusal is an answer; all else that goes wrong ends the comparison.
pub(crate) fn verdict<T>(answer: Result<T, Error>) -> Result<Verdict> {
    match answer {
        Ok(_) => Ok(Ok(())),
        Err(Error::Api(status)) if status.code == 422 => Ok(Err(status.message)),
        Err(error) => Err(error.into()),
    }
}
