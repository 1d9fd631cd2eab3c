#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::json;

use super::*;
use crate::ids::{Hash, SourceId};

fn id(n: u8) -> EventId {
    EventId::new([n; 16])
}

fn event(body: EventBody) -> AccessEvent {
    AccessEvent { id: id(1), at: "2026-11-22T16:20:00.123Z".parse().unwrap(), body }
}

/// One of each kind, with as much in it as the kind can hold.
fn every_kind() -> Vec<AccessEvent> {
    let coding = Coding {
        system: Some("http://terminology.hl7.org/CodeSystem/v3-ActReason".to_owned()),
        code: "TREAT".to_owned(),
    };
    let counts = Counts { entries: 3, disclosed: 2, redactions: 1, bytes: u64::MAX };
    let consents = vec![ConsentUse {
        consent: "Consent/c/_history/2".parse().unwrap(),
        provision: "provision.provision[0]".to_owned(),
    }];
    vec![
        event(EventBody::Request(Box::new(Request {
            phase: Phase::Whole,
            caller: Caller {
                issuer: "https://issuer.example".to_owned(),
                subject: "dr-a".to_owned(),
                client: Some("app".to_owned()),
                organization: Some("Organization/a".to_owned()),
                roles: vec![Coding { system: None, code: "physician".to_owned() }],
                token_id: Some("t".to_owned()),
            },
            purpose: vec![coding.clone()],
            break_glass: Some(BreakGlass { grant: "claim".to_owned(), reason: Some(coding.clone()) }),
            interaction: "search-type".to_owned(),
            resource_type: Some("Observation".to_owned()),
            decision: Decision::Permit,
            reasons: vec![Reason { rule: "scope".to_owned(), detail: Some("user/Observation.rs".to_owned()) }],
            policy_digest: Hash::new([2; 32]),
            status: Some(200),
            counts,
            universal: vec![UniversalUse {
                reference: "Practitioner/p".parse().unwrap(),
                version: Some("1".to_owned()),
            }],
            query_sealed: Some("AAAA".to_owned()),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
        }))),
        event(EventBody::Outcome(Outcome {
            request: id(2),
            end: End::ClientGone,
            status: Some(200),
            windows: 2,
            counts,
        })),
        event(EventBody::Disclosure(Disclosure {
            request: id(2),
            window: 0,
            patient: "Patient/x".parse().unwrap(),
            resources: vec![ResourceUse {
                reference: "Observation/o".parse().unwrap(),
                version: Some("3".to_owned()),
                digest: Some(Hash::new([3; 32])),
                labels: vec![coding],
                redactions: vec![Redaction { path: "Observation.component[1]".to_owned(), rule: "label".to_owned() }],
            }],
            consents: consents.clone(),
            rule: Some("treatment".to_owned()),
        })),
        event(EventBody::Denial(Denial {
            request: id(2),
            window: 1,
            patient: "Patient/x".parse().unwrap(),
            resources: 4,
            rule: "consent-deny".to_owned(),
            consents,
        })),
        event(EventBody::Unauthenticated(Unauthenticated {
            minute: "2026-11-22T16:20:00.000Z".parse().unwrap(),
            reasons: [("token-expired".to_owned(), 12)].into(),
        })),
        event(EventBody::Start(Start {
            version: "0.1.0".to_owned(),
            image_digest: Some("sha256:00".to_owned()),
            config_digest: Hash::new([4; 32]),
            policy_digest: Hash::new([5; 32]),
            clock_offset_ms: Some(-12),
        })),
        event(EventBody::Stop(Stop {})),
        event(EventBody::Heartbeat(Heartbeat {
            counters: HeartbeatCounters { requests: 7, ..HeartbeatCounters::default() },
        })),
        event(EventBody::PolicyChange(PolicyChange {
            policy_digest: Hash::new([6; 32]),
            previous: Some(Hash::new([5; 32])),
            by: Some("admin".to_owned()),
        })),
        event(EventBody::AuditRead(AuditRead {
            by: "auditor".to_owned(),
            what: "openings".to_owned(),
            request: Some(id(2)),
        })),
        event(EventBody::Erasure(Erasure { by: "dpo".to_owned(), basis: "art-17".to_owned(), events: 12 })),
        event(EventBody::Review(Review {
            by: "officer".to_owned(),
            from: "2026-11-01T00:00:00.000Z".parse().unwrap(),
            to: "2026-11-22T00:00:00.000Z".parse().unwrap(),
            finding: "none".to_owned(),
        })),
        event(EventBody::EpochClosed(EpochClosed { source: SourceId::new([8; 16]), epoch: 1.into(), events: 42 })),
    ]
}

#[test]
fn every_kind_reads_back_from_its_canonical_bytes() {
    let kinds: Vec<&str> = every_kind().iter().map(AccessEvent::kind).collect();
    assert_eq!(kinds.len(), 13);
    for event in every_kind() {
        let bytes = event.canonical_bytes().unwrap();
        assert_eq!(AccessEvent::from_canonical(&bytes).unwrap(), event);
        let value = canonical::parse_canonical(&bytes).unwrap();
        assert_eq!(value["kind"], event.kind());
        assert_eq!(value["v"], 1);
    }
}

#[test]
fn an_unknown_member_is_refused_at_every_depth_of_every_kind() {
    fn with_unknown_members(value: &Value) -> Vec<Value> {
        let mut all = Vec::new();
        match value {
            Value::Object(members) => {
                let mut more = members.clone();
                more.insert("unknown".to_owned(), json!("x"));
                all.push(Value::Object(more));
                for (name, member) in members {
                    for changed in with_unknown_members(member) {
                        let mut copy = members.clone();
                        copy.insert(name.clone(), changed);
                        all.push(Value::Object(copy));
                    }
                }
            }
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    for changed in with_unknown_members(item) {
                        let mut copy = items.clone();
                        copy[place] = changed;
                        all.push(Value::Array(copy));
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        all
    }
    for event in every_kind() {
        let changed = with_unknown_members(&serde_json::to_value(&event).unwrap());
        assert!(!changed.is_empty());
        for value in changed {
            assert!(AccessEvent::from_value(value.clone()).is_err(), "{value}");
        }
    }
}

#[test]
fn other_bytes_of_the_same_event_are_refused() {
    let event = event(EventBody::Stop(Stop {}));
    let canonical = String::from_utf8(event.canonical_bytes().unwrap()).unwrap();
    assert_eq!(
        canonical,
        r#"{"at":"2026-11-22T16:20:00.123Z","id":"01010101-0101-0101-0101-010101010101","kind":"stop","v":1}"#
    );
    for other in [
        format!(" {canonical}"),
        canonical.replace(":1}", ":1.0}"),
        canonical.replace(":1}", ":2}"),
        canonical.replace("\"stop\"", "\"pause\""),
        canonical.replace("\"v\":1", "\"v\":1,\"v\":1"),
        canonical.replace(",\"v\":1", ""),
        canonical.replace(".123Z", ".123456Z"),
    ] {
        assert!(AccessEvent::from_canonical(other.as_bytes()).is_err(), "{other}");
    }
}

#[test]
fn an_empty_list_has_no_second_form() {
    let denial = json!({
        "v": 1, "kind": "denial", "id": id(1), "at": "2026-11-22T16:20:00.123Z", "request": id(2), "window": 0,
        "patient": "Patient/x", "resources": "1", "rule": "r", "consents": [],
    });
    assert!(AccessEvent::from_value(denial.clone()).is_ok());
    let bytes = canonical::to_canonical(&denial).unwrap();
    assert_eq!(AccessEvent::from_canonical(&bytes), Err(CanonicalError::NotCanonical.into()));
}

#[test]
fn only_disclosures_and_denials_name_a_patient_and_requests_bind_their_events() {
    for event in every_kind() {
        let names_a_patient = matches!(event.kind(), "disclosure" | "denial");
        assert_eq!(event.patient().is_some(), names_a_patient, "{}", event.kind());
        let text = String::from_utf8(event.canonical_bytes().unwrap()).unwrap();
        assert_eq!(text.contains("Patient/"), names_a_patient, "{}", event.kind());
        let request = match event.kind() {
            "request" => Some(id(1)),
            "outcome" | "disclosure" | "denial" => Some(id(2)),
            _ => None,
        };
        assert_eq!(event.request(), request, "{}", event.kind());
    }
}

#[test]
fn references_are_types_and_ids() {
    for good in ["Patient/x", "Observation/a-1.B", "Consent/c/_history/2"] {
        assert_eq!(good.parse::<VersionedReference>().unwrap().to_string(), good);
    }
    let long = format!("Patient/{}", "a".repeat(65));
    for wrong in [
        "",
        "Patient",
        "Patient/",
        "/x",
        "patient/x",
        "Patient/x y",
        "Patient/a/b",
        "http://a/Patient/x",
        "Patient/x?a",
        "Patient/é",
        &long,
    ] {
        assert!(wrong.parse::<Reference>().is_err(), "{wrong}");
    }
    let reference: Reference = "Patient/x".parse().unwrap();
    assert_eq!((reference.resource_type(), reference.id()), ("Patient", "x"));
    assert!("Consent/c/_history/".parse::<VersionedReference>().is_err());
}
