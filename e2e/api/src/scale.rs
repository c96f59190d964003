//! `kubectl scale` and autoscalers write through a subresource: the rules hold there too.

use anyhow::Result;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{
    cluster::{Cluster, verdict},
    specs::{Changes, Specs},
};

/// A fleet of up to 16 paths may be scaled to 16 and not to 17.
pub(crate) async fn check(cluster: &Cluster, specs: &Specs, differences: &mut Vec<String>) -> Result<()> {
    let fleet = specs.object("BorderRelay", "scaled", &Changes::new());
    cluster.create(&fleet).await?;
    for (replicas, allowed) in [(16, true), (17, false)] {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let said = verdict(cluster.api(&fleet).patch_scale("scaled", &PatchParams::default(), &patch).await)?;
        let as_expected = match &said {
            Ok(()) => allowed,
            Err(message) => !allowed && message.contains("replicas is more than bgp.expectedMaxPaths"),
        };
        if !as_expected {
            differences.push(format!("scale to {replicas}: {said:?}"));
        }
    }
    println!("a fleet of 16 paths is scaled to 16 relays and not to 17");
    cluster.delete(&fleet).await
}
