//! Events: what `kubectl describe` shows of how things went. One for each turn that a condition takes that somebody may
//! want to know about; the same again within some minutes is counted, not repeated.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Client, Resource, ResourceExt,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use crate::{error::said, names};

/// Conditions that are good when they are true.
const GOOD: [&str; 4] = ["Accepted", "Programmed", "Advertised", "Ready"];

/// Reasons that only say that something takes its time, or that all knew before.
const QUIET: [&str; 5] = ["Pending", "Starting", "NotConfigured", "NotWritten", "Ready"];

/// As long as a note may be, in characters: Kubernetes takes a kilobyte.
const NOTE_LENGTH: usize = 250;

/// Writes events.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

impl Events {
    /// For the operator called `identity`.
    #[must_use]
    pub fn new(client: Client, identity: &str) -> Self {
        let reporter = Reporter { controller: names::MANAGER.to_owned(), instance: Some(identity.to_owned()) };
        Self { recorder: Recorder::new(client, reporter) }
    }

    /// Tells what changed between two sets of conditions. That it cannot be told is not worth a failure.
    pub async fn tell<K: Resource<DynamicType = ()>>(&self, object: &K, before: &[Condition], after: &[Condition]) {
        for event in turns(before, after) {
            self.publish(object, event).await;
        }
    }

    /// Tells one thing.
    pub async fn publish<K: Resource<DynamicType = ()>>(&self, object: &K, event: Event) {
        if let Err(error) = self.recorder.publish(&event, &object.object_ref(&())).await {
            let (name, namespace) = (object.name_any(), object.namespace());
            tracing::warn!(name, namespace, reason = event.reason, "cannot write an event: {}", said(&error));
        }
    }
}

/// Something that went well.
#[must_use]
pub fn normal(action: &str, reason: &str, note: &str) -> Event {
    event(EventType::Normal, action, reason, note)
}

fn event(type_: EventType, action: &str, reason: &str, note: &str) -> Event {
    let note = Some(note.chars().take(NOTE_LENGTH).collect());
    Event { type_, reason: reason.to_owned(), note, action: action.to_owned(), secondary: None }
}

fn turns(before: &[Condition], after: &[Condition]) -> Vec<Event> {
    let mut reasons = BTreeSet::new();
    let new = after.iter().filter(|now| {
        let old = before.iter().find(|old| old.type_ == now.type_);
        old.is_none_or(|old| (&old.status, &old.reason) != (&now.status, &now.reason))
    });
    let told = new.filter(|now| now.status != "Unknown").filter(|now| reasons.insert(&now.reason)).filter_map(|now| {
        let good = GOOD.contains(&&*now.type_) == (now.status == "True");
        let quiet = QUIET.contains(&&*now.reason) && !(now.type_ == "Ready" && now.status == "True");
        let kind = if good { EventType::Normal } else { EventType::Warning };
        (!quiet).then(|| event(kind, &now.type_, &now.reason, &now.message))
    });
    // What is only there when it is bad, and is no longer.
    let over = before.iter().filter(|old| !GOOD.contains(&&*old.type_));
    let over = over.filter(|old| !QUIET.contains(&&*old.reason) && !after.iter().any(|now| now.type_ == old.type_));
    let over = over.map(|old| normal(&old.type_, "Resolved", &format!("no longer {}: {}", old.type_, old.reason)));
    told.chain(over).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::condition::{Cause, Finding, conditions};

    fn said(findings: Vec<Finding>) -> Vec<Condition> {
        conditions(&[], findings, 1, Timestamp::UNIX_EPOCH)
    }

    fn told(before: &[Condition], after: &[Condition]) -> Vec<String> {
        let line = |event: Event| format!("{:?} {}: {}", event.type_, event.reason, event.note.unwrap_or_default());
        turns(before, after).into_iter().map(line).collect()
    }

    #[test]
    fn only_what_turned_is_told() {
        let ready = said(vec![Finding::is("Ready", Cause::new("Ready", "2/2 relays carry traffic"))]);
        let fewer = said(vec![Finding::is("Ready", Cause::new("Ready", "1/2 relays carry traffic"))]);
        assert_eq!(told(&[], &ready), ["Normal Ready: 2/2 relays carry traffic"]);
        assert!(told(&ready, &fewer).is_empty());
        let down = said(vec![Finding::is_not("Ready", Cause::new("Unschedulable", "no room"))]);
        assert_eq!(told(&ready, &down), ["Warning Unschedulable: no room"]);
    }

    #[test]
    fn one_reason_is_told_once() {
        let cause = || Cause::new("NetworkNotFound", "there is no isp/v4");
        let both = said(vec![Finding::is_not("Programmed", cause()), Finding::is_not("Ready", cause())]);
        assert_eq!(told(&[], &both), ["Warning NetworkNotFound: there is no isp/v4"]);
    }

    #[test]
    fn waiting_is_no_news() {
        let pending = said(vec![Finding::is_not("Programmed", Cause::new("Pending", "1/2"))]);
        let silent = said(vec![Finding::is_not("Advertised", Cause::new("NotConfigured", "no bgp"))]);
        assert!(told(&[], &pending).is_empty() && told(&[], &silent).is_empty());
    }

    #[test]
    fn what_was_bad_is_told_when_it_is_over() {
        let clash = said(vec![Finding::is("Conflicted", Cause::new("Conflicted", "with isp/old"))]);
        assert_eq!(told(&[], &clash), ["Warning Conflicted: with isp/old"]);
        assert_eq!(told(&clash, &[]), ["Normal Resolved: no longer Conflicted: Conflicted"]);
    }
}
