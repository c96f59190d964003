//! The HTTP server: health and metrics.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State as Extract,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// The version of Prometheus' text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A step of the election takes 10 s at most, and 2 s pass between two. Whoever makes none for this long hangs.
const HUNG: Duration = Duration::from_mins(1);

/// Whether the operator gets on.
#[derive(Debug, Clone)]
pub struct Health(Arc<Beats>);

#[derive(Debug)]
struct Beats {
    started: Instant,
    /// When the last step was made, in milliseconds from the start.
    last: AtomicU64,
}

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(Beats { started: Instant::now(), last: AtomicU64::new(0) }))
    }
}

impl Health {
    /// A step was made.
    pub fn beat(&self) {
        let now = u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last.store(now.max(1), Ordering::Relaxed);
    }

    /// How long ago.
    fn since(&self) -> Duration {
        self.0.started.elapsed().saturating_sub(Duration::from_millis(self.0.last.load(Ordering::Relaxed)))
    }

    fn has_begun(&self) -> bool {
        self.0.last.load(Ordering::Relaxed) > 0
    }
}

/// Serves until the runtime ends.
pub async fn serve(listener: TcpListener, health: Health, metrics: Metrics) {
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .with_state((health, metrics));
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the HTTP server ended");
    }
}

type Shared = Extract<(Health, Metrics)>;

async fn livez(Extract((health, _)): Shared) -> (StatusCode, String) {
    let since = health.since();
    if since < HUNG {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("no step of the election for {} s\n", since.as_secs()))
}

/// A replica that waits is ready: to lead.
async fn readyz(Extract((health, _)): Shared) -> (StatusCode, &'static str) {
    if health.has_begun() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the election has not begun\n")
    }
}

async fn metrics_text(Extract((_, metrics)): Shared) -> Response {
    match metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, PROMETHEUS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}
