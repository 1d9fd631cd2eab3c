//! FHIR dates as spans of time, with whatever precision they were written.
//!
//! `2022` is the whole year, `2022-03-01` the whole day, both in the operator's zone (CONSENT.md, "Dates without a zone
//! are in the configured zone"); a second is a second long. Spans are half-open, so that "until 2022-12-31" lasts to the
//! end of that day (FHIR R4 datatypes, Period: the end is inclusive at its precision).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::{Date, Duration, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};
use time_tz::{OffsetResult, PrimitiveDateTimeExt, TimeZone, Tz, timezones};

use super::truth::Truth;

/// An IANA time zone by name; the database is compiled in.
#[derive(Clone, Copy)]
pub struct Zone(&'static Tz);

/// A name that the time zone database does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an IANA time zone")]
pub struct UnknownZone;

impl Zone {
    /// Looks a zone up by its exact IANA name (`Europe/Berlin`, `UTC`).
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        timezones::get_by_name(name).map(Self).ok_or(UnknownZone)
    }

    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self(timezones::db::UTC)
    }

    /// The IANA name.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// The instant at which a wall clock in this zone shows `wall`: of two, the earlier; of none (the clock jumped
    /// over it), the one an hour-long jump would have given.
    fn instant(&self, wall: PrimitiveDateTime) -> Option<OffsetDateTime> {
        match wall.assume_timezone(self.0) {
            OffsetResult::Some(at) => Some(at),
            OffsetResult::Ambiguous(a, b) => Some(a.min(b)),
            OffsetResult::None => {
                let later = wall.checked_add(Duration::HOUR)?;
                match later.assume_timezone(self.0) {
                    OffsetResult::Some(at) => Some(at),
                    OffsetResult::Ambiguous(a, b) => Some(a.min(b)),
                    OffsetResult::None => None,
                }
            }
        }
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::utc()
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).map_err(serde::de::Error::custom)
    }
}

/// A FHIR `date`, `dateTime` or `instant`, before a zone is chosen for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    start: PrimitiveDateTime,
    length: Length,
    offset: Option<UtcOffset>,
}

/// How long a written date lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Year,
    Month,
    Exactly(Duration),
}

/// A text that is not a FHIR date, dateTime or instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a FHIR date")]
pub struct NotADate;

impl Moment {
    /// Reads `YYYY`, `YYYY-MM`, `YYYY-MM-DD` or `YYYY-MM-DDThh:mm:ss[.f][Z|±hh:mm]` (FHIR R4 datatypes, dateTime; the
    /// zone may be absent, then it is the configured one).
    pub fn parse(text: &str) -> Result<Self, NotADate> {
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let mut parts = date.split('-');
        let year = number(parts.next().ok_or(NotADate)?, 4)?;
        let month = parts.next().map(|part| number(part, 2)).transpose()?;
        let day = parts.next().map(|part| number(part, 2)).transpose()?;
        if parts.next().is_some() || (time.is_some() && day.is_none()) {
            return Err(NotADate);
        }
        let month_number = u8::try_from(month.unwrap_or(1)).map_err(|_| NotADate)?;
        let day_number = u8::try_from(day.unwrap_or(1)).map_err(|_| NotADate)?;
        let date =
            Date::from_calendar_date(i32::from(year), Month::try_from(month_number).map_err(|_| NotADate)?, day_number)
                .map_err(|_| NotADate)?;
        let Some(time) = time else {
            let length = match (month, day) {
                (_, Some(_)) => Length::Exactly(Duration::DAY),
                (Some(_), None) => Length::Month,
                (None, None) => Length::Year,
            };
            return Ok(Self { start: date.midnight(), length, offset: None });
        };
        let (clock, offset) = split_offset(time)?;
        let (time, length) = parse_clock(clock)?;
        Ok(Self { start: PrimitiveDateTime::new(date, time), length: Length::Exactly(length), offset })
    }

    /// The span it covers; `None` only at the very ends of the calendar.
    pub fn span(&self, zone: &Zone) -> Option<Span> {
        let end = match self.length {
            Length::Year => self.start.replace_year(self.start.year().checked_add(1)?).ok()?,
            Length::Month if self.start.month() == Month::December => {
                self.start.replace_year(self.start.year().checked_add(1)?).ok()?.replace_month(Month::January).ok()?
            }
            Length::Month => self.start.replace_month(self.start.month().next()).ok()?,
            Length::Exactly(length) => self.start.checked_add(length)?,
        };
        let at = |wall: PrimitiveDateTime| match self.offset {
            Some(offset) => Some(wall.assume_offset(offset)),
            None => zone.instant(wall),
        };
        Some(Span { start: Some(at(self.start)?), end: Some(at(end)?) })
    }
}

/// Exactly `digits` decimal digits.
fn number(text: &str, digits: usize) -> Result<u16, NotADate> {
    if text.len() != digits || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NotADate);
    }
    text.parse().map_err(|_| NotADate)
}

/// Splits `hh:mm:ss[.f]` from `Z` or `±hh:mm`.
fn split_offset(text: &str) -> Result<(&str, Option<UtcOffset>), NotADate> {
    if let Some(clock) = text.strip_suffix('Z') {
        return Ok((clock, Some(UtcOffset::UTC)));
    }
    let Some(at) = text.find(['+', '-']) else { return Ok((text, None)) };
    let (clock, offset) = text.split_at_checked(at).ok_or(NotADate)?;
    let sign = if offset.starts_with('-') { -1_i8 } else { 1 };
    let (hours, minutes) = offset.trim_start_matches(['+', '-']).split_once(':').ok_or(NotADate)?;
    if offset.len() != 6 {
        return Err(NotADate);
    }
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    if hours > 14 || minutes > 59 {
        return Err(NotADate);
    }
    let hours = i8::try_from(hours).map_err(|_| NotADate)?;
    let minutes = i8::try_from(minutes).map_err(|_| NotADate)?;
    let offset = UtcOffset::from_hms(sign * hours, sign * minutes, 0).map_err(|_| NotADate)?;
    Ok((clock, Some(offset)))
}

/// `hh:mm:ss[.f]`, with how long its last digit lasts.
fn parse_clock(text: &str) -> Result<(Time, Duration), NotADate> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let mut parts = whole.split(':');
    let mut next =
        || -> Result<u8, NotADate> { u8::try_from(number(parts.next().ok_or(NotADate)?, 2)?).map_err(|_| NotADate) };
    let (hour, minute, second) = (next()?, next()?, next()?);
    if parts.next().is_some() {
        return Err(NotADate);
    }
    let (nanos, unit) = match fraction {
        None => (0, 1_000_000_000),
        Some(digits) if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit()) => {
            return Err(NotADate);
        }
        Some(digits) => {
            let places = u32::try_from(digits.len()).map_err(|_| NotADate)?;
            let unit = 10_u32.pow(9_u32.saturating_sub(places));
            (digits.parse::<u32>().map_err(|_| NotADate)?.saturating_mul(unit), unit)
        }
    };
    let time = Time::from_hms_nano(hour, minute, second, nanos).map_err(|_| NotADate)?;
    Ok((time, Duration::nanoseconds(i64::from(unit))))
}

/// A half-open span of time; an absent bound is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First instant, included.
    pub start: Option<OffsetDateTime>,
    /// First instant after it.
    pub end: Option<OffsetDateTime>,
}

impl Span {
    /// Whether the instant lies in it.
    pub fn contains(&self, at: OffsetDateTime) -> bool {
        self.start.is_none_or(|start| start <= at) && self.end.is_none_or(|end| at < end)
    }

    /// Whether `inner` lies in this span: wholly, not at all, or in part (unknown).
    ///
    /// In part is unknown because a permit needs the whole and a deny any overlap (CONSENT.md, `dataPeriod`).
    pub fn covers(&self, inner: &Span) -> Truth {
        let starts_inside = match (self.start, inner.start) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(outer), Some(inner)) => outer <= inner,
        };
        let ends_inside = match (self.end, inner.end) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(outer), Some(inner)) => inner <= outer,
        };
        let after = matches!((self.end, inner.start), (Some(end), Some(start)) if start >= end);
        let before = matches!((self.start, inner.end), (Some(start), Some(end)) if end <= start);
        if after || before {
            Truth::False
        } else if starts_inside && ends_inside {
            Truth::True
        } else {
            Truth::Unknown
        }
    }
}

/// A FHIR Period whose bounds have been read; at least one is there, and the end is not before the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// `start`.
    pub start: Option<Moment>,
    /// `end`, inclusive at its precision.
    pub end: Option<Moment>,
}

impl Period {
    /// The span in a zone; `None` where a bound is not on the calendar.
    pub fn span(&self, zone: &Zone) -> Option<Span> {
        let start = match self.start {
            Some(moment) => moment.span(zone)?.start,
            None => None,
        };
        let end = match self.end {
            Some(moment) => moment.span(zone)?.end,
            None => None,
        };
        Some(Span { start, end })
    }
}

#[cfg(test)]
mod tests;
