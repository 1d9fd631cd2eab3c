//! The wall clock of this package: tokens and state files need the time, nothing else may ask for it.

use time::OffsetDateTime;

/// The time now, UTC.
#[must_use]
pub fn now() -> OffsetDateTime {
    #[expect(clippy::disallowed_methods, reason = "the one place of this package that reads the wall clock")]
    OffsetDateTime::now_utc()
}

/// The time now in whole seconds since 1970, as tokens carry it.
#[must_use]
pub fn unix_seconds() -> i64 {
    now().unix_timestamp()
}
