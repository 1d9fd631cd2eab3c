#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::type_complexity,
    reason = "a failed expectation is a failed test"
)]

mod profile;
mod records;

use std::path::{Path, PathBuf};

use fhirbolt::model::r4::Resource;
use fhirbolt::serde::{DeserializationConfig, DeserializationMode};
use serde_json::Value;

use super::*;
use profile::Profiles;
use records::{records, search};

fn written(record: &AuditRecord) -> Value {
    serde_json::from_str(&audit_event_r4(record).unwrap()).unwrap()
}

/// `golden/<name>.json`; with `SEALGATE_WRITE_GOLDEN` set they are written instead.
#[test]
fn each_record_gives_its_golden_audit_event() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut expected: Vec<PathBuf> = Vec::new();
    for (name, record) in records() {
        let path = folder.join(format!("{name}.json"));
        let found = format!("{}\n", serde_json::to_string_pretty(&written(&record)).unwrap());
        if std::env::var_os("SEALGATE_WRITE_GOLDEN").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &found).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).expect(name), found, "{name}");
        expected.push(path);
    }
    let mut present: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    present.sort();
    expected.sort();
    assert_eq!(present, expected, "a golden file without a record, or the other way round");
}

#[test]
fn the_strict_model_reads_what_was_written() {
    for (name, record) in records() {
        let json = audit_event_r4(&record).unwrap();
        let strict = DeserializationConfig { mode: DeserializationMode::Strict };
        let read: Resource = fhirbolt::json::from_str(&json, Some(strict)).expect(name);
        assert!(matches!(read, Resource::AuditEvent(_)), "{name}");
        assert!(!json.contains("$invalid") && !json.contains("null"), "{name}: {json}");
    }
}

#[test]
fn each_statement_of_balp_fits_its_structure_definition() {
    let Some(data) = std::env::var_os("SEALGATE_SHARED_DATA") else {
        eprintln!("SKIPPED: SEALGATE_SHARED_DATA is not set, BALP's StructureDefinitions are not compared with");
        return;
    };
    let profiles = Profiles::read(&Path::new(&data).join("ihe-balp/profiles"));
    let mut seen = std::collections::BTreeSet::new();
    for (name, record) in records() {
        let event = written(&record);
        for url in event["meta"]["profile"].as_array().unwrap() {
            let Some(profile) = url.as_str().unwrap().strip_prefix(v::BALP_PROFILE) else { continue };
            let faults = profiles.faults(profile, &event);
            assert!(faults.is_empty(), "{name} against {profile}: {faults:#?}");
            seen.insert(profile.to_owned());
        }
    }
    assert_eq!(seen.len(), 11, "ten RESTful profiles and AuthZconsent: {seen:?}");
}

/// The checker finds what it is for: each of these changes breaks the profile.
#[test]
fn the_structure_definitions_refuse_what_is_wrong() {
    let Some(data) = std::env::var_os("SEALGATE_SHARED_DATA") else {
        eprintln!("SKIPPED: SEALGATE_SHARED_DATA is not set");
        return;
    };
    let profiles = Profiles::read(&Path::new(&data).join("ihe-balp/profiles"));
    let (_, record) = records().into_iter().find(|(name, _)| *name == "patient-read").unwrap();
    let good = written(&record);
    let breakages: [(&str, fn(&mut Value)); 7] = [
        ("another outcome", |event| event["outcome"] = "4".into()),
        ("no patient", |event| {
            event["entity"].as_array_mut().unwrap().retain(|entity| entity["type"]["code"] != "1");
        }),
        ("two data", |event| {
            let data = event["entity"][0].clone();
            event["entity"].as_array_mut().unwrap().push(data);
        }),
        ("a client without a network", |event| drop(event["agent"][0].as_object_mut().unwrap().remove("network"))),
        ("a user that asked for nothing", |event| event["agent"][2]["requestor"] = false.into()),
        ("roles of client and server changed", |event| event["agent"][0]["type"] = event["agent"][1]["type"].clone()),
        ("another subtype", |event| event["subtype"][0]["code"] = "create".into()),
    ];
    for (what, breakage) in breakages {
        let mut event = good.clone();
        breakage(&mut event);
        assert!(!profiles.faults("PatientRead", &event).is_empty(), "{what}");
    }
}

#[test]
fn a_form_that_fhir_does_not_allow_is_refused_by_its_element() {
    let breakages: [(&str, fn(&mut AuditRecord)); 8] = [
        ("AuditEvent.id", |record| record.id = "no spaces here".to_owned()),
        ("AuditEvent.id", |record| record.id = "x".repeat(65)),
        ("AuditEvent.recorded", |record| record.recorded = "2026-11-22".to_owned()),
        ("AuditEvent.recorded", |record| record.recorded = "2026-11-22T16:20:00.123".to_owned()),
        ("sealgate-rule", |record| record.rules.push(" padded".to_owned())),
        ("AuditEvent.agent.who", |record| record.caller.as_mut().unwrap().subject = String::new()),
        ("AuditEvent.agent.who", |record| record.caller.as_mut().unwrap().subject = "a\u{0}b".to_owned()),
        ("AuditEvent.entity.query", |record| {
            record.statement = Statement::Access { access: search("not base64!"), patient: None };
        }),
    ];
    for (element, breakage) in breakages {
        let (_, mut record) = records().remove(0);
        breakage(&mut record);
        assert_eq!(audit_event_r4(&record), Err(AuditEventError::Form(element)));
    }
}

#[test]
fn a_consent_decision_needs_a_caller() {
    let (_, mut record) = records().into_iter().find(|(name, _)| *name == "consent-permit").unwrap();
    record.caller = None;
    assert_eq!(audit_event_r4(&record), Err(AuditEventError::NoCaller));
}

#[test]
fn a_client_that_acts_for_itself_is_the_requestor() {
    let (_, mut record) = records().remove(0);
    let caller = record.caller.as_mut().unwrap();
    caller.client = Some(caller.subject.clone());
    let event = written(&record);
    let requestors: Vec<_> = event["agent"].as_array().unwrap().iter().map(|agent| &agent["requestor"]).collect();
    assert_eq!(requestors, [true, false], "client and server, no user");
}
