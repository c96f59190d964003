//! How often the relay may speak for itself: one bucket per domain, shared by all workers, touched only when it does.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Nanoseconds since any moment that stays the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now(pub u64);

const SECOND: u64 = 1_000_000_000;

/// A token bucket of `rate` a second and a burst of the same size, as one number: the moment until which its tokens
/// are spent (generic cell rate algorithm, ITU-T I.371 §A).
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    spent_until: AtomicU64,
}

impl Bucket {
    /// Takes a token if there is one.
    pub(crate) fn take(&self, rate: u32, now: Now) -> bool {
        if rate == 0 {
            return false;
        }
        let cost = SECOND / u64::from(rate);
        let take = |spent_until: u64| {
            let after = spent_until.max(now.0) + cost;
            (after <= now.0.saturating_add(SECOND)).then_some(after)
        };
        self.spent_until.fetch_update(Relaxed, Relaxed, take).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let bucket = Bucket::default();
        let taken = |now: u64, tries: usize| (0..tries).filter(|_| bucket.take(10, Now(now))).count();
        assert_eq!(taken(0, 100), 10);
        assert_eq!(taken(SECOND / 10, 100), 1);
        assert_eq!(taken(SECOND * 10, 100), 10);
        assert!(!bucket.take(0, Now(SECOND * 100)));
    }
}
