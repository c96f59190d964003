//! Spans on their way to the collector. The SDK gathers them, a bounded number, and drops what comes beyond that.

use std::time::Duration;

use opentelemetry_proto::{
    tonic::collector::trace::v1::ExportTraceServiceRequest,
    transform::{common::tonic::ResourceAttributesWithSchema, trace::tonic::group_spans_by_resource_and_scope},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};
use tokio::{runtime::Handle, select, sync::watch, time::sleep};
use tonic::{Code, Status};

use crate::collector::{Collector, told};

/// Seconds from one attempt to the next: long enough for a collector that is restarted.
const PAUSES: [u64; 5] = [1, 2, 4, 8, 16];

#[derive(Debug)]
pub(crate) struct Spans {
    collector: Collector,
    resource: ResourceAttributesWithSchema,
    runtime: Handle,
    /// Turns true when there is no time left to try again.
    ending: watch::Receiver<bool>,
}

impl Spans {
    pub(crate) fn new(collector: Collector, runtime: Handle, ending: watch::Receiver<bool>) -> Self {
        Self { collector, resource: ResourceAttributesWithSchema::default(), runtime, ending }
    }
}

impl SpanExporter for Spans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let send = send(self.collector.clone(), ExportTraceServiceRequest { resource_spans }, self.ending.clone());
        // The SDK's thread, which waits for this, has no timers.
        let _ = self.runtime.spawn(send).await;
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

async fn send(collector: Collector, spans: ExportTraceServiceRequest, mut ending: watch::Receiver<bool>) {
    for pause in PAUSES {
        match collector.send_spans(spans.clone()).await {
            Ok(()) => return,
            Err(status) => {
                collector.complain(&told(&status));
                if !is_passing(&status) {
                    return;
                }
            }
        }
        select! {
            () = sleep(Duration::from_secs(pause)) => {}
            _ = ending.wait_for(|ending| *ending) => return,
        }
    }
}

/// What may be tried again (<https://opentelemetry.io/docs/specs/otlp/#failures>).
fn is_passing(status: &Status) -> bool {
    use Code::{Aborted, Cancelled, DataLoss, DeadlineExceeded, OutOfRange, Unavailable};
    [Aborted, Cancelled, DataLoss, DeadlineExceeded, OutOfRange, Unavailable].contains(&status.code())
}
