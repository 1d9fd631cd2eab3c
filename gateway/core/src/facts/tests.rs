#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use super::*;
use crate::json::Doc;
use crate::owner::{Owners, PatientId};
use crate::reference::{BaseUrl, Bases};

fn facts(text: &str) -> Result<ResourceFacts, FactsError> {
    let bases = Bases {
        public: BaseUrl::parse("https://pub/r4").unwrap(),
        upstream: BaseUrl::parse("http://up/fhir").unwrap(),
    };
    ResourceFacts::of(Doc::parse(text.as_bytes()).unwrap().root(), &bases)
}

const OBSERVATION: &str = r##"{
  "resourceType": "Observation", "id": "o1",
  "meta": {"versionId": "3", "lastUpdated": "2026-01-02T03:04:05Z", "profile": ["http://p"],
    "security": [{"system": "http://c", "code": "R", "display": "x"}], "tag": [{"system": "http://t", "code": "T"}]},
  "text": {"status": "generated", "div": "<div/>"},
  "contained": [{"resourceType": "Specimen", "id": "s", "meta": {"security": [{"code": "HIV"}], "profile": ["http://q"]},
    "type": {"coding": [{"system": "http://snomed", "code": "blood"}]},
    "note": [{"extension": [{"url": "http://ds4p/extension-inline-sec-label", "valueCoding": {"system": "http://a", "code": "SUD"}}]}]}],
  "code": {"coding": [{"system": "http://loinc.org", "code": "1"}, {"code": "local"}], "text": "t"},
  "category": [{"coding": [{"system": "http://loinc.org", "code": "1"}]}],
  "subject": {"reference": "http://up/fhir/Patient/7", "display": "d"},
  "encounter": {"reference": "Encounter/2/_history/1"},
  "specimen": {"reference": "#s"},
  "hasMember": [{"reference": "https://other/Observation/5"}],
  "performer": [{"reference": "Practitioner/9"}, {"display": "Dr"}],
  "issued": "2026-01-01T00:00:00Z", "effectivePeriod": {"start": "2025-12-31"},
  "_status": {"extension": [{"url": "http://ds4p/extension-inline-sec-label", "valueCodeableConcept": {"coding": [{"system": "http://a", "code": "HIV"}]}}]},
  "status": "final",
  "valueQuantity": {"value": 1.00, "unit": "mg",
    "extension": [{"url": "http://x", "valueCode": "z"}, {"url": "http://ds4p/extension-inline-sec-label"}]},
  "extension": [{"url": "http://ds4p/extension-inline-sec-label", "valueCoding": {"system": "http://a", "code": "PSY"}},
    {"url": "http://y", "valueCodeableConcept": {"coding": [{"system": "http://ext", "code": "e"}]}}]
}"##;

#[test]
fn one_walk_takes_all_of_it() {
    let facts = facts(OBSERVATION).unwrap();
    assert_eq!(facts.resource_type.as_str(), "Observation");
    assert_eq!((facts.id.as_deref(), facts.version.as_deref()), (Some("o1"), Some("3")));
    assert_eq!(facts.owners, Owners::Patients(vec![PatientId::parse("7").unwrap()]));
    let labels: Vec<_> = facts.security.iter().map(ToString::to_string).collect();
    assert_eq!(labels, ["http://c|R", "HIV", "http://a|PSY"]);
    let codes: Vec<_> = facts.codes.iter().map(ToString::to_string).collect();
    assert_eq!(codes, ["local", "http://ext|e", "http://loinc.org|1", "http://snomed|blood"]);
    assert_eq!(facts.profiles, ["http://p", "http://q"]);
    assert_eq!(facts.references, ["Encounter/2", "Patient/7", "Practitioner/9", "https://other/Observation/5"]);
    assert_eq!(facts.authors, [UNKNOWN_AUTHOR, "Practitioner/9"]);
    assert!(facts.has_narrative && facts.document_types.is_empty());
    let dates: Vec<_> = facts.dates.iter().map(|d| (d.kind, d.start.as_deref(), d.end.as_deref())).collect();
    assert_eq!(
        dates,
        [
            (DateKind::Effective, Some("2025-12-31"), None),
            (DateKind::Recorded, Some("2026-01-01T00:00:00Z"), Some("2026-01-01T00:00:00Z")),
            (DateKind::LastUpdated, Some("2026-01-02T03:04:05Z"), Some("2026-01-02T03:04:05Z")),
        ]
    );
    let inline: Vec<_> = facts.inline_labels.iter().map(|l| (l.path.as_str(), l.labels.len())).collect();
    assert_eq!(inline, [("Specimen.note", 1), ("Observation.status", 1), ("Observation.valueQuantity", 0)]);
}

#[test]
fn documents_and_their_dates() {
    let facts = facts(
        r#"{"resourceType":"DocumentReference","subject":{"reference":"Patient/1"},"date":"2020","author":[{"reference":"Organization/1"}],
            "type":{"coding":[{"system":"l","code":"t"}]},"category":[{"coding":[{"system":"l","code":"c"}]}],
            "content":[{"format":{"system":"f","code":"x"}}]}"#,
    )
    .unwrap();
    let types: Vec<_> = facts.document_types.iter().map(ToString::to_string).collect();
    assert_eq!(types, ["l|t", "l|c"]);
    assert_eq!(facts.codes.len(), 3);
    assert_eq!(facts.dates[0].kind, DateKind::Authored);
    assert_eq!(facts.authors, ["Organization/1"]);
    assert!(!facts.has_narrative);
}

#[test]
fn labels_inside_a_bundle_count() {
    let facts = facts(
        r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Condition","subject":{"reference":"Patient/1"},
            "meta":{"security":[{"system":"s","code":"R"}]},"code":{"coding":[{"system":"i","code":"F10"}]}}}]}"#,
    )
    .unwrap();
    assert_eq!(facts.security, [Coding::new("s", "R")]);
    assert_eq!(facts.codes, [Coding::new("i", "F10")]);
    assert_eq!(facts.owners, Owners::Patients(vec![PatientId::parse("1").unwrap()]));
}

#[test]
fn what_cannot_be_read_is_refused() {
    use FactsError::{Malformed, NotAResource};
    let rows = [
        (r#"[]"#, NotAResource),
        (r#"{"id":"1"}"#, NotAResource),
        (r#"{"resourceType":"Nope"}"#, NotAResource),
        (r#"{"resourceType":"Patient","id":1}"#, Malformed("id")),
        (r#"{"resourceType":"Patient","id":"a/b"}"#, Malformed("id")),
        (r#"{"resourceType":"Patient","meta":[]}"#, Malformed("meta")),
        (r#"{"resourceType":"Patient","meta":{"versionId":1}}"#, Malformed("meta.versionId")),
        (r#"{"resourceType":"Patient","meta":{"security":[{"system":"x"}]}}"#, Malformed("meta.security")),
        (r#"{"resourceType":"Patient","meta":{"security":["R"]}}"#, Malformed("meta.security")),
        (r#"{"resourceType":"Patient","meta":{"profile":[1]}}"#, Malformed("meta.profile")),
        (r#"{"resourceType":"Patient","contained":[{"resourceType":"Nope"}]}"#, NotAResource),
        (
            r#"{"resourceType":"Patient","contained":[{"resourceType":"Basic","meta":{"security":[{}]}}]}"#,
            Malformed("meta.security"),
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(facts(text), Err(expected), "{text}");
    }
}
