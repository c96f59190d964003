//! Metrics, pushed now and then.

use std::{
    future::Future,
    time::{Duration, SystemTime},
};

use prometheus::proto::MetricFamily;
use tokio::{select, sync::watch, time::sleep};

use crate::{
    collector::{Collector, told},
    metrics::Origin,
};

/// Pushes until the program ends, and once more then. What does not get through is not kept: the next push has the same
/// counters, further on.
pub(crate) async fn push<G, F>(
    collector: Collector,
    interval: Duration,
    origin: Origin,
    gather: G,
    mut ending: watch::Receiver<bool>,
) where
    G: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Result<Vec<MetricFamily>, String>> + Send + 'static,
{
    let mut is_last = false;
    while !is_last {
        select! {
            () = sleep(interval) => {}
            _ = ending.wait_for(|ending| *ending) => is_last = true,
        }
        match gather().await {
            Ok(families) => send(&collector, &origin, &families).await,
            Err(why) => collector.complain(&why),
        }
    }
}

async fn send(collector: &Collector, origin: &Origin, families: &[MetricFamily]) {
    for request in origin.requests(families, SystemTime::now()) {
        if let Err(status) = collector.send_metrics(request).await {
            return collector.complain(&told(&status));
        }
    }
}
