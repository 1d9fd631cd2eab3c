//! Resources of a patient's record, of a dozen types, with dates, codes and references of their own.

use serde_json::{Value, json};

use super::dice::Dice;

/// The types of a record besides Patient, Consent, Binary and Provenance.
pub const CLINICAL: &[&str] = &[
    "Encounter",
    "Condition",
    "Observation",
    "MedicationRequest",
    "Procedure",
    "AllergyIntolerance",
    "Immunization",
    "DiagnosticReport",
    "ServiceRequest",
    "DocumentReference",
];

/// What a resource is made about.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The pair's name, with which ids begin.
    pub pair: String,
    /// `Patient/x`.
    pub patient: String,
    /// The Encounter that it belongs to.
    pub encounter: Option<String>,
    /// Resources that it may refer to, by address.
    pub known: Vec<String>,
}

impl About {
    fn of_type(&self, rtype: &str, dice: &mut Dice) -> Option<String> {
        let all: Vec<String> = self
            .known
            .iter()
            .filter(|name| name.split_once('/').is_some_and(|(kind, _)| kind == rtype))
            .cloned()
            .collect();
        dice.of(&all).cloned()
    }
}

/// The element that dates a type.
#[must_use]
pub fn date_of(rtype: &str) -> Option<&'static str> {
    Some(match rtype {
        "Encounter" => "period",
        "Condition" | "AllergyIntolerance" => "recordedDate",
        "Observation" | "DiagnosticReport" => "effectiveDateTime",
        "MedicationRequest" | "ServiceRequest" => "authoredOn",
        "Procedure" => "performedDateTime",
        "Immunization" => "occurrenceDateTime",
        "DocumentReference" => "date",
        _ => return None,
    })
}

/// Whether a type has a code that can be replaced.
#[must_use]
pub fn has_code(rtype: &str) -> bool {
    code_element(rtype).is_some()
}

fn code_element(rtype: &str) -> Option<&'static str> {
    Some(match rtype {
        "Condition" | "Observation" | "Procedure" | "AllergyIntolerance" | "DiagnosticReport" | "ServiceRequest" => {
            "code"
        }
        "Immunization" => "vaccineCode",
        "DocumentReference" => "type",
        _ => return None,
    })
}

/// Adds a coding to the resource's code.
pub fn set_code(resource: &mut Value, (system, code): (&str, &str)) {
    let rtype = rtype(resource).to_owned();
    let coding = code_element(&rtype).and_then(|element| resource.get_mut(element)?.get_mut("coding")?.as_array_mut());
    if let Some(coding) = coding {
        coding.push(json!({"system": system, "code": code}));
    }
}

/// Dates the resource by this day.
pub fn set_date(resource: &mut Value, day: &str) {
    let rtype = rtype(resource).to_owned();
    let Some(element) = date_of(&rtype) else { return };
    let value = match element {
        "period" => json!({"start": format!("{day}T08:00:00Z"), "end": format!("{day}T09:00:00Z")}),
        "date" => json!(format!("{day}T08:00:00Z")),
        _ => json!(day),
    };
    if let Some(resource) = resource.as_object_mut() {
        resource.insert(element.to_owned(), value);
    }
}

/// `resourceType`.
#[must_use]
pub fn rtype(resource: &Value) -> &str {
    resource.get("resourceType").and_then(Value::as_str).unwrap_or_default()
}

/// The codes that a type has here, as `system|code`; searches use the same.
#[must_use]
pub fn codes(rtype: &str) -> &'static [(&'static str, &'static str)] {
    match rtype {
        "Observation" => {
            &[("http://loinc.org", "8867-4"), ("http://loinc.org", "85354-9"), ("http://loinc.org", "718-7")]
        }
        "Condition" => {
            &[("http://hl7.org/fhir/sid/icd-10-cm", "I10"), ("http://hl7.org/fhir/sid/icd-10-cm", "J45.909")]
        }
        "Procedure" | "ServiceRequest" => {
            &[("http://snomed.info/sct", "80146002"), ("http://snomed.info/sct", "73761001")]
        }
        "AllergyIntolerance" => &[("http://snomed.info/sct", "91935009"), ("http://snomed.info/sct", "91936005")],
        "Immunization" => &[("http://hl7.org/fhir/sid/cvx", "140"), ("http://hl7.org/fhir/sid/cvx", "115")],
        "DiagnosticReport" => &[("http://loinc.org", "58410-2"), ("http://loinc.org", "24323-8")],
        "DocumentReference" => &[("http://loinc.org", "34133-9"), ("http://loinc.org", "11506-3")],
        "MedicationRequest" => &[("http://www.nlm.nih.gov/research/umls/rxnorm", "197361")],
        _ => &[],
    }
}

/// A resource of this type and id. Everything that is not about the record's structure is rolled.
pub fn resource(rtype: &str, id: &str, about: &About, dice: &mut Dice) -> Value {
    let mut made = json!({
        "resourceType": rtype,
        "id": id,
        "meta": {"tag": [{"system": "urn:sealgate:twin:pair", "code": about.pair}]},
    });
    let body = body(rtype, about, dice);
    if let (Some(made), Value::Object(body)) = (made.as_object_mut(), body) {
        made.extend(body);
        if dice.chance(20) {
            let word = dice.word(&["calm", "bright", "narrow", "second", "former"]);
            let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{word} {}</div>", dice.below(1000));
            made.insert("text".to_owned(), json!({"status": "generated", "div": div}));
        }
        if let Some(encounter) = about.encounter.as_ref().filter(|_| dice.chance(60)) {
            match rtype {
                "Condition" | "Observation" | "MedicationRequest" | "Procedure" | "AllergyIntolerance"
                | "Immunization" | "DiagnosticReport" | "ServiceRequest" => {
                    made.insert("encounter".to_owned(), json!({"reference": encounter}));
                }
                "DocumentReference" => {
                    made.insert("context".to_owned(), json!({"encounter": [{"reference": encounter}]}));
                }
                _ => {}
            }
        }
    }
    let day = format!("{}-{:02}-{:02}", dice.between(2015, 2024), dice.between(1, 12), dice.between(1, 28));
    set_date(&mut made, &day);
    made
}

fn body(rtype: &str, about: &About, dice: &mut Dice) -> Value {
    let doctor = json!({"reference": format!("Practitioner/{}-{}", about.pair, dice.word(&["doc", "other"]))});
    let subject = json!({"reference": about.patient});
    let (system, code) = dice.of(codes(rtype)).copied().unwrap_or_default();
    let concept = json!({"coding": [{"system": system, "code": code}]});
    let reference = |to: Option<String>| to.map_or(json!([]), |to| json!([{"reference": to}]));
    let mut body = match rtype {
        "Encounter" => json!({
            "status": dice.word(&["finished", "in-progress"]), "class": {"code": dice.word(&["AMB", "IMP"])}, "subject": subject,
            "participant": [{"individual": doctor}],
            "serviceProvider": {"reference": format!("Organization/{}-org", about.pair)},
            "location": [{"location": {"reference": format!("Location/{}-ward", about.pair)}}],
            "diagnosis": about.of_type("Condition", dice).map_or(json!([]), |to| json!([{"condition": {"reference": to}}])),
        }),
        "Condition" => json!({
            "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": dice.word(&["active", "resolved"])}]},
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-category", "code": "problem-list-item"}]}],
            "code": concept, "subject": subject, "asserter": doctor,
        }),
        "Observation" => json!({
            "status": dice.word(&["final", "amended"]),
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": dice.word(&["vital-signs", "laboratory"])}]}],
            "code": concept, "subject": subject, "performer": [doctor],
            "valueQuantity": {"value": dice.between(40, 180), "unit": "1/min", "system": "http://unitsofmeasure.org", "code": "/min"},
            "hasMember": reference(about.of_type("Observation", dice)),
        }),
        "MedicationRequest" => {
            let mut made = json!({
                "status": dice.word(&["active", "completed"]), "intent": "order", "subject": subject, "requester": doctor,
                "reasonReference": reference(about.of_type("Condition", dice)),
            });
            let medication = match dice.chance(50) {
                true => ("medicationReference", json!({"reference": format!("Medication/{}-med", about.pair)})),
                false => ("medicationCodeableConcept", concept),
            };
            if let Some(made) = made.as_object_mut() {
                made.insert(medication.0.to_owned(), medication.1);
            }
            made
        }
        "Procedure" => json!({
            "status": "completed", "code": concept, "subject": subject, "performer": [{"actor": doctor}],
            "reasonReference": reference(about.of_type("Condition", dice)),
        }),
        "AllergyIntolerance" => json!({
            "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]},
            "criticality": dice.word(&["low", "high"]), "code": concept, "patient": subject, "recorder": doctor,
        }),
        "Immunization" => json!({
            "status": dice.word(&["completed", "not-done"]), "vaccineCode": concept, "patient": subject,
            "performer": [{"actor": doctor}],
        }),
        "DiagnosticReport" => json!({
            "status": "final", "code": concept, "subject": subject, "performer": [doctor],
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "LAB"}]}],
            "result": reference(about.of_type("Observation", dice)),
        }),
        "ServiceRequest" => json!({
            "status": "active", "intent": "order", "code": concept, "subject": subject, "requester": doctor,
            "reasonReference": reference(about.of_type("Condition", dice)),
        }),
        "DocumentReference" => json!({
            "status": "current", "type": concept, "subject": subject, "author": [doctor],
            "content": [{"attachment": {"contentType": "text/plain", "title": format!("note {}", dice.below(1000))}}],
        }),
        _ => json!({}),
    };
    if let Some(members) = body.as_object_mut() {
        // FHIR has no empty arrays.
        members.retain(|_, value| *value != json!([]));
    }
    body
}

/// The patient's own resource. What it says of telephone, address and text is what an operator's rule may redact.
pub fn patient(id: &str, pair: &str, dice: &mut Dice) -> Value {
    json!({
        "resourceType": "Patient",
        "id": id,
        "meta": {"tag": [{"system": "urn:sealgate:twin:pair", "code": pair}]},
        "identifier": [{"system": "urn:sealgate:twin:mrn", "value": id}],
        "name": [{"family": dice.word(&["Ash", "Beech", "Lime"]), "given": [dice.word(&["Ada", "Ben", "Cleo"])]}],
        "gender": dice.word(&["female", "male"]),
        "birthDate": format!("{}-{:02}-11", dice.between(1940, 2005), dice.between(1, 12)),
        "managingOrganization": {"reference": format!("Organization/{pair}-org")},
        "generalPractitioner": [{"reference": format!("Practitioner/{pair}-doc")}],
    })
}

/// A Provenance of these targets.
pub fn provenance(id: &str, pair: &str, targets: &[String]) -> Value {
    let targets: Vec<Value> = targets.iter().map(|target| json!({"reference": target})).collect();
    json!({
        "resourceType": "Provenance",
        "id": id,
        "meta": {"tag": [{"system": "urn:sealgate:twin:pair", "code": pair}]},
        "target": targets,
        "recorded": "2024-05-01T10:00:00Z",
        "agent": [{"who": {"reference": format!("Practitioner/{pair}-doc")}}],
    })
}

/// A Binary, whose owner is whoever the documents that point to it belong to.
pub fn binary(id: &str, dice: &mut Dice) -> Value {
    let data = dice.word(&["YSBub3Rl", "YW5vdGhlciBub3Rl", "dGhlIHRoaXJkIG5vdGU="]);
    json!({"resourceType": "Binary", "id": id, "contentType": "text/plain", "data": data})
}

/// What belongs to nobody, for a pair.
#[must_use]
pub fn universal(pair: &str) -> Vec<Value> {
    let mut made = Vec::new();
    for name in ["org", "elsewhere"] {
        made.push(
            json!({"resourceType": "Organization", "id": format!("{pair}-{name}"), "active": true, "name": name}),
        );
    }
    for name in ["doc", "other"] {
        made.push(json!({
            "resourceType": "Practitioner", "id": format!("{pair}-{name}"), "active": true, "name": [{"family": name}],
            "identifier": [{"system": "urn:sealgate:twin:npi", "value": format!("{pair}-{name}")}],
        }));
    }
    made.push(json!({"resourceType": "Location", "id": format!("{pair}-ward"), "status": "active", "name": "ward"}));
    let rxnorm = json!({"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "197361"}]});
    made.push(json!({"resourceType": "Medication", "id": format!("{pair}-med"), "status": "active", "code": rxnorm}));
    made
}
