//! `/metrics`: OpenTelemetry instruments, read as Prometheus text.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crds::{BorderRelay, border_relay::RelayState};
use kube::runtime::reflector::ObjectRef;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter, MeterProvider, ObservableGauge},
};
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use prometheus::{Registry, TextEncoder};

use crate::fleet::report::Relays;

/// More series than any one metric can have here. OpenTelemetry would fold what is beyond 2,000 into one.
const SERIES: usize = 100_000;

/// Seconds that a change may take: the goal is one.
const PROPAGATION: [f64; 13] = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Seconds that a look at an object may take.
const RECONCILE: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// What is counted.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    fleets: Fleets,
    leads: Arc<Mutex<bool>>,
    reconciles: Counter<u64>,
    took: Histogram<f64>,
    propagation: Histogram<f64>,
    _gauges: Arc<[ObservableGauge<u64>]>,
    _provider: SdkMeterProvider,
}

type Fleets = Arc<Mutex<BTreeMap<(String, String), Fleet>>>;

/// A fleet in numbers.
#[derive(Debug, Clone, Copy, Default)]
struct Fleet {
    wanted: u64,
    ready: u64,
    programmed: u64,
    draining: u64,
    served: u64,
    refused: u64,
    revision: u64,
}

impl Metrics {
    /// # Errors
    /// If OpenTelemetry does not accept the definitions.
    pub fn new() -> Result<Self, String> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_target_info()
            .scope_info_enabled(false)
            .build()
            .map_err(|error| error.to_string())?;
        let all = |_: &Instrument| Stream::builder().with_cardinality_limit(SERIES).build().ok();
        let provider = SdkMeterProvider::builder().with_reader(exporter).with_view(all).build();
        let meter = provider.meter("culvert");
        let (fleets, leads) = (Fleets::default(), Arc::default());
        Ok(Self {
            registry,
            reconciles: meter
                .u64_counter("culvert_operator_reconciles")
                .with_description("How often an object was looked at, by kind and result")
                .build(),
            took: meter
                .f64_histogram("culvert_operator_reconcile_seconds")
                .with_description("How long it took to look at an object")
                .with_boundaries(RECONCILE.to_vec())
                .build(),
            propagation: meter
                .f64_histogram("culvert_revision_propagation_seconds")
                .with_description("From a MapDomain's change until all relays that are not draining forward by it")
                .with_boundaries(PROPAGATION.to_vec())
                .build(),
            _gauges: gauges(&meter, &fleets, &leads),
            fleets,
            leads,
            _provider: provider,
        })
    }

    /// Whether this operator leads.
    pub fn leads(&self, leads: bool) {
        *self.leads.lock().unwrap_or_else(PoisonError::into_inner) = leads;
    }

    /// An object of this kind was looked at.
    pub fn reconciled(&self, kind: &'static str, result: &'static str, took: Duration) {
        self.reconciles.add(1, &[KeyValue::new("kind", kind), KeyValue::new("result", result)]);
        self.took.record(took.as_secs_f64(), &[KeyValue::new("kind", kind)]);
    }

    /// A change reached all relays of a fleet.
    pub fn propagated(&self, fleet: &ObjectRef<BorderRelay>, took: Duration) {
        self.propagation.record(took.as_secs_f64(), &labels(&key(fleet)));
    }

    /// How a fleet is.
    pub fn fleet(&self, fleet: &ObjectRef<BorderRelay>, relays: &Relays, served: usize, refused: usize, revision: u64) {
        let draining = relays.all.iter().filter(|relay| relay.state == RelayState::Draining).count();
        let numbers = Fleet {
            wanted: relays.total as u64,
            ready: relays.ready() as u64,
            programmed: relays.programmed() as u64,
            draining: draining as u64,
            served: served as u64,
            refused: refused as u64,
            revision,
        };
        self.fleets.lock().unwrap_or_else(PoisonError::into_inner).insert(key(fleet), numbers);
    }

    /// Forgets fleets that are gone.
    pub fn retain(&self, keep: impl Fn(&str, &str) -> bool) {
        let mut fleets = self.fleets.lock().unwrap_or_else(PoisonError::into_inner);
        fleets.retain(|(namespace, name), _| keep(namespace, name));
    }

    /// As Prometheus text.
    ///
    /// # Errors
    /// If it cannot be written as such.
    pub fn render(&self) -> Result<String, String> {
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(|error| error.to_string())
    }
}

fn key(fleet: &ObjectRef<BorderRelay>) -> (String, String) {
    (fleet.namespace.clone().unwrap_or_default(), fleet.name.clone())
}

fn labels((namespace, name): &(String, String)) -> [KeyValue; 2] {
    [KeyValue::new("namespace", namespace.clone()), KeyValue::new("fleet", name.clone())]
}

fn gauges(meter: &Meter, fleets: &Fleets, leads: &Arc<Mutex<bool>>) -> Arc<[ObservableGauge<u64>]> {
    let leads = Arc::clone(leads);
    let leader = meter
        .u64_observable_gauge("culvert_operator_leader")
        .with_description("Whether this replica leads: the sum over all is 1")
        .with_callback(move |gauge| {
            gauge.observe(u64::from(*leads.lock().unwrap_or_else(PoisonError::into_inner)), &[]);
        })
        .build();
    let build = meter
        .u64_observable_gauge("culvert_operator_build_info")
        .with_description("Which version this is")
        .with_callback(|gauge| gauge.observe(1, &[KeyValue::new("version", env!("CARGO_PKG_VERSION"))]))
        .build();
    let relays = "Relays of a fleet, by state; `wanted` are those that should be there and not draining";
    let domains = "Domains that name a fleet, by whether it serves them";
    Arc::new([
        leader,
        build,
        by_state(meter, fleets, "culvert_fleet_relays", relays, |fleet| {
            let Fleet { wanted, ready, programmed, draining, .. } = *fleet;
            vec![("wanted", wanted), ("ready", ready), ("programmed", programmed), ("draining", draining)]
        }),
        by_state(meter, fleets, "culvert_fleet_domains", domains, |fleet| {
            vec![("served", fleet.served), ("refused", fleet.refused)]
        }),
        by_state(meter, fleets, "culvert_fleet_revision", "The number of a fleet's current revision", |fleet| {
            vec![("", fleet.revision)]
        }),
    ])
}

/// A number, or one for each state, of every fleet.
fn by_state(
    meter: &Meter,
    fleets: &Fleets,
    name: &'static str,
    description: &'static str,
    read: fn(&Fleet) -> Vec<(&'static str, u64)>,
) -> ObservableGauge<u64> {
    let fleets = Arc::clone(fleets);
    let observe = move |gauge: &dyn opentelemetry::metrics::AsyncInstrument<u64>| {
        for (fleet, numbers) in fleets.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            for (state, number) in read(numbers) {
                let mut labels = labels(fleet).to_vec();
                if !state.is_empty() {
                    labels.push(KeyValue::new("state", state));
                }
                gauge.observe(number, &labels);
            }
        }
    };
    meter.u64_observable_gauge(name).with_description(description).with_callback(observe).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_are_those_of_the_documentation() {
        let metrics = Metrics::new().unwrap();
        let fleet = ObjectRef::new("default").within("isp");
        metrics.leads(true);
        metrics.reconciled("BorderRelay", "ok", Duration::from_millis(3));
        metrics.propagated(&fleet, Duration::from_millis(250));
        metrics.fleet(&fleet, &Relays { total: 2, ..Relays::default() }, 3, 1, 7);
        let text = metrics.render().unwrap();
        for line in [
            r#"culvert_operator_leader 1"#,
            r#"culvert_operator_reconciles_total{kind="BorderRelay",result="ok"} 1"#,
            r#"culvert_operator_reconcile_seconds_bucket{kind="BorderRelay",le="0.005"} 1"#,
            r#"culvert_revision_propagation_seconds_bucket{fleet="default",namespace="isp",le="0.2"} 0"#,
            r#"culvert_revision_propagation_seconds_bucket{fleet="default",namespace="isp",le="0.3"} 1"#,
            r#"culvert_fleet_relays{fleet="default",namespace="isp",state="wanted"} 2"#,
            r#"culvert_fleet_domains{fleet="default",namespace="isp",state="refused"} 1"#,
            r#"culvert_fleet_revision{fleet="default",namespace="isp"} 7"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn a_fleet_that_is_gone_has_no_series() {
        let metrics = Metrics::new().unwrap();
        metrics.fleet(&ObjectRef::new("default").within("isp"), &Relays::default(), 0, 0, 1);
        metrics.retain(|_, name| name != "default");
        assert!(!metrics.render().unwrap().contains("culvert_fleet_"));
    }
}
