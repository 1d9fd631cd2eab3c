use super::*;

fn clinician(version: &str) -> Value {
    json!({"fhirVersion": version, "purpose": ["TREAT"], "actors": [{"reference": "Practitioner/dr"}]})
}

fn r5(more: &Value) -> Value {
    let mut consent = json!({
        "resourceType": "Consent", "id": "c", "status": "active", "subject": {"reference": "Patient/p"}, "date": "2026-01-10",
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}], "decision": "permit"
    });
    for (name, value) in more.as_object().unwrap() {
        consent[name] = value.clone();
    }
    consent
}

fn words(more: &Value, resource: &Value) -> Vec<String> {
    Case::of(&clinician("R5")).with("consent", &r5(more)).with("resource", resource).words()
}

#[test]
fn decision_and_reversing_levels() {
    let research = |inner: Value| json!([{"purpose": purposes(&["HRESCH"]), "provision": inner}]);
    let treatment = json!([{"purpose": purposes(&["TREAT"])}]);
    let resource = observation("x", "p");
    assert_eq!(words(&json!({}), &resource), ["permit", "permit"]);
    assert_eq!(words(&json!({"decision": "deny"}), &resource), ["permit", "deny"]);
    assert_eq!(words(&json!({"provision": treatment}), &resource), ["permit", "deny"]);
    assert_eq!(words(&json!({"decision": "deny", "provision": treatment}), &resource), ["permit", "permit"]);
    assert_eq!(words(&json!({"provision": research(treatment.clone())}), &resource), ["permit", "permit"]);
    assert_eq!(words(&json!({"decision": "deny", "provision": research(treatment)}), &resource), ["permit", "deny"]);
    assert_eq!(words(&json!({"period": {"end": "2020"}}), &resource), ["permit", "deny"]);
    let answer = Case::of(&clinician("R5"))
        .with("consent", &r5(&json!({"provision": [{"purpose": purposes(&["HRESCH"])}, {"provision": [{}, {"purpose": purposes(&["TREAT"])}]}]})))
        .with("resource", &resource);
    // An empty provision is not understood.
    assert_eq!(answer.decided()["results"][0]["reasons"][0]["rule"], "consent-not-understood");
    let answer = Case::of(&clinician("R5"))
        .with("consent", &r5(&json!({"provision": [{"purpose": purposes(&["TREAT"])}]})))
        .with("resource", &resource);
    assert_eq!(
        answer.decided()["results"][0]["reasons"],
        json!([{"consent": "Consent/c", "provision": "provision[0]", "rule": "consent-deny"}])
    );
}

#[test]
fn categories_count_but_for_those_that_are_ignored() {
    let category = |code: &str| json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": code}]});
    let resource = observation("x", "p");
    for code in ["research", "treatment", "adr"] {
        assert_eq!(words(&json!({"category": [category(code)]}), &resource), ["permit", "deny"], "{code}");
    }
    assert_eq!(
        words(&json!({"category": [category("research"), category("patient-privacy")]}), &resource),
        ["permit", "permit"]
    );
    let with = |policy: &str, code: &str| {
        let consent = r5(&json!({"category": [category(code)]}));
        Case::of(&clinician("R5"))
            .with("consent", &consent)
            .with("resource", &resource)
            .text("policy", policy)
            .words()
            .pop()
            .unwrap()
    };
    assert_eq!(with("research = true", "research"), "permit");
    assert_eq!(with("research = true", "treatment"), "deny");
    assert_eq!(with("ignore_categories = []", "adr"), "permit");
    assert_eq!(with("ignore_categories = [\"patient-privacy\"]", "patient-privacy"), "deny");
}

#[test]
fn kinds_of_resource_and_document_are_asked_both() {
    let types = json!([{"resourceType": [{"system": "http://hl7.org/fhir/fhir-types", "code": "DeviceUsage"}]}]);
    let usage = json!({"resourceType": "DeviceUsage", "id": "u", "status": "active", "patient": {"reference": "Patient/p"}, "device": {"concept": {"text": "x"}}});
    assert_eq!(words(&json!({"provision": types}), &usage), ["permit", "deny"]);
    assert_eq!(words(&json!({"provision": types}), &observation("x", "p")), ["permit", "permit"]);
    let documents = json!([{"documentType": [{"system": "http://loinc.org", "code": "11506-3"}]}]);
    let document = |code: &str| {
        json!({"resourceType": "DocumentReference", "id": "d", "status": "current", "subject": {"reference": "Patient/p"},
        "type": {"coding": [{"system": "http://loinc.org", "code": code}]}})
    };
    assert_eq!(words(&json!({"provision": documents}), &document("11506-3")), ["permit", "deny"]);
    assert_eq!(words(&json!({"provision": documents}), &document("18842-5")), ["permit", "permit"]);
    // Media is gone in R5.
    Case::of(&clinician("R5"))
        .text("resource", r#"{"resourceType": "Media", "id": "m"}"#)
        .refused("no resource of FHIR R5");
}

#[test]
fn versions_are_told_apart() {
    let resource = observation("x", "p");
    let r4 = consent("c", &json!({"type": "permit"}));
    let decide = |version: &str, consent: &Value| {
        Case::of(&clinician(version)).with("consent", consent).with("resource", &resource).words().pop().unwrap()
    };
    assert_eq!(
        (decide("R4", &r4), decide("R4B", &r4), decide("R5", &r4)),
        ("permit".into(), "permit".into(), "deny".into())
    );
    let r5 = r5(&json!({}));
    assert_eq!(
        (decide("R4", &r5), decide("R4B", &r5), decide("R5", &r5)),
        ("deny".into(), "deny".into(), "permit".into())
    );
}
