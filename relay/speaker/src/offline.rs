//! `culvert-speaker render`: the configuration of a pod that is described by files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    path::Path,
};

use crds::{
    FleetConfig,
    manifest::{self, Manifest},
    revision::Domain,
};
use mape::{DomainName, IpNet, Ipv4Net, Ipv6Net};
use serde::Deserialize;

use crate::{
    cli::Rendering,
    plan::{Input, Phase, Plan, Pod, Way},
    render::render,
};

/// A pod, as people write it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    name: String,
    node: String,
    #[serde(default)]
    interfaces: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    ways: BTreeMap<String, WrittenWay>,
    #[serde(default)]
    peer_nodes: BTreeMap<String, BTreeSet<String>>,
    #[serde(default)]
    passwords: BTreeMap<String, String>,
    #[serde(default)]
    phase: WrittenPhase,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenWay {
    interface: String,
    source: String,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
enum WrittenPhase {
    #[default]
    Announcing,
    GracefulShutdown,
    Withdrawn,
}

/// The text, and what keeps sessions away.
///
/// # Errors
/// All that is wrong with the files.
pub(crate) fn rendered(rendering: &Rendering) -> Result<(String, Vec<String>), Vec<String>> {
    let loaded = manifest::load(&rendering.manifests);
    let loaded = loaded.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let fleets: Vec<&FleetConfig> = loaded.fleets.iter().map(|fleet| &fleet.config).collect();
    let [fleet] = fleets[..] else {
        return Err(vec![format!(
            "{} BorderRelays in the files: there must be one, which the pod is of",
            fleets.len()
        )]);
    };
    let domains: Vec<Domain> = loaded.domains.iter().filter(|it| is_of(it, &fleet.name)).map(Domain::from).collect();
    let written = read(&rendering.pod).map_err(|error| vec![format!("{}: {error}", rendering.pod.display())])?;
    let pod = pod(&written).map_err(|error| vec![format!("{}: {error}", rendering.pod.display())])?;
    let passwords = written.passwords.into_iter().map(|(key, password)| (key, password.into_bytes())).collect();
    let phase = match written.phase {
        WrittenPhase::Announcing => Phase::Announcing,
        WrittenPhase::GracefulShutdown => Phase::GracefulShutdown,
        WrittenPhase::Withdrawn => Phase::Withdrawn,
    };
    let (peer_nodes, passwords) = (&written.peer_nodes, &passwords);
    let plan = Plan::new(&Input { fleet, peer_nodes, domains: &domains, replaced: &[], pod: &pod, passwords, phase });
    let said = plan.obstacles.iter().map(|it| format!("{}: {}", it.reason, it.message)).collect();
    Ok((render(&plan, rendering.route_table), said))
}

fn is_of(domain: &Manifest, fleet: &DomainName) -> bool {
    domain.config.name.namespace == fleet.namespace && domain.relay_refs.contains(&fleet.name)
}

fn read(path: &Path) -> Result<Written, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    serde_saphyr::from_str(&text).map_err(|error| error.to_string())
}

fn pod(written: &Written) -> Result<Pod, String> {
    let mut pod = Pod { name: written.name.clone(), node: written.node.clone(), ..Pod::default() };
    for (name, nets) in &written.interfaces {
        let nets = nets
            .iter()
            .map(|text| net(text).ok_or_else(|| format!("interfaces.{name}: `{text}` is no address/length")));
        pod.interfaces.insert(name.clone(), nets.collect::<Result<_, _>>()?);
    }
    for (to, way) in &written.ways {
        let address = |text: &str| text.parse::<IpAddr>().map_err(|_| format!("ways.{to}: `{text}` is no address"));
        pod.ways.insert(address(to)?, Way { interface: way.interface.clone(), source: address(&way.source)? });
    }
    Ok(pod)
}

fn net(text: &str) -> Option<IpNet> {
    text.parse::<Ipv4Net>().map(IpNet::from).or_else(|_| text.parse::<Ipv6Net>().map(IpNet::from)).ok()
}
