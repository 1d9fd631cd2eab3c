//! What was gathered, kept for a while and never across a write.

use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;

/// A cache that whoever writes through the gateway empties.
///
/// INVARIANT: nothing in it is older than its age, or than the last call that forgets it: an answer that was asked for
/// before a write is never kept after it.
pub(super) struct Kept<K, V> {
    cache: Cache<K, V>,
    /// Counts what was forgotten. Held while the cache is written or emptied.
    generation: Mutex<u64>,
}

/// When facts were asked for, in the order of what was forgotten.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskedAt(u64);

impl<K, V> Kept<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// At most so many, each for so long.
    pub(super) fn new(most: u64, age: Duration) -> Self {
        Self { cache: Cache::builder().max_capacity(most).time_to_live(age).build(), generation: Mutex::new(0) }
    }

    /// What is kept.
    pub(super) fn of(&self, key: &K) -> Option<V> {
        self.cache.get(key)
    }

    /// To be taken before facts are asked for.
    pub(super) fn asked_at(&self) -> AskedAt {
        AskedAt(*self.generation.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps what was asked for then, unless something was forgotten since.
    pub(super) fn keep(&self, asked_at: AskedAt, found: impl IntoIterator<Item = (K, V)>) {
        let generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        if *generation == asked_at.0 {
            found.into_iter().for_each(|(key, value)| self.cache.insert(key, value));
        }
    }

    /// Forgets what is kept of one key: it is about to be, or has been, written.
    pub(super) fn forget(&self, key: &K) {
        let mut generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        *generation += 1;
        self.cache.invalidate(key);
    }

    /// Forgets what is kept of the keys for which this holds: something of them was written.
    pub(super) fn forget_where(&self, holds: impl Fn(&K, &V) -> bool) {
        let mut generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        *generation += 1;
        let of: Vec<_> = self.cache.iter().filter(|(key, value)| holds(key, value)).map(|(key, _)| key).collect();
        of.iter().for_each(|key| self.cache.invalidate(&**key));
    }

    /// Forgets everything.
    pub(super) fn forget_all(&self) {
        let mut generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        *generation += 1;
        self.cache.invalidate_all();
    }
}

#[cfg(test)]
mod tests;
