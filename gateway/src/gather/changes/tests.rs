//! What is news at the boundary, and that nothing which is shown in time is missed there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]

use gateway_core::json::Doc;
use gateway_core::reference::BaseUrl;
use serde_json::json;
use time::macros::datetime;

use super::*;

const BASE: &str = "http://consents.example/fhir";
const NOON: OffsetDateTime = datetime!(2026-03-01 12:00:00 UTC);
const SECOND: Duration = Duration::from_secs(1);

fn read(entry: &serde_json::Value) -> Option<Version> {
    let base = |url: &str| BaseUrl::parse(url).unwrap();
    let bases = Bases { public: base("https://gateway.example/fhir"), upstream: base("http://data.example/fhir") };
    Version::of(Doc::parse(entry.to_string().as_bytes()).unwrap().root(), BASE, &bases)
}

fn date_text(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap()
}

/// A version of this Consent, of this patient, so many milliseconds after noon.
fn stored(id: &str, version: u32, patient: &str, millis: i64) -> Version {
    let at = date_text(NOON + time::Duration::milliseconds(millis));
    read(&json!({"resource": {"resourceType": "Consent", "id": id, "patient": {"reference": patient},
        "meta": {"versionId": version.to_string(), "lastUpdated": at}}}))
    .unwrap()
}

fn deleted(url: &str) -> Version {
    read(&json!({"request": {"method": "DELETE", "url": url},
        "response": {"status": "204", "etag": "W/\"2\"", "lastModified": date_text(NOON)}}))
    .unwrap()
}

fn these(consents: &[&str], patients: &[&str]) -> Forget {
    Forget::These {
        consents: consents.iter().map(|id| (*id).to_owned()).collect(),
        patients: patients.iter().map(|id| PatientId::parse(id).unwrap()).collect(),
    }
}

/// A boundary at noon, and polls of it at seconds after it began; the gateway's clock says noon and those seconds.
struct Polls {
    boundary: Boundary,
    begun: Instant,
}

impl Polls {
    fn begin() -> Self {
        let begun = Instant::now();
        Self { boundary: Boundary::begin(NOON, begun, NOON), begun }
    }

    fn at(&mut self, second: u32, told: &[Version]) -> Forget {
        self.told(second, &Told { versions: told.to_vec(), more: false })
    }

    fn told(&mut self, second: u32, told: &Told) -> Forget {
        let asked = self.begun + SECOND * second;
        self.boundary.take(told, asked, asked, NOON + SECOND * second).1
    }
}

#[test]
fn what_was_told_is_no_news_and_what_comes_beside_it_is() {
    let mut polls = Polls::begin();
    let (a, b, c) = (stored("a", 1, "Patient/p", 0), stored("b", 1, "Patient/q", 0), stored("a", 2, "Patient/p", 1));
    assert_eq!(polls.at(5, std::slice::from_ref(&a)), these(&["a"], &["p"]));
    assert_eq!(polls.at(10, std::slice::from_ref(&a)), Forget::Nothing);
    assert_eq!(polls.at(15, &[b.clone(), a.clone()]), these(&["b"], &["q"]), "of the very same date");
    assert_eq!(polls.at(20, &[c.clone(), b.clone(), a.clone()]), these(&["a"], &["p"]), "a further version");
    assert_eq!(polls.at(25, &[c, b, a]), Forget::Nothing);
    assert_eq!(polls.at(30, &[]), Forget::Nothing);
}

#[test]
fn a_transaction_that_ends_late_is_seen_before_what_was_dated_later() {
    let mut polls = Polls::begin();
    let (long, short) = (stored("long", 1, "Patient/p", 1_000), stored("short", 1, "Patient/q", 30_000));
    assert_eq!(polls.at(31, std::slice::from_ref(&short)), these(&["short"], &["q"]));
    assert!(polls.boundary.since() < NOON, "{}", polls.boundary.since());
    assert_eq!(polls.at(60, &[short, long]), these(&["long"], &["p"]));
}

#[test]
fn after_a_quiet_while_the_boundary_is_behind_the_newest() {
    let mut polls = Polls::begin();
    let a = stored("a", 1, "Patient/p", 2_500);
    polls.at(5, std::slice::from_ref(&a));
    polls.at(64, std::slice::from_ref(&a));
    assert_eq!(polls.boundary.since(), NOON + Duration::from_millis(2_500) - OVERLAP);
    assert_eq!(polls.at(67, std::slice::from_ref(&a)), Forget::Nothing);
    assert_eq!(polls.boundary.since(), NOON + Duration::from_millis(2_501));
    let next = stored("a", 2, "Patient/p", 100_000);
    assert_eq!(polls.at(101, std::slice::from_ref(&next)), these(&["a"], &["p"]));
    assert_eq!(polls.boundary.since(), NOON + Duration::from_secs(40), "and it overlaps again");
}

#[test]
fn too_many_forget_all_for_as_long_as_some_of_them_may_come_late() {
    let mut polls = Polls::begin();
    let many: Vec<_> = (0..3).map(|n| stored(&format!("c{n}"), 1, "Patient/p", 4_000)).collect();
    assert_eq!(polls.told(5, &Told { versions: many, more: true }), Forget::All);
    assert_eq!(polls.boundary.since(), NOON + Duration::from_millis(4_001), "they are not read again");
    let one = stored("one", 1, "Patient/q", 50_000);
    assert_eq!(polls.at(51, std::slice::from_ref(&one)), Forget::All);
    assert_eq!(polls.boundary.since(), NOON + Duration::from_millis(4_001));
    assert_eq!(polls.at(70, std::slice::from_ref(&one)), Forget::All, "the first that was asked after that while");
    assert_eq!(polls.at(75, std::slice::from_ref(&one)), Forget::Nothing);
    assert_eq!(polls.at(80, &[one, stored("two", 1, "Patient/r", 79_000)]), these(&["two"], &["r"]));
}

#[test]
fn deletions_without_a_date_are_told_once_and_do_not_hold_the_boundary() {
    let undated = |id: &str| {
        let url = format!("Consent/{id}/_history/2");
        read(&json!({"request": {"method": "DELETE", "url": url}, "response": {"etag": "W/\"2\""}})).unwrap()
    };
    let mut polls = Polls::begin();
    assert_eq!(polls.at(5, &[undated("x")]), these(&["x"], &[]));
    assert_eq!(polls.at(10, &[undated("x")]), Forget::Nothing);
    assert_eq!(polls.told(200, &Told { versions: vec![undated("y")], more: true }), Forget::All);
    assert_eq!(polls.boundary.since(), NOON + Duration::from_millis(140_001));
}

#[test]
fn a_date_in_the_future_hides_nothing() {
    let mut polls = Polls::begin();
    let (odd, next) = (stored("odd", 1, "Patient/p", 3_600_000), stored("next", 1, "Patient/q", 8_000));
    assert_eq!(polls.at(5, std::slice::from_ref(&odd)), these(&["odd"], &["p"]));
    assert!(polls.boundary.since() <= NOON, "{}", polls.boundary.since());
    assert_eq!(polls.at(10, &[odd.clone(), next]), these(&["next"], &["q"]));
    let begun = Boundary::begin(odd.at().unwrap(), Instant::now(), NOON);
    assert_eq!(begun.since(), NOON - OVERLAP);
}

#[test]
fn whose_it_was_is_known_or_all_is_forgotten() {
    for url in ["Consent/x/_history/2", "Consent/x", "http://consents.example/fhir/Consent/x/_history/2"] {
        assert_eq!(Polls::begin().at(5, &[deleted(url)]), these(&["x"], &[]), "{url}");
    }
    for url in ["urn:uuid:1", "http://elsewhere.example/Consent/x", "Patient/x", ""] {
        assert_eq!(Polls::begin().at(5, &[deleted(url)]), Forget::All, "{url}");
    }
    let by_full_url = read(&json!({"fullUrl": "Consent/x", "request": {"method": "DELETE", "url": "?"}})).unwrap();
    assert_eq!(Polls::begin().at(5, &[by_full_url]), these(&["x"], &[]));
    let lost = read(&json!({"fullUrl": "Consent/x", "request": {"method": "PUT", "url": "Consent/x"}})).unwrap();
    assert_eq!(Polls::begin().at(5, &[lost]), Forget::All, "neither deleted nor there");
    for patient in ["http://elsewhere.example/fhir/Patient/p", "Group/g", "#p"] {
        assert_eq!(Polls::begin().at(5, &[stored("x", 1, patient, 0)]), Forget::All, "{patient}");
    }
    let moved = [stored("x", 1, "Patient/p", 0), stored("x", 2, "Patient/q", 1)];
    assert_eq!(Polls::begin().at(5, &moved), these(&["x"], &["p", "q"]));
    assert_eq!(read(&json!({"resource": {"resourceType": "Patient", "id": "p"}})), None);
}
