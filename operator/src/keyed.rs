//! What is remembered about objects, each under its name and for one life of it.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

/// Values by key. What belongs to an object that is gone is not found by another of the same name.
#[derive(Debug)]
pub struct Keyed<K, V>(Mutex<HashMap<K, (Option<String>, V)>>);

impl<K, V> Default for Keyed<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Keyed<K, V> {
    /// The value for the object with this uid.
    pub fn get(&self, key: &K, uid: Option<&str>) -> Option<V> {
        let values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        values.get(key).filter(|(of, _)| of.as_deref() == uid).map(|(_, value)| value.clone())
    }

    /// Remembers a value, and says which one was there for the same object.
    pub fn put(&self, key: K, uid: Option<String>, value: V) -> Option<V> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = values.remove(&key).filter(|(of, _)| *of == uid);
        values.insert(key, (uid, value));
        before.map(|(_, value)| value)
    }

    /// Forgets all that is not in `keep`.
    pub fn retain(&self, keep: impl Fn(&K) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| keep(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_object_of_the_same_name_starts_anew() {
        let keyed = Keyed::default();
        keyed.put("a", Some("1".to_owned()), 7);
        assert_eq!(keyed.get(&"a", Some("1")), Some(7));
        assert_eq!(keyed.get(&"a", Some("2")), None);
        assert_eq!(keyed.put("a", Some("2".to_owned()), 8), None);
        keyed.retain(|key| *key != "a");
        assert_eq!(keyed.get(&"a", Some("2")), None);
    }
}
