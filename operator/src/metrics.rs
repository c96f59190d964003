//! `/metrics`: OpenTelemetry instruments, read as Prometheus text. A collector gets the same.

mod fleets;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crds::BorderRelay;
use kube::runtime::reflector::ObjectRef;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter, MeterProvider, ObservableGauge},
};
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use prometheus::{Registry, TextEncoder, proto::MetricFamily};

use self::fleets::Fleets;
use crate::fleet::report::Outcome;

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

    /// How a fleet is. `revision` is the number of the one that relays should forward by.
    pub fn fleet(&self, fleet: &ObjectRef<BorderRelay>, outcome: &Arc<Outcome>, revision: Option<u64>) {
        let mut fleets = self.fleets.lock().unwrap_or_else(PoisonError::into_inner);
        fleets.entry(key(fleet)).or_default().take(outcome, revision);
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
        TextEncoder::new().encode_to_string(&self.gather()).map_err(|error| error.to_string())
    }

    /// As they are now.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
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
        .with_description("Always 1; which build this is")
        .with_callback(|gauge| gauge.observe(1, &[KeyValue::new("version", env!("CARGO_PKG_VERSION"))]))
        .build();
    [leader, build].into_iter().chain(fleets::gauges(meter, fleets)).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{fleets::tests::outcome, *};

    const REGENERATE: &str = "CULVERT_BLESS=1 cargo test -p culvert-operator --lib metrics";

    fn everything() -> Metrics {
        let metrics = Metrics::new().unwrap();
        let fleet = ObjectRef::new("default").within("isp");
        metrics.leads(true);
        for kind in ["BorderRelay", "MapDomain"] {
            metrics.reconciled(kind, "ok", Duration::from_millis(3));
            metrics.reconciled(kind, "error", Duration::from_millis(3));
        }
        metrics.propagated(&fleet, Duration::from_millis(250));
        metrics.fleet(&fleet, &Arc::new(outcome()), Some(7));
        metrics
    }

    /// Dashboards, alerts and the reference of metrics are checked against it.
    #[test]
    fn the_committed_file_has_everything() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/monitoring/metrics/operator.prom");
        let text = everything().render().unwrap();
        if std::env::var_os("CULVERT_BLESS").is_some() {
            fs::write(&file, &text).unwrap();
        }
        assert_eq!(fs::read_to_string(&file).unwrap_or_default(), text, "make it anew: {REGENERATE}");
    }

    #[test]
    fn a_change_is_in_the_bucket_of_its_time() {
        let text = everything().render().unwrap();
        for line in [
            r#"culvert_operator_reconcile_seconds_bucket{kind="BorderRelay",le="0.005"} 2"#,
            r#"culvert_revision_propagation_seconds_bucket{fleet="default",namespace="isp",le="0.2"} 0"#,
            r#"culvert_revision_propagation_seconds_bucket{fleet="default",namespace="isp",le="0.3"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn a_fleet_that_is_gone_has_no_series() {
        let metrics = everything();
        metrics.retain(|_, name| name != "default");
        let text = metrics.render().unwrap();
        assert!(!text.contains("culvert_fleet_") && !text.contains("culvert_domain_"), "{text}");
    }
}
