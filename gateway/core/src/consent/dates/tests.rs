#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use time::format_description::well_known::Rfc3339;

use super::*;

fn at(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}

fn span(text: &str, zone: &str) -> Span {
    Moment::parse(text).unwrap().span(&Zone::named(zone).unwrap()).unwrap()
}

#[test]
fn a_date_is_as_long_as_it_is_written() {
    let cases = [
        ("2024", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        ("2024-02", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
        ("2024-12", "2024-12-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        ("2024-02-29", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"),
        ("2024-02-29T10:00:00Z", "2024-02-29T10:00:00Z", "2024-02-29T10:00:01Z"),
        ("2024-02-29T10:00:00+02:00", "2024-02-29T08:00:00Z", "2024-02-29T08:00:01Z"),
        ("2024-02-29T10:00:00-05:30", "2024-02-29T15:30:00Z", "2024-02-29T15:30:01Z"),
        ("2024-02-29T10:00:00.5Z", "2024-02-29T10:00:00.5Z", "2024-02-29T10:00:00.6Z"),
        ("2024-02-29T10:00:00.123456789Z", "2024-02-29T10:00:00.123456789Z", "2024-02-29T10:00:00.12345679Z"),
    ];
    for (text, start, end) in cases {
        assert_eq!(span(text, "UTC"), Span { start: Some(at(start)), end: Some(at(end)) }, "{text}");
    }
}

#[test]
fn without_a_zone_it_is_the_configured_one() {
    assert_eq!(span("2026-01-15", "America/New_York").start, Some(at("2026-01-15T05:00:00Z")));
    assert_eq!(span("2026-07-15", "America/New_York").start, Some(at("2026-07-15T04:00:00Z")));
    assert_eq!(span("2026-07-15T12:00:00", "Europe/Vienna").start, Some(at("2026-07-15T10:00:00Z")));
    assert_eq!(span("2026-07-15T12:00:00Z", "Europe/Vienna").start, Some(at("2026-07-15T12:00:00Z")));
}

#[test]
fn days_on_which_clocks_change_have_their_own_length() {
    let hours = |day: &str| {
        let span = span(day, "Europe/Vienna");
        (span.end.unwrap() - span.start.unwrap()).whole_hours()
    };
    assert_eq!([hours("2026-03-29"), hours("2026-10-25"), hours("2026-06-01")], [23, 25, 24]);
    // 02:30 does not exist on the first and exists twice on the second: the instant after the jump, the earlier one.
    assert_eq!(span("2026-03-29T02:30:00", "Europe/Vienna").start, Some(at("2026-03-29T01:30:00Z")));
    assert_eq!(span("2026-10-25T02:30:00", "Europe/Vienna").start, Some(at("2026-10-25T00:30:00Z")));
}

#[test]
fn what_is_no_fhir_date_is_refused() {
    for text in [
        "",
        "20",
        "202",
        "20240101",
        "2024-1",
        "2024-13",
        "2024-00",
        "2024-02-30",
        "2023-02-29",
        "2024-01-01T",
        "2024T10:00:00Z",
        "2024-01T10:00:00Z",
        "2024-01-01T10Z",
        "2024-01-01T10:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T10:60:00Z",
        "2024-01-01T10:00:60Z",
        "2024-01-01T10:00:00.Z",
        "2024-01-01T10:00:00.1234567890Z",
        "2024-01-01T10:00:00+2:00",
        "2024-01-01T10:00:00+0200",
        "2024-01-01T10:00:00+15:00",
        "2024-01-01T10:00:00+02:60",
        "2024-01-01T10:00:00++2:00",
        "2024-01-01 10:00:00Z",
        "2024-01-01T10:00:00z",
        "-2024",
        "+2024-01-01",
        "２０２４",
        "01/02/2024",
        "2024-01-01-01",
        "2024-01-01T10:00:00ZZ",
        " 2024",
    ] {
        assert_eq!(Moment::parse(text), Err(NotADate), "{text:?}");
    }
}

#[test]
fn zones_are_iana_names() {
    assert!(Zone::named("Europe/Vienna").is_ok());
    assert_eq!(Zone::named("CET+1"), Err(UnknownZone));
    assert_eq!(Zone::named(""), Err(UnknownZone));
    assert_eq!(serde_json::from_str::<Zone>("\"America/New_York\"").unwrap().name(), "America/New_York");
    assert!(serde_json::from_str::<Zone>("\"Mars/Olympus\"").is_err());
}

#[test]
fn a_span_covers_wholly_not_at_all_or_in_part() {
    let outer = span("2026-03", "UTC");
    let cases = [
        (span("2026-03-01", "UTC"), Truth::True),
        (span("2026-03-31", "UTC"), Truth::True),
        (outer, Truth::True),
        (span("2026-02-28", "UTC"), Truth::False),
        (span("2026-04-01", "UTC"), Truth::False),
        (span("2026", "UTC"), Truth::Unknown),
        (Span { start: span("2026-03-10", "UTC").start, end: None }, Truth::Unknown),
        (Span { start: None, end: span("2026-03-10", "UTC").end }, Truth::Unknown),
        (Span { start: span("2026-04-01", "UTC").start, end: None }, Truth::False),
        (Span { start: None, end: span("2026-02-28", "UTC").end }, Truth::False),
    ];
    for (inner, truth) in cases {
        assert_eq!(outer.covers(&inner), truth, "{inner:?}");
    }
    let open = Span { start: outer.start, end: None };
    assert_eq!(open.covers(&Span { start: span("2026-03-10", "UTC").start, end: None }), Truth::True);
    assert!(open.contains(at("2030-01-01T00:00:00Z")) && !open.contains(at("2026-02-28T23:59:59Z")));
}
