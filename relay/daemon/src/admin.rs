//! The HTTP server: health, state, metrics.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Json, Router,
    extract::{Query, State as Extract},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use crds::revision::Object;
use serde::Deserialize;
use tokio::{net::TcpListener, task::spawn_blocking};

use crate::{
    host::Host,
    metrics::{Metrics, Sample},
    revision::last_good,
    shared::Shared,
    state::State,
};

/// The version of Prometheus' text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

struct Admin {
    shared: Arc<Shared>,
    host: Host,
    metrics: Arc<Metrics>,
    /// Where the last good revision is kept.
    state_dir: Option<PathBuf>,
}

/// Serves until the runtime ends.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    host: Host,
    metrics: Arc<Metrics>,
    state_dir: Option<PathBuf>,
) {
    let router = Router::new()
        .route("/", get(index))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/startupz", get(startupz))
        .route("/state", get(state))
        .route("/metrics", get(metrics_text))
        .route("/revision", get(revision))
        .with_state(Arc::new(Admin { shared, host, metrics, state_dir }));
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the HTTP server ended");
    }
}

async fn index() -> Html<&'static str> {
    Html(
        "<!doctype html><title>culvert-relay</title><h1>culvert-relay</h1><ul>\
         <li><a href=/state>state</a>: everything, as JSON\
         <li><a href=/metrics>metrics</a>: Prometheus text\
         <li><a href=/revision>revision</a>: the last good one, as a ConfigMap\
         <li><a href=/livez>livez</a>: 503 when a thread hangs\
         <li><a href=/readyz>readyz</a>: 200 while a packet would be forwarded, else why not\
         <li><a href=/startupz>startupz</a>: 200 once there is a configuration</ul>\n",
    )
}

async fn livez(Extract(admin): Extract<Arc<Admin>>) -> (StatusCode, String) {
    let hung = admin.shared.look().0.hung;
    if hung.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("workers {hung:?} make no progress\n"))
}

async fn readyz(Extract(admin): Extract<Arc<Admin>>) -> (StatusCode, String) {
    let reasons = admin.shared.reasons();
    if reasons.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", reasons.join(" ")))
}

async fn startupz(Extract(admin): Extract<Arc<Admin>>) -> (StatusCode, &'static str) {
    if admin.shared.look().0.readiness.loaded {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "NoRevision\n")
    }
}

#[derive(Deserialize)]
struct After {
    after: Option<u64>,
}

/// With `?after=NUMBER`: once there is a change after that one, or nothing has changed for a while.
async fn state(Extract(admin): Extract<Arc<Admin>>, Query(After { after }): Query<After>) -> Json<State> {
    if let Some(after) = after {
        admin.shared.board.changed_since(after).await;
    }
    let links = admin.host.link_drops().await;
    Json(State::read(&admin.shared, links))
}

/// The files of the last good revision, in the form of the ConfigMaps that they came from, as one.
async fn revision(Extract(admin): Extract<Arc<Admin>>) -> Response {
    let Some(state_dir) = admin.state_dir.clone() else {
        return (StatusCode::NOT_FOUND, "no revision is kept without --state-dir\n").into_response();
    };
    let read = spawn_blocking(move || last_good::load(&state_dir).map_err(|error| error.to_string()));
    match read.await.map_err(|panic| panic.to_string()).flatten() {
        Ok(files) => Json(Object { name: "last-good".to_owned(), files }.config_map("")).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}

async fn metrics_text(Extract(admin): Extract<Arc<Admin>>) -> Response {
    let links = admin.host.link_drops().await;
    // A thousand domains take a while; signals and probes must not wait for them.
    let render = move || admin.metrics.render(Sample::take(&admin.shared, links));
    match spawn_blocking(render).await.map_err(|panic| panic.to_string()).flatten() {
        Ok(text) => ([(header::CONTENT_TYPE, PROMETHEUS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}
