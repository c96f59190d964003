//! The collector of traces and metrics that relays and speakers send to: the one that the operator sends to.

use k8s_openapi::{
    api::{core::v1::EnvVar, networking::v1::NetworkPolicyPort},
    apimachinery::pkg::util::intstr::IntOrString,
};
use mape::DomainName;
use telemetry::{Endpoint, Error};

/// Where pods ask for the address of a name.
const DNS: u16 = 53;

/// What pods are told of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Collector {
    endpoints: Vec<Endpoint>,
    variables: telemetry::Settings,
}

impl Collector {
    /// Of the operator's own settings.
    ///
    /// # Errors
    /// If they mean nothing.
    pub fn new(own: &telemetry::Settings) -> Result<Self, Error> {
        let variables = own.handed_on();
        Ok(Self { endpoints: variables.endpoints()?, variables })
    }

    /// What a container has in its environment, after `POD_NAME` and `NODE_NAME`. Nothing if nothing is sent.
    pub(super) fn environment(&self, fleet: &DomainName, container: &str) -> Vec<EnvVar> {
        if self.endpoints.is_empty() {
            return Vec::new();
        }
        let DomainName { namespace, name } = fleet;
        let resource = format!(
            "k8s.namespace.name={namespace},k8s.pod.name=$(POD_NAME),k8s.node.name=$(NODE_NAME),k8s.container.name={container},\
             culvert.fleet={name}"
        );
        let all = self.variables.iter().chain([("OTEL_RESOURCE_ATTRIBUTES", &*resource)]);
        all.map(|(name, value)| EnvVar { name: name.to_owned(), value: Some(value.to_owned()), value_from: None })
            .collect()
    }

    /// What a NetworkPolicy has to let out. As pods see it: the port of a service and that of its pods are to be the same.
    pub(super) fn ports(&self) -> impl Iterator<Item = NetworkPolicyPort> {
        let mut ports: Vec<_> = self.endpoints.iter().map(|endpoint| ("TCP", endpoint.port())).collect();
        if self.endpoints.iter().any(Endpoint::is_name) {
            ports.extend([("UDP", DNS), ("TCP", DNS)]);
        }
        ports.into_iter().map(|(protocol, port)| NetworkPolicyPort {
            port: Some(IntOrString::Int(port.into())),
            protocol: Some(protocol.to_owned()),
            ..NetworkPolicyPort::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collector(variables: &[(&str, &str)]) -> Collector {
        let own = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Collector::new(&own).unwrap()
    }

    fn ports(collector: &Collector) -> Vec<String> {
        let word = |port: NetworkPolicyPort| match port.port {
            Some(IntOrString::Int(number)) => format!("{} {number}", port.protocol.unwrap()),
            other => panic!("{other:?}"),
        };
        collector.ports().map(word).collect()
    }

    #[test]
    fn a_name_has_to_be_looked_up() {
        let by_name = collector(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.monitoring:4317")]);
        assert_eq!(ports(&by_name), ["TCP 4317", "UDP 53", "TCP 53"]);
        let by_address = collector(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:4317"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://[2001:db8::1]:14317"),
        ]);
        assert_eq!(ports(&by_address), ["TCP 4317", "TCP 14317"]);
    }

    #[test]
    fn where_nothing_is_sent_nothing_changes() {
        let fleet = DomainName { namespace: "isp".to_owned(), name: "default".to_owned() };
        for variables in [
            &[("OTEL_TRACES_SAMPLER", "always_off")][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"), ("OTEL_SDK_DISABLED", "true")],
        ] {
            let nothing = collector(variables);
            assert_eq!(
                (nothing.environment(&fleet, "relay"), ports(&nothing)),
                (Vec::new(), Vec::new()),
                "{variables:?}"
            );
        }
    }
}
