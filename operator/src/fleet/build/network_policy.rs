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
    let clients = &settings.relay_clients;
    let ingress = NetworkPolicyIngressRule { ports: Some(ports), from: (!clients.is_empty()).then(|| clients.clone()) };
    let api_server = settings.api_server_ports.iter().map(|port| tcp(*port));
    let out = api_server.chain(settings.collector.ports()).collect();
    let egress = NetworkPolicyEgressRule { ports: Some(out), ..NetworkPolicyEgressRule::default() };
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fleet::fixtures;

    fn ingress(clients: serde_json::Value) -> serde_json::Value {
        let settings = Settings { relay_clients: serde_json::from_value(clients).unwrap(), ..fixtures::settings() };
        json!(network_policy(&fixtures::relay(), &settings).spec.unwrap().ingress)
    }

    #[test]
    fn who_is_named_reaches_the_pages_and_nobody_else() {
        let ports = json!([{"port": 9108, "protocol": "TCP"}]);
        let clients = json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]);
        assert_eq!(ingress(clients.clone()), json!([{"ports": ports, "from": clients}]));
        assert_eq!(ingress(json!([])), json!([{"ports": ports}]));
    }
}
