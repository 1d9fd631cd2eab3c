//! Turns: writes that look whether something is there before they make it, one after the other (ADR 0048).
//!
//! Within this process only: two replicas may still make the same twice.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use gateway_core::interaction::SearchQuery;
use gateway_core::resource_type::ResourceType;
use tokio::sync::{Mutex, MutexGuard};

use crate::problem::Problem;

/// Places to wait at; criteria that share one wait for each other too.
const PLACES: usize = 64;

/// Who comes next. Bounded: as many places as there are.
pub struct Turns(Vec<Mutex<()>>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..PLACES).map(|_| Mutex::default()).collect())
    }
}

/// A place; equal criteria have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(usize);

impl Place {
    /// The place of these criteria, whatever the order of their parameters.
    pub fn of(rtype: ResourceType, criteria: &SearchQuery) -> Self {
        let mut params: Vec<(String, &str)> = criteria.params().iter().map(|p| (p.key(), p.value.as_str())).collect();
        params.sort_unstable();
        let mut hasher = DefaultHasher::new();
        (rtype, params).hash(&mut hasher);
        Self(usize::try_from(hasher.finish() % (PLACES as u64)).unwrap_or_default())
    }
}

impl Turns {
    /// Waits until nobody else is at any of these places: in their order, so that no two wait for each other.
    ///
    /// # Errors
    /// Where it takes longer than `limit`; nothing was looked at yet, and no place is held.
    pub async fn at(&self, places: &BTreeSet<Place>, limit: Duration) -> Result<Vec<MutexGuard<'_, ()>>, Problem> {
        let all = async {
            let mut held = Vec::with_capacity(places.len());
            for place in places {
                if let Some(mutex) = self.0.get(place.0) {
                    held.push(mutex.lock().await);
                }
            }
            held
        };
        tokio::time::timeout(limit, all).await.map_err(|_| Problem::Overloaded("turn-timeout"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_too_long_gives_up_and_holds_nothing() {
        let turns = Turns::default();
        let (both, second) = (BTreeSet::from([Place(0), Place(1)]), BTreeSet::from([Place(1)]));
        let limit = Duration::from_millis(50);
        let held = turns.at(&second, limit).await.expect("nobody is there");
        let refused = turns.at(&both, limit).await;
        assert!(matches!(refused, Err(Problem::Overloaded("turn-timeout"))));
        drop(held);
        assert_eq!(turns.at(&both, limit).await.expect("nobody is there any more").len(), 2);
    }
}
