#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]

use super::*;

fn caller(text: &str) -> Caller {
    let context: Context = serde_json::from_str(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    context.caller().unwrap_or_else(|fault| panic!("{text}: {fault}")).0
}

#[test]
fn an_empty_context_is_a_read_of_r4_by_nobody_with_every_scope() {
    let context: Context = serde_json::from_str("{}").unwrap();
    let (caller, patient) = context.caller().unwrap();
    assert_eq!((context.fhir_version, context.interaction.code()), (FhirVersion::R4, "read"));
    assert!(caller.purposes.is_empty() && caller.identities().next().is_none() && patient.is_none());
    assert_eq!(caller.scopes, Scopes::parse("user/*.cruds"));
}

#[test]
fn purposes_actors_and_the_organisation_are_read() {
    let caller = caller(
        r#"{"purpose": ["TREAT", {"system": "urn:x", "code": "y"}],
            "actors": [{"reference": "Practitioner/1"}, {"identifier": {"system": "s", "value": "v"}, "role": "IRCP"},
                {"reference": "Patient/p", "role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}}],
            "organization": {"system": "o", "value": "1"}, "client": "app", "patient": "p", "attributes": {"x": 1, "roles": ["a"]}}"#,
    );
    let purposes: Vec<String> = caller.purposes.iter().map(ToString::to_string).collect();
    assert_eq!(purposes, [&format!("{}|TREAT", purpose::SYSTEM), "urn:x|y"]);
    let actors: Vec<String> = caller.actors.iter().map(ToString::to_string).collect();
    assert_eq!(actors, ["Practitioner/1", "s|v", "Patient/p"]);
    assert_eq!(caller.fhir_user, Some(ActorRef::reference("Patient/p")));
    assert_eq!(caller.organization, Some(ActorRef::identifier("o", "1")));
    assert_eq!(caller.launch_patient, Some(PatientId::parse("p").unwrap()));
    assert_eq!(caller.attributes.get("x").map(String::as_str), Some("1"));
    assert_eq!(caller.roles, ["IRCP", "a"]);
}

#[test]
fn another_part_than_the_recipients_is_kept_apart() {
    let caller = caller(
        r#"{"actors": [{"reference": "Patient/p", "role": "AUT"}, {"reference": "Group/g", "role": "urn:r|x"}]}"#,
    );
    assert!(caller.actors.is_empty() && caller.fhir_user.is_none());
    assert_eq!(caller.other_parts.len(), 2);
    assert_eq!(caller.roles, ["AUT", "urn:r|x"]);
}

#[test]
fn organisations_may_be_written_in_each_way_of_a_reference() {
    let expected = Some(ActorRef::reference("Organization/o"));
    assert_eq!(caller(r#"{"organization": "Organization/o"}"#).organization, expected);
    assert_eq!(caller(r#"{"organization": {"reference": "Organization/o"}}"#).organization, expected);
    let expected = Some(ActorRef::identifier("s", "v"));
    assert_eq!(caller(r#"{"organization": {"identifier": {"system": "s", "value": "v"}}}"#).organization, expected);
}

#[test]
fn what_is_not_of_the_shape_is_refused() {
    for text in [
        r#"{"colour": 1}"#,
        r#"{"fhirVersion": "STU3"}"#,
        r#"{"interaction": "patch"}"#,
        r#"{"purpose": "TREAT"}"#,
        r#"{"purpose": [{"code": "x", "colour": 1}]}"#,
        r#"{"actors": [{"name": "x"}]}"#,
        r#"{"breakGlass": "yes"}"#,
        r#"{"scopes": ["x"]}"#,
    ] {
        assert!(serde_json::from_str::<Context>(text).is_err(), "{text}");
    }
    for text in [
        r#"{"actors": [{}]}"#,
        r#"{"actors": [{"reference": "dr"}]}"#,
        r#"{"organization": "clinic"}"#,
        r#"{"patient": "a b"}"#,
        r#"{"purpose": [""]}"#,
        r#"{"attributes": {"roles": {}}}"#,
    ] {
        let context: Context = serde_json::from_str(text).unwrap();
        assert!(context.caller().is_err(), "{text}");
    }
}
