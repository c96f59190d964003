//! Who may talk to relays on the pod network, and to whom they may: customers' packets have no business there.

use crds::BorderRelay;
use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use kube::ResourceExt;

use super::Settings;
use crate::{names, relay, speaker};

pub(super) fn network_policy(fleet: &BorderRelay, settings: &Settings) -> NetworkPolicy {
    let name = fleet.name_any();
    let speaks = fleet.spec.bgp.is_some();
    let ports = [Some(relay::ADMIN_PORT), speaks.then_some(speaker::ADMIN_PORT)];
    let ports = ports.into_iter().flatten().map(tcp).collect();
    let ingress = NetworkPolicyIngressRule { ports: Some(ports), ..NetworkPolicyIngressRule::default() };
    let api_server = settings.api_server_ports.iter().map(|port| tcp(*port)).collect();
    let egress = NetworkPolicyEgressRule { ports: Some(api_server), ..NetworkPolicyEgressRule::default() };
    NetworkPolicy {
        metadata: names::owned(names::child(&name), fleet),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(names::selector(&name)),
                ..LabelSelector::default()
            }),
            policy_types: Some(["Ingress", "Egress"].map(str::to_owned).to_vec()),
            ingress: Some(vec![ingress]),
            egress: Some(vec![egress]),
        }),
    }
}

fn tcp(port: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(port.into())),
        protocol: Some("TCP".to_owned()),
        ..NetworkPolicyPort::default()
    }
}
