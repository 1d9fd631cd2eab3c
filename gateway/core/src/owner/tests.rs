#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use super::*;
use crate::json::Doc;
use crate::reference::{BaseUrl, Bases, Target};
use crate::resource_type::ResourceType;

fn bases() -> Bases {
    Bases {
        public: BaseUrl::parse("https://pub/r4").unwrap(),
        upstream: BaseUrl::parse("http://up:8080/fhir").unwrap(),
    }
}

/// `1 2` for patients, `universal`, `by A/1 B/2`, or the code of the reason.
fn told(text: &str) -> String {
    let doc = Doc::parse(text.as_bytes()).unwrap();
    match owners(doc.root(), &bases()) {
        Owners::Patients(ids) => ids.iter().map(PatientId::as_str).collect::<Vec<_>>().join(" "),
        Owners::Universal => "universal".to_owned(),
        Owners::ByReference(references) => format!("by {}", references.join(" ")),
        Owners::Unknown(why) => why.to_string(),
    }
}

#[test]
fn every_r4_type_has_a_rule_and_a_place_in_order() {
    let names: Vec<_> = super::paths::RULES.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ResourceType::ALL);
    assert!(super::compartment::PARAMS.is_sorted_by(|a, b| a.0 < b.0));
    for (name, params) in super::compartment::PARAMS {
        assert_eq!(patient_compartment(ResourceType::parse(name).unwrap()), *params);
    }
}

/// Types that may hold one patient's data must not be universal; this list is FHIR's patient compartment.
#[test]
fn no_compartment_type_is_universal() {
    for (name, _) in super::compartment::PARAMS {
        let rule = owner_rule(ResourceType::parse(name).unwrap());
        assert!(rule != OwnerRule::Universal && rule != OwnerRule::None, "{name}");
    }
}

#[test]
fn owner_parameters_belong_to_types_with_one_owner_path() {
    for name in ResourceType::ALL {
        let rtype = ResourceType::parse(name).unwrap();
        if !owner_params(rtype).is_empty() {
            // Two where R5 names the same owner by another element.
            let one = matches!(
                owner_rule(rtype),
                OwnerRule::SelfPatient | OwnerRule::Paths([_] | [_, "subject" | "deliverFor"])
            );
            assert!(one, "{name}");
        }
    }
}

#[test]
fn whose_data_it_is() {
    let rows = [
        (r#"{"resourceType":"Patient","id":"1"}"#, "1"),
        (r#"{"resourceType":"Patient"}"#, "owner-absent"),
        (r#"{"resourceType":"Patient","id":"a_b"}"#, "owner-unreadable"),
        (
            r#"{"resourceType":"Observation","subject":{"reference":"Patient/1"},"performer":[{"reference":"Patient/2"}]}"#,
            "1",
        ),
        (r#"{"resourceType":"Observation","subject":{"reference":"Patient/1/_history/4"}}"#, "1"),
        (r#"{"resourceType":"Observation","subject":{"reference":"http://up:8080/fhir/Patient/1"}}"#, "1"),
        (r#"{"resourceType":"Observation","subject":{"reference":"https://pub/r4/Patient/1"}}"#, "1"),
        (r#"{"resourceType":"Observation","subject":{"reference":"https://pub/r45/Patient/1"}}"#, "owner-foreign"),
        (r#"{"resourceType":"Observation","subject":{"reference":"https://other/Patient/1"}}"#, "owner-foreign"),
        (
            r#"{"resourceType":"Observation","subject":{"reference":"urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"}}"#,
            "owner-foreign",
        ),
        (
            r##"{"resourceType":"Observation","subject":{"reference":"#p"},"contained":[{"resourceType":"Patient","id":"p"}]}"##,
            "owner-contained",
        ),
        (r#"{"resourceType":"Observation","subject":{"identifier":{"value":"1"}}}"#, "owner-logical"),
        (r#"{"resourceType":"Observation","subject":{"display":"Mr X"}}"#, "owner-logical"),
        (r#"{"resourceType":"Observation","subject":{}}"#, "owner-logical"),
        (r#"{"resourceType":"Observation","subject":"Patient/1"}"#, "owner-malformed"),
        (r#"{"resourceType":"Observation","subject":{"reference":1}}"#, "owner-malformed"),
        (r#"{"resourceType":"Observation","subject":{"reference":"Patient"}}"#, "owner-malformed"),
        (r#"{"resourceType":"Observation","subject":{"reference":"Patient/1/2"}}"#, "owner-malformed"),
        (r#"{"resourceType":"Observation","subject":{"reference":"patient/1"}}"#, "owner-malformed"),
        (r#"{"resourceType":"Observation","subject":{"reference":"Patient?identifier=1"}}"#, "owner-malformed"),
        (r#"{"resourceType":"Observation"}"#, "owner-absent"),
        (r#"{"resourceType":"Observation","subject":{"reference":"Location/1"}}"#, "owner-absent"),
        (r#"{"resourceType":"Observation","subject":{"reference":"Device/1"}}"#, "by Device/1"),
        (r#"{"resourceType":"Encounter","subject":{"reference":"Group/1"}}"#, "by Group/1"),
        (
            r#"{"resourceType":"Coverage","beneficiary":{"reference":"Patient/1"},"subscriber":{"reference":"Patient/2"}}"#,
            "1",
        ),
        (r#"{"resourceType":"Task","for":{"reference":"Patient/1"},"owner":{"reference":"Patient/2"}}"#, "1"),
        (r#"{"resourceType":"Device","patient":{"reference":"Patient/1"}}"#, "1"),
        (r#"{"resourceType":"Device"}"#, "owner-absent"),
        (r#"{"resourceType":"Consent","patient":{"reference":"Patient/1"}}"#, "1"),
        (
            r#"{"resourceType":"Appointment","participant":[{"actor":{"reference":"Patient/2"}},{"actor":{"reference":"Practitioner/1"}},{"actor":{"reference":"Patient/1"}},{"type":[]}]}"#,
            "1 2",
        ),
        (r#"{"resourceType":"Appointment","participant":[{"actor":{"reference":"Practitioner/1"}}]}"#, "owner-absent"),
        (
            r#"{"resourceType":"Appointment","participant":[{"actor":{"reference":"Patient/1"}},{"actor":{"display":"Dr X"}}]}"#,
            "owner-logical",
        ),
        (
            r#"{"resourceType":"Appointment","participant":[{"actor":{"reference":"Patient/1"}},{"actor":{"type":"Practitioner","display":"Dr X"}}]}"#,
            "1",
        ),
        (
            r#"{"resourceType":"Appointment","participant":[{"actor":{"reference":"Patient/1"}},{"actor":{"reference":"https://other/Practitioner/1"}}]}"#,
            "1",
        ),
        (
            r#"{"resourceType":"Group","member":[{"entity":{"reference":"Patient/1"}},{"entity":{"reference":"Patient/1"}},{"entity":{"reference":"Patient/0"}}]}"#,
            "0 1",
        ),
        (r#"{"resourceType":"Group"}"#, "owner-absent"),
        (
            r#"{"resourceType":"Provenance","target":[{"reference":"Observation/2"},{"reference":"Patient/1"}]}"#,
            "by Observation/2 Patient/1",
        ),
        (r#"{"resourceType":"Provenance","target":[{"reference":"Patient/1"}]}"#, "1"),
        (
            r#"{"resourceType":"Provenance","target":[{"reference":"Practitioner/1"},{"reference":"Organization/1"}]}"#,
            "universal",
        ),
        (
            r#"{"resourceType":"Provenance","target":[{"reference":"Practitioner/1"},{"reference":"Condition/1"}]}"#,
            "by Condition/1",
        ),
        (r#"{"resourceType":"Provenance","target":[]}"#, "owner-absent"),
        (r#"{"resourceType":"Binary","securityContext":{"reference":"Patient/1"}}"#, "1"),
        (
            r#"{"resourceType":"Binary","securityContext":{"reference":"DocumentReference/1"}}"#,
            "by DocumentReference/1",
        ),
        (r#"{"resourceType":"Binary","contentType":"text/plain"}"#, "owner-absent"),
        (r#"{"resourceType":"Practitioner","id":"1"}"#, "universal"),
        (r#"{"resourceType":"ValueSet"}"#, "universal"),
        (r#"{"resourceType":"Schedule","actor":[{"reference":"Practitioner/1"}]}"#, "universal"),
        (r#"{"resourceType":"Schedule","actor":[{"reference":"Practitioner/1"},{"reference":"Patient/3"}]}"#, "3"),
        (r#"{"resourceType":"Subscription"}"#, "owner-type"),
        (r#"{"resourceType":"OperationOutcome"}"#, "owner-type"),
        (r#"{"resourceType":"Nope"}"#, "owner-unreadable"),
        (r#"{"id":"1"}"#, "owner-unreadable"),
        (r#"[]"#, "owner-unreadable"),
        // contained and nested
        (
            r##"{"resourceType":"MedicationRequest","id":"m","subject":{"reference":"Patient/1"},"contained":[{"resourceType":"Provenance","target":[{"reference":"MedicationRequest/m"},{"reference":"#x"}]}]}"##,
            "1",
        ),
        (
            r##"{"resourceType":"MedicationRequest","subject":{"reference":"Patient/1"},"contained":[{"resourceType":"Provenance","target":[{"reference":"Patient/2"}]}]}"##,
            "1 2",
        ),
        (
            r#"{"resourceType":"Observation","subject":{"reference":"Patient/1"},"contained":[{"resourceType":"Observation","subject":{"reference":"Patient/2"}}]}"#,
            "1 2",
        ),
        (
            r#"{"resourceType":"Observation","subject":{"reference":"Patient/1"},"contained":[{"resourceType":"Medication"},{"resourceType":"Observation"}]}"#,
            "1",
        ),
        (
            r##"{"resourceType":"Patient","id":"1","contained":[{"resourceType":"Observation","subject":{"reference":"#"}}]}"##,
            "1",
        ),
        (
            r#"{"resourceType":"Medication","contained":[{"resourceType":"Observation","subject":{"reference":"Patient/2"}}]}"#,
            "2",
        ),
        (
            r#"{"resourceType":"Observation","subject":{"reference":"Patient/1"},"contained":[{"resourceType":"Patient","id":"x"}]}"#,
            "owner-contained",
        ),
        (
            r#"{"resourceType":"Observation","subject":{"reference":"Patient/1"},"contained":[{"id":"x"}]}"#,
            "owner-unreadable",
        ),
        (
            r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"1"}},{"resource":{"resourceType":"Condition","subject":{"reference":"Patient/2"}}},{"resource":{"resourceType":"Organization"}}]}"#,
            "1 2",
        ),
        (
            r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"1"}},{"resource":{"resourceType":"Condition"}}]}"#,
            "owner-absent",
        ),
        (r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Organization"}}]}"#, "universal"),
        (r#"{"resourceType":"Bundle"}"#, "owner-absent"),
        (
            r#"{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"resource":{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"9"}}]}}]}]}"#,
            "9",
        ),
    ];
    for (resource, expected) in rows {
        assert_eq!(told(resource), expected, "{resource}");
    }
}

#[test]
fn references_are_told_apart() {
    let rows = [
        ("Patient/1", Some("Patient/1")),
        ("Patient/1/_history/2", Some("Patient/1")),
        ("http://up:8080/fhir/Patient/1", Some("Patient/1")),
        ("https://pub/r4/Patient/1/_history/2", Some("Patient/1")),
        ("https://pub/r4//Patient/1", None),
        ("https://pub/r4/../Patient/1", None),
        ("HTTPS://pub/r4/Patient/1", Some("HTTPS://pub/r4/Patient/1")),
        ("urn:oid:1.2.3", Some("urn:oid:1.2.3")),
        ("#a", None),
        ("Patient/1?x=y", None),
        ("Patient/1#x", None),
        ("/Patient/1", None),
        ("", None),
        ("Patient/1/_history/", None),
    ];
    for (reference, expected) in rows {
        assert_eq!(Target::parse(reference, &bases()).normalised().as_deref(), expected, "{reference}");
    }
}

#[test]
fn bases_are_parsed_strictly() {
    for text in [
        "",
        "ftp://a",
        "https://",
        "https://a?b",
        "https://a#b",
        "https://u@a",
        "https://a//b",
        "https://a/../b",
        "https://a b",
        "a/b",
        "https://a/é",
    ] {
        assert!(BaseUrl::parse(text).is_err(), "{text}");
    }
    assert_eq!(BaseUrl::parse("https://a:1/b//").unwrap().as_str(), "https://a:1/b");
    let base = BaseUrl::parse("https://a/b").unwrap();
    assert_eq!(
        (base.strip("https://a/b"), base.strip("https://a/b/c"), base.strip("https://a/bc")),
        (Some(""), Some("c"), None)
    );
    assert_eq!((base.join(""), base.join("c")), ("https://a/b".to_owned(), "https://a/b/c".to_owned()));
}
