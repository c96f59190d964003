//! `/metrics`: OpenTelemetry instruments, read when asked, as Prometheus text. A collector gets the same.

#[cfg(test)]
mod everything;
mod instruments;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use engine::DomainCount;
use jiff::Timestamp;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use prometheus::{Registry, TextEncoder, proto::MetricFamily};

use crate::{
    host::{self, HopView, LinkDrops, Refused},
    plan::Announcement,
    revision::api::Away,
    shared::{Config, SelfTest, Shared},
    workers::Reading,
};

/// More series than any one metric can have: 1,000 domains, two directions, 64 reasons. OpenTelemetry would fold what is
/// beyond 2,000 into one series without a word.
const SERIES: usize = 1000 * 2 * 64;

/// The exporter.
pub(crate) struct Metrics {
    registry: Registry,
    sample: Arc<Mutex<Sample>>,
    /// Held while a sample is being read.
    turn: Mutex<()>,
    _provider: SdkMeterProvider,
}

/// One look at everything that is counted: all series of one answer are of the same moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    /// Why it is not ready.
    pub(crate) reasons: Vec<&'static str>,
    pub(crate) announcement: Announcement,
    pub(crate) withdrawals: BTreeMap<&'static str, u64>,
    pub(crate) fleet: Option<String>,
    pub(crate) domains: Vec<DomainCount>,
    pub(crate) workers: Vec<Reading>,
    pub(crate) links: Vec<LinkDrops>,
    /// The name of the TUN device.
    pub(crate) tun: String,
    pub(crate) config: Config,
    pub(crate) table_bytes: usize,
    pub(crate) hops: Vec<HopView>,
    pub(crate) self_test: Option<SelfTest>,
    pub(crate) draining: bool,
    /// Seconds since the API server last answered, where it is asked.
    pub(crate) api_away: Option<u64>,
    /// Why the newest revision is not in use.
    pub(crate) refused_revision: Option<&'static str>,
    pub(crate) obstacles: Vec<&'static str>,
    pub(crate) refused: Refused,
}

impl Sample {
    /// Takes a sample; `links` were read just before.
    pub(crate) fn take(shared: &Shared, links: Vec<LinkDrops>) -> Self {
        let (status, reasons) = shared.look();
        let since = |away: Away| Timestamp::now().duration_since(away.since).as_secs().unsigned_abs();
        let contact = &shared.contact;
        let asked = contact.has_spoken() || contact.away().is_some();
        Self {
            reasons,
            announcement: status.announcement,
            withdrawals: status.withdrawals,
            fleet: shared.identity.fleet.clone(),
            hops: status.hops,
            self_test: status.readiness.self_test,
            draining: status.readiness.draining,
            api_away: asked.then(|| contact.away().map_or(0, since)),
            refused_revision: status.refusal.map(|refusal| refusal.reason),
            obstacles: status.obstacles.iter().map(|obstacle| obstacle.reason).collect(),
            refused: host::refused(),
            domains: shared.counts(),
            workers: shared.workers(),
            links,
            tun: status.device.map(|device| device.tun.name).unwrap_or_default(),
            config: status.config,
            table_bytes: shared.snapshot.load().tables().bytes(),
        }
    }
}

impl Metrics {
    /// # Errors
    /// If OpenTelemetry does not accept the definitions.
    pub(crate) fn new() -> Result<Self, String> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_target_info()
            .scope_info_enabled(false)
            .build()
            .map_err(|error| error.to_string())?;
        let all = |_: &Instrument| Stream::builder().with_cardinality_limit(SERIES).build().ok();
        let provider = SdkMeterProvider::builder().with_reader(exporter).with_view(all).build();
        let sample = Arc::default();
        instruments::register(&provider.meter("culvert"), &sample);
        Ok(Self { registry, sample, turn: Mutex::new(()), _provider: provider })
    }

    /// The sample as Prometheus text.
    ///
    /// # Errors
    /// If it cannot be written as such.
    pub(crate) fn render(&self, sample: Sample) -> Result<String, String> {
        TextEncoder::new().encode_to_string(&self.gather(sample)).map_err(|error| error.to_string())
    }

    /// The sample as series.
    pub(crate) fn gather(&self, sample: Sample) -> Vec<MetricFamily> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        *self.sample.lock().unwrap_or_else(PoisonError::into_inner) = sample;
        self.registry.gather()
    }
}

#[cfg(test)]
mod tests {
    use engine::{Count, Direction, DropReason, IcmpKind, Kept};
    use mape::DomainName;
    use rustix::io::Errno;

    use super::*;
    use crate::workers::Progress;

    fn counts(number: usize) -> DomainCount {
        let count = Count { packets: 1, bytes: 100 };
        let directions = [Direction::ToCe, Direction::FromCe];
        let all_reasons = |direction| DropReason::ALL.map(|reason| (direction, reason, count));
        DomainCount {
            name: DomainName { namespace: "isp".to_owned(), name: format!("d{number}") },
            forwarded: directions.map(|direction| (direction, count)).to_vec(),
            dropped: directions.into_iter().flat_map(all_reasons).collect(),
            icmp_sent: vec![(IcmpKind::Error, 1), (IcmpKind::EchoReply, 2)],
            icmp_suppressed: vec![(IcmpKind::Error, 3)],
            reassembly: Kept { datagrams: 4, bytes: 5 },
        }
    }

    fn lines<'t>(text: &'t str, metric: &str) -> Vec<&'t str> {
        let start = format!("{metric}{{");
        text.lines().filter(|line| line.starts_with(&start) || line.starts_with(&format!("{metric} "))).collect()
    }

    #[test]
    fn a_thousand_domains_keep_a_series_each() {
        let sample = Sample { domains: (0..1000).map(counts).collect(), ..Sample::default() };
        let text = Metrics::new().unwrap().render(sample).unwrap();
        assert_eq!(lines(&text, "culvert_forwarded_packets_total").len(), 2 * 1000);
        assert_eq!(lines(&text, "culvert_dropped_bytes_total").len(), 2 * 1000 * DropReason::ALL.len());
        assert!(!text.contains("overflow"));
    }

    #[test]
    fn names_and_labels_are_those_of_the_documentation() {
        let text = Metrics::new().unwrap().render(Sample { domains: vec![counts(7)], ..Sample::default() }).unwrap();
        for line in [
            r#"culvert_forwarded_packets_total{direction="to_ce",domain="d7",namespace="isp"} 1"#,
            r#"culvert_forwarded_bytes_total{direction="from_ce",domain="d7",namespace="isp"} 100"#,
            r#"culvert_reassembly_datagrams{domain="d7",namespace="isp"} 4"#,
            r#"culvert_reassembly_bytes{domain="d7",namespace="isp"} 5"#,
            r#"culvert_dropped_packets_total{direction="from_ce",domain="d7",namespace="isp",reason="SpoofedSource"} 1"#,
            r#"culvert_icmp_sent_total{domain="d7",kind="echo_reply",namespace="isp"} 2"#,
            r#"culvert_icmp_suppressed_total{domain="d7",kind="error",namespace="isp"} 3"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn only_what_has_counted_is_there() {
        let text = Metrics::new().unwrap().render(Sample::default()).unwrap();
        for metric in ["forwarded_packets", "dropped_packets", "tun_write_errors", "interface_dropped_packets"] {
            assert!(!text.contains(metric), "{metric}");
        }
        assert_eq!(lines(&text, "culvert_announcing"), ["culvert_announcing 0"]);
    }

    #[test]
    fn what_the_kernel_loses_is_a_series_of_its_own() {
        let link = |interface: &str, received, transmitted| LinkDrops {
            interface: interface.to_owned(),
            received,
            transmitted,
            ..LinkDrops::default()
        };
        let progress = Progress::default();
        progress.write_failed(Errno::INVAL);
        let sample = Sample {
            tun: "culvert0".to_owned(),
            links: vec![link("culvert0", 0, 5), link("eth0", 3, 0)],
            workers: vec![Reading::default(), progress.read()],
            ..Sample::default()
        };
        let text = Metrics::new().unwrap().render(sample).unwrap();
        assert_eq!(lines(&text, "culvert_tun_dropped_packets_total"), ["culvert_tun_dropped_packets_total 5"]);
        assert_eq!(
            lines(&text, "culvert_interface_dropped_packets_total"),
            [r#"culvert_interface_dropped_packets_total{direction="receive",interface="eth0"} 3"#]
        );
        assert_eq!(
            lines(&text, "culvert_tun_write_errors_total"),
            [r#"culvert_tun_write_errors_total{error="Invalid",queue="1"} 1"#]
        );
    }

    #[test]
    fn an_old_hash_is_forgotten() {
        let metrics = Metrics::new().unwrap();
        let with =
            |hash: &str| Sample { config: Config { hash: hash.to_owned(), ..Config::default() }, ..Sample::default() };
        metrics.render(with("old")).unwrap();
        let text = metrics.render(with("new")).unwrap();
        assert_eq!(lines(&text, "culvert_config_info"), [r#"culvert_config_info{hash="new"} 1"#]);
    }
}
