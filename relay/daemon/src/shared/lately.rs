//! How many packets were dropped in the last minute: what people see of a fleet at a glance.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

const MINUTE: Duration = Duration::from_mins(1);

/// Totals of a counter that only grows, each with its time; the oldest is about a minute old.
#[derive(Debug, Default)]
pub(crate) struct Lately(VecDeque<(Instant, u64)>);

impl Lately {
    /// The total now.
    pub(crate) fn note(&mut self, total: u64, now: Instant) {
        self.0.push_back((now, total));
        // The last one that is older is where the minute begins.
        while self.0.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= MINUTE) {
            self.0.pop_front();
        }
    }

    /// By how much the total has grown since then.
    pub(crate) fn grown(&self, total: u64) -> u64 {
        self.0.front().map_or(0, |(_, before)| total.saturating_sub(*before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_more_than_a_minute_ago_does_not_count() {
        let start = Instant::now();
        let mut lately = Lately::default();
        assert_eq!(lately.grown(7), 0, "nobody knows since when");
        for second in (0..=120).step_by(10) {
            lately.note(second * 2, start + Duration::from_secs(second));
        }
        assert_eq!(lately.grown(240), 120);
        assert_eq!(lately.grown(243), 123);
    }
}
