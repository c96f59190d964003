//! How long to wait before something that failed is tried again: each object for itself.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(2);

/// How often each object has failed in a row.
#[derive(Debug)]
pub struct Backoff<K> {
    failures: Mutex<HashMap<K, u32>>,
    random: RandomState,
}

impl<K> Default for Backoff<K> {
    fn default() -> Self {
        Self { failures: Mutex::default(), random: RandomState::new() }
    }
}

impl<K: Eq + Hash + Clone> Backoff<K> {
    /// It failed again: how long to wait now.
    pub fn failed(&self, key: &K) -> Duration {
        let count = {
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            let count = failures.entry(key.clone()).or_default();
            *count += 1;
            *count
        };
        // Up to a quarter more, unlike for others: what failed together need not come back together.
        let part = self.random.hash_one((key, count)) % 256;
        let delay = delay(count);
        delay + delay * u32::try_from(part).unwrap_or_default() / 1024
    }

    /// It went well.
    pub fn went_well(&self, key: &K) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Forgets all that is not in `keep`.
    pub fn retain(&self, keep: impl Fn(&K) -> bool) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| keep(key));
    }

    /// How often it has failed in a row.
    pub fn count(&self, key: &K) -> u32 {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied().unwrap_or_default()
    }
}

/// 1 s, 2 s, 4 s, ... up to two minutes.
fn delay(count: u32) -> Duration {
    FIRST.saturating_mul(1 << count.saturating_sub(1).min(16)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_begin_anew_after_success() {
        let backoff = Backoff::default();
        let mut waits: Vec<u64> = (0..12).map(|_| backoff.failed(&"a").as_secs()).collect();
        assert_eq!(backoff.count(&"a"), 12);
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1] + 30), "{waits:?}");
        assert!((1..=2).contains(&waits[0]) && (120..=150).contains(&waits[11]), "{waits:?}");
        backoff.went_well(&"a");
        waits.push(backoff.failed(&"a").as_secs());
        assert_eq!(waits[12], 1);
    }

    #[test]
    fn one_object_s_failures_are_not_another_s() {
        let backoff = Backoff::default();
        (0..5).for_each(|_| _ = backoff.failed(&"bad"));
        assert_eq!(backoff.count(&"good"), 0);
        assert_eq!(backoff.failed(&"kept").as_secs(), 1);
        backoff.retain(|key| *key != "bad");
        assert_eq!((backoff.count(&"bad"), backoff.count(&"kept")), (0, 1));
        assert_eq!(delay(1), FIRST);
        assert_eq!(delay(u32::MAX), LONGEST);
    }
}
