//! A `BorderRelay`: five steps, each in a file of its own.

use std::{sync::Arc, time::Duration};

use crds::BorderRelay;
use jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};
use mape::DomainName;
use telemetry::traceparent;
use tracing::{Instrument, debug_span};

pub mod apply;
pub mod build;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod found;
mod gather;
pub mod network;
pub mod report;
pub mod validate;

use self::{
    found::{Current, Found, Held, RelayPod},
    report::{Done, Outcome},
};
use crate::{
    condition::{is_true, many},
    context::Context,
    error::Error,
    events, status,
};

/// Looks again after this long, whatever happens: nothing is missed for ever.
const RESYNC: Duration = Duration::from_mins(10);

/// How often in a row something may fail that may be over in a moment, before somebody is told.
const PASSING: u32 = 2;

/// Brings a fleet from what it is to what it should be.
///
/// # Errors
/// What could not be done. It is tried again.
pub async fn reconcile(relay: Arc<BorderRelay>, context: Arc<Context>) -> Result<Action, Error> {
    if relay.metadata.deletion_timestamp.is_some() || context.world.is_going(&*relay) {
        // All that was made goes with it: it has owner references. In a namespace that is being deleted nothing can be made.
        return Ok(Action::await_change());
    }
    let found = gather::gather(&context, &relay).instrument(debug_span!("gather")).await?; // reads the cluster
    let valid = match validate::validate(&relay, &found) {
        Ok(valid) => valid,
        Err(problems) => {
            // A condition, not a retry.
            let outcome = report::invalid(&relay, &problems, Timestamp::now());
            report(&context, &relay, outcome, None).await?;
            return Ok(Action::await_change());
        }
    };
    let wanted = build::build(&relay, &valid, &found, &context.settings, traceparent())?; // pure
    let applied = apply::apply(&context, &relay, wanted).instrument(debug_span!("apply")).await; // writes the cluster
    let apply::Outcome { held, failures } = applied;
    remember(&context, &relay, &found, held.as_ref()).await;
    let held = held.or_else(|| found.current.held.clone());
    // What may be over in a moment is tried again before anybody is told.
    let again = context.fleet_backoff.count(&ObjectRef::from_obj(&*relay)) >= PASSING;
    let told = failures.iter().filter(|failure| again || !failure.is_passing());
    let causes = told.map(Error::cause).chain(found.unseen.iter().cloned()).collect();
    let done = Done { found: &found, valid: &valid, held: held.as_ref(), failures: causes };
    let outcome = report::outcome(&relay, &done, Timestamp::now());
    measure(&context, &relay, &outcome, held.as_ref());
    report(&context, &relay, outcome, held.as_ref()).instrument(debug_span!("report")).await?; // writes the status
    match failures.into_iter().next() {
        Some(failure) => Err(Error::Partly(failure.to_string())),
        None => Ok(Action::requeue(RESYNC)),
    }
}

/// Says why it could not be looked after, if that is not likely to be over soon.
pub async fn explain(relay: &BorderRelay, context: &Context, error: &Error, failures: u32) {
    // What was done in part has been reported in full.
    let reported = matches!(error, Error::Partly(_));
    if reported || (error.is_passing() && failures <= PASSING) {
        return;
    }
    let outcome = report::failed(relay, &error.cause(), Timestamp::now());
    if let Err(also) = report(context, relay, outcome, None).await {
        tracing::warn!(fleet = relay.name_any(), namespace = relay.namespace(), "cannot say what failed: {also}");
    }
}

/// Remembers the revision that was written, and tells that there is a new one.
async fn remember(context: &Context, relay: &BorderRelay, found: &Found, held: Option<&Held>) {
    let (Some(held), before) = (held, found.current.held.as_ref()) else { return };
    let key = ObjectRef::from_obj(relay);
    let sequence = held.revision.sequence;
    let current = Current { highest: sequence, held: Some(held.clone()) };
    context.currents.put(key.clone(), relay.uid(), current);
    if before.is_some_and(|before| before.revision.sequence == sequence) {
        return;
    }
    let domains = |held: &Held| held.since.keys().cloned().collect::<Vec<DomainName>>();
    let gone = before.map(domains).unwrap_or_default().into_iter().filter(|name| !held.since.contains_key(name));
    let new = held.since.iter().filter(|(_, since)| **since == sequence).map(|(name, _)| name.clone());
    let touched: Vec<DomainName> = gone.chain(new).collect();
    // Where no relay carries traffic yet, what takes time is their start.
    if found.pods.iter().any(RelayPod::is_ready) {
        context.propagation.written(&key, sequence, touched.iter());
    }
    let (count, rules) = (held.revision.domains.len(), held.revision.rules());
    tracing::info!(
        fleet = key.name,
        namespace = key.namespace,
        sequence,
        hash = held.hash,
        count,
        rules,
        "new revision"
    );
    let (all, changed) = (many(count, "domain"), many(touched.len(), "change"));
    let note = format!("revision {sequence}: {all}, {}, {changed}", many(rules, "rule"));
    context.events.publish(relay, events::normal("Write", "NewRevision", &note)).await;
}

/// Writes the status if it says anything new, and calls the domains.
async fn report(context: &Context, relay: &BorderRelay, outcome: Outcome, held: Option<&Held>) -> Result<(), Error> {
    let key = ObjectRef::from_obj(relay);
    let before = relay.status.clone().unwrap_or_default();
    let after = report::status(relay, &outcome, held);
    let outcome = Arc::new(outcome);
    context.metrics.fleet(&key, &outcome, held.map(|held| held.revision.sequence));
    let known = context.outcomes.put(key.clone(), relay.uid(), Arc::clone(&outcome));
    let domains = context.world.domains_of(&key);
    for domain in outcome.is_news_to(known.as_deref(), &domains) {
        context.triggers.domain(ObjectRef::from_obj(&**domain));
    }
    if before != after {
        status::write(context, relay, &after).await?;
        context.events.tell(relay, &before.conditions, &after.conditions).await;
    }
    Ok(())
}

/// Tells how long changes took that all relays have by now.
fn measure(context: &Context, relay: &BorderRelay, outcome: &Outcome, held: Option<&Held>) {
    let key = ObjectRef::from_obj(relay);
    let Some(held) = held else { return };
    if is_true(&outcome.conditions, "Programmed") {
        for took in context.propagation.programmed(&key, held.revision.sequence) {
            context.metrics.propagated(&key, took);
        }
    }
}
