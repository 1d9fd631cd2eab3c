#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use evidence::ids::Commitment;
use serde_json::{Value, json};

use super::*;

const REQUEST: &str = "019aab00-0000-7000-8000-000000000001";

fn opened(body: &Value) -> Opened {
    let mut event = json!({"v": 1, "id": "019aab00-0000-7000-8000-000000000002", "at": "2026-11-22T16:20:00.123Z"});
    event.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    let event = AccessEvent::from_value(event).unwrap();
    Opened { event, source: SourceId::new([7; 16]), place: (1, 0), commitment: Commitment::new([0; 32]) }
}

fn disclosure(patient: &str) -> Opened {
    opened(&json!({"kind": "disclosure", "request": REQUEST, "window": 0, "patient": patient,
        "resources": [{"reference": "Appointment/x", "version": "3"}]}))
}

fn outcome(windows: u32) -> Opened {
    let counts = json!({"entries": "0", "disclosed": "0", "redactions": "0", "bytes": "0"});
    opened(&json!({"kind": "outcome", "request": REQUEST, "end": "unknown", "windows": windows, "counts": counts}))
}

fn exchange(version: &str, owners: &[&str], whole: bool) -> Exchange {
    let owners = owners.iter().map(|owner| (*owner).to_owned()).collect();
    let received = Received { reference: "Appointment/x".to_owned(), version: Some(version.to_owned()), owners };
    Exchange { request: REQUEST.to_owned(), asked: "x".to_owned(), status: 200, whole, received: vec![received] }
}

fn holds(recorded: Vec<Opened>, exchange: Exchange) -> bool {
    let requests = HashMap::from([(REQUEST.to_owned(), recorded)]);
    let records = Records { requests, source: SourceId::new([7; 16]) };
    records.hold(&[exchange], &mut Found::default()).is_ok()
}

#[test]
fn what_was_received_is_on_record_once_for_each_owner() {
    let both = || vec![disclosure("Patient/a"), disclosure("Patient/b")];
    assert!(holds(both(), exchange("3", &["Patient/a", "Patient/b"], true)));
    assert!(!holds(both(), exchange("4", &["Patient/a", "Patient/b"], true)), "another version");
    assert!(!holds(both(), exchange("3", &["Patient/a", "Patient/c"], true)), "another owner");
    assert!(!holds(both(), exchange("3", &["Patient/a"], true)), "more is on record than the whole answer held");
    assert!(holds(both(), exchange("3", &["Patient/a"], false)), "an answer that was cut off holds less");
    assert!(!holds(both(), exchange("3", &[], false)), "universal, and not on record as such");
    assert!(!holds(vec![disclosure("Patient/a")], exchange("3", &["Patient/a", "Patient/b"], true)), "one owner lacks");
    let twice = vec![disclosure("Patient/a"), disclosure("Patient/a")];
    assert!(!holds(twice, exchange("3", &["Patient/a"], true)), "twice on record");
    assert!(!holds(Vec::new(), exchange("3", &["Patient/a"], true)), "nothing on record");
}

#[test]
fn a_request_id_stands_on_one_answer() {
    let requests = HashMap::from([(REQUEST.to_owned(), vec![disclosure("Patient/a")])]);
    let records = Records { requests, source: SourceId::new([7; 16]) };
    let twice = [exchange("3", &["Patient/a"], true), exchange("3", &["Patient/a"], true)];
    assert!(records.hold(&twice, &mut Found::default()).is_err());
}

#[test]
fn a_request_without_a_beginning_or_with_two_ends_is_found() {
    for recorded in [vec![outcome(1)], vec![outcome(1), outcome(1)]] {
        let requests = HashMap::from([(REQUEST.to_owned(), recorded)]);
        let records = Records { requests, source: SourceId::new([7; 16]) };
        assert!(records.well_formed(&mut Found::default()).is_err());
    }
}
