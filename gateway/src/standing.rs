//! How the work behind the requests stands: what readiness and metrics say of shipping and of the feed of AuditEvents.

use std::time::Duration;

use evidence::ids::Timestamp;
use tokio::sync::watch;

use crate::admin::CheckState;
use crate::audit_event::{FeedState, Standing};
use crate::clock;
use crate::gather::watch::Watch;
use crate::journal::Journal;
use crate::ship::ShipState;
use crate::telemetry::FeedReading;

/// The log being away is no failure: events wait in the journal (ARCHITECTURE.md, invariant 2). What contradicts a receipt
/// is one.
pub(crate) fn log(state: &ShipState) -> CheckState {
    match state {
        ShipState::Alarmed(alarm) => CheckState::Fails(format!("shipping has stopped: {alarm}")),
        ShipState::Retrying { why } => {
            CheckState::Noted(format!("events wait in the journal for the log: {}", in_words(why)))
        }
        ShipState::Starting | ShipState::Shipping | ShipState::Ended => CheckState::Holds,
    }
}

/// What a code of the transport means; codes of the log itself stand as they are.
fn in_words(why: &str) -> &str {
    match why {
        "no-connection" => "nobody listens there (no-connection)",
        "log-certificate-issuer" => "its certificate is signed by no authority of sidecar.ca_file",
        "log-certificate-name" => "its certificate is not for the name in sidecar.url",
        "log-certificate-time" => "its certificate has expired or is not valid yet",
        "log-certificate" => "its certificate is not acceptable",
        "own-certificate-expired" => "the gateway's certificate has expired",
        "own-certificate-refused" => "it does not accept the gateway's certificate (ingest.client_ca of the sidecar)",
        "tls" => "the TLS handshake failed",
        _ => why,
    }
}

/// A slow or absent audit repository stops no care, unless the operator has set how long an event may wait for it.
pub(crate) fn feed(state: &watch::Receiver<FeedState>, journal: &Journal, max_delay: Option<Duration>) -> CheckState {
    judge(&told(state), &reading(state, journal), max_delay)
}

/// The numbers of the feed.
pub(crate) fn reading(state: &watch::Receiver<FeedState>, journal: &Journal) -> FeedReading {
    let now = Timestamp::from_date(clock::now()).ok();
    let standing = told(state);
    let state = state.borrow();
    let age = |at: Timestamp| Some(now?.unix_millis().saturating_sub(at.unix_millis()));
    FeedReading {
        behind: journal.statistics().records.saturating_sub(state.position),
        oldest_age: state.oldest.and_then(age).map(Duration::from_millis).unwrap_or_default(),
        last_success: state.last_success,
        delivered: state.delivered,
        set_aside: state.set_aside,
        stopped: matches!(standing, Standing::Stopped { .. }),
    }
}

/// A watch that cannot see is no failure: `consent_source.max_staleness` bounds what is kept without it.
pub(crate) fn consents(watch: &Watch) -> CheckState {
    match (watch.failing(), watch.sees_deletions()) {
        (Some(why), _) => CheckState::Noted(format!("changes past the gateway are not seen: {why}")),
        (None, false) => CheckState::Noted(
            "Consents that are deleted past the gateway count until consent_source.max_staleness: their server has no history"
                .to_owned(),
        ),
        (None, true) => CheckState::Holds,
    }
}

/// What the feed does; one whose task has ended says nothing any more and is told as stopped.
fn told(state: &watch::Receiver<FeedState>) -> Standing {
    match state.has_changed() {
        Ok(_) => state.borrow().standing.clone(),
        Err(_) => Standing::Stopped { why: "its task has ended".to_owned() },
    }
}

fn judge(standing: &Standing, reading: &FeedReading, max_delay: Option<Duration>) -> CheckState {
    let behind = format!("{} events, the oldest {} s old", reading.behind, reading.oldest_age.as_secs());
    let note = match standing {
        Standing::Starting | Standing::Feeding if reading.set_aside == 0 => None,
        Standing::Starting | Standing::Feeding => {
            Some(format!("{} records have no AuditEvent; the log names them", reading.set_aside))
        }
        Standing::Retrying { why } => Some(format!("they wait for the FHIR server ({why}): {behind}")),
        Standing::Stopped { why } => Some(format!("the feed has stopped ({why}): {behind}")),
    };
    match (note, max_delay) {
        (note, Some(most)) if reading.behind > 0 && reading.oldest_age > most => {
            CheckState::Fails(note.unwrap_or_else(|| format!("the feed is behind by {behind}")))
        }
        (Some(note), _) => CheckState::Noted(note),
        (None, _) => CheckState::Holds,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "a failed expectation is a failed test")]

    use super::*;

    fn judged(standing: &Standing, age: u64, max_delay: Option<u64>) -> CheckState {
        let behind = u64::from(age > 0) * 3;
        let reading = FeedReading { behind, oldest_age: Duration::from_secs(age), ..FeedReading::default() };
        judge(standing, &reading, max_delay.map(Duration::from_secs))
    }

    #[test]
    fn an_audit_repository_that_is_away_is_noted_and_fails_only_where_the_operator_says_so() {
        let away = || Standing::Retrying { why: "no-connection".to_owned() };
        let stopped = || Standing::Stopped { why: "a disk".to_owned() };
        let waits = "they wait for the FHIR server (no-connection): 3 events, the oldest 90 s old";
        assert_eq!(judged(&Standing::Feeding, 0, None), CheckState::Holds);
        assert_eq!(judged(&Standing::Feeding, 90, None), CheckState::Holds, "it is at work");
        assert_eq!(judged(&away(), 90, None), CheckState::Noted(waits.to_owned()));
        assert_eq!(judged(&away(), 90, Some(120)), CheckState::Noted(waits.to_owned()));
        assert_eq!(judged(&away(), 90, Some(60)), CheckState::Fails(waits.to_owned()));
        assert!(matches!(judged(&stopped(), 90, None), CheckState::Noted(note) if note.contains("stopped (a disk)")));
        assert!(matches!(judged(&stopped(), 90, Some(60)), CheckState::Fails(_)));
        assert!(matches!(judged(&Standing::Feeding, 90, Some(60)), CheckState::Fails(_)), "slow is late too");
        let aside = FeedReading { set_aside: 2, ..FeedReading::default() };
        assert!(matches!(judge(&Standing::Feeding, &aside, None), CheckState::Noted(note) if note.starts_with('2')));
    }

    #[test]
    fn a_watch_that_sees_is_no_note() {
        assert_eq!(consents(&Watch::default()), CheckState::Holds);
    }

    #[test]
    fn a_log_that_is_away_is_noted() {
        let away = ShipState::Retrying { why: "time-out".to_owned() };
        assert_eq!(log(&away), CheckState::Noted("events wait in the journal for the log: time-out".to_owned()));
        assert_eq!(log(&ShipState::Shipping), CheckState::Holds);
        assert!(matches!(log(&ShipState::Alarmed(crate::ship::Alarm::LogBehind)), CheckState::Fails(_)));
    }
}
