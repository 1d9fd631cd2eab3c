//! Wall clock and event ids: the one module of the gateway that asks the machine for either.

use evidence::ids::EventId;
use time::OffsetDateTime;
use uuid::Uuid;

/// The time now, UTC.
#[expect(clippy::disallowed_methods, reason = "this module owns the wall clock")]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// A fresh event id (UUIDv7: sorts by time, 74 random bits).
#[expect(clippy::disallowed_methods, reason = "this module owns the wall clock and the randomness of ids")]
pub fn event_id() -> EventId {
    EventId::new(Uuid::now_v7().into_bytes())
}
