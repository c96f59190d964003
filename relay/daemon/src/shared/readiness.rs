//! Whether this relay would forward a packet now, and why not.

use std::time::{Duration, Instant};

use crate::{
    cli::Family,
    self_test::{Round, Way},
};

/// How old a passed self-test may be.
const FRESH: Duration = Duration::from_secs(4);

/// Why a pod that has to leave is not ready.
pub(super) const DRAINING: &str = "Draining";

/// Everything that has to be so. What there is no need for (a relay without sides has no next hops) is not asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readiness {
    /// There is a configuration.
    pub(crate) loaded: bool,
    /// The relay's routes and rules are there.
    pub(crate) routes: bool,
    /// It is about to end.
    pub(crate) ending: bool,
    /// The operator wants the pod to leave.
    pub(crate) draining: bool,
    /// There is a speaker, and it says nothing.
    pub(crate) silent: bool,
    /// Families without a next hop that is alive.
    pub(crate) down: Vec<Family>,
    /// Families whose packets would not leave the TUN by a next hop, as the kernel says.
    pub(crate) stuck: Vec<Family>,
    pub(crate) self_test: Option<SelfTest>,
}

impl Readiness {
    /// What keeps a packet from being forwarded: a pod that is asked to leave forwards on.
    pub(crate) fn faults(&self, now: Instant) -> Vec<&'static str> {
        self.reasons(now).into_iter().filter(|word| *word != DRAINING).collect()
    }

    /// A word for each thing that is not so.
    pub(crate) fn reasons(&self, now: Instant) -> Vec<&'static str> {
        let failing = |way| self.self_test.as_ref().is_some_and(|test| !test.passes(way, now));
        [
            (self.ending, "Ending"),
            (self.draining, DRAINING),
            (!self.loaded, "NoRevision"),
            (!self.routes, "RoutesMissing"),
            (self.silent, "SpeakerSilent"),
            (self.down.contains(&Family::Ipv4), "IPv4SideDown"),
            (self.down.contains(&Family::Ipv6), "IPv6SideDown"),
            (self.stuck.contains(&Family::Ipv4), "IPv4RouteMissing"),
            (self.stuck.contains(&Family::Ipv6), "IPv6RouteMissing"),
            (failing(Way::ToCe), "SelfTestToCE"),
            (failing(Way::FromCe), "SelfTestFromCE"),
        ]
        .into_iter()
        .filter_map(|(is_so, word)| is_so.then_some(word))
        .collect()
    }
}

/// When each worker last passed, each way.
#[derive(Debug, Clone)]
pub(crate) struct SelfTest {
    passed: [Vec<Option<Instant>>; 2],
}

impl SelfTest {
    /// Nobody has passed yet.
    pub(crate) fn new(workers: usize) -> Self {
        Self { passed: [vec![None; workers], vec![None; workers]] }
    }

    /// A round is over.
    pub(crate) fn take(&mut self, round: &Round, now: Instant) {
        for way in Way::ALL {
            for (worker, passed) in self.passed[way as usize].iter_mut().enumerate() {
                if round.passed(way, worker) {
                    *passed = Some(now);
                }
            }
        }
    }

    /// Whether a worker has passed lately.
    pub(crate) fn worker_passes(&self, way: Way, worker: usize, now: Instant) -> bool {
        let passed = self.passed[way as usize].get(worker).copied().flatten();
        passed.is_some_and(|passed| now.saturating_duration_since(passed) < FRESH)
    }

    /// How many workers there are.
    pub(crate) fn workers(&self) -> usize {
        self.passed[0].len()
    }

    fn passes(&self, way: Way, now: Instant) -> bool {
        (0..self.workers()).all(|worker| self.worker_passes(way, worker, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_that_is_not_so_has_a_word() {
        let now = Instant::now();
        let sound = Readiness { loaded: true, routes: true, ..Readiness::default() };
        assert!(sound.reasons(now).is_empty());
        let nothing = Readiness { down: vec![Family::Ipv6], stuck: vec![Family::Ipv4], ..Readiness::default() };
        assert_eq!(nothing.reasons(now), ["NoRevision", "RoutesMissing", "IPv6SideDown", "IPv4RouteMissing"]);
        let silent = Readiness { silent: true, ..sound.clone() };
        assert_eq!(silent.reasons(now), ["SpeakerSilent"]);
        let draining = Readiness { draining: true, ..sound.clone() };
        assert_eq!(draining.reasons(now), ["Draining"]);
        assert!(draining.faults(now).is_empty());
        let untested = Readiness { self_test: Some(SelfTest::new(2)), ..sound };
        assert_eq!(untested.reasons(now), ["SelfTestToCE", "SelfTestFromCE"]);
    }

    #[test]
    fn a_passed_self_test_gets_old() {
        let now = Instant::now();
        let test = SelfTest { passed: [vec![Some(now), Some(now)], vec![Some(now), None]] };
        assert!(test.passes(Way::ToCe, now) && !test.passes(Way::FromCe, now));
        assert!(test.worker_passes(Way::FromCe, 0, now));
        assert!(!test.passes(Way::ToCe, now + FRESH));
    }
}
