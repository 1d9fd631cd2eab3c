//! FHIR dates as spans of time (<https://hl7.org/fhir/R4/datatypes.html#dateTime>), by plain arithmetic.

/// Nanoseconds since 1970, start included, end not; open ends are `i128::MIN` and `i128::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First nanosecond.
    pub start: i128,
    /// First nanosecond after it.
    pub end: i128,
}

const SECOND: i128 = 1_000_000_000;
const MINUTE: i128 = 60 * SECOND;
const DAY: i128 = 24 * 60 * MINUTE;

/// Reads a date, dateTime or instant; what names no zone is in the zone `zone` minutes east of Greenwich.
pub fn span(text: &str, zone: i64) -> Option<Span> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    if !matches!(lengths.as_slice(), [4] | [4, 2] | [4, 2, 2]) {
        return None;
    }
    let numbers: Vec<i64> = parts.iter().map(|part| number(part)).collect::<Option<_>>()?;
    let local = i128::from(zone) * MINUTE;
    let day = |year, month, day| i128::from(days(year, month, day)) * DAY;
    let span = match (numbers.as_slice(), time) {
        ([year @ 1..=9999], None) => Span { start: day(*year, 1, 1) - local, end: day(year + 1, 1, 1) - local },
        ([year @ 1..=9999, month @ 1..=12], None) => {
            let (next_year, next) = if *month == 12 { (year + 1, 1) } else { (*year, month + 1) };
            Span { start: day(*year, *month, 1) - local, end: day(next_year, next, 1) - local }
        }
        ([year @ 1..=9999, month @ 1..=12, date], time) => {
            let (next_year, next) = if *month == 12 { (year + 1, 1) } else { (*year, month + 1) };
            if *date < 1 || *date > days(next_year, next, 1) - days(*year, *month, 1) {
                return None;
            }
            let start = day(*year, *month, *date);
            match time {
                None => Span { start: start - local, end: start + DAY - local },
                Some(time) => {
                    let (at, length) = time_of_day(time)?;
                    Span { start: start + at, end: start + at + length }
                }
            }
        }
        _ => return None,
    };
    Some(span)
}

/// `hh:mm:ss[.f…](Z|±hh:mm)` as nanoseconds of the day in Greenwich, and how long the least stated unit is.
fn time_of_day(text: &str) -> Option<(i128, i128)> {
    let (clock, offset) = match text.strip_suffix('Z') {
        Some(clock) => (clock, 0),
        None => {
            let at = text.rfind(['+', '-'])?;
            let (clock, zone) = text.split_at_checked(at)?;
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let minutes = i128::from(number(hours)? * 60 + number(minutes)?);
            (clock, if zone.starts_with('-') { -minutes } else { minutes })
        }
    };
    let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(clock, fraction)| (clock, Some(fraction)));
    let parts: Vec<i64> =
        clock.split(':').map(|part| number(part).filter(|_| part.len() == 2)).collect::<Option<_>>()?;
    let [hour @ 0..=23, minute @ 0..=59, second @ 0..=59] = parts.as_slice() else { return None };
    let mut at = i128::from((hour * 60 + minute) * 60 + second) * SECOND;
    let mut unit = SECOND;
    for digit in fraction.unwrap_or_default().chars() {
        unit /= 10;
        at += i128::from(digit.to_digit(10)?) * unit;
    }
    Some((at - offset * MINUTE, unit.max(1)))
}

fn number(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Days since 1970-01-01 in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let before = |year: i64| 365 * year + year / 4 - year / 100 + year / 400;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if leap { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let passed: i64 = months.iter().take(usize::try_from(month - 1).unwrap_or(0)).sum();
    before(year - 1) - before(1969) + passed + day - 1
}

/// From the start of one date to the end of another; one that is not there is open, one that cannot be read is `None`.
pub fn between(start: Option<&str>, end: Option<&str>, zone: i64) -> Option<Span> {
    let start = start.map_or(Some(i128::MIN), |text| Some(span(text, zone)?.start))?;
    let end = end.map_or(Some(i128::MAX), |text| Some(span(text, zone)?.end))?;
    Some(Span { start, end })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]
    use super::*;

    #[test]
    fn dates_are_the_spans_that_they_name() {
        let of = |text, zone| span(text, zone).map(|span| (span.start / SECOND, (span.end - span.start) / SECOND));
        assert_eq!(of("1970-01-01", 0), Some((0, 86_400)));
        assert_eq!(of("2026-06-01T12:00:00Z", 0), Some((1_780_315_200, 1)));
        assert_eq!(of("2026-06-01T12:00:00+02:00", 0), Some((1_780_308_000, 1)));
        assert_eq!(of("2024-02", 0).unwrap().1, 29 * 86_400);
        assert_eq!(of("2100", 0).unwrap().1, 365 * 86_400);
        assert_eq!(of("1970-01-01", -300), Some((18_000, 86_400)));
        assert_eq!(span("2026-02-29", 0), None);
        assert_eq!(span("2026-6-1", 0), None);
        assert_eq!(span("2026-06-01T12:00Z", 0), None);
    }
}
