//! The networks that were read, for as long as nothing is heard of a change: most changes of a cluster are others.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::fleet::network::Network;

/// A namespace and a name in it.
pub type Key = (String, String);

/// What is known of networks. Filled by who reads them, emptied by who watches them.
#[derive(Debug, Clone, Default)]
pub struct Networks(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// How often the watch told of a change. None yet: nobody would tell.
    changes: u64,
    networks: HashMap<Key, Network>,
}

/// How much had changed when a reading began: what changes meanwhile may not be in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsOf(u64);

impl Networks {
    /// Some network has changed: all are forgotten.
    pub fn changed(&self) {
        let mut known = self.known();
        known.changes += 1;
        known.networks.clear();
    }

    /// A network, if it was read since the last change.
    pub fn get(&self, key: &Key) -> Option<Network> {
        self.known().networks.get(key).cloned()
    }

    /// To be taken before a network is read.
    pub fn now(&self) -> AsOf {
        AsOf(self.known().changes)
    }

    /// Remembers a network, unless something has changed since.
    pub fn put(&self, key: Key, network: Network, as_of: AsOf) {
        let mut known = self.known();
        if known.changes > 0 && AsOf(known.changes) == as_of {
            known.networks.insert(key, network);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        ("default".to_owned(), "core".to_owned())
    }

    #[test]
    fn what_was_read_is_known_until_something_changes() {
        let networks = Networks::default();
        networks.changed();
        networks.put(key(), Network::Missing, networks.now());
        assert_eq!(networks.get(&key()), Some(Network::Missing));
        networks.changed();
        assert_eq!(networks.get(&key()), None);
    }

    #[test]
    fn what_changed_while_it_was_read_is_read_again() {
        let networks = Networks::default();
        networks.changed();
        let as_of = networks.now();
        networks.changed();
        networks.put(key(), Network::Missing, as_of);
        assert_eq!(networks.get(&key()), None);
    }

    #[test]
    fn nothing_is_known_before_changes_are_heard_of() {
        let networks = Networks::default();
        networks.put(key(), Network::Missing, networks.now());
        assert_eq!(networks.get(&key()), None);
    }
}
