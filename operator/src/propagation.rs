//! How long changes take: from a domain's change until every relay forwards by it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crds::BorderRelay;
use kube::runtime::reflector::ObjectRef;
use mape::DomainName;
use tokio::time::Instant;

/// A change that no revision took up within this time led to none: an invalid one, or one that changed nothing.
const FORGOTTEN: Duration = Duration::from_mins(10);

/// Changes on their way to the relays.
#[derive(Debug, Clone, Default)]
pub struct Propagation(Arc<Mutex<Ways>>);

#[derive(Debug, Default)]
struct Ways {
    /// When each domain was seen to change last.
    changed: HashMap<DomainName, Instant>,
    /// By fleet, the revisions that not all relays have yet, and when the oldest change in each was seen.
    written: HashMap<ObjectRef<BorderRelay>, Vec<(u64, Instant)>>,
}

impl Propagation {
    /// A domain was seen to change.
    pub fn changed(&self, domain: DomainName) {
        let now = Instant::now();
        let mut ways = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ways.changed.retain(|_, seen| now.duration_since(*seen) < FORGOTTEN);
        ways.changed.insert(domain, now);
    }

    /// A revision was written that takes up what changed about these domains.
    pub fn written<'d>(
        &self,
        fleet: &ObjectRef<BorderRelay>,
        sequence: u64,
        domains: impl Iterator<Item = &'d DomainName>,
    ) {
        let mut ways = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = domains.filter_map(|domain| ways.changed.get(domain)).min().copied();
        if let Some(seen) = oldest {
            ways.written.entry(fleet.clone()).or_default().push((sequence, seen));
        }
    }

    /// All relays of the fleet have this revision: how long the changes in it took.
    pub fn programmed(&self, fleet: &ObjectRef<BorderRelay>, sequence: u64) -> Vec<Duration> {
        let mut ways = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = ways.written.remove(fleet) else { return Vec::new() };
        let (there, not_yet): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(number, _)| *number <= sequence);
        if !not_yet.is_empty() {
            ways.written.insert(fleet.clone(), not_yet);
        }
        there.into_iter().map(|(_, seen)| seen.elapsed()).collect()
    }

    /// Forgets fleets that are gone.
    pub fn retain(&self, keep: impl Fn(&ObjectRef<BorderRelay>) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).written.retain(|fleet, _| keep(fleet));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(name: &str) -> DomainName {
        DomainName { namespace: "isp".to_owned(), name: name.to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_timed_from_when_it_was_seen_until_all_relays_have_it() {
        let (ways, fleet) = (Propagation::default(), ObjectRef::new("default"));
        let second = Duration::from_secs(1);
        ways.changed(domain("a"));
        tokio::time::advance(second).await;
        ways.written(&fleet, 5, [domain("a"), domain("b")].iter());
        tokio::time::advance(second).await;
        assert!(ways.programmed(&fleet, 4).is_empty());
        assert_eq!(ways.programmed(&fleet, 5), vec![second * 2]);
        assert!(ways.programmed(&fleet, 5).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_revision_without_a_change_that_was_seen_is_not_timed() {
        let (ways, fleet) = (Propagation::default(), ObjectRef::new("default"));
        ways.changed(domain("a"));
        tokio::time::advance(FORGOTTEN).await;
        ways.changed(domain("c"));
        ways.written(&fleet, 1, [domain("a"), domain("b")].iter());
        assert!(ways.programmed(&fleet, 1).is_empty());
    }
}
