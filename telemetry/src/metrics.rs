//! What Prometheus would scrape, as OTLP: the same names, labels and values.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::{
    tonic::{
        collector::metrics::v1::ExportMetricsServiceRequest,
        common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
        metrics::v1::{
            AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
            ScopeMetrics, Sum, metric::Data, number_data_point,
        },
        resource::v1::Resource as ResourceMessage,
    },
    transform::common::tonic::Attributes,
};
use opentelemetry_sdk::Resource;
use prometheus::proto::{self, MetricFamily, MetricType};

/// As many series go into one request: collectors take 4 MiB, and labels of names as long as Kubernetes takes make 600 bytes of
/// a series.
const SERIES: usize = 4000;

/// Whose metrics they are, and since when they are counted.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    resource: ResourceMessage,
    started: u64,
}

impl Origin {
    pub(crate) fn new(resource: &Resource, started: SystemTime) -> Self {
        let attributes = resource.iter().map(|(key, value)| opentelemetry::KeyValue::new(key.clone(), value.clone()));
        let resource = ResourceMessage { attributes: Attributes::from(attributes).0, ..ResourceMessage::default() };
        Self { resource, started: nanoseconds(started) }
    }

    /// All of it, in as many requests as it takes.
    pub(crate) fn requests<'f>(
        &'f self,
        families: &'f [MetricFamily],
        now: SystemTime,
    ) -> impl Iterator<Item = ExportMetricsServiceRequest> + 'f {
        let mut left = parts(families).peekable();
        std::iter::from_fn(move || {
            let (mut metrics, mut room) = (Vec::new(), SERIES);
            while let Some((family, series)) = left.next_if(|(_, series)| series.len() <= room) {
                room -= series.len();
                metrics.push(self.metric(family, series, nanoseconds(now)));
            }
            (!metrics.is_empty()).then(|| self.request(metrics))
        })
    }

    fn request(&self, metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
        let scope = Some(InstrumentationScope { name: "culvert".to_owned(), ..InstrumentationScope::default() });
        let scope_metrics = vec![ScopeMetrics { scope, metrics, ..ScopeMetrics::default() }];
        let resource = Some(self.resource.clone());
        let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
        ExportMetricsServiceRequest { resource_metrics }
    }

    fn metric(&self, family: &MetricFamily, series: &[proto::Metric], now: u64) -> Metric {
        let aggregation_temporality = AggregationTemporality::Cumulative.into();
        let numbers = |value: fn(&proto::Metric) -> f64| {
            series.iter().map(|series| self.number(series, value(series), now)).collect::<Vec<_>>()
        };
        let data = match family.get_field_type() {
            MetricType::COUNTER => Data::Sum(Sum {
                data_points: numbers(|series| series.get_counter().get_value()),
                aggregation_temporality,
                is_monotonic: true,
            }),
            MetricType::HISTOGRAM => Data::Histogram(Histogram {
                data_points: series.iter().map(|series| self.histogram(series, now)).collect(),
                aggregation_temporality,
            }),
            MetricType::GAUGE => Data::Gauge(Gauge { data_points: numbers(|series| series.get_gauge().get_value()) }),
            kind @ (MetricType::SUMMARY | MetricType::UNTYPED) => unreachable!("nobody here registers {kind:?}"),
        };
        let (name, description) = (family.name().to_owned(), family.help().to_owned());
        Metric { name, description, data: Some(data), ..Metric::default() }
    }

    fn number(&self, series: &proto::Metric, value: f64, now: u64) -> NumberDataPoint {
        NumberDataPoint {
            attributes: attributes(series),
            start_time_unix_nano: self.started,
            time_unix_nano: now,
            value: Some(number_data_point::Value::AsDouble(value)),
            ..NumberDataPoint::default()
        }
    }

    /// Prometheus counts in each bucket what is in the smaller ones too; the last bucket of OTLP has no bound.
    fn histogram(&self, series: &proto::Metric, now: u64) -> HistogramDataPoint {
        let histogram = series.get_histogram();
        let buckets = histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite());
        let explicit_bounds = buckets.clone().map(proto::Bucket::upper_bound).collect();
        let up_to = buckets.map(proto::Bucket::cumulative_count).chain([histogram.get_sample_count()]);
        let bucket_counts = up_to.scan(0, |below, count| Some(count - std::mem::replace(below, count))).collect();
        HistogramDataPoint {
            attributes: attributes(series),
            start_time_unix_nano: self.started,
            time_unix_nano: now,
            count: histogram.get_sample_count(),
            sum: Some(histogram.get_sample_sum()),
            bucket_counts,
            explicit_bounds,
            ..HistogramDataPoint::default()
        }
    }
}

/// Families, in parts that a request has room for.
fn parts(families: &[MetricFamily]) -> impl Iterator<Item = (&MetricFamily, &[proto::Metric])> {
    families.iter().flat_map(|family| family.get_metric().chunks(SERIES).map(move |series| (family, series)))
}

fn attributes(series: &proto::Metric) -> Vec<KeyValue> {
    let attribute = |label: &proto::LabelPair| KeyValue {
        key: label.name().to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(label.value().to_owned())) }),
        ..KeyValue::default()
    };
    series.get_label().iter().map(attribute).collect()
}

/// Since 1970, in nanoseconds: enough until 2554.
fn nanoseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos().try_into().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

    use super::*;

    fn origin() -> Origin {
        let resource = Resource::builder_empty().with_service_name("culvert-test").build();
        Origin::new(&resource, UNIX_EPOCH + std::time::Duration::from_secs(1))
    }

    fn metrics(registry: &Registry) -> Vec<Vec<Metric>> {
        let (origin, families) = (origin(), registry.gather());
        let requests = origin.requests(&families, UNIX_EPOCH + std::time::Duration::from_secs(2));
        requests.map(|mut request| request.resource_metrics.remove(0).scope_metrics.remove(0).metrics).collect()
    }

    fn counter(registry: &Registry, name: &str, series: usize) {
        let counter = IntCounterVec::new(Opts::new(name, "Help"), &["domain"]).unwrap();
        registry.register(Box::new(counter.clone())).unwrap();
        (0..series).for_each(|number| counter.with_label_values(&[number.to_string()]).inc_by(number as u64));
    }

    fn series(metric: &Metric) -> Vec<NumberDataPoint> {
        match metric.data.clone().unwrap() {
            Data::Sum(sum) => sum.data_points,
            Data::Gauge(gauge) => gauge.data_points,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_counter_counts_since_the_program_began() {
        let registry = Registry::new();
        counter(&registry, "culvert_packets_total", 2);
        let [metric] = &metrics(&registry)[0][..] else { panic!() };
        assert_eq!((&*metric.name, &*metric.description), ("culvert_packets_total", "Help"));
        let Some(Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
        assert!(sum.is_monotonic && sum.aggregation_temporality() == AggregationTemporality::Cumulative);
        let point = &sum.data_points[1];
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (1_000_000_000, 2_000_000_000));
        assert_eq!(point.value, Some(number_data_point::Value::AsDouble(1.0)));
        assert_eq!(point.attributes[0].key, "domain");
    }

    #[test]
    fn a_gauge_is_as_it_is() {
        let registry = Registry::new();
        let gauge = IntGauge::new("culvert_ready", "Help").unwrap();
        gauge.set(-1);
        registry.register(Box::new(gauge)).unwrap();
        let [metric] = &metrics(&registry)[0][..] else { panic!() };
        assert!(matches!(metric.data, Some(Data::Gauge(_))));
        assert_eq!(series(metric)[0].value, Some(number_data_point::Value::AsDouble(-1.0)));
    }

    #[test]
    fn each_bucket_has_its_own() {
        let registry = Registry::new();
        let opts = HistogramOpts::new("culvert_seconds", "Help").buckets(vec![0.1, 1.0]);
        let histogram = HistogramVec::new(opts, &["kind"]).unwrap();
        registry.register(Box::new(histogram.clone())).unwrap();
        for seconds in [0.05, 0.5, 0.6, 7.0] {
            histogram.with_label_values(&["a"]).observe(seconds);
        }
        let [metric] = &metrics(&registry)[0][..] else { panic!() };
        let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{metric:?}") };
        let point = &histogram.data_points[0];
        assert_eq!((&point.explicit_bounds[..], &point.bucket_counts[..]), (&[0.1, 1.0][..], &[1, 2, 1][..]));
        assert_eq!((point.count, point.sum), (4, Some(8.15)));
    }

    #[test]
    fn many_series_go_in_several_requests_and_none_is_lost() {
        let registry = Registry::new();
        for (name, count) in [("a", 10), ("b", 9000), ("c", 3000), ("d", 1)] {
            counter(&registry, name, count);
        }
        let requests = metrics(&registry);
        let sizes: Vec<usize> =
            requests.iter().map(|request| request.iter().map(|it| series(it).len()).sum()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 12_011);
        assert!(sizes.iter().all(|size| (1..=SERIES).contains(size)), "{sizes:?}");
        let mut domains: Vec<_> =
            requests.iter().flatten().filter(|it| it.name == "b").flat_map(series).map(|it| it.attributes).collect();
        domains.dedup();
        assert_eq!(domains.len(), 9000);
    }
}
