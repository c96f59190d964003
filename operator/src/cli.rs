//! The command line. Every flag has a variable.

use std::{net::SocketAddr, str::FromStr};

use clap::Parser;
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use telemetry::Log;

use crate::fleet::build::{Collector, Settings};

/// The operator of Culvert: BorderRelay and MapDomain objects become fleets of MAP-E border relays.
#[derive(Debug, Clone, Parser)]
#[command(name = "culvert-operator", version)]
pub struct Options {
    /// Namespace to look after; may be given several times (default: all of them)
    #[arg(long = "namespace", value_name = "NAMESPACE", env = "CULVERT_NAMESPACES", value_delimiter = ',')]
    pub namespaces: Vec<String>,

    /// Image of relays whose fleet names none
    #[arg(long, value_name = "IMAGE", env = "CULVERT_RELAY_IMAGE")]
    pub relay_image: String,

    /// Image of the speakers beside relays whose fleet names none
    #[arg(long, value_name = "IMAGE", env = "CULVERT_SPEAKER_IMAGE")]
    pub speaker_image: String,

    /// PriorityClass of relays whose fleet names none
    #[arg(long, value_name = "NAME", env = "CULVERT_RELAY_PRIORITY_CLASS")]
    pub relay_priority_class: Option<String>,

    /// TCP ports of the API server, as pods see them: before and after the translation of its Service's address
    ///
    /// A relay's NetworkPolicy lets it out to these ports only.
    #[arg(long, value_name = "PORT", env = "CULVERT_API_SERVER_PORTS", value_delimiter = ',', default_values_t = [443, 6443])]
    pub api_server_ports: Vec<u16>,

    /// Who may reach relays' pages, as `from` of a NetworkPolicy, in JSON: this operator has to be among them (default:
    /// everybody)
    #[arg(long, value_name = "PEERS", env = "CULVERT_RELAY_CLIENTS")]
    pub relay_clients: Option<Peers>,

    /// Name of the Lease by which one of several replicas leads
    #[arg(long, value_name = "NAME", env = "CULVERT_LEASE_NAME", default_value = "culvert-operator")]
    pub lease_name: String,

    /// Namespace of that Lease (default: the one that the operator runs in)
    #[arg(long, value_name = "NAMESPACE", env = "CULVERT_LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,

    /// What this replica is called in the Lease and in events: another for each (default: the host name)
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    pub identity: Option<String>,

    /// Address and port of the HTTP server for /metrics, /livez and /readyz
    #[arg(long, value_name = "ADDRESS:PORT", env = "CULVERT_METRICS_ADDRESS", default_value = "[::]:8080")]
    pub metrics_address: SocketAddr,

    #[command(flatten)]
    #[expect(missing_docs, reason = "it would become the help text of the whole program")]
    pub log: Log,
}

impl Options {
    /// What whoever runs the operator decides for all fleets. `collector`: where they send, which is said in variables of its own.
    #[must_use]
    pub fn settings(&self, collector: Collector) -> Settings {
        Settings {
            relay_image: self.relay_image.clone(),
            speaker_image: self.speaker_image.clone(),
            priority_class: self.relay_priority_class.clone().filter(|class| !class.is_empty()),
            api_server_ports: self.api_server_ports.clone(),
            relay_clients: self.relay_clients.clone().unwrap_or_default().0,
            collector,
        }
    }

    /// The namespaces to look after, each once; `None` is all.
    #[must_use]
    pub fn scopes(&self) -> Vec<Option<String>> {
        let mut names: Vec<String> = self.namespaces.iter().filter(|name| !name.is_empty()).cloned().collect();
        names.sort();
        names.dedup();
        if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() }
    }
}

/// Peers of a NetworkPolicy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Peers(pub Vec<NetworkPolicyPeer>);

impl FromStr for Peers {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> Options {
        let all = ["culvert-operator", "--relay-image", "x:1", "--speaker-image", "y:1"].iter().chain(args);
        Options::try_parse_from(all).unwrap()
    }

    #[test]
    fn without_a_namespace_it_is_all_of_them() {
        assert_eq!(options(&[]).scopes(), [None]);
        let two = options(&["--namespace", "b,a", "--namespace", "a"]);
        assert_eq!(two.scopes(), [Some("a".to_owned()), Some("b".to_owned())]);
    }

    #[test]
    fn images_are_needed() {
        let error = Options::try_parse_from(["culvert-operator"]).unwrap_err().to_string();
        assert!(error.contains("--relay-image") && error.contains("--speaker-image"), "{error}");
        let ports = |args: &[&str]| options(args).settings(Collector::default()).api_server_ports;
        assert_eq!(ports(&[]), [443, 6443]);
        assert_eq!(ports(&["--api-server-ports", "8443"]), [8443]);
    }

    #[test]
    fn clients_are_peers_in_json() {
        let clients = |text| options(&["--relay-clients", text]).settings(Collector::default()).relay_clients;
        assert_eq!(options(&[]).settings(Collector::default()).relay_clients, []);
        assert!(clients(r#"[{"ipBlock": {"cidr": "192.0.2.0/24"}}]"#)[0].ip_block.is_some());
        let refused =
            Options::try_parse_from(["o", "--relay-image", "x", "--speaker-image", "y", "--relay-clients", "{}"]);
        assert!(refused.unwrap_err().to_string().contains("--relay-clients"));
    }
}
