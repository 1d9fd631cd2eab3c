//! Moments.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use super::IdError;
use crate::printed::serde_as_printed;

const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// The last millisecond of the year 9999, the last that four digits can print.
const LAST: u64 = 253_402_300_799_999;

/// A moment in UTC with milliseconds; prints as RFC 3339, `2026-11-22T16:20:00.123Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment that lies this many milliseconds after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`IdError::Timestamp`] where it lies after the year 9999.
    pub const fn from_unix_millis(millis: u64) -> Result<Self, IdError> {
        if millis > LAST { Err(IdError::Timestamp) } else { Ok(Self(millis)) }
    }

    /// The moment of a date; what is finer than a millisecond is cut off.
    ///
    /// # Errors
    /// [`IdError::Timestamp`] where it lies before 1970 or after the year 9999.
    pub fn from_date(date: OffsetDateTime) -> Result<Self, IdError> {
        let millis = date.unix_timestamp_nanos().div_euclid(1_000_000);
        u64::try_from(millis).map_err(|_| IdError::Timestamp).and_then(Self::from_unix_millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_millis(self) -> u64 {
        self.0
    }

    /// This moment and a while; the last moment of the year 9999 where that would be later.
    #[must_use]
    pub fn saturating_add(self, while_: Duration) -> Self {
        let millis = u64::try_from(while_.as_millis()).unwrap_or(LAST);
        Self(self.0.saturating_add(millis).min(LAST))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).map_err(|_| fmt::Error)?;
        f.write_str(&date.format(FORMAT).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

impl FromStr for Timestamp {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let date = PrimitiveDateTime::parse(text, FORMAT).map_err(|_| IdError::Timestamp)?;
        let moment = Self::from_date(date.assume_offset(UtcOffset::UTC))?;
        if moment.to_string() == text { Ok(moment) } else { Err(IdError::Timestamp) }
    }
}

serde_as_printed!(Timestamp);
