#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed expectation is a failed test")]

use serde_json::json;

use super::*;
use crate::caller::ActorRef;
use crate::consent::Body;
use crate::consent::reader::PARTICIPATION;

/// A Consent that states every element that R4 has.
fn everything() -> Value {
    let concept = |system: &str, code: &str| json!({"coding": [{"system": system, "version": "1", "code": code, "display": "d", "userSelected": true}], "text": "t"});
    let reference = |literal: &str| {
        json!({"reference": literal, "type": "X", "display": "d", "identifier": {
        "use": "official", "type": concept("urn:t", "T"), "system": "urn:s", "value": "v",
        "period": {"start": "2020"}, "assigner": {"display": "a"}}})
    };
    let mut provision = json!({
        "id": "e1", "type": "permit", "period": {"start": "2020-01-01", "end": "2030-01-01T10:00:00Z"},
        "actor": [{"role": concept(PARTICIPATION, "IRCP"), "reference": reference("Practitioner/1")}],
        "action": [concept("http://terminology.hl7.org/CodeSystem/consentaction", "access")],
        "securityLabel": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}],
        "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}],
        "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}],
        "code": [concept("http://loinc.org", "1-8")],
        "dataPeriod": {"start": "2020", "end": "2021"},
        "data": [{"meaning": "related", "reference": reference("Encounter/1")}],
    });
    let nested = provision.clone();
    provision.as_object_mut().unwrap().insert("provision".to_owned(), json!([nested]));
    json!({
        "resourceType": "Consent", "id": "c", "meta": {"versionId": "2", "lastUpdated": "2026-01-01T00:00:00Z",
            "source": "#x", "profile": ["http://example.org/p"], "security": [{"code": "HTEST"}], "tag": [{"code": "t"}]},
        "language": "en", "identifier": [{"value": "v"}], "status": "active", "scope": concept(SCOPES, "patient-privacy"),
        "category": [concept("http://loinc.org", "59284-0")], "patient": reference("Patient/p"), "dateTime": "2026-01-01",
        "performer": [reference("Patient/p")], "organization": [reference("Organization/o")],
        "sourceAttachment": {"contentType": "text/plain", "language": "en", "data": "AA==", "url": "http://example.org",
            "size": 1, "hash": "AA==", "title": "t", "creation": "2020"},
        "policy": [{"authority": "http://example.org", "uri": "http://example.org/p"}],
        "policyRule": concept(SENSITIVITY_SYSTEM, "OPTIN"),
        "verification": [{"verified": true, "verifiedWith": reference("Patient/p"), "verificationDate": "2020-01-01"}],
        "provision": provision,
    })
}

/// The JSON pointers of every value below, the root apart.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut below = |name: String, value: &Value| {
        let at = format!("{at}/{name}");
        found.push(at.clone());
        pointers(value, &at, found);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| below(name.clone(), value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| below(index.to_string(), value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn everywhere() -> Vec<String> {
    let mut found = Vec::new();
    pointers(&everything(), "", &mut found);
    assert!(found.len() > 150, "{}", found.len());
    found
}

fn with(pointer: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut consent = everything();
    change(consent.pointer_mut(pointer).expect("the pointer is one of this Consent"));
    consent
}

#[test]
fn a_consent_with_every_element_is_read_whole() {
    let consent = read(&everything()).unwrap();
    assert_eq!(consent.reference.to_string(), "Consent/c/_history/2");
    assert_eq!(consent.patient, "Patient/p");
    assert_eq!(consent.related(), ["Encounter/1", "Encounter/1"]);
    let Body::Active { scope, root } = consent.body else { unreachable!("it is active") };
    assert_eq!(scope, Scope::PatientPrivacy);
    assert_eq!(root.rules, BTreeSet::from([Rule::Permit]));
    assert_eq!(root.constraints.stated(), 9);
    assert!(!root.extended);
    let child = root.children.first().unwrap();
    assert_eq!(child.constraints, root.constraints);
    let actors = child.constraints.actors.as_ref().unwrap();
    assert_eq!(
        actors.first().unwrap().who,
        [ActorRef::reference("Practitioner/1"), ActorRef::identifier("urn:s", "v")]
    );
}

#[test]
fn an_unknown_element_anywhere_is_not_understood() {
    for pointer in everywhere() {
        let changed = with(&pointer, |value| {
            if let Value::Object(members) = value {
                members.insert("surprise".to_owned(), json!("x"));
            }
        });
        if changed != everything() {
            assert_eq!(read(&changed).unwrap_err().why, Why::UnknownElement, "{pointer}");
        }
    }
}

#[test]
fn a_null_anywhere_is_not_understood() {
    for pointer in everywhere().iter().filter(|pointer| *pointer != "/resourceType" && *pointer != "/id") {
        assert_eq!(read(&with(pointer, |value| *value = Value::Null)).unwrap_err().why, Why::Null, "{pointer}");
    }
    assert_eq!(read(&with("/id", |value| *value = Value::Null)).unwrap_err().why, Why::Missing);
    assert_eq!(read(&with("/resourceType", |value| *value = Value::Null)).unwrap_err().why, Why::NotAConsent);
}

#[test]
fn empty_arrays_objects_and_strings_are_not_understood() {
    for pointer in everywhere() {
        let changed = with(&pointer, |value| match value {
            Value::Array(items) => items.clear(),
            Value::Object(members) => members.clear(),
            Value::String(text) => *text = " ".to_owned(),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        });
        if changed != everything() {
            assert!(read(&changed).is_err(), "{pointer}");
        }
    }
}

#[test]
fn a_modifier_extension_anywhere_is_not_understood() {
    for pointer in everywhere() {
        let changed = with(&pointer, |value| {
            if let Value::Object(members) = value {
                members.insert("modifierExtension".to_owned(), json!([{"url": "http://example.org/x"}]));
            }
        });
        if changed != everything() {
            assert_eq!(read(&changed).unwrap_err().why, Why::ModifierExtension, "{pointer}");
        }
    }
}

#[test]
fn one_value_where_fhir_has_many_and_many_where_it_has_one_is_not_understood() {
    for pointer in everywhere() {
        let item = pointer.rsplit('/').next().unwrap().parse::<usize>().is_ok();
        let changed = with(&pointer, |value| match value {
            Value::Array(items) => *value = items.first().cloned().unwrap(),
            single if !item => *single = json!([single.clone(), single.clone()]),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                *value = json!([value.clone()]);
            }
        });
        assert!(read(&changed).is_err(), "{pointer}");
    }
}

#[test]
fn an_extension_in_an_element_of_a_provision_extends_that_provision_and_not_its_parent() {
    let inside: Vec<String> = everywhere().into_iter().filter(|pointer| pointer.starts_with("/provision")).collect();
    for pointer in inside {
        let changed = with(&pointer, |value| {
            if let Value::Object(members) = value {
                members.insert("extension".to_owned(), json!([{"url": "http://example.org/x", "valueBoolean": true}]));
            }
        });
        if changed == everything() {
            continue;
        }
        let Body::Active { root, .. } = read(&changed).unwrap().body else { unreachable!("it is active") };
        let nested = pointer.starts_with("/provision/provision/");
        assert_eq!((root.extended, root.children.first().unwrap().extended), (!nested, nested), "{pointer}");
    }
}

#[test]
fn what_is_no_consent() {
    for value in [json!(null), json!([]), json!("Consent"), json!({}), json!({"resourceType": "Patient", "id": "c"})] {
        assert_eq!(read(&value).unwrap_err().why, Why::NotAConsent, "{value}");
    }
    let unnamed = with("/id", |value| *value = json!("not/an/id"));
    assert_eq!(read(&unnamed).unwrap_err(), Unusable { reference: None, why: Why::Missing, path: "id".to_owned() });
}

#[test]
fn provisions_are_bounded() {
    let nest = |depth: usize| {
        let innermost = json!({"type": "deny"});
        let provision = (0..depth).fold(innermost, |inner, _| json!({"type": "permit", "provision": [inner]}));
        read(&with("/provision", |value| *value = provision))
    };
    assert!(nest(MAX_DEPTH).is_ok());
    assert_eq!(nest(MAX_DEPTH + 1).unwrap_err().why, Why::TooLarge);
    let broad = |count: usize| {
        let children = vec![json!({"type": "deny"}); count];
        read(&with("/provision", |value| *value = json!({"type": "permit", "provision": children})))
    };
    assert!(broad(MAX_PROVISIONS - 1).is_ok());
    assert_eq!(broad(MAX_PROVISIONS).unwrap_err().why, Why::TooLarge);
}

#[test]
fn the_paths_of_faults_name_elements_and_never_values() {
    let mut consent = everything();
    *consent.pointer_mut("/provision/provision/0/data/0/meaning").unwrap() = json!("secret-value");
    let fault = read(&consent).unwrap_err();
    assert_eq!(fault.to_string(), "unknown-code at provision.provision[0].data.meaning");
}
