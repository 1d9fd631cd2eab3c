//! What is made of the versions of a resource.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use gateway_core::json::Doc;
use gateway_core::reference::{BaseUrl, Bases};

use super::*;

fn facts(version: &str, owner: &str, label: &str) -> ResourceFacts {
    let base = BaseUrl::parse("https://fhir.example.org").unwrap();
    let bases = Bases { public: base.clone(), upstream: base };
    let security = if label.is_empty() { String::new() } else { format!(r#"{{"system":"urn:l","code":"{label}"}}"#) };
    let source = format!(
        r#"{{"resourceType":"Observation","id":"x","meta":{{"versionId":"{version}","security":[{security}]}},"subject":{{"reference":"Patient/{owner}"}}}}"#
    );
    ResourceFacts::of(Doc::parse(source.as_bytes()).unwrap().root(), &bases).unwrap()
}

fn codes(facts: &ResourceFacts) -> Vec<&str> {
    facts.security.iter().map(|label| label.code.as_str()).collect()
}

#[test]
fn every_label_reaches_every_version() {
    let mut reading = Reading::default();
    for (version, label) in [("3", ""), ("2", "later"), ("1", "first")] {
        reading.stored(facts(version, "a", label)).unwrap();
    }
    let lineage = reading.lineage().unwrap();
    assert_eq!(codes(&lineage.newest), ["later", "first"]);
    assert_eq!(lineage.newest.version.as_deref(), Some("3"));
    assert!(!lineage.deleted && lineage.before_deletions.is_empty());
    let mut first = facts("1", "a", "first");
    lineage.label(&mut first);
    assert_eq!(codes(&first), ["later", "first"]);
}

#[test]
fn deletions_are_told_apart() {
    let mut reading = Reading::default();
    reading.deletion();
    reading.stored(facts("4", "b", "")).unwrap();
    reading.deletion();
    reading.stored(facts("2", "a", "late")).unwrap();
    reading.stored(facts("1", "a", "")).unwrap();
    let lineage = reading.lineage().unwrap();
    assert!(lineage.deleted);
    assert_eq!(lineage.newest.version.as_deref(), Some("4"));
    let before: Vec<_> = lineage.before_deletions.iter().map(|facts| facts.version.clone().unwrap()).collect();
    assert_eq!(before, ["2"]);
    assert_eq!(codes(&lineage.before_deletions[0]), ["late"]);
    assert_eq!(codes(&lineage.newest), ["late"]);
}

#[test]
fn a_deletion_without_what_was_deleted_is_nothing() {
    let mut reading = Reading::default();
    reading.deletion();
    assert!(reading.lineage().is_none());
    assert!(Reading::default().lineage().is_none());
}

#[test]
fn versions_out_of_order_are_not_relied_on() {
    let mut reading = Reading::default();
    reading.stored(facts("1", "a", "")).unwrap();
    assert_eq!(reading.stored(facts("2", "a", "")), Err(NoFacts::Unreadable));
}
