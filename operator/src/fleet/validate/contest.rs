//! Domains that contradict each other: the older one stays, and the younger one hears with what it clashes.
//!
//! The outcome is that of taking the domains one by one, oldest first, and leaving out each that does not fit those taken
//! so far; it is found faster. So it depends on nothing but the domains: not on the order in which they were found, and not
//! on what was decided before. A clash resolved, the younger one is back.

use std::collections::{BTreeMap, HashMap};

use mape::{DomainConfig, DomainName, Fleet, Problem};

/// Who stays, and who does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contest {
    /// Domains that are sound together: oldest first, then by namespace and name.
    pub kept: Vec<DomainConfig>,
    /// All others, with the fields that clash. Every problem names a domain that stays, but those of a domain for which
    /// there was no more room.
    pub lost: BTreeMap<DomainName, Vec<Problem>>,
}

/// Settles what lies between domains that are sound each.
#[must_use]
pub fn contest(mut domains: Vec<DomainConfig>) -> Contest {
    domains.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    let mut lost = BTreeMap::new();
    while let Err(problems) = Fleet::new(domains.clone()) {
        lost.extend(losers(&domains, problems));
        domains.retain(|domain| !lost.contains_key(&domain.name));
    }
    Contest { kept: domains, lost }
}

/// Whose place is lost for certain. Whoever is older than all that are blamed stays for good, as blame comes from older
/// domains only: so the oldest of the blamed goes, and all that clash with one that stays. What the others clash with may
/// go itself; that is for the next round.
fn losers(domains: &[DomainConfig], problems: Vec<Problem>) -> BTreeMap<DomainName, Vec<Problem>> {
    let ages: HashMap<&DomainName, usize> = domains.iter().map(|domain| &domain.name).zip(0..).collect();
    let oldest = problems.iter().map(|problem| ages[&problem.domain]).min();
    let stays = |name: &DomainName| ages.get(name).copied() < oldest;
    let is_certain = |problem: &Problem| {
        ages.get(&problem.domain).copied() == oldest || problem.conflicts_with.as_ref().is_some_and(stays)
    };
    let mut losers: BTreeMap<DomainName, Vec<Problem>> = BTreeMap::new();
    for problem in problems.into_iter().filter(is_certain) {
        losers.entry(problem.domain.clone()).or_default().push(problem);
    }
    losers
}
