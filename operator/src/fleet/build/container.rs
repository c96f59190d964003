//! The two containers of a relay's pod: the relay, and the speaker, or what keeps its place where nobody is spoken to.

use crds::{
    FleetConfig,
    border_relay::{PullPolicy, Side},
    fleet::NextHops,
    routes,
};
use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, ObjectFieldSelector, Probe,
        SecurityContext, VolumeMount,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{Settings, pod::with_devices};
use crate::{fleet::validate::Valid, relay, speaker};

/// The relay's container.
pub(super) const RELAY: &str = "relay";

/// The container of its speaker.
pub const SPEAKER: &str = "speaker";

/// What the ports are called.
const METRICS: &str = "metrics";
const BGP_METRICS: &str = "bgp-metrics";

/// The user that containers without privileges run as.
const NOBODY: i64 = 65532;

pub(super) const TUN: &str = "tun";
pub(super) const TUN_PATH: &str = "/dev/net/tun";
pub(super) const STATE: &str = "state";
pub(super) const REVISION: &str = "revision";
pub(super) const TOKEN: &str = "token";
pub(super) const RUN: &str = "run";
pub(super) const BIRD: &str = "bird";
pub(super) const PASSWORDS: &str = "passwords";

const STATE_PATH: &str = "/var/lib/culvert";
const REVISION_PATH: &str = "/etc/culvert/revision";
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const RUN_PATH: &str = "/run/culvert";
const BIRD_PATH: &str = "/run/bird";
const PASSWORDS_PATH: &str = "/etc/culvert/passwords";

/// Where the speaker tells the relay which routers are up.
const PEER_STATE: &str = "/run/culvert/peers.sock";

/// A sidecar in Kubernetes' sense: it starts before the main container and stops after it.
pub(super) fn relay(valid: &Valid, settings: &Settings) -> Container {
    let config = &valid.fleet;
    let mut mounts = vec![
        mount(TUN, TUN_PATH, false),
        mount(STATE, STATE_PATH, false),
        mount(REVISION, REVISION_PATH, true),
        mount(TOKEN, TOKEN_PATH, true),
    ];
    if config.bgp.is_some() {
        mounts.push(mount(RUN, RUN_PATH, true));
    }
    Container {
        name: RELAY.to_owned(),
        image: Some(image(config, settings)),
        image_pull_policy: pull_policy(config),
        restart_policy: Some("Always".to_owned()),
        command: Some(["/culvert-relay", "run"].map(str::to_owned).to_vec()),
        args: Some(flags(config)),
        env: Some(environment(RELAY, config, settings)),
        ports: Some(vec![port(METRICS, relay::ADMIN_PORT)]),
        resources: with_devices(config.pod_template.resources.as_ref(), &valid.devices),
        security_context: Some(privileges(0, &["NET_ADMIN"])),
        // 2 s for 300 times: ten minutes until the first revision is there.
        startup_probe: Some(probe(METRICS, "/startupz", 2, 2, 300)),
        readiness_probe: Some(probe(METRICS, "/readyz", 2, 2, 2)),
        liveness_probe: Some(probe(METRICS, "/livez", 10, 5, 3)),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// It announces what the relay serves, and at the end takes its leave of routers while the relay still forwards.
pub(super) fn speaker(config: &FleetConfig, settings: &Settings) -> Container {
    let pod = &config.pod_template.speaker;
    Container {
        name: SPEAKER.to_owned(),
        image: Some(pod.image.clone().unwrap_or_else(|| settings.speaker_image.clone())),
        image_pull_policy: pull_policy(config),
        command: Some(["/culvert-speaker", "run"].map(str::to_owned).to_vec()),
        args: Some(vec![
            format!("--fleet={}/{}", config.name.namespace, config.name.name),
            "--watch".to_owned(),
            format!("--revision-dir={REVISION_PATH}"),
            format!("--passwords-dir={PASSWORDS_PATH}"),
            format!("--run-dir={RUN_PATH}"),
            format!("--bird-dir={BIRD_PATH}"),
            "--bird=/usr/sbin/bird".to_owned(),
            format!("--route-table={}", routes::TABLE),
            format!("--admin=$(POD_IP):{}", speaker::ADMIN_PORT),
        ]),
        env: Some(environment(SPEAKER, config, settings)),
        ports: Some(vec![port(BGP_METRICS, speaker::ADMIN_PORT)]),
        resources: pod.resources.clone(),
        // For TCP port 179, and the priority of BFD's packets.
        security_context: Some(privileges(0, &["NET_BIND_SERVICE", "NET_RAW"])),
        startup_probe: Some(probe(BGP_METRICS, "/startupz", 2, 2, 300)),
        readiness_probe: Some(probe(BGP_METRICS, "/readyz", 2, 2, 2)),
        liveness_probe: Some(probe(BGP_METRICS, "/livez", 10, 5, 3)),
        volume_mounts: Some(vec![
            mount(RUN, RUN_PATH, false),
            mount(BIRD, BIRD_PATH, false),
            mount(REVISION, REVISION_PATH, true),
            mount(PASSWORDS, PASSWORDS_PATH, true),
            mount(TOKEN, TOKEN_PATH, true),
        ]),
        ..Container::default()
    }
}

/// It keeps the pod running, and stops before the relay does.
pub(super) fn main(config: &FleetConfig, settings: &Settings) -> Container {
    Container {
        name: "main".to_owned(),
        image: Some(image(config, settings)),
        image_pull_policy: pull_policy(config),
        command: Some(["/culvert-relay", "wait"].map(str::to_owned).to_vec()),
        resources: config.pod_template.speaker.resources.clone(),
        security_context: Some(SecurityContext { run_as_non_root: Some(true), ..privileges(NOBODY, &[]) }),
        ..Container::default()
    }
}

fn image(config: &FleetConfig, settings: &Settings) -> String {
    config.pod_template.image.clone().unwrap_or_else(|| settings.relay_image.clone())
}

fn pull_policy(config: &FleetConfig) -> Option<String> {
    let policy = config.pod_template.image_pull_policy?;
    let word = match policy {
        PullPolicy::Always => "Always",
        PullPolicy::IfNotPresent => "IfNotPresent",
        PullPolicy::Never => "Never",
    };
    Some(word.to_owned())
}

fn flags(config: &FleetConfig) -> Vec<String> {
    let mut flags = vec![
        format!("--fleet={}/{}", config.name.namespace, config.name.name),
        "--watch".to_owned(),
        format!("--revision-dir={REVISION_PATH}"),
        format!("--state-dir={STATE_PATH}"),
        format!("--route-table={}", routes::TABLE),
        format!("--admin=$(POD_IP):{}", relay::ADMIN_PORT),
        format!("--graceful-shutdown-seconds={}", config.drain.graceful_shutdown_seconds),
        format!("--withdraw-seconds={}", config.drain.withdraw_seconds),
    ];
    if config.bgp.is_some() {
        flags.push(format!("--peer-state={PEER_STATE}"));
    }
    for interface in &config.interfaces {
        let side = match interface.side {
            Side::IPv4 => "IPv4",
            Side::IPv6 => "IPv6",
            Side::Both => "Both",
        };
        flags.push(format!("--side={}={side}", interface.name));
    }
    for interface in &config.interfaces {
        // The peers that are up are for a speaker to say.
        if let NextHops::Addresses(addresses) = &interface.next_hops {
            flags.extend(addresses.iter().map(|address| format!("--next-hop={}={address}", interface.name)));
        }
    }
    flags.extend(config.queues.map(|queues| format!("--queues={queues}")));
    flags
}

fn environment(container: &str, config: &FleetConfig, settings: &Settings) -> Vec<EnvVar> {
    let field = |(name, path): (&str, &str)| EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { field_path: path.to_owned(), ..ObjectFieldSelector::default() }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    };
    let fields = [("POD_IP", "status.podIP"), ("POD_NAME", "metadata.name"), ("NODE_NAME", "spec.nodeName")];
    fields.map(field).into_iter().chain(settings.collector.environment(&config.name, container)).collect()
}

fn privileges(user: i64, added: &[&str]) -> SecurityContext {
    let added: Vec<String> = added.iter().map(|&capability| capability.to_owned()).collect();
    SecurityContext {
        run_as_user: Some(user),
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: (!added.is_empty()).then_some(added),
        }),
        ..SecurityContext::default()
    }
}

fn port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number.into(),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

fn probe(port: &str, path: &str, period: i32, timeout: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(port.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(timeout),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}
