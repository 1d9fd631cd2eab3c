//! The resources that are measured on: one patient, her Consent that keeps HIV to herself, observations of which some say HIV.

use gateway_core::caller::{ActorRef, Caller};
use gateway_core::coding::Coding;
use gateway_core::scope::Scopes;
use serde_json::{Value, json};

use super::stub::{Reply, fhir};

/// Code system of purposes of use.
pub const PURPOSES: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const ACT_CODES: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// The patient's id.
pub const PATIENT: &str = "measured";

/// A doctor who treats at the organisation that the Consent permits.
#[must_use]
pub fn doctor() -> Caller {
    Caller {
        issuer: "https://issuer.example".to_owned(),
        subject: "okafor".to_owned(),
        client: Some("ward-chart".to_owned()),
        organization: Some(ActorRef::reference("Organization/northfield")),
        purposes: vec![Coding::new(PURPOSES, "TREAT")],
        fhir_user: Some(ActorRef::reference("Practitioner/okafor")),
        scopes: Scopes::parse("user/*.rs"),
        ..Caller::default()
    }
}

/// The same doctor as claims of a token.
#[must_use]
pub fn doctor_claims() -> Value {
    json!({
        "sub": "okafor",
        "client_id": "ward-chart",
        "fhirUser": "Practitioner/okafor",
        "scope": "openid fhirUser user/*.rs",
        "extensions": {"ihe_iua": {
            "purpose_of_use": [{"system": PURPOSES, "code": "TREAT"}],
            "subject_organization_id": "Organization/northfield",
        }},
    })
}

/// What the FHIR server answers to all that the gateway asks for itself, and to reads of the patient.
#[must_use]
pub fn world() -> Vec<(&'static str, Reply)> {
    let reply = |value: &Value| fhir(value.to_string().as_bytes(), "");
    let nobody = || reply(&json!({"resourceType": "Bundle", "type": "searchset", "total": 0}));
    let northfield = json!({"resourceType": "Organization", "id": "northfield", "active": true, "name": "Northfield General Hospital"});
    let organizations =
        json!({"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": [entry(&northfield)]});
    let validators = "etag: W/\"3\"\r\nlast-modified: Tue, 03 Feb 2026 04:05:06 GMT\r\n";
    vec![
        ("Patient/", fhir(patient().to_string().as_bytes(), validators)),
        ("Consent?", reply(&consents())),
        ("metadata", reply(&metadata())),
        ("Organization?", reply(&organizations)),
        ("PractitionerRole?", nobody()),
        ("Practitioner?", nobody()),
        ("CareTeam?", nobody()),
        ("Group?", nobody()),
    ]
}

/// The answer to the query for the patient's Consents.
fn consents() -> Value {
    let consent = json!({
        "resourceType": "Consent",
        "id": "measured-treatment",
        "meta": {"versionId": "1"},
        "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": format!("Patient/{PATIENT}")},
        "dateTime": "2024-05-12T09:00:00Z",
        "performer": [{"reference": format!("Patient/{PATIENT}")}],
        "organization": [{"reference": "Organization/northfield"}],
        "policyRule": {"coding": [{"system": ACT_CODES, "code": "OPTIN"}]},
        "provision": {
            "type": "permit",
            "actor": [{
                "role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
                "reference": {"reference": "Organization/northfield"},
            }],
            "purpose": [{"system": PURPOSES, "code": "TREAT"}],
            "provision": [{"type": "deny", "securityLabel": [{"system": ACT_CODES, "code": "HIV"}]}],
        },
    });
    json!({"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": [{"resource": consent, "search": {"mode": "match"}}]})
}

/// What the upstream says of itself: that it searches by patient.
fn metadata() -> Value {
    let types = ["Patient", "Observation", "Consent"].map(|name| {
        json!({
            "type": name,
            "interaction": [{"code": "read"}, {"code": "search-type"}],
            "searchParam": [{"name": "patient", "type": "reference"}, {"name": "_id", "type": "token"}],
        })
    });
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-01-01",
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [{"mode": "server", "resource": types}],
    })
}

/// The patient, as a resource of about 2 KB.
#[must_use]
pub fn patient() -> Value {
    let mut patient = json!({
        "resourceType": "Patient",
        "id": PATIENT,
        "meta": {"versionId": "3", "lastUpdated": "2026-02-03T04:05:06.789+00:00"},
        "text": {"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>{}</p></div>", "Maren Linde, born 1961. ".repeat(14))},
        "identifier": [
            {"use": "official", "system": "urn:oid:2.16.840.1.113883.2.4.6.3", "value": "738472983"},
            {"use": "usual", "system": "https://northfield.example/patients", "value": "N-0017-3829"},
        ],
        "active": true,
        "name": [{"use": "official", "family": "Linde", "given": ["Maren", "Sofie"], "prefix": ["Dr"]}],
        "telecom": [{"system": "phone", "value": "+49 30 5550 1387", "use": "home"}, {"system": "email", "value": "maren.linde@mail.example"}],
        "gender": "female",
        "birthDate": "1961-07-12",
        "address": [{"use": "home", "line": ["Lindenstrasse 27"], "city": "Berlin", "postalCode": "10969", "country": "DE"}],
        "maritalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "M", "display": "Married"}]},
        "contact": [{
            "relationship": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0131", "code": "N"}]}],
            "name": {"family": "Linde", "given": ["Jonas"]},
            "telecom": [{"system": "phone", "value": "+49 30 5550 1388"}],
        }],
        "generalPractitioner": [{"reference": "Practitioner/okafor", "display": "Dr Amara Okafor"}],
        "managingOrganization": {"reference": "Organization/northfield", "display": "Northfield General Hospital"},
    });
    pad(&mut patient, 2048);
    patient
}

/// An observation of the patient, padded to about this many bytes, labelled HIV or not.
#[must_use]
pub fn observation(number: usize, bytes: usize, hidden: bool) -> Value {
    let mut observation = json!({
        "resourceType": "Observation",
        "id": format!("measured-{number:05}"),
        "meta": {"versionId": "1", "lastUpdated": "2026-02-03T04:05:06.789+00:00"},
        "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0", "display": "Creatinine [Mass/volume] in Serum or Plasma"}]},
        "subject": {"reference": format!("Patient/{PATIENT}")},
        "effectiveDateTime": "2026-02-03T04:00:00Z",
        "performer": [{"reference": "Organization/northfield"}],
        "valueQuantity": {"value": 1.0, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"},
        "interpretation": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "code": "N"}]}],
        "referenceRange": [{"low": {"value": 0.6, "unit": "mg/dL"}, "high": {"value": 1.3, "unit": "mg/dL"}}],
    });
    if hidden && let Some(meta) = observation.get_mut("meta").and_then(Value::as_object_mut) {
        meta.insert("security".to_owned(), json!([{"system": ACT_CODES, "code": "HIV"}]));
    }
    pad(&mut observation, bytes);
    observation
}

/// Fills up with components as a laboratory's panel has them, then with an extension to the very byte.
fn pad(resource: &mut Value, bytes: usize) {
    let panel = json!({
        "code": {"coding": [{"system": "http://loinc.org", "code": "33914-3", "display": "Glomerular filtration rate"}]},
        "valueQuantity": {"value": 88.25, "unit": "mL/min/{1.73_m2}", "system": "http://unitsofmeasure.org"},
    });
    let is_observation = resource.get("resourceType").and_then(Value::as_str) == Some("Observation");
    let Some(members) = resource.as_object_mut() else { return };
    let length = |members: &serde_json::Map<String, Value>| serde_json::to_vec(members).map_or(0, |text| text.len());
    if is_observation {
        let one = panel.to_string().len() + 1;
        let room = bytes.saturating_sub(length(members) + 300) / one;
        members.insert("component".to_owned(), Value::Array(vec![panel; room.max(1)]));
    }
    let extension = |text: String| json!([{"url": "https://northfield.example/fhir/remark", "valueString": text}]);
    members.insert("extension".to_owned(), extension(String::new()));
    let missing = bytes.saturating_sub(length(members));
    members.insert("extension".to_owned(), extension("r".repeat(missing)));
}

/// A searchset of so many observations of that size, every second one hidden.
#[must_use]
pub fn searchset(observations: usize, bytes: usize) -> Value {
    let entries: Vec<Value> =
        (0..observations).map(|number| entry(&observation(number, bytes, number % 2 == 1))).collect();
    json!({"resourceType": "Bundle", "type": "searchset", "total": observations, "entry": entries})
}

/// An entry of a searchset.
#[must_use]
pub fn entry(resource: &Value) -> Value {
    json!({"resource": resource, "search": {"mode": "match"}})
}
