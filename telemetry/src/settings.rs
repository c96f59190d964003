//! The variables that OpenTelemetry has for all programs (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>), as far
//! as they mean something here.

use std::{collections::BTreeMap, time::Duration};

use tonic::metadata::MetadataMap;

use crate::{
    endpoint::Endpoint,
    variable::{Error, Setting},
};

/// Settings that whoever starts other programs hands on to them. No headers: what is secret stays where it is.
const HANDED_ON: [&str; 12] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_METRICS_EXPORTER",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
];

/// What the specification says.
const TIMEOUT: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_secs(60);

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
}

/// Where a signal goes, and how.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    pub(crate) signal: Signal,
    pub(crate) endpoint: Endpoint,
    pub(crate) headers: MetadataMap,
    pub(crate) timeout: Duration,
}

/// The variables, by name; those that are empty are not set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// What the environment says.
    #[must_use]
    pub fn read() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        std::env::vars_os().filter_map(text).collect()
    }

    /// Those that programs which this one starts should have too: they send where it sends.
    #[must_use]
    pub fn handed_on(&self) -> Self {
        let named = |name: &str| Some((name.to_owned(), self.get(name)?.to_owned()));
        HANDED_ON.into_iter().filter_map(named).collect()
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Where something is sent.
    ///
    /// # Errors
    /// If a variable means nothing.
    pub fn endpoints(&self) -> Result<Vec<Endpoint>, Error> {
        let mut found = Vec::new();
        for signal in [Signal::Traces, Signal::Metrics] {
            found.extend(self.destination(signal)?.map(|destination| destination.endpoint));
        }
        found.dedup();
        Ok(found)
    }

    /// Where a signal goes, if anywhere.
    pub(crate) fn destination(&self, signal: Signal) -> Result<Option<Destination>, Error> {
        if !self.is_wanted(signal) {
            return Ok(None);
        }
        let Some(endpoint) = self.about(signal, "ENDPOINT").map(Setting::parse).transpose()? else { return Ok(None) };
        if let Some(protocol) = self.about(signal, "PROTOCOL").filter(|protocol| protocol.value != "grpc") {
            return Err(protocol.wrong("only `grpc` is spoken here"));
        }
        if let Some(compression) = self.about(signal, "COMPRESSION").filter(|compression| compression.value != "none") {
            return Err(compression.wrong("nothing is compressed here"));
        }
        let headers = self.about(signal, "HEADERS").map(Setting::headers).transpose()?.unwrap_or_default();
        let timeout = self.about(signal, "TIMEOUT").map(Setting::milliseconds).transpose()?.unwrap_or(TIMEOUT);
        Ok(Some(Destination { signal, endpoint, headers, timeout }))
    }

    /// The time from one push of metrics to the next.
    pub(crate) fn metric_interval(&self) -> Result<Duration, Error> {
        let interval = self.setting("OTEL_METRIC_EXPORT_INTERVAL".to_owned());
        Ok(interval.map(Setting::milliseconds).transpose()?.unwrap_or(INTERVAL))
    }

    fn is_wanted(&self, signal: Signal) -> bool {
        let is_off = self.get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let exporters = self.get(&format!("OTEL_{}_EXPORTER", signal.variable())).unwrap_or("otlp");
        !is_off && exporters.split(',').any(|exporter| exporter.trim() == "otlp")
    }

    /// The variable of one signal goes before that of all.
    fn about(&self, signal: Signal, what: &str) -> Option<Setting<'_>> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.variable());
        self.setting(own).or_else(|| self.setting(format!("OTEL_EXPORTER_OTLP_{what}")))
    }

    fn setting(&self, variable: String) -> Option<Setting<'_>> {
        let value = self.get(&variable)?;
        Some(Setting { variable, value })
    }

    fn get(&self, variable: &str) -> Option<&str> {
        self.0.get(variable).map(String::as_str)
    }
}

impl FromIterator<(String, String)> for Settings {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(all: I) -> Self {
        let means_something = |(name, value): &(String, String)| name.starts_with("OTEL_") && !value.trim().is_empty();
        Self(all.into_iter().filter(means_something).map(|(name, value)| (name, value.trim().to_owned())).collect())
    }
}

impl Signal {
    /// How variables name it.
    fn variable(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }

    /// How a sentence names it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(all: &[(&str, &str)]) -> Settings {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn destination(all: &[(&str, &str)], signal: Signal) -> Option<Destination> {
        settings(all).destination(signal).unwrap()
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.monitoring:4317");

    #[test]
    fn nothing_is_sent_where_nobody_says_where() {
        assert!(settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).endpoints().unwrap().is_empty());
        assert!(settings(&[("OTEL_EXPORTER_OTLP_HEADERS", "a=b")]).endpoints().unwrap().is_empty());
    }

    #[test]
    fn one_endpoint_is_for_both_signals() {
        let found = settings(&[ENDPOINT]).endpoints().unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].port(), found[0].is_name()), (4317, true));
        assert_eq!(found[0].to_string(), ENDPOINT.1);
        let traces = destination(&[ENDPOINT], Signal::Traces).unwrap();
        assert_eq!(traces.timeout, Duration::from_secs(10));
        assert_eq!(settings(&[ENDPOINT]).metric_interval().unwrap(), Duration::from_secs(60));
    }

    #[test]
    fn the_variable_of_one_signal_goes_first() {
        let all = [
            ENDPOINT,
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://[2001:db8::1]:14317"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "250"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
        ];
        let metrics = destination(&all, Signal::Metrics).unwrap();
        assert_eq!((metrics.endpoint.port(), metrics.endpoint.is_name()), (14317, false));
        assert_eq!(metrics.timeout, Duration::from_millis(250));
        assert_eq!(destination(&all, Signal::Traces).unwrap().endpoint.port(), 4317);
        assert_eq!(settings(&all).metric_interval().unwrap(), Duration::from_secs(5));
    }

    #[test]
    fn a_signal_can_be_left_out() {
        for value in ["none", "prometheus", "console"] {
            let all = [ENDPOINT, ("OTEL_METRICS_EXPORTER", value)];
            assert!(destination(&all, Signal::Metrics).is_none(), "{value}");
            assert!(destination(&all, Signal::Traces).is_some(), "{value}");
        }
        assert!(destination(&[ENDPOINT, ("OTEL_METRICS_EXPORTER", "prometheus, otlp")], Signal::Metrics).is_some());
        assert!(destination(&[ENDPOINT, ("OTEL_SDK_DISABLED", "true")], Signal::Traces).is_none());
    }

    #[test]
    fn headers_are_percent_encoded() {
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20a%3Db, x-scope=isp");
        let found = destination(&[ENDPOINT, headers], Signal::Traces).unwrap().headers;
        assert_eq!(found.get("authorization").unwrap(), "Bearer a=b");
        assert_eq!(found.get("x-scope").unwrap(), "isp");
    }

    #[test]
    fn what_means_nothing_is_an_error_that_names_the_variable() {
        for (variable, value, why) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "write `http://HOST:PORT`"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "grpc://collector:4317", "write `http://HOST:PORT`"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector", "the port is missing"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4317", "TLS is not spoken here"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a b:4317", "invalid uri character"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "only `grpc`"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "nothing is compressed here"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "10s", "not a number of milliseconds"),
        ] {
            let error = settings(&[ENDPOINT, (variable, value)]).endpoints().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{variable}={value}: ")) && error.contains(why), "{error}");
        }
        let error = settings(&[("OTEL_METRIC_EXPORT_INTERVAL", "0")]).metric_interval().unwrap_err().to_string();
        assert_eq!(error, "OTEL_METRIC_EXPORT_INTERVAL=0: not a number of milliseconds");
    }

    #[test]
    fn no_error_repeats_a_secret() {
        let error = settings(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_HEADERS", "Bearer secret")]).endpoints().unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with("OTEL_EXPORTER_OTLP_HEADERS=...") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn others_get_what_is_no_secret() {
        let all = [
            ENDPOINT,
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b"),
            ("OTEL_SERVICE_NAME", "x"),
            ("OTEL_TRACES_SAMPLER", "always_off"),
        ];
        let handed_on: Vec<_> = settings(&all).handed_on().iter().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(handed_on, ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER"]);
    }
}
