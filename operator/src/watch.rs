//! Watches: each kind of object has a store that follows the cluster, and tells what to look at again.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{Stream, StreamExt, pin_mut};
use kube::runtime::{
    WatchStreamExt,
    reflector::{ObjectRef, Store, store::Writer},
    watcher,
};
use kube::{Resource, runtime::reflector::Lookup};

use crate::error::watch_said;

/// What happened in the cluster.
pub enum Change<K> {
    /// An object is as it is now (or is gone), and was so before (or was not there).
    One {
        /// Before.
        before: Option<Arc<K>>,
        /// Now.
        now: Option<Arc<K>>,
    },
    /// Everything was listed anew: anything may have changed.
    All,
}

impl<K> Change<K> {
    /// The object, as it is or was.
    pub fn subjects(&self) -> impl Iterator<Item = &Arc<K>> {
        let (before, now) = match self {
            Self::One { before, now } => (before.as_ref(), now.as_ref()),
            Self::All => (None, None),
        };
        before.into_iter().chain(now)
    }
}

/// Which kinds cannot be watched, and why.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Health {
    /// Why this kind cannot be watched, if it cannot.
    #[must_use]
    pub fn why_not(&self, kind: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(kind).cloned()
    }

    fn note(&self, kind: &'static str, why: Option<String>) {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match why {
            // Once is enough in the log: it is tried again and again.
            Some(why) => {
                if kinds.insert(kind, why.clone()).as_ref() != Some(&why) {
                    tracing::warn!(kind, "cannot watch: {why}");
                }
            }
            None => {
                if kinds.remove(kind).is_some() {
                    tracing::info!(kind, "watched again");
                }
            }
        }
    }
}

/// Follows a stream of events for ever, keeps the store, and says what changed after the store knows it.
pub async fn follow<K>(
    kind: &'static str,
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
    (store, mut writer): (Store<K>, Writer<K>),
    health: Health,
    mut changed: impl FnMut(&Change<K>),
) where
    K: Resource + Lookup + Clone + Debug + 'static,
    <K as Lookup>::DynamicType: Eq + Hash + Clone + Debug + Default,
{
    let events = events.default_backoff();
    pin_mut!(events);
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                health.note(kind, Some(watch_said(&error)));
                continue;
            }
        };
        health.note(kind, None);
        let change = change(&store, &event);
        writer.apply_watcher_event(&event);
        if let Some(change) = change {
            changed(&change);
        }
    }
}

fn change<K>(store: &Store<K>, event: &watcher::Event<K>) -> Option<Change<K>>
where
    K: Lookup + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone + Default,
{
    let before = |object: &K| store.get(&ObjectRef::from_obj(object));
    match event {
        watcher::Event::Apply(object) => {
            Some(Change::One { before: before(object), now: Some(Arc::new(object.clone())) })
        }
        watcher::Event::Delete(object) => {
            Some(Change::One { before: before(object).or_else(|| Some(Arc::new(object.clone()))), now: None })
        }
        // The store takes what was listed when all of it is there.
        watcher::Event::Init | watcher::Event::InitApply(_) => None,
        watcher::Event::InitDone => Some(Change::All),
    }
}

/// Follows a stream of events for ever without keeping anything: `changed` hears of every change.
pub async fn listen<K>(
    kind: &'static str,
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
    health: Health,
    changed: impl Fn(),
) {
    let events = events.default_backoff();
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                health.note(kind, None);
                if !matches!(event, watcher::Event::Init | watcher::Event::InitApply(_)) {
                    changed();
                }
            }
            Err(error) => health.note(kind, Some(watch_said(&error))),
        }
    }
}
