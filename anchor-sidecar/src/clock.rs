//! The wall clock, read here and nowhere else.

use std::time::SystemTime;

use evidence::ids::Timestamp;

/// The time now; `None` when the clock stands before 1970.
#[expect(clippy::disallowed_methods, reason = "this module owns the wall clock")]
pub fn now() -> Option<Timestamp> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Timestamp::from_unix_millis(u64::try_from(since.as_millis()).ok()?).ok()
}
