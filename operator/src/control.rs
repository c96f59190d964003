//! The two controllers, and all that feeds them.

use std::{collections::HashSet, fmt::Debug, hash::Hash, sync::Arc, time::Duration};

use crds::{BorderRelay, MapDomain};
use futures_util::{StreamExt, future::join_all, stream};
use kube::{
    Client, Resource, ResourceExt,
    core::NamespaceResourceScope,
    runtime::{
        Controller,
        controller::{Action, Config},
        reflector::{ObjectRef, Store},
    },
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{mpsc::UnboundedReceiver, watch},
    task::JoinSet,
    time::{Instant, timeout},
};
use tracing::{Instrument, info_span};

use crate::{
    backoff::Backoff,
    cli::Options,
    context::Context,
    domain,
    error::Error,
    events::Events,
    fleet::{self, build::Collector},
    keyed::Keyed,
    metrics::Metrics,
    poll::{Answers, poll},
    propagation::Propagation,
    run::until,
    triggers::{Heard, heard, triggers},
    world,
};

/// How long a look at one object may take.
const LOOK: Duration = Duration::from_mins(1);

/// How long the first answers of the API server may take before somebody is told.
const FIRST: Duration = Duration::from_secs(10);

/// How many domains are looked at at once: almost all of it is waiting for the API server.
const DOMAINS_AT_ONCE: u16 = 64;

/// Looks after all namespaces, or those that were named, until it is time to stop and what had begun has ended.
///
/// # Errors
/// If something ends that must not.
pub async fn control(
    client: &Client,
    options: &Options,
    events: &Events,
    metrics: &Metrics,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let scopes = options.scopes();
    let each = scopes.iter().map(|scope| one(client, scope.as_deref(), options, events, metrics, stop.clone()));
    join_all(each).await.into_iter().collect()
}

async fn one(
    client: &Client,
    namespace: Option<&str>,
    options: &Options,
    events: &Events,
    metrics: &Metrics,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let propagation = Propagation::default();
    let answers = Answers::default();
    let (triggers, Heard { fleets, domains, pods }) = triggers(propagation.clone());
    // All tasks end with the set, and the set with this function.
    let mut tasks = JoinSet::new();
    let world = world::start(client, namespace, &triggers, &mut tasks);
    tasks.spawn(poll(world.pods.clone(), pods, answers.clone(), triggers.clone()));
    let context = Arc::new(Context {
        client: client.clone(),
        namespace: namespace.map(str::to_owned),
        settings: options.settings(Collector::new(&telemetry::Settings::read())?),
        world,
        answers,
        currents: Keyed::default(),
        outcomes: Keyed::default(),
        applied: Keyed::default(),
        triggers,
        events: events.clone(),
        metrics: metrics.clone(),
        propagation,
        fleet_backoff: Backoff::default(),
        domain_backoff: Backoff::default(),
    });
    let both = async {
        // If it takes longer, the fleets' conditions say what is missing.
        _ = timeout(FIRST, context.world.becomes_known()).await;
        tokio::join!(fleet_controller(&context, fleets, &stop), domain_controller(&context, domains, &stop));
    };
    tokio::select! {
        () = both => Ok(()),
        ended = tasks.join_next() => Err(anyhow::anyhow!("a watch ended: {ended:?}")),
    }
}

async fn fleet_controller(
    context: &Arc<Context>,
    asked: UnboundedReceiver<ObjectRef<BorderRelay>>,
    stop: &watch::Receiver<bool>,
) {
    let look = |relay: Arc<BorderRelay>, context: Arc<Context>| async move {
        let key = ObjectRef::from_obj(&*relay);
        let result =
            looked("BorderRelay", &key, &context.metrics, fleet::reconcile(relay.clone(), context.clone())).await;
        match &result {
            Ok(_) => context.fleet_backoff.went_well(&key),
            Err(error) => fleet::explain(&relay, &context, error, context.fleet_backoff.count(&key) + 1).await,
        }
        result
    };
    let again = |relay: Arc<BorderRelay>, error: &Error, context: Arc<Context>| {
        let key = ObjectRef::from_obj(&*relay);
        later("BorderRelay", &key, error, &context.fleet_backoff)
    };
    let mut done = Box::pin(controller(&context.world.fleets, asked, stop, Config::default()).run(
        look,
        again,
        Arc::clone(context),
    ));
    while let Some(result) = done.next().await {
        if result.is_err() {
            forget_the_gone(context);
        }
    }
}

async fn domain_controller(
    context: &Arc<Context>,
    asked: UnboundedReceiver<ObjectRef<MapDomain>>,
    stop: &watch::Receiver<bool>,
) {
    let look = |domain: Arc<MapDomain>, context: Arc<Context>| async move {
        let key = ObjectRef::from_obj(&*domain);
        let result = looked("MapDomain", &key, &context.metrics, domain::reconcile(domain, context.clone())).await;
        if result.is_ok() {
            context.domain_backoff.went_well(&key);
        }
        result
    };
    let again = |domain: Arc<MapDomain>, error: &Error, context: Arc<Context>| {
        later("MapDomain", &ObjectRef::from_obj(&*domain), error, &context.domain_backoff)
    };
    let config = Config::default().concurrency(DOMAINS_AT_ONCE);
    let done = controller(&context.world.domains, asked, stop, config).run(look, again, Arc::clone(context));
    let mut done = Box::pin(done);
    while let Some(result) = done.next().await {
        if result.is_err() {
            context.domain_backoff.retain(|key| context.world.domains.get(key).is_some());
        }
    }
}

/// A controller that looks at what it is asked to look at, and at nothing by itself: the watches say all of it.
fn controller<K>(
    store: &Store<K>,
    asked: UnboundedReceiver<ObjectRef<K>>,
    stop: &watch::Receiver<bool>,
    config: Config,
) -> Controller<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static,
{
    Controller::for_stream(stream::pending(), store.clone())
        .with_config(config)
        .reconcile_on(heard(asked))
        .graceful_shutdown_on(until(stop.clone()))
}

/// Looks at an object: timed, counted, traced, and not for ever.
async fn looked<K: Resource<DynamicType = ()>>(
    kind: &'static str,
    key: &ObjectRef<K>,
    metrics: &Metrics,
    look: impl Future<Output = Result<Action, Error>>,
) -> Result<Action, Error> {
    let started = Instant::now();
    let span = info_span!(
        "reconcile",
        kind,
        namespace = key.namespace,
        name = key.name,
        otel.status_code = tracing::field::Empty
    );
    let result = timeout(LOOK, look).instrument(span.clone()).await.unwrap_or(Err(Error::TimedOut(LOOK)));
    if result.is_err() {
        span.record("otel.status_code", "ERROR");
    }
    metrics.reconciled(kind, if result.is_ok() { "ok" } else { "error" }, started.elapsed());
    result
}

fn later<K>(kind: &str, key: &ObjectRef<K>, error: &Error, backoff: &Backoff<ObjectRef<K>>) -> Action
where
    K: Resource<DynamicType = ()> + Clone,
    ObjectRef<K>: Eq + Hash + Clone,
{
    let wait = backoff.failed(key);
    tracing::warn!(kind, namespace = key.namespace, name = key.name, again_in = ?wait, "{error}");
    Action::requeue(wait)
}

/// A fleet that was asked for is no longer there: nothing is kept about it.
fn forget_the_gone(context: &Context) {
    let keys = context.world.fleets.state();
    let there: HashSet<ObjectRef<BorderRelay>> = keys.iter().map(|fleet| ObjectRef::from_obj(&**fleet)).collect();
    let names: HashSet<(String, String)> =
        keys.iter().map(|fleet| (fleet.namespace().unwrap_or_default(), fleet.name_any())).collect();
    context.currents.retain(|key| there.contains(key));
    context.outcomes.retain(|key| there.contains(key));
    context.applied.retain(|key| there.contains(key));
    context.propagation.retain(|key| there.contains(key));
    context.fleet_backoff.retain(|key| there.contains(key));
    let elsewhere = |namespace: &str| context.namespace.as_deref().is_some_and(|own| own != namespace);
    let keep = |namespace: &str, name: &str| names.contains(&(namespace.to_owned(), name.to_owned()));
    context.metrics.retain(|namespace, name| elsewhere(namespace) || keep(namespace, name));
}
