//! A grant: who may see whose record against Consent, and until when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use evidence::event::{BreakGlass, Coding as EventCoding};
use evidence::ids::EventId;
use gateway_core::caller::Caller;
use gateway_core::coding::Coding;
use gateway_core::owner::PatientId;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::clock;
use crate::journal::{Altered, NewGrant, StoredGrant};

/// How far a clock may go back before a grant that was given later does not count.
const SKEW: Duration = Duration::from_secs(60);

/// A moment by both clocks. The wall clock tells when a grant ends, and may be set; the steady one runs on.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The time of day.
    pub wall: OffsetDateTime,
    /// The time that has passed.
    pub steady: Instant,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self { wall: clock::now(), steady: Instant::now() }
    }
}

/// To whom a grant is given; whoever differs in any of these is somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// `iss`
    pub issuer: String,
    /// `sub`
    pub subject: String,
    /// The client.
    pub client: Option<String>,
    /// The organisation for which the caller acts.
    pub organization: Option<String>,
}

impl Holder {
    /// Who this caller is to a grant.
    pub fn of(caller: &Caller) -> Self {
        Self {
            issuer: caller.issuer.clone(),
            subject: caller.subject.clone(),
            client: caller.client.clone(),
            organization: caller.organization.as_ref().map(ToString::to_string),
        }
    }
}

/// What was claimed, as it is stored sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// By whom.
    pub holder: Holder,
    /// For whom: `Patient/x`.
    pub patient: String,
    /// Why, as a code of `break_glass.reasons`.
    pub reason: Coding,
    /// Why, in the holder's words.
    pub justification: String,
}

/// A grant. It ends by itself, by both clocks, and nothing prolongs it.
#[derive(Debug)]
pub struct Grant {
    /// Its id: that of the event of the claim.
    pub id: EventId,
    /// Who holds it.
    pub holder: Holder,
    /// For whom.
    pub patient: PatientId,
    /// Why.
    pub reason: Coding,
    /// When it was given.
    pub granted: OffsetDateTime,
    /// When it ends.
    pub until: OffsetDateTime,
    /// The same by the steady clock.
    deadline: Instant,
    ended: AtomicBool,
}

impl Grant {
    /// Gives one, to begin with. `None` where the claim names no patient, or the clock shows no usable time.
    pub(super) fn given(id: EventId, claim: &Claim, duration: Duration, at: Moment) -> Option<Self> {
        // Stored to the millisecond.
        let granted = at_millis(millis(at.wall));
        let until = granted.checked_add(duration.try_into().ok()?)?;
        Self::of(id, claim, (granted, until), at.steady.checked_add(duration)?)
    }

    /// The stored grant, as far as it has not ended. `latest` is the latest time that is on record: it is not earlier,
    /// even where the clock says so.
    pub(super) fn restored(row: &StoredGrant, at: Moment, latest: OffsetDateTime) -> Result<Option<Self>, Altered> {
        let Ok(Some(claim)) = &row.claim else { return row.claim.as_ref().map(|_| None).map_err(|altered| *altered) };
        let claim: Claim = serde_json::from_slice(claim).map_err(|_| Altered)?;
        let (granted, until) = (at_millis(row.granted), at_millis(row.until));
        let now = at.wall.max(latest);
        let left = until - now;
        let Ok(left) = Duration::try_from(left) else { return Ok(None) };
        if row.ended.is_some() || left.is_zero() {
            return Ok(None);
        }
        let grant = at.steady.checked_add(left).and_then(|end| Self::of(row.id, &claim, (granted, until), end));
        grant.ok_or(Altered).map(Some)
    }

    fn of(
        id: EventId,
        claim: &Claim,
        (granted, until): (OffsetDateTime, OffsetDateTime),
        deadline: Instant,
    ) -> Option<Self> {
        let (holder, reason) = (claim.holder.clone(), claim.reason.clone());
        let patient = PatientId::parse(&claim.patient).ok()?;
        Some(Self { id, holder, patient, reason, granted, until, deadline, ended: AtomicBool::new(false) })
    }

    /// Whether it counts at this moment; `duration` is that of now, which may be shorter than when it was given.
    pub(super) fn in_force(&self, at: Moment, duration: Duration) -> bool {
        // Differences, since sums of dates may leave the calendar.
        self.granted - at.wall <= SKEW && !self.outlasts(at, duration) && !self.is_over(at)
    }

    /// Whether it is older than a grant may be now.
    pub(super) fn outlasts(&self, at: Moment, duration: Duration) -> bool {
        at.wall - self.granted >= duration
    }

    /// Whether it will never count again.
    pub(super) fn is_over(&self, at: Moment) -> bool {
        self.ended.load(Ordering::SeqCst) || at.steady >= self.deadline || at.wall >= self.until
    }

    /// Ends it now.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// What the journal stores of it.
    pub(super) fn stored(&self, claim: &Claim) -> NewGrant {
        NewGrant {
            id: self.id,
            patient: self.patient.reference(),
            granted: millis(self.granted),
            until: millis(self.until),
            claim: Zeroizing::new(serde_json::json!(claim).to_string().into_bytes()),
        }
    }
}

/// The grants that a request goes by. It takes them once; that one has ended counts at once.
#[derive(Clone, Debug, Default)]
pub struct Lent {
    grants: Arc<[Arc<Grant>]>,
    duration: Duration,
}

impl Lent {
    pub(super) fn of<'g>(grants: impl Iterator<Item = &'g Arc<Grant>>, duration: Duration) -> Self {
        let mut grants: Vec<_> = grants.map(Arc::clone).collect();
        grants.sort_by_key(|grant| grant.id);
        Self { grants: grants.into(), duration }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }

    /// Their ids, with a space between them: what a paging link is bound to, and what events say.
    pub fn ids(&self) -> String {
        self.grants.iter().map(|grant| grant.id.to_string()).collect::<Vec<_>>().join(" ")
    }

    /// The caller with those that are in force at this moment, and no others.
    pub fn given_to(&self, caller: Arc<Caller>, at: Moment) -> Arc<Caller> {
        let in_force = self.grants.iter().filter(|grant| grant.in_force(at, self.duration));
        let patients = in_force.map(|grant| grant.patient.clone()).collect();
        if caller.break_glass == patients {
            return caller;
        }
        Arc::new(Caller { break_glass: patients, ..Caller::clone(&caller) })
    }

    /// What a request event says of them: all that the caller holds, whether or not the answer depends on one. The
    /// reason where it is the same for all.
    pub fn event(&self) -> Option<BreakGlass> {
        let (first, rest) = self.grants.split_first()?;
        let same = rest.iter().all(|grant| grant.reason == first.reason);
        Some(BreakGlass { grant: self.ids(), reason: same.then(|| event_coding(&first.reason)) })
    }
}

/// A coding as events write it.
pub(crate) fn event_coding(coding: &Coding) -> EventCoding {
    EventCoding { system: coding.system.clone(), code: coding.code.clone() }
}

/// Milliseconds since 1970; 0 before it.
pub(super) fn millis(at: OffsetDateTime) -> u64 {
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}

/// The time so many milliseconds after the beginning of 1970; the beginning itself where there is no such time.
pub(super) fn at_millis(millis: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
