//! From start to stop: one of several replicas leads, looks after the cluster, and stops before another may start.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use kube::{Api, Client, Config};
use telemetry::Telemetry;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use crate::{
    admin::{self, Health},
    cli::Options,
    control,
    election::{Elector, Timing},
    events::Events,
    metrics::Metrics,
};

/// How long reconciles may take to end when the operator stops. A pod has 30 s.
const STOP: Duration = Duration::from_secs(15);

/// How long a request may take; watches say themselves how long they last, which is less.
const REQUEST: Duration = Duration::from_secs(305);
const CONNECT: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT. Its metrics go to `telemetry` too.
///
/// # Errors
/// If it cannot start, or leads no more. Then the process has to end: the next one starts with nothing in its hands.
pub async fn run(options: Options, telemetry: &mut Telemetry) -> anyhow::Result<()> {
    let metrics = Metrics::new().map_err(|error| anyhow!("metrics: {error}"))?;
    let pushed = metrics.clone();
    telemetry.push(move || std::future::ready(Ok(pushed.gather())));
    let health = Health::default();
    let listener = TcpListener::bind(options.metrics_address)
        .await
        .with_context(|| format!("--metrics-address {}", options.metrics_address))?;
    let mut servers = JoinSet::new();
    servers.spawn(admin::serve(listener, health.clone(), metrics.clone()));
    let client = client().await?;
    let stop = stop_signal()?;
    let identity = identity(&options)?;
    // On connections of its own: nothing else can hold it up.
    let mut elector = elector(&self::client().await?, &options, &identity, health);
    let events = Events::new(client.clone(), &identity);

    let since = tokio::select! {
        since = elector.acquire() => since,
        () = until(stop.clone()) => return Ok(()),
        ended = servers.join_next() => return Err(anyhow!("the HTTP server ended: {ended:?}")),
    };
    tracing::info!(identity, lease = options.lease_name, "leading");
    metrics.leads(true);
    let outcome = tokio::select! {
        // Everything that acts ends here, at the latest: it is dropped.
        lost = elector.hold(since) => Err(anyhow!("leads no more: {lost}")),
        ended = control::control(&client, &options, &events, &metrics, stop.clone()) => ended,
        () = too_late(stop.clone()) => Err(anyhow!("could not stop in {} s", STOP.as_secs())),
        ended = servers.join_next() => Err(anyhow!("the HTTP server ended: {ended:?}")),
    };
    metrics.leads(false);
    if outcome.is_ok() {
        elector.release().await;
    }
    outcome
}

async fn client() -> anyhow::Result<Client> {
    let mut config = Config::infer().await.context("neither a pod of a cluster nor a kubeconfig is here")?;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(REQUEST);
    Client::try_from(config).context("the API server's address or certificates")
}

fn elector(client: &Client, options: &Options, identity: &str, health: Health) -> Elector {
    let api = match &options.lease_namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::default_namespaced(client.clone()),
    };
    Elector::new(api, &options.lease_name, identity, Timing::default(), move || health.beat())
}

fn identity(options: &Options) -> anyhow::Result<String> {
    if let Some(identity) = options.identity.clone().filter(|identity| !identity.is_empty()) {
        return Ok(identity);
    }
    let host =
        std::fs::read_to_string("/proc/sys/kernel/hostname").context("--identity is not given, and no host name")?;
    // Two on one host are two.
    Ok(format!("{}-{}", host.trim(), std::process::id()))
}

/// Turns true at SIGTERM or SIGINT.
fn stop_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (told, stop) = watch::channel(false);
    let mut term = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        _ = told.send(true);
        // As long as somebody may ask.
        told.closed().await;
    });
    Ok(stop)
}

/// Returns when it is time to stop.
pub(crate) async fn until(mut stop: watch::Receiver<bool>) {
    // Whoever could say it is gone: then it is time, too.
    _ = stop.wait_for(|stop| *stop).await;
}

async fn too_late(stop: watch::Receiver<bool>) {
    until(stop).await;
    tokio::time::sleep(STOP).await;
}
