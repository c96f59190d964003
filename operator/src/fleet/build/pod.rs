//! A relay's pod: everything but its containers.

use std::collections::BTreeMap;

use crds::{FleetConfig, border_relay::Sysctls, fleet::BgpConfig, revision};
use k8s_openapi::{
    api::core::v1::{
        ConfigMapProjection, DownwardAPIProjection, DownwardAPIVolumeFile, EmptyDirVolumeSource, HostPathVolumeSource,
        KeyToPath, ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec, ProjectedVolumeSource,
        SeccompProfile, SecretVolumeSource, ServiceAccountTokenProjection, Sysctl, TopologySpreadConstraint, Volume,
        VolumeProjection,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use serde_json::json;

use super::{Settings, container, deployment::selector};
use crate::{fleet::validate::Valid, names};

/// What Multus and its like read.
const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";

/// As large as the last good revision, its successor and the history may get.
const STATE_SIZE: &str = "64Mi";

/// As large as BIRD's configuration may get with 1,048,576 rules, twice over; it is memory only when it is used.
const MEMORY_SIZE: &str = "256Mi";

/// How long a token lives: the kubelet renews it. 3,607 seconds is what Kubernetes itself gives pods.
const TOKEN_SECONDS: i64 = 3607;

pub(super) fn template(fleet: &str, valid: &Valid, settings: &Settings) -> PodTemplateSpec {
    let config = &valid.fleet;
    let pod = &config.pod_template;
    let mut labels = pod.labels.clone();
    labels.extend(names::labels(fleet));
    let mut annotations = pod.annotations.clone();
    annotations.insert(NETWORKS.to_owned(), networks(config));
    annotations.insert("kubectl.kubernetes.io/default-container".to_owned(), container::RELAY.to_owned());
    let main = match &config.bgp {
        Some(_) => container::speaker(config, settings),
        None => container::main(config, settings),
    };
    let spec = PodSpec {
        init_containers: Some(vec![container::relay(valid, settings)]),
        containers: vec![main],
        volumes: Some(volumes(fleet, config)),
        service_account_name: Some(names::child(fleet)),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(security(config)),
        termination_grace_period_seconds: Some(pod.termination_grace_period_seconds),
        priority_class_name: pod.priority_class_name.clone().or_else(|| settings.priority_class.clone()),
        image_pull_secrets: some(pod.image_pull_secrets.clone()),
        node_selector: (!pod.node_selector.is_empty()).then(|| pod.node_selector.clone()),
        tolerations: some(pod.tolerations.clone()),
        affinity: pod.affinity.clone(),
        topology_spread_constraints: Some(spread(fleet, &pod.topology_spread_constraints)),
        ..PodSpec::default()
    };
    let metadata = ObjectMeta { labels: Some(labels), annotations: Some(annotations), ..ObjectMeta::default() };
    PodTemplateSpec { metadata: Some(metadata), spec: Some(spec) }
}

fn networks(config: &FleetConfig) -> String {
    let network = |interface: &crds::fleet::InterfaceConfig| {
        let crds::fleet::Network { namespace, name } = &interface.network;
        json!({"name": name, "namespace": namespace, "interface": interface.name})
    };
    json!(config.interfaces.iter().map(network).collect::<Vec<_>>()).to_string()
}

fn security(config: &FleetConfig) -> PodSecurityContext {
    let forwarding = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"];
    let on = |name: &str| Sysctl { name: name.to_owned(), value: "1".to_owned() };
    PodSecurityContext {
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
        sysctls: (config.sysctls == Sysctls::Pod).then(|| forwarding.map(on).to_vec()),
        ..PodSecurityContext::default()
    }
}

/// Over nodes and zones, as evenly as can be; what the fleet says replaces it. Pods of another template do not count, or a
/// roll-out would end lopsided.
fn spread(fleet: &str, written: &[TopologySpreadConstraint]) -> Vec<TopologySpreadConstraint> {
    let even = |key: &str| TopologySpreadConstraint {
        max_skew: 1,
        topology_key: key.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(selector(fleet)),
        match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
        ..TopologySpreadConstraint::default()
    };
    if written.is_empty() {
        return ["kubernetes.io/hostname", "topology.kubernetes.io/zone"].map(even).to_vec();
    }
    let own = |constraint: &TopologySpreadConstraint| TopologySpreadConstraint {
        label_selector: constraint.label_selector.clone().or_else(|| Some(selector(fleet))),
        ..constraint.clone()
    };
    written.iter().map(own).collect()
}

fn volumes(fleet: &str, config: &FleetConfig) -> Vec<Volume> {
    let mut volumes = relay_volumes(fleet);
    if let Some(bgp) = &config.bgp {
        volumes.extend(speaker_volumes(fleet, bgp));
    }
    volumes
}

fn speaker_volumes(fleet: &str, bgp: &BgpConfig) -> [Volume; 3] {
    let memory = |name: &str| Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            medium: Some("Memory".to_owned()),
            size_limit: Some(Quantity(MEMORY_SIZE.to_owned())),
        }),
        ..Volume::default()
    };
    let passwords = Volume {
        name: container::PASSWORDS.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret(fleet, bgp)),
            default_mode: Some(0o400),
            // What is not there keeps no pod from starting: the sessions that need it wait, and the speaker says so.
            optional: Some(true),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    };
    [memory(container::RUN), memory(container::BIRD), passwords]
}

/// The Secret with the passwords. Where no peer has one, that of the name which the first would best have: it restarts nothing.
fn secret(fleet: &str, bgp: &BgpConfig) -> String {
    let named = bgp.peers.iter().find_map(|peer| Some(peer.password.as_ref()?.name.clone()));
    named.unwrap_or_else(|| format!("{fleet}-bgp"))
}

fn relay_volumes(fleet: &str) -> Vec<Volume> {
    vec![
        Volume {
            name: container::TUN.to_owned(),
            host_path: Some(HostPathVolumeSource {
                path: container::TUN_PATH.to_owned(),
                type_: Some("CharDevice".to_owned()),
            }),
            ..Volume::default()
        },
        Volume {
            name: container::STATE.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource {
                size_limit: Some(Quantity(STATE_SIZE.to_owned())),
                ..EmptyDirVolumeSource::default()
            }),
            ..Volume::default()
        },
        projected(container::REVISION, revision::object_names(fleet).map(|name| optional(&name)).collect()),
        projected(container::TOKEN, token()),
    ]
}

/// There are as many as the domains need.
fn optional(name: &str) -> VolumeProjection {
    VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: name.to_owned(),
            optional: Some(true),
            ..ConfigMapProjection::default()
        }),
        ..VolumeProjection::default()
    }
}

/// What Kubernetes would mount into every container.
fn token() -> Vec<VolumeProjection> {
    let token = ServiceAccountTokenProjection {
        expiration_seconds: Some(TOKEN_SECONDS),
        path: "token".to_owned(),
        ..ServiceAccountTokenProjection::default()
    };
    let authority = ConfigMapProjection {
        name: "kube-root-ca.crt".to_owned(),
        items: Some(vec![KeyToPath { key: "ca.crt".to_owned(), path: "ca.crt".to_owned(), ..KeyToPath::default() }]),
        ..ConfigMapProjection::default()
    };
    let namespace = DownwardAPIVolumeFile {
        path: "namespace".to_owned(),
        field_ref: Some(ObjectFieldSelector {
            field_path: "metadata.namespace".to_owned(),
            ..ObjectFieldSelector::default()
        }),
        ..DownwardAPIVolumeFile::default()
    };
    vec![
        VolumeProjection { service_account_token: Some(token), ..VolumeProjection::default() },
        VolumeProjection { config_map: Some(authority), ..VolumeProjection::default() },
        VolumeProjection {
            downward_api: Some(DownwardAPIProjection { items: Some(vec![namespace]) }),
            ..VolumeProjection::default()
        },
    ]
}

fn projected(name: &str, sources: Vec<VolumeProjection>) -> Volume {
    Volume {
        name: name.to_owned(),
        projected: Some(ProjectedVolumeSource { sources: Some(sources), ..ProjectedVolumeSource::default() }),
        ..Volume::default()
    }
}

fn some<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}

/// Resources with the devices that the networks need: a device is asked for in whole, so limit and request are equal.
pub(super) fn with_devices(
    written: Option<&k8s_openapi::api::core::v1::ResourceRequirements>,
    devices: &BTreeMap<String, u32>,
) -> Option<k8s_openapi::api::core::v1::ResourceRequirements> {
    if devices.is_empty() {
        return written.cloned();
    }
    let mut resources = written.cloned().unwrap_or_default();
    for (device, count) in devices {
        let quantity = Quantity(count.to_string());
        resources.limits.get_or_insert_default().insert(device.clone(), quantity.clone());
        resources.requests.get_or_insert_default().insert(device.clone(), quantity);
    }
    Some(resources)
}
