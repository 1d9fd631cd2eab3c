//! The watch over the Consents, for Prometheus and OTLP.

use std::time::Duration;

use super::gauges::{Row, count};

/// The watch over the Consents at one moment; counts are since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WatchReading {
    /// Time since a poll last succeeded, or since the start.
    pub age: Duration,
    /// Polls, those that failed included.
    pub polls: u64,
    /// Polls that failed.
    pub failures: u64,
    /// Versions of Consents, deletions included, that were news.
    pub changes: u64,
    /// Notifications that woke the watch.
    pub notifications: u64,
    /// Whether the last poll failed.
    pub failing: bool,
    /// Whether the server tells of deletions.
    pub sees_deletions: bool,
}

pub(super) const ROWS: &[Row<WatchReading>] = &[
    (
        "sealgate_consent_watch_age_seconds",
        "sealgate.consent.watch.age",
        "Seconds since the Consent source last said what changed.",
        |reading| reading.age.as_secs_f64(),
    ),
    (
        "sealgate_consent_watch_polls",
        "sealgate.consent.watch.polls",
        "How often the Consent source was asked what changed.",
        |reading| count(reading.polls),
    ),
    ("sealgate_consent_watch_failures", "sealgate.consent.watch.failures", "How often it did not say.", |reading| {
        count(reading.failures)
    }),
    ("sealgate_consent_watch_failing", "sealgate.consent.watch.failing", "1 while it does not say.", |reading| {
        if reading.failing { 1.0 } else { 0.0 }
    }),
    (
        "sealgate_consent_watch_changes",
        "sealgate.consent.watch.changes",
        "Changes of Consents that were seen on their server.",
        |reading| count(reading.changes),
    ),
    (
        "sealgate_consent_watch_notifications",
        "sealgate.consent.watch.notifications",
        "Notifications that a Consent was changed.",
        |reading| count(reading.notifications),
    ),
    (
        "sealgate_consent_watch_sees_deletions",
        "sealgate.consent.watch.sees_deletions",
        "1 while the Consent source tells of deletions.",
        |reading| if reading.sees_deletions { 1.0 } else { 0.0 },
    ),
];
