//! Break glass: emergency access against a patient's Consent, from claim to review (CONSENT.md, "Break glass"; docs/adr/0052).
//!
//! ```text
//! claim (entitled? purpose? reason?) → record event and grant in one transaction → in force → ends by itself → review
//! ```
//!
//! What is in force is kept here, in memory; what was granted and not yet reviewed is in the journal. A grant counts here only
//! after the journal said that it is durable.

mod claim;
mod grant;
mod review;
mod signal;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use evidence::ids::EventId;
use gateway_core::caller::Caller;
use gateway_core::purpose;
use time::OffsetDateTime;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::config::GlassConfig;
use crate::journal::StoredGrants;
use crate::telemetry::GlassReading;

pub use claim::{Asking, Claimed, claim};
pub(crate) use grant::event_coding;
pub use grant::{Claim, Grant, Holder, Lent, Moment};
pub use review::{Listed, ReviewFault, ReviewOutcome, Reviews};
pub(crate) use signal::signalled;

/// All grants that somebody may hold or that wait for their review. One for the process.
#[derive(Debug, Default)]
pub struct Glass {
    state: RwLock<State>,
    /// One claim or review at a time: what one finds holds until it is on record.
    turn: Arc<Mutex<()>>,
}

#[derive(Debug, Default)]
struct State {
    held: HashMap<Holder, Vec<Arc<Grant>>>,
    /// Grants without a review, and when they were granted.
    unreviewed: BTreeMap<EventId, OffsetDateTime>,
}

/// What a claim is refused for that depends on other grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// This caller holds a grant for this patient.
    InForce,
    /// This caller holds as many grants as one may.
    TooMany,
    /// As many grants wait for their review as may.
    Unreviewed,
}

impl Glass {
    /// What the journal holds, at this moment. A grant that is not as it was stored is in nobody's hands, and waits for
    /// its review all the same.
    pub fn load(stored: StoredGrants, at: Moment) -> Self {
        let latest = grant::at_millis(stored.latest);
        let mut state = State::default();
        for row in stored.grants.into_iter().filter(|row| row.review.is_none()) {
            state.unreviewed.insert(row.id, grant::at_millis(row.granted));
            match Grant::restored(&row, at, latest) {
                Ok(Some(grant)) => state.hold(Arc::new(grant), at),
                Ok(None) => {}
                Err(altered) => tracing::error!(grant = %row.id, %altered, "a break-glass grant is not in force"),
            }
        }
        Self { state: RwLock::new(state), turn: Arc::default() }
    }

    /// The caller with the grants that are in force for him now, and what they are.
    ///
    /// A grant reaches whoever it was given to: same issuer, subject, client and organisation; while his token carries an
    /// entitled role, and asks for the purpose that a grant is bound to.
    pub fn lend(&self, config: &GlassConfig, caller: Arc<Caller>, at: Moment) -> (Arc<Caller>, Lent) {
        let state = self.read();
        if state.held.is_empty() || !entitled(config, &caller) || !caller.purposes.iter().any(purpose::breaks_glass) {
            return (caller, Lent::default());
        }
        let Some(held) = state.held.get(&Holder::of(&caller)) else { return (caller, Lent::default()) };
        let lent = Lent::of(held.iter().filter(|grant| grant.in_force(at, config.duration)), config.duration);
        (lent.given_to(caller, at), lent)
    }

    /// Waits until no other claim or review is under way.
    pub async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// Whether this holder may get a grant for this patient.
    fn room(&self, config: &GlassConfig, asked: &Claim, at: Moment) -> Result<(), NoRoom> {
        let state = self.read();
        let held = state.held.get(&asked.holder).into_iter().flatten();
        // One that a shorter duration has ended does not come back with a longer one.
        held.clone().filter(|grant| grant.outlasts(at, config.duration)).for_each(|grant| grant.end());
        let held: Vec<_> = held.filter(|grant| grant.in_force(at, config.duration)).collect();
        if held.iter().any(|grant| grant.patient.reference() == asked.patient) {
            Err(NoRoom::InForce)
        } else if held.len() >= config.most_in_force {
            Err(NoRoom::TooMany)
        } else if state.unreviewed.len() >= config.most_unreviewed {
            Err(NoRoom::Unreviewed)
        } else {
            Ok(())
        }
    }

    /// From now on this grant counts. It is on record already.
    fn hold(&self, grant: Arc<Grant>, at: Moment) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.unreviewed.insert(grant.id, grant.granted);
        state.hold(grant, at);
    }

    /// From now on this grant is reviewed, and ended where it was not. That is on record already.
    fn close(&self, id: EventId) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.unreviewed.remove(&id);
        for grant in state.held.values().flatten().filter(|grant| grant.id == id) {
            grant.end();
        }
    }

    /// The grant of this id, where it is in force.
    fn in_force(&self, id: EventId, at: Moment, duration: Duration) -> Option<Arc<Grant>> {
        let state = self.read();
        let mut held = state.held.values().flatten();
        held.find(|grant| grant.id == id && grant.in_force(at, duration)).map(Arc::clone)
    }

    /// What metrics tell.
    pub fn reading(&self, config: &GlassConfig, at: Moment) -> GlassReading {
        let state = self.read();
        let in_force = state.held.values().flatten().filter(|grant| grant.in_force(at, config.duration)).count();
        let due = |granted: &&OffsetDateTime| at.wall - **granted > config.review_within;
        let oldest = state.unreviewed.values().min().map(|granted| at.wall - *granted);
        GlassReading {
            in_force: in_force as u64,
            unreviewed: state.unreviewed.len() as u64,
            overdue: state.unreviewed.values().filter(due).count() as u64,
            oldest: oldest.and_then(|age| age.try_into().ok()).unwrap_or_default(),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes a grant, and forgets those of its holder that have ended for good.
    fn hold(&mut self, grant: Arc<Grant>, at: Moment) {
        self.held.retain(|_, grants| {
            grants.retain(|grant| !grant.is_over(at));
            !grants.is_empty()
        });
        self.held.entry(grant.holder.clone()).or_default().push(grant);
    }
}

/// Whether the caller's token carries a role that may break the glass.
pub fn entitled(config: &GlassConfig, caller: &Caller) -> bool {
    caller.roles.iter().any(|role| config.roles.contains(role))
}

#[cfg(test)]
mod tests;
