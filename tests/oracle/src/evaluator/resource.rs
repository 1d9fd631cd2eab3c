//! What a resource says of itself: owners, codes, dates, authors, references.

use std::collections::BTreeSet;

use serde_json::Value;

use super::actors::normal;
use super::{Code, codings, each, text};

/// Whose data a resource is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owners {
    /// Nobody's: scope only.
    Universal,
    /// These patients', as `Patient/x`.
    Patients(BTreeSet<String>),
    /// Somebody's of whom it cannot be told.
    Unknown,
}

const UNIVERSAL: &[&str] = &[
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Location",
    "HealthcareService",
    "Endpoint",
    "Medication",
    "Substance",
    "Schedule",
    "Slot",
];

/// The element that says whose data it is.
fn owner_element(kind: &str) -> Option<&'static str> {
    match kind {
        "Observation" | "Condition" | "Encounter" | "Procedure" | "DiagnosticReport" | "Composition"
        | "DocumentReference" | "MedicationRequest" => Some("subject"),
        "AllergyIntolerance" | "Immunization" | "Consent" => Some("patient"),
        "Coverage" => Some("beneficiary"),
        "Task" => Some("for"),
        _ => None,
    }
}

/// `resourceType`.
pub fn kind(resource: &Value) -> &str {
    text(resource, "resourceType").unwrap_or_default()
}

/// `Type/id`, where it has an id.
pub fn me(resource: &Value) -> Option<String> {
    Some(format!("{}/{}", kind(resource), text(resource, "id")?))
}

/// The owners of a resource and of what it contains.
pub fn owners(resource: &Value, bases: &[String]) -> Owners {
    let mut owners = owners_of_one(resource, bases);
    for contained in resource.get("contained").into_iter().flat_map(each) {
        owners = match (owners, owners_of_one(contained, bases)) {
            (Owners::Patients(mut all), Owners::Patients(more)) => {
                all.extend(more);
                Owners::Patients(all)
            }
            (Owners::Universal, more) => more,
            (all, Owners::Universal) => all,
            _ => Owners::Unknown,
        };
    }
    owners
}

fn owners_of_one(resource: &Value, bases: &[String]) -> Owners {
    let kind = kind(resource);
    if UNIVERSAL.contains(&kind) {
        return Owners::Universal;
    }
    let references: Vec<Option<&str>> = match kind {
        "Patient" => return me(resource).map_or(Owners::Unknown, |me| Owners::Patients(BTreeSet::from([me]))),
        "Appointment" => resource
            .get("participant")
            .into_iter()
            .flat_map(each)
            .map(|participant| participant.get("actor").and_then(|actor| text(actor, "reference")))
            .filter(|literal| literal.is_some_and(|literal| literal.contains("Patient/")))
            .collect(),
        kind => owner_element(kind)
            .and_then(|element| resource.get(element))
            .map(|reference| text(reference, "reference"))
            .into_iter()
            .collect(),
    };
    let mut patients = BTreeSet::new();
    for literal in references {
        match literal.and_then(|literal| normal(literal, bases)) {
            Some(patient) if patient.starts_with("Patient/") => _ = patients.insert(patient),
            _ => return Owners::Unknown,
        }
    }
    if patients.is_empty() { Owners::Unknown } else { Owners::Patients(patients) }
}

/// `meta` of the resource and of every one inside it.
pub fn labelled_metas(resource: &Value) -> Vec<&Value> {
    let mut found: Vec<&Value> = resource.get("meta").into_iter().collect();
    for contained in resource.get("contained").into_iter().flat_map(each) {
        found.extend(labelled_metas(contained));
    }
    found
}

/// `meta.profile`, of contained ones too.
pub fn profiles(resource: &Value) -> Vec<&str> {
    let metas = labelled_metas(resource);
    let profiles = metas.into_iter().filter_map(|meta| meta.get("profile"));
    profiles.flat_map(each).filter_map(Value::as_str).collect()
}

/// Every code that stands anywhere outside `meta`, contained resources included.
pub fn clinical_codes(resource: &Value) -> Vec<Code> {
    fn collect(json: &Value, found: &mut Vec<Code>) {
        match json {
            Value::Object(members) => {
                if members.contains_key("system") && members.contains_key("code") {
                    found.extend(super::coding(json));
                }
                members.iter().filter(|(key, _)| *key != "meta").for_each(|(_, value)| collect(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    collect(resource, &mut found);
    found
}

/// Every literal reference in it.
pub fn references(resource: &Value, bases: &[String]) -> BTreeSet<String> {
    fn collect(json: &Value, bases: &[String], found: &mut BTreeSet<String>) {
        match json {
            Value::Object(members) => {
                let literal = members.get("reference").and_then(Value::as_str);
                found.extend(literal.and_then(|literal| normal(literal, bases)));
                members.values().for_each(|value| collect(value, bases, found));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, bases, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = BTreeSet::new();
    collect(resource, bases, &mut found);
    found
}

/// Whether it is a document.
pub fn is_document(resource: &Value) -> bool {
    ["Composition", "DocumentReference", "DocumentManifest"].contains(&kind(resource))
}

/// Whether it may hold a document, or stand for one.
pub fn may_hold_document(resource: &Value) -> bool {
    is_document(resource) || ["Binary", "Bundle", "DiagnosticReport", "Media"].contains(&kind(resource))
}

/// `type` and `category` of a document.
pub fn document_types(resource: &Value) -> Vec<Code> {
    if !is_document(resource) {
        return Vec::new();
    }
    let concepts = ["type", "category", "class"].into_iter().filter_map(|element| resource.get(element));
    concepts.flat_map(each).filter_map(|concept| concept.get("coding")).flat_map(codings).collect()
}

/// Start and end of when the data came about: authored, else effective, occurrence, onset, performed, recorded, else
/// `lastUpdated`.
pub fn dates(resource: &Value) -> Option<(Option<&str>, Option<&str>)> {
    const AUTHORED: &[&str] = &["authoredOn", "authored"];
    const THEN: &[&str] = &["effective", "occurrence", "onset", "performed"];
    const RECORDED: &[&str] = &["recordedDate", "recorded", "issued"];
    let single = |element: &&str| text(resource, element).map(|date| (Some(date), Some(date)));
    let authored = AUTHORED.iter().find_map(single);
    let document = || if is_document(resource) { single(&"date") } else { None };
    let choice = || {
        THEN.iter().find_map(|element| {
            single(&format!("{element}DateTime").as_str())
                .or_else(|| single(&format!("{element}Instant").as_str()))
                .or_else(|| bounds(resource.get(format!("{element}Period"))?))
        })
    };
    let encounter = || if kind(resource) == "Encounter" { bounds(resource.get("period")?) } else { None };
    let updated =
        || resource.get("meta").and_then(|meta| text(meta, "lastUpdated")).map(|date| (Some(date), Some(date)));
    authored
        .or_else(document)
        .or_else(choice)
        .or_else(encounter)
        .or_else(|| RECORDED.iter().find_map(single))
        .or_else(updated)
}

fn bounds(period: &Value) -> Option<(Option<&str>, Option<&str>)> {
    let (start, end) = (text(period, "start"), text(period, "end"));
    if start.is_some() || end.is_some() { Some((start, end)) } else { None }
}

/// What the author elements name; `None` for one who is not named by a literal reference.
pub fn authors(resource: &Value, bases: &[String]) -> Vec<Option<String>> {
    let elements: &[&str] = match kind(resource) {
        "Observation" => &["performer"],
        "Condition" | "AllergyIntolerance" => &["recorder", "asserter"],
        "Composition" | "DocumentReference" => &["author"],
        "MedicationRequest" => &["requester"],
        "DiagnosticReport" => &["performer", "resultsInterpreter"],
        "Procedure" | "Immunization" => &["performer.actor"],
        _ => &[],
    };
    let mut found = Vec::new();
    for element in elements {
        let (name, inner) = element.split_once('.').map_or((*element, None), |(name, inner)| (name, Some(inner)));
        for reference in resource.get(name).into_iter().flat_map(each) {
            let reference = inner.map_or(Some(reference), |inner| reference.get(inner));
            let literal = reference.and_then(|reference| text(reference, "reference"));
            found.push(literal.and_then(|literal| normal(literal, bases)));
        }
    }
    found
}
