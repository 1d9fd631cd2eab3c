//! Access events, version 1 (`docs/spec/event.md`).
//!
//! An event is an immutable statement about one access, or about the gateway itself. Its canonical bytes
//! (RFC 8785) are what is committed to; absent options and empty lists are left out, so that an event has
//! one form only.
//!
//! INVARIANT: no event names more than one patient.

use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::canonical::{self, CanonicalError};
use crate::ids::{EventId, Timestamp};

mod access;
mod operation;
mod reference;

#[cfg(test)]
mod tests;

pub use access::{
    BreakGlass, Caller, Coding, ConsentUse, Counts, Decision, Denial, Disclosure, End, Outcome, Phase, Reason,
    Redaction, Request, ResourceUse, Universal, UniversalUse,
};
pub use operation::{
    AuditRead, EpochClosed, Erasure, Heartbeat, HeartbeatCounters, PolicyChange, Review, Start, Stop, Unauthenticated,
};
pub use reference::{Reference, ReferenceError, VersionedReference};

/// The version of the format.
pub const VERSION: u64 = 1;

/// The most bytes a canonical event may have.
pub const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;

/// One access event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessEvent {
    /// Its id. That of a request event is the `X-Request-Id` of the answer.
    pub id: EventId,
    /// When it was recorded, by the gateway's clock.
    pub at: Timestamp,
    /// What it says.
    pub body: EventBody,
}

/// What an access event says; the JSON member `kind` names the variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum EventBody {
    /// A request that was decided. Patientless.
    Request(Box<Request>),
    /// How an opened or intended request ended. Patientless.
    Outcome(Outcome),
    /// What a window of an answer discloses about one patient.
    Disclosure(Disclosure),
    /// What Consent hid or refused of one patient.
    Denial(Denial),
    /// What a later window discloses of resources without an owner. Patientless.
    Universal(Universal),
    /// Requests of one minute that were refused before anybody was known.
    Unauthenticated(Unauthenticated),
    /// The gateway started.
    Start(Start),
    /// The gateway stopped in order.
    Stop(Stop),
    /// The gateway lives; its counters.
    Heartbeat(Heartbeat),
    /// The policy changed.
    PolicyChange(PolicyChange),
    /// Somebody read the audit records.
    AuditRead(AuditRead),
    /// Keys were erased.
    Erasure(Erasure),
    /// Somebody signed off a review.
    Review(Review),
    /// An epoch of this or an earlier journal ended.
    EpochClosed(EpochClosed),
}

/// Why bytes are not an access event, or an event has no canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not JSON that is acceptable, or not in canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// Larger than [`MAX_EVENT_BYTES`].
    #[error("the event is larger than {MAX_EVENT_BYTES} bytes")]
    TooLarge,
    /// JSON, but no event of this version: an unknown kind or field, a missing field, a value of another type.
    #[error("not an access event of version {VERSION}")]
    Shape,
}

impl AccessEvent {
    /// The canonical bytes: what is committed to, stored and proven.
    ///
    /// # Errors
    /// [`EventError::TooLarge`]; [`EventError::Canonical`] cannot happen for the kinds of version 1, which hold
    /// no numbers that JSON cannot carry.
    pub fn canonical_bytes(&self) -> Result<Vec<u8>, EventError> {
        let bytes = canonical::to_canonical(self)?;
        if bytes.len() > MAX_EVENT_BYTES { Err(EventError::TooLarge) } else { Ok(bytes) }
    }

    /// Reads canonical bytes; whatever would not be written as the very same bytes is refused.
    ///
    /// # Errors
    /// [`EventError`]
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, EventError> {
        if bytes.len() > MAX_EVENT_BYTES {
            return Err(EventError::TooLarge);
        }
        let event = Self::from_value(canonical::parse_strict(bytes)?)?;
        if event.canonical_bytes()? == bytes { Ok(event) } else { Err(CanonicalError::NotCanonical.into()) }
    }

    /// Reads an event that was already parsed strictly, such as one inside a bundle.
    ///
    /// # Errors
    /// [`EventError::Shape`]
    pub fn from_value(value: Value) -> Result<Self, EventError> {
        serde_json::from_value(value).map_err(|_| EventError::Shape)
    }

    /// The request that this event belongs to: its own id for a request, and the request that an outcome,
    /// a disclosure or a denial names.
    #[must_use]
    pub const fn request(&self) -> Option<EventId> {
        match &self.body {
            EventBody::Request(_) => Some(self.id),
            EventBody::Outcome(outcome) => Some(outcome.request),
            EventBody::Disclosure(disclosure) => Some(disclosure.request),
            EventBody::Denial(denial) => Some(denial.request),
            EventBody::Universal(universal) => Some(universal.request),
            EventBody::Unauthenticated(_)
            | EventBody::Start(_)
            | EventBody::Stop(_)
            | EventBody::Heartbeat(_)
            | EventBody::PolicyChange(_)
            | EventBody::AuditRead(_)
            | EventBody::Erasure(_)
            | EventBody::Review(_)
            | EventBody::EpochClosed(_) => None,
        }
    }

    /// The one patient that this event names; under that patient's key it is sealed.
    #[must_use]
    pub const fn patient(&self) -> Option<&Reference> {
        match &self.body {
            EventBody::Disclosure(disclosure) => Some(&disclosure.patient),
            EventBody::Denial(denial) => Some(&denial.patient),
            EventBody::Request(_)
            | EventBody::Outcome(_)
            | EventBody::Universal(_)
            | EventBody::Unauthenticated(_)
            | EventBody::Start(_)
            | EventBody::Stop(_)
            | EventBody::Heartbeat(_)
            | EventBody::PolicyChange(_)
            | EventBody::AuditRead(_)
            | EventBody::Erasure(_)
            | EventBody::Review(_)
            | EventBody::EpochClosed(_) => None,
        }
    }

    /// The kind, as the JSON member `kind` names it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match &self.body {
            EventBody::Request(_) => "request",
            EventBody::Outcome(_) => "outcome",
            EventBody::Disclosure(_) => "disclosure",
            EventBody::Denial(_) => "denial",
            EventBody::Universal(_) => "universal",
            EventBody::Unauthenticated(_) => "unauthenticated",
            EventBody::Start(_) => "start",
            EventBody::Stop(_) => "stop",
            EventBody::Heartbeat(_) => "heartbeat",
            EventBody::PolicyChange(_) => "policy-change",
            EventBody::AuditRead(_) => "audit-read",
            EventBody::Erasure(_) => "erasure",
            EventBody::Review(_) => "review",
            EventBody::EpochClosed(_) => "epoch-closed",
        }
    }
}

impl Serialize for AccessEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Whole<'a> {
            v: u64,
            id: EventId,
            at: Timestamp,
            #[serde(flatten)]
            body: &'a EventBody,
        }
        Whole { v: VERSION, id: self.id, at: self.at, body: &self.body }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AccessEvent {
    /// The common members are taken out first, so that the rest can refuse what it does not know.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = Map::deserialize(deserializer)?;
        let mut take = |name: &'static str| members.remove(name).ok_or_else(|| de::Error::missing_field(name));
        if take("v")?.as_u64() != Some(VERSION) {
            return Err(de::Error::custom("unknown version"));
        }
        let id = serde_json::from_value(take("id")?).map_err(de::Error::custom)?;
        let at = serde_json::from_value(take("at")?).map_err(de::Error::custom)?;
        let body = serde_json::from_value(Value::Object(members)).map_err(de::Error::custom)?;
        Ok(Self { id, at, body })
    }
}
