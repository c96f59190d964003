//! A collector that keeps what it takes.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver as Requests, Sender, channel},
    },
};

use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    metrics::v1::Metric,
    resource::v1::Resource,
    trace::v1::Span,
};
use tokio::{net::TcpListener, runtime::Runtime, sync::Semaphore};
use tonic::{
    Request, Response, Status,
    metadata::MetadataMap,
    transport::{Server, server::TcpIncoming},
};

use super::PATIENCE;

/// What came, in turn.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    pub(super) spans: Requests<Received<Span>>,
    pub(super) metrics: Requests<Received<Metric>>,
    /// One of these for each request that is to be answered.
    pub(super) answers: Arc<Semaphore>,
    /// Of the last request.
    pub(super) headers: Arc<Mutex<MetadataMap>>,
    _runtime: Runtime,
}

/// One request.
pub(super) struct Received<T> {
    pub(super) resource: Resource,
    pub(super) items: Vec<T>,
}

struct Keeper {
    spans: Sender<Received<Span>>,
    metrics: Sender<Received<Metric>>,
    answers: Arc<Semaphore>,
    headers: Arc<Mutex<MetadataMap>>,
}

impl Receiver {
    /// Answers every request.
    pub(super) fn start() -> Self {
        let receiver = Self::at("127.0.0.1:0".parse().unwrap());
        receiver.answers.add_permits(Semaphore::MAX_PERMITS / 2);
        receiver
    }

    /// Answers as many as it is given leave to.
    pub(super) fn at(address: SocketAddr) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let ((spans, taken_spans), (metrics, taken_metrics)) = (channel(), channel());
        let (answers, headers) = (Arc::new(Semaphore::new(0)), Arc::default());
        let keeper = Keeper { spans, metrics, answers: Arc::clone(&answers), headers: Arc::clone(&headers) };
        let keeper = Arc::new(keeper);
        let server = Server::builder()
            .add_service(TraceServiceServer::from_arc(Arc::clone(&keeper)))
            .add_service(MetricsServiceServer::from_arc(keeper));
        runtime.spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        Self { address, spans: taken_spans, metrics: taken_metrics, answers, headers, _runtime: runtime }
    }
}

/// Waits for the next request.
pub(super) fn next<T>(requests: &Requests<Received<T>>) -> Received<T> {
    requests.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("nothing came in {PATIENCE:?}: {error}"))
}

impl Keeper {
    async fn answer<T>(&self, request: &Request<T>) {
        *self.headers.lock().unwrap() = request.metadata().clone();
        self.answers.acquire().await.unwrap().forget();
    }
}

#[tonic::async_trait]
impl TraceService for Keeper {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.answer(&request).await;
        for resource_spans in request.into_inner().resource_spans {
            let items = resource_spans.scope_spans.into_iter().flat_map(|scope| scope.spans).collect();
            let _ = self.spans.send(Received { resource: resource_spans.resource.unwrap(), items });
        }
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Keeper {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.answer(&request).await;
        for resource_metrics in request.into_inner().resource_metrics {
            let items = resource_metrics.scope_metrics.into_iter().flat_map(|scope| scope.metrics).collect();
            let _ = self.metrics.send(Received { resource: resource_metrics.resource.unwrap(), items });
        }
        Ok(Response::new(Default::default()))
    }
}
