//! What a measurement is made of: closed sets and static text, so that nothing of a request can become a label.

use std::time::Duration;

/// A request that has been answered.
#[derive(Debug, Clone, Copy)]
pub struct RequestDone {
    /// The route template, such as `/{type}/{id}`.
    pub route: &'static str,
    /// The method.
    pub method: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// From the head of the request to the end of the answer.
    pub duration: Duration,
}

/// How a decision ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionOutcome {
    /// Disclosed whole.
    Permit,
    /// Disclosed with elements removed.
    Redact,
    /// A resource that Consent keeps back.
    Hide,
    /// A request that is refused whatever the data.
    Refuse,
}

/// How the decision of the shadow policy differs from the one that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShadowResult {
    /// It does not.
    Same,
    /// It denies what is permitted.
    WouldDeny,
    /// It permits what is denied.
    WouldPermit,
    /// Both permit; it takes out other elements.
    WouldRedact,
    /// It was not asked: too many questions wait.
    Skipped,
    /// It could not decide.
    Failed,
}

/// What the cache of Consent facts did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheResult {
    /// Fresh facts were at hand.
    Hit,
    /// They were fetched.
    Miss,
    /// They were too old and could not be fetched.
    Unavailable,
}

/// Whom the gateway calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The FHIR server behind.
    Upstream,
    /// Where Consents come from.
    ConsentSource,
    /// Where AuditEvents go.
    AuditEvents,
}

/// The journal at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct JournalReading {
    /// Events without a receipt of the log.
    pub unshipped: u64,
    /// How long the oldest of them has waited; zero where none does.
    pub oldest_age: Duration,
    /// Events in the file.
    pub records: u64,
    /// Commits since the start.
    pub commits: u64,
    /// Time spent in them, syncs included.
    pub commit_time: Duration,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Whether it still takes events.
    pub writable: bool,
}

impl JournalReading {
    pub(super) fn measures(&self) -> [(&'static str, f64); 7] {
        [
            ("unshipped_events", count(self.unshipped)),
            ("oldest_unshipped_seconds", self.oldest_age.as_secs_f64()),
            ("events", count(self.records)),
            ("commits", count(self.commits)),
            ("commit_seconds", self.commit_time.as_secs_f64()),
            ("file_bytes", count(self.file_bytes)),
            ("writable", if self.writable { 1.0 } else { 0.0 }),
        ]
    }
}

impl DecisionOutcome {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Redact => "redact",
            Self::Hide => "hide",
            Self::Refuse => "refuse",
        }
    }
}

impl ShadowResult {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::WouldDeny => "would-deny",
            Self::WouldPermit => "would-permit",
            Self::WouldRedact => "would-redact",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

impl CacheResult {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Peer {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::ConsentSource => "consent-source",
            Self::AuditEvents => "audit-events",
        }
    }
}

/// Gauges are floating point; counts stay exact up to 2^53.
fn count(number: u64) -> f64 {
    number as f64
}
