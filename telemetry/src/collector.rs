//! One collector, for one signal.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::collector::{
    metrics::v1::{ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient},
    trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
};
use tonic::{
    Request, Status,
    metadata::MetadataMap,
    transport::{Channel, Endpoint as Transport},
};

use crate::settings::Destination;

/// Between two complaints, at least.
const QUIET: Duration = Duration::from_secs(60);

/// Sends; cloned, it is the same.
#[derive(Clone)]
pub(crate) struct Collector {
    destination: Arc<Destination>,
    channel: Channel,
    complained: Arc<Mutex<Option<Instant>>>,
}

impl Collector {
    /// Within a runtime. It connects when there is something to send, and again when it has lost the connection.
    pub(crate) fn new(destination: Destination) -> Self {
        let transport = Transport::from(destination.endpoint.uri());
        let channel = transport.connect_timeout(destination.timeout).timeout(destination.timeout).connect_lazy();
        Self { destination: Arc::new(destination), channel, complained: Arc::default() }
    }

    pub(crate) async fn send_spans(&self, spans: ExportTraceServiceRequest) -> Result<(), Status> {
        let mut client = TraceServiceClient::new(self.channel.clone());
        let answer = client.export(self.request(spans)).await?.into_inner();
        if let Some(partly) = answer.partial_success.filter(|partly| partly.rejected_spans > 0) {
            self.complain(&format!("{} spans are refused: {}", partly.rejected_spans, partly.error_message));
        }
        Ok(())
    }

    pub(crate) async fn send_metrics(&self, metrics: ExportMetricsServiceRequest) -> Result<(), Status> {
        let mut client = MetricsServiceClient::new(self.channel.clone());
        let answer = client.export(self.request(metrics)).await?.into_inner();
        if let Some(partly) = answer.partial_success.filter(|partly| partly.rejected_data_points > 0) {
            self.complain(&format!("{} values are refused: {}", partly.rejected_data_points, partly.error_message));
        }
        Ok(())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = MetadataMap::clone(&self.destination.headers);
        request
    }

    /// Says what went wrong, now and then: a collector that is away is away for long.
    pub(crate) fn complain(&self, why: &dyn fmt::Display) {
        let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if is_due(*complained, now) {
            *complained = Some(now);
            let Destination { signal, endpoint, .. } = &*self.destination;
            tracing::warn!(%endpoint, "{} do not reach the collector: {why}", signal.word());
        }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.destination.endpoint)
    }
}

fn is_due(last: Option<Instant>, now: Instant) -> bool {
    last.is_none_or(|last| now.saturating_duration_since(last) >= QUIET)
}

/// What a status says, with its causes: alone it says `transport error`. Some causes say again what they are causes of.
pub(crate) fn told(status: &Status) -> String {
    let causes = std::iter::successors(std::error::Error::source(status), |error| error.source());
    causes.map(ToString::to_string).fold(status.message().to_owned(), |told, cause| {
        if told.contains(&cause) { told } else { format!("{told}: {cause}") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_heard_once_a_minute() {
        let first = Instant::now();
        assert!(is_due(None, first));
        assert!(!is_due(Some(first), first + Duration::from_secs(59)));
        assert!(is_due(Some(first), first + Duration::from_secs(60)));
    }
}
