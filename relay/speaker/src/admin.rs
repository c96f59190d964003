//! The HTTP server: health, state, metrics.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State as Extract},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::{metrics, shared::Shared, state::State};

/// The version of Prometheus' text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves until the runtime ends.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = Router::new()
        .route("/", get(index))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/startupz", get(startupz))
        .route("/state", get(state))
        .route("/metrics", get(metrics_text))
        .with_state(shared);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the HTTP server ended");
    }
}

async fn index() -> Html<&'static str> {
    Html(
        "<!doctype html><title>culvert-speaker</title><h1>culvert-speaker</h1><ul>\
         <li><a href=/state>state</a>: everything, as JSON\
         <li><a href=/metrics>metrics</a>: Prometheus text\
         <li><a href=/livez>livez</a>: 503 when it makes no progress\
         <li><a href=/readyz>readyz</a>: 200 while each family that has peers has a session, else why not\
         <li><a href=/startupz>startupz</a>: 200 once BIRD has a configuration</ul>\n",
    )
}

async fn livez(Extract(shared): Extract<Arc<Shared>>) -> (StatusCode, &'static str) {
    if shared.look().is_hung() { (StatusCode::SERVICE_UNAVAILABLE, "no progress\n") } else { (StatusCode::OK, "ok\n") }
}

async fn readyz(Extract(shared): Extract<Arc<Shared>>) -> (StatusCode, String) {
    let reasons = shared.look().reasons();
    if reasons.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", reasons.join(" ")))
}

async fn startupz(Extract(shared): Extract<Arc<Shared>>) -> (StatusCode, &'static str) {
    let status = shared.look();
    match (status.fleet_generation, status.revision) {
        (Some(_), Some(_)) => (StatusCode::OK, "ok\n"),
        (None, _) => (StatusCode::SERVICE_UNAVAILABLE, "NoFleet\n"),
        (_, None) => (StatusCode::SERVICE_UNAVAILABLE, "NoRevision\n"),
    }
}

#[derive(Deserialize)]
struct After {
    after: Option<u64>,
}

/// With `?after=NUMBER`: once there is a change after that one, or nothing has changed for a while.
async fn state(Extract(shared): Extract<Arc<Shared>>, Query(After { after }): Query<After>) -> Json<State> {
    if let Some(after) = after {
        shared.board.changed_since(after).await;
    }
    Json(State::read(&shared))
}

async fn metrics_text(Extract(shared): Extract<Arc<Shared>>) -> Response {
    match metrics::render(&shared) {
        Ok(text) => ([(header::CONTENT_TYPE, PROMETHEUS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
