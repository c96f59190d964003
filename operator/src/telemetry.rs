//! Logs on standard error, and traces of reconciles where there is somebody to send them to.

use std::io::{self, IsTerminal};

use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    Layer,
    filter::{EnvFilter, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{
    cli::{LogFormat, LogLevel},
    names::MANAGER,
};

/// Set where there is a collector.
const ENDPOINT: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// Our own spans and lines.
const OURS: &str = "culvert_operator";

/// Sends what is left when it is dropped.
pub struct Telemetry(Option<SdkTracerProvider>);

/// Starts it. Within a runtime: the exporter needs one.
///
/// # Errors
/// If the exporter cannot be made of what the environment says.
pub fn start(format: LogFormat, level: LogLevel) -> Result<Telemetry, String> {
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let provider = provider()?;
    let traces = provider.as_ref().map(|provider| {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer(MANAGER));
        layer.with_filter(Targets::new().with_target(OURS, LevelFilter::DEBUG))
    });
    // Libraries speak up when something is wrong.
    let filter = EnvFilter::new(format!("warn,{OURS}={}", level.word()));
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(traces).init();
    Ok(Telemetry(provider))
}

fn provider() -> Result<Option<SdkTracerProvider>, String> {
    if !ENDPOINT.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())) {
        return Ok(None);
    }
    let exporter = SpanExporter::builder().with_tonic().build().map_err(|error| format!("traces: {error}"))?;
    let resource = Resource::builder().with_service_name(MANAGER).build();
    Ok(Some(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build()))
}

/// Who we are in the trace that is going on, as W3C writes it: what comes of a revision can be told to belong to it.
#[must_use]
pub fn traceparent() -> Option<String> {
    let context = tracing::Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8()))
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.take().map(|provider| provider.shutdown()) {
            tracing::debug!("some traces were not sent: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_has_a_parent_only_while_it_is_recorded() {
        assert_eq!(traceparent(), None);
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let parent = tracing::info_span!("reconcile").in_scope(traceparent).unwrap();
            let parts: Vec<usize> = parent.split('-').map(str::len).collect();
            assert_eq!(parts, [2, 32, 16, 2], "{parent}");
        });
    }
}
