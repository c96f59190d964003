//! How a program says what it does: log lines on standard error, and, where there is a collector, traces and metrics by
//! OTLP over gRPC.
//!
//! ```text
//! log       flags; what is a line
//! settings  the standard variables, OTEL_...: where to send, how often, with which headers (variable, endpoint)
//! context   a trace goes on in another process: W3C traceparent
//! spans   --.
//!            +--> collector  sends, and complains at most once a minute
//! metrics --'                (what Prometheus would scrape, pushed)
//! ```
//!
//! A collector that is away, or slow, costs the program nothing: everything here has threads of its own, what waits has a bound, and
//! the end of the program waits for [`FLUSH`] at most.
#![forbid(unsafe_code)]

mod collector;
mod context;
mod endpoint;
mod log;
mod metrics;
mod push;
mod settings;
mod spans;
#[cfg(test)]
mod tests;
mod variable;

use std::{
    future::Future,
    time::{Duration, Instant, SystemTime},
};

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_sdk::{Resource, resource::EnvResourceDetector, trace::SdkTracerProvider};
use prometheus::proto::MetricFamily;
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt};

use self::{collector::Collector, metrics::Origin, settings::Signal, spans::Spans};
pub use self::{
    context::{follow, link, traceparent},
    endpoint::Endpoint,
    log::Log,
    settings::Settings,
    variable::Error,
};

/// How long the end of a program waits until what is left is sent.
pub const FLUSH: Duration = Duration::from_secs(1);

/// Who speaks.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// What it is called: `service.name`.
    pub name: &'static str,
    /// Which build it is.
    pub version: &'static str,
    /// Its own crates, as `tracing` names them: the flags about logs are about these, and spans are theirs.
    pub crates: &'static [&'static str],
}

/// What sends. Sends what is left when it is dropped.
pub struct Telemetry {
    sending: Option<Sending>,
    /// How long its end waits until what is left is sent.
    flush: Duration,
}

struct Sending {
    /// Not the program's: it goes on while that is busy, and is in nobody's way.
    runtime: Runtime,
    resource: Resource,
    started: SystemTime,
    traces: Option<SdkTracerProvider>,
    metrics: Option<(Collector, Duration)>,
    pushes: Vec<JoinHandle<()>>,
    /// Turns true when the program ends.
    ending: watch::Sender<bool>,
}

/// Starts writing log lines, and sending if the environment says where. Once in a process.
///
/// # Errors
/// If a variable means nothing, or there are no threads.
pub fn start(program: &Program, log: Log) -> Result<Telemetry, Error> {
    let telemetry = Telemetry::new(program, &Settings::read(), FLUSH)?;
    tracing_subscriber::registry().with(log.lines(program)).with(telemetry.spans(program)).init();
    Ok(telemetry)
}

impl Telemetry {
    fn new(program: &Program, settings: &Settings, flush: Duration) -> Result<Self, Error> {
        Ok(Self { sending: Sending::start(program, settings)?, flush })
    }

    /// Takes the program's spans, if traces are to be sent.
    fn spans<S>(&self, program: &Program) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let traces = self.sending.as_ref()?.traces.as_ref()?;
        let own = program.crates.iter().map(|name| (*name, LevelFilter::DEBUG)).collect::<Targets>();
        Some(tracing_opentelemetry::layer().with_tracer(traces.tracer(program.name)).with_filter(own))
    }

    /// Sends what `gather` has, again and again, if metrics are to be sent: what Prometheus would scrape, under the same names.
    pub fn push<G, F>(&mut self, gather: G)
    where
        G: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<Vec<MetricFamily>, String>> + Send + 'static,
    {
        if let Some(sending) = &mut self.sending {
            sending.push(gather);
        }
    }
}

impl Sending {
    fn start(program: &Program, settings: &Settings) -> Result<Option<Self>, Error> {
        let (traces, metrics) = (settings.destination(Signal::Traces)?, settings.destination(Signal::Metrics)?);
        if traces.is_none() && metrics.is_none() {
            return Ok(None);
        }
        let interval = settings.metric_interval()?;
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("otlp").enable_all().build();
        let runtime = runtime.map_err(Error::Threads)?;
        let inside = runtime.enter();
        let (ending, ends) = watch::channel(false);
        let resource = resource(program);
        let traces = traces.map(|destination| {
            let spans = Spans::new(Collector::new(destination), runtime.handle().clone(), ends);
            SdkTracerProvider::builder().with_batch_exporter(spans).with_resource(resource.clone()).build()
        });
        let metrics = metrics.map(|destination| (Collector::new(destination), interval));
        let (started, pushes) = (SystemTime::now(), Vec::new());
        drop(inside);
        Ok(Some(Self { runtime, resource, started, traces, metrics, pushes, ending }))
    }

    fn push<G, F>(&mut self, gather: G)
    where
        G: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<Vec<MetricFamily>, String>> + Send + 'static,
    {
        let Some((collector, interval)) = self.metrics.clone() else { return };
        let origin = Origin::new(&self.resource, self.started);
        let push = push::push(collector, interval, origin, gather, self.ending.subscribe());
        self.pushes.push(self.runtime.spawn(push));
    }
}

/// What the environment says of the program goes before what the program says of itself.
fn resource(program: &Program) -> Resource {
    let instance = std::env::var("POD_NAME").ok().filter(|pod| !pod.is_empty());
    let instance = instance.map(|pod| KeyValue::new("service.instance.id", pod));
    let version = KeyValue::new("service.version", program.version);
    let resource =
        Resource::builder().with_service_name(program.name).with_attribute(version).with_attributes(instance);
    let resource = resource.with_detector(Box::new(EnvResourceDetector::new()));
    match std::env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => resource.with_service_name(name).build(),
        _ => resource.build(),
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        let Some(Sending { runtime, traces, pushes, ending, .. }) = self.sending.take() else { return };
        let until = Instant::now() + self.flush;
        ending.send_replace(true);
        // What cannot be sent has been complained about.
        let _ = traces.map(|traces| traces.shutdown_with_timeout(self.flush));
        runtime.block_on(async {
            for push in pushes {
                let _ = timeout(until.saturating_duration_since(Instant::now()), push).await;
            }
        });
        runtime.shutdown_background();
    }
}
