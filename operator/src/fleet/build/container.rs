//! The two containers of a relay's pod: the relay, and what will be the speaker.

use crds::{
    FleetConfig,
    border_relay::{PullPolicy, Side},
    fleet::NextHops,
};
use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, ObjectFieldSelector, Probe,
        SecurityContext, VolumeMount,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{Settings, pod::with_devices};
use crate::{fleet::validate::Valid, relay::ADMIN_PORT};

/// The relay's container.
pub(super) const RELAY: &str = "relay";

/// The routing table that belongs to the relay: customers' packets never see the pod's own.
const ROUTE_TABLE: u32 = 4646;

/// The user that containers without privileges run as.
const NOBODY: i64 = 65532;

pub(super) const TUN: &str = "tun";
pub(super) const TUN_PATH: &str = "/dev/net/tun";
pub(super) const STATE: &str = "state";
pub(super) const REVISION: &str = "revision";
pub(super) const TOKEN: &str = "token";

const STATE_PATH: &str = "/var/lib/culvert";
const REVISION_PATH: &str = "/etc/culvert/revision";
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A sidecar in Kubernetes' sense: it starts before the main container and stops after it.
pub(super) fn relay(valid: &Valid, settings: &Settings) -> Container {
    let config = &valid.fleet;
    Container {
        name: RELAY.to_owned(),
        image: Some(image(config, settings)),
        image_pull_policy: pull_policy(config),
        restart_policy: Some("Always".to_owned()),
        command: Some(["/culvert-relay", "run"].map(str::to_owned).to_vec()),
        args: Some(flags(config)),
        env: Some(environment()),
        ports: Some(vec![ContainerPort {
            name: Some("metrics".to_owned()),
            container_port: ADMIN_PORT.into(),
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        resources: with_devices(config.pod_template.resources.as_ref(), &valid.devices),
        security_context: Some(privileges(0, &["NET_ADMIN"])),
        // 2 s for 300 times: ten minutes until the first revision is there.
        startup_probe: Some(probe("/startupz", 2, 2, 300)),
        readiness_probe: Some(probe("/readyz", 2, 2, 2)),
        liveness_probe: Some(probe("/livez", 10, 5, 3)),
        volume_mounts: Some(vec![
            mount(TUN, TUN_PATH, false),
            mount(STATE, STATE_PATH, false),
            mount(REVISION, REVISION_PATH, true),
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
    let drain = config.drain.graceful_shutdown_seconds + config.drain.withdraw_seconds;
    let mut flags = vec![
        format!("--fleet={}/{}", config.name.namespace, config.name.name),
        "--watch".to_owned(),
        format!("--revision-dir={REVISION_PATH}"),
        format!("--state-dir={STATE_PATH}"),
        format!("--route-table={ROUTE_TABLE}"),
        format!("--admin=$(POD_IP):{ADMIN_PORT}"),
        format!("--drain-seconds={drain}"),
    ];
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

fn environment() -> Vec<EnvVar> {
    let field = |(name, path): (&str, &str)| EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { field_path: path.to_owned(), ..ObjectFieldSelector::default() }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    };
    let fields = [("POD_IP", "status.podIP"), ("POD_NAME", "metadata.name"), ("NODE_NAME", "spec.nodeName")];
    fields.map(field).to_vec()
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

fn probe(path: &str, period: i32, timeout: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("metrics".to_owned()),
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
