//! What a collector gets.

mod receiver;

use std::{collections::BTreeSet, net::TcpListener, sync::Arc};

use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{Metric, metric::Data},
};
use prometheus::{IntCounterVec, Opts, Registry};
use tracing::{info, info_span};

use self::receiver::{Receiver, next};
use super::*;

const PROGRAM: Program = Program { name: "culvert-test", version: "1.2.3", crates: &["telemetry"] };
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A collector that does not answer is waited for that long: a test that waits for it never ends.
const FOR_EVER: &str = "3600000";

/// How long anything else may take: the machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

fn settings(address: std::net::SocketAddr, more: &[(&str, &str)]) -> Settings {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), format!("http://{address}"));
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    [endpoint].into_iter().chain(more).collect()
}

/// Runs something in a program that traces, and ends it when what is left is sent.
fn traced(settings: &Settings, run: impl FnOnce(&mut Telemetry)) {
    traced_for(PATIENCE, settings, run);
}

/// Runs something in a program that traces, and ends it when what is left is sent, or that long after.
fn traced_for(flush: Duration, settings: &Settings, run: impl FnOnce(&mut Telemetry)) {
    let mut telemetry = Telemetry::new(&PROGRAM, settings, flush).unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.spans(&PROGRAM));
    tracing::subscriber::with_default(subscriber, || run(&mut telemetry));
}

fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let value = attributes.iter().find(|it| it.key == key)?.value.as_ref()?.value.as_ref()?;
    if let Value::StringValue(text) = value { Some(text) } else { None }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every series of an OpenTelemetry message, as `name{label=value,...}`.
fn series(metric: &Metric) -> Vec<String> {
    let attributes: Vec<_> = match metric.data.clone().unwrap() {
        Data::Sum(sum) => sum.data_points.into_iter().map(|point| point.attributes).collect(),
        Data::Gauge(gauge) => gauge.data_points.into_iter().map(|point| point.attributes).collect(),
        other => panic!("{other:?}"),
    };
    let labels = |attributes: &Vec<KeyValue>| {
        let label = |it: &KeyValue| format!("{}={}", it.key, attribute(attributes, &it.key).unwrap());
        attributes.iter().map(label).collect::<Vec<_>>().join(",")
    };
    attributes.iter().map(|it| format!("{}{{{}}}", metric.name, labels(it))).collect()
}

#[test]
fn spans_go_on_where_another_process_began() {
    let receiver = Receiver::start();
    traced(&settings(receiver.address, &[("OTEL_EXPORTER_OTLP_HEADERS", "x-scope=isp")]), |_| {
        let span = follow(info_span!("program revision", sequence = 7), Some(PARENT));
        span.in_scope(|| info_span!("swap").in_scope(|| info!("done")));
    });
    let received = next(&receiver.spans);
    assert_eq!(attribute(&received.resource.attributes, "service.name"), Some("culvert-test"));
    assert_eq!(attribute(&received.resource.attributes, "service.version"), Some("1.2.3"));
    let names: Vec<&str> = received.items.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["swap", "program revision"]);
    let [swap, program] = &received.items[..] else { panic!() };
    assert_eq!(hex(&program.trace_id), PARENT[3..35]);
    assert_eq!(hex(&program.parent_span_id), PARENT[36..52]);
    assert_eq!((&swap.trace_id, &swap.parent_span_id), (&program.trace_id, &program.span_id));
    assert_eq!(receiver.headers.lock().unwrap().get("x-scope").unwrap(), "isp");
}

#[test]
fn what_is_long_over_is_linked() {
    let receiver = Receiver::start();
    traced(&settings(receiver.address, &[]), |_| link(info_span!("start"), Some(PARENT)).in_scope(|| ()));
    let start = &next(&receiver.spans).items[0];
    assert_ne!(hex(&start.trace_id), PARENT[3..35]);
    assert!(start.parent_span_id.is_empty());
    assert_eq!(
        (hex(&start.links[0].trace_id), hex(&start.links[0].span_id)),
        (PARENT[3..35].to_owned(), PARENT[36..52].to_owned())
    );
}

#[test]
fn metrics_are_those_of_the_scrape_and_come_once_more_at_the_end() {
    let receiver = Receiver::start();
    let registry = Registry::new();
    let counter = IntCounterVec::new(Opts::new("culvert_packets_total", "Help"), &["domain", "reason"]).unwrap();
    registry.register(Box::new(counter.clone())).unwrap();
    counter.with_label_values(&["a", "Spoofed"]).inc();
    let gather = move || std::future::ready(Ok(registry.gather()));
    let quick = [("OTEL_METRIC_EXPORT_INTERVAL", "20")];
    traced(&settings(receiver.address, &quick), |telemetry| {
        telemetry.push(gather);
        let received = next(&receiver.metrics);
        assert_eq!(attribute(&received.resource.attributes, "service.name"), Some("culvert-test"));
        assert_eq!(series(&received.items[0]), ["culvert_packets_total{domain=a,reason=Spoofed}"]);
        counter.with_label_values(&["b", "Spoofed"]).inc();
    });
    let last = receiver.metrics.try_iter().last().unwrap();
    let last: Vec<String> = last.items.iter().flat_map(series).collect();
    assert_eq!(last.len(), 2, "{last:?}");
}

/// A thousand domains with all their drop reasons, under names as long as Kubernetes takes: more than OpenTelemetry's 2,000 series, and
/// more than the 4 MiB that a request may have, which this receiver insists on.
#[test]
fn a_thousand_domains_lose_no_series() {
    let receiver = Receiver::start();
    let registry = Registry::new();
    let labels = ["namespace", "domain", "direction", "reason"];
    let counter = IntCounterVec::new(Opts::new("culvert_dropped_packets_total", "Help"), &labels).unwrap();
    registry.register(Box::new(counter.clone())).unwrap();
    let mut expected = BTreeSet::new();
    for (domain, reason) in (0..1000).flat_map(|domain| (0..52).map(move |reason| (domain, reason))) {
        let (namespace, domain, reason) = (format!("{:0>63}", 1), format!("{domain:0>253}"), format!("Reason{reason}"));
        counter.with_label_values(&[&*namespace, &*domain, "to_ce", &*reason]).inc();
        let labels = format!("direction=to_ce,domain={domain},namespace={namespace},reason={reason}");
        expected.insert(format!("culvert_dropped_packets_total{{{labels}}}"));
    }
    traced(&settings(receiver.address, &[("OTEL_METRIC_EXPORT_INTERVAL", "1")]), |telemetry| {
        telemetry.push(move || std::future::ready(Ok(registry.gather())));
        let mut found = BTreeSet::new();
        while found.len() < expected.len() {
            found.extend(next(&receiver.metrics).items.iter().flat_map(series));
        }
        assert_eq!(found, expected);
    });
}

#[test]
fn a_collector_that_never_answers_holds_up_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let patient = [("OTEL_EXPORTER_OTLP_TIMEOUT", FOR_EVER), ("OTEL_METRIC_EXPORT_INTERVAL", "1")];
    traced_for(FLUSH, &settings(silent.local_addr().unwrap(), &patient), |telemetry| {
        telemetry.push(|| std::future::ready(Ok(Registry::new().gather())));
        for _ in 0..10_000 {
            info_span!("reconcile").in_scope(|| ());
        }
    });
}

/// 2,048 wait, and 512 are on their way.
#[test]
fn what_waits_for_a_slow_collector_is_bounded() {
    let receiver = Receiver::at("127.0.0.1:0".parse().unwrap());
    let answers = Arc::clone(&receiver.answers);
    traced(&settings(receiver.address, &[]), |_| {
        for _ in 0..100_000 {
            info_span!("reconcile").in_scope(|| ());
        }
        answers.add_permits(1000);
    });
    let received: usize = receiver.spans.try_iter().map(|batch| batch.items.len()).sum();
    assert!((1..=2048 + 512).contains(&received), "{received}");
}

#[test]
fn spans_wait_for_a_collector_that_is_restarted() {
    let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    traced(&settings(address, &[]), |telemetry| {
        info_span!("reconcile").in_scope(|| ());
        let provider = telemetry.sending.as_ref().unwrap().traces.clone().unwrap();
        let flushed = std::thread::spawn(move || provider.force_flush());
        // Refused once, at least.
        std::thread::sleep(Duration::from_millis(300));
        let receiver = Receiver::at(address);
        receiver.answers.add_permits(1);
        assert_eq!(next(&receiver.spans).items[0].name, "reconcile");
        // Whether the SDK has waited for it, which it does for five seconds, does not matter.
        let _ = flushed.join().unwrap();
    });
}

#[test]
fn without_an_endpoint_there_is_nothing() {
    let mut telemetry = Telemetry::new(&PROGRAM, &Settings::default(), FLUSH).unwrap();
    assert!(telemetry.spans::<tracing_subscriber::Registry>(&PROGRAM).is_none());
    telemetry.push(|| async { panic!("nobody asks") });
    assert!(telemetry.sending.is_none());
}
