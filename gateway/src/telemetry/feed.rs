//! How far the AuditEvents are behind, for Prometheus and OTLP.

use std::time::Duration;

use evidence::ids::Timestamp;

use super::gauges::{Row, count};

/// The feed of AuditEvents at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FeedReading {
    /// Events in the journal that the feed has not passed.
    pub behind: u64,
    /// How long ago the oldest of them was recorded; zero where there is none.
    pub oldest_age: Duration,
    /// When the FHIR server last took an AuditEvent, since the start.
    pub last_success: Option<Timestamp>,
    /// AuditEvents that it took since the start.
    pub delivered: u64,
    /// Records without an AuditEvent, since the start.
    pub set_aside: u64,
    /// Whether the feed has stopped.
    pub stopped: bool,
}

pub(super) const ROWS: &[Row<FeedReading>] = &[
    (
        "sealgate_audit_event_feed_behind_events",
        "sealgate.audit_event.feed.behind",
        "Events that the feed of AuditEvents has not passed.",
        |reading| count(reading.behind),
    ),
    (
        "sealgate_audit_event_feed_oldest_seconds",
        "sealgate.audit_event.feed.oldest",
        "Seconds since the oldest of them was recorded; 0 where there is none.",
        |reading| reading.oldest_age.as_secs_f64(),
    ),
    (
        "sealgate_audit_event_feed_last_success_timestamp_seconds",
        "sealgate.audit_event.feed.last_success",
        "When the FHIR server last took an AuditEvent; 0 before the first since the start.",
        |reading| reading.last_success.map_or(0.0, |at| count(at.unix_millis()) / 1e3),
    ),
    (
        "sealgate_audit_event_feed_delivered",
        "sealgate.audit_event.feed.delivered",
        "AuditEvents that the FHIR server took since the start.",
        |reading| count(reading.delivered),
    ),
    (
        "sealgate_audit_event_feed_set_aside",
        "sealgate.audit_event.feed.set_aside",
        "Records since the start that have no AuditEvent or whose AuditEvent is refused.",
        |reading| count(reading.set_aside),
    ),
    (
        "sealgate_audit_event_feed_stopped",
        "sealgate.audit_event.feed.stopped",
        "1 while the feed cannot read the journal or keep its place.",
        |reading| if reading.stopped { 1.0 } else { 0.0 },
    ),
];
