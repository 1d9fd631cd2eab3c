//! Which R4 Consents are understood (<https://hl7.org/fhir/R4/consent.html>; CONSENT.md, "Not understood").

use serde_json::Value;

use super::actors::normal;
use super::consent::scope;
use super::dates::{between, span};
use super::{each, text};

/// The elements of each type: name, type, `*` for a repeating one, `!` for a required one.
const TYPES: &[(&str, &[&str])] = &[
    (
        "Consent",
        &[
            "resourceType code!",
            "id id!",
            "meta any",
            "language code",
            "text any",
            "contained any*",
            "identifier Identifier*",
            "status code!",
            "scope CodeableConcept!",
            "category CodeableConcept*",
            "patient Reference!",
            "dateTime date",
            "performer Reference*",
            "organization Reference*",
            "sourceAttachment any",
            "sourceReference Reference",
            "policy Policy*",
            "policyRule CodeableConcept",
            "verification any*",
            "provision Provision",
        ],
    ),
    ("Policy", &["authority string", "uri string"]),
    (
        "Provision",
        &[
            "type code",
            "period Period",
            "actor Actor*",
            "action CodeableConcept*",
            "securityLabel Code*",
            "purpose Code*",
            "class Code*",
            "code CodeableConcept*",
            "dataPeriod Period",
            "data Data*",
            "provision Provision*",
        ],
    ),
    ("Actor", &["role CodeableConcept", "reference Reference"]),
    ("Data", &["meaning code!", "reference Reference"]),
    ("CodeableConcept", &["coding Coding*", "text string"]),
    ("Coding", &["system string", "version string", "code code", "display string", "userSelected boolean"]),
    ("Code", &["system string", "version string", "code code!", "display string", "userSelected boolean"]),
    ("Reference", &["reference string", "type string", "identifier Identifier", "display string"]),
    (
        "Identifier",
        &["use code", "type CodeableConcept", "system string", "value string", "period Period", "assigner Reference"],
    ),
    ("Period", &["start date", "end date"]),
    ("Extension", &["url string!", "value any"]),
];

/// Whether a Consent of this patient can be relied on, or never counts.
pub fn understood(json: &Value, patient: &str, bases: &[String]) -> bool {
    if text(json, "resourceType") != Some("Consent") {
        return false;
    }
    if json.get("implicitRules").is_some() || json.get("modifierExtension").is_some() {
        return false;
    }
    match text(json, "status") {
        Some("active") => {}
        Some("draft" | "proposed" | "rejected" | "inactive" | "entered-in-error") => return true,
        _ => return false,
    }
    match scope(json) {
        Some("treatment" | "adr") => return true,
        Some("patient-privacy" | "research") => {}
        _ => return false,
    }
    let about = json.get("patient").and_then(|about| text(about, "reference"));
    fits(json, "Consent")
        && about.and_then(|about| normal(about, bases)).as_deref() == Some(patient)
        && json.get("provision").is_none_or(|root| provisions(root, true))
}

/// A nested provision says permit or deny, and the periods run forward.
fn provisions(provision: &Value, is_root: bool) -> bool {
    let kind = text(provision, "type");
    let typed = matches!(kind, Some("permit" | "deny")) || (is_root && kind.is_none());
    let forward = ["period", "dataPeriod"].into_iter().filter_map(|element| provision.get(element)).all(|period| {
        let (start, end) = (text(period, "start"), text(period, "end"));
        let forward = between(start, end, 0).is_some_and(|period| period.start < period.end);
        (start.is_some() || end.is_some()) && forward
    });
    let meanings = provision
        .get("data")
        .into_iter()
        .flat_map(each)
        .all(|data| matches!(text(data, "meaning"), Some("instance" | "related" | "dependents" | "authoredby")));
    let below = || provision.get("provision").into_iter().flat_map(each).all(|child| provisions(child, false));
    typed && forward && meanings && below()
}

fn fits(json: &Value, kind: &str) -> bool {
    match kind {
        "any" => holds_something(json),
        "string" | "code" | "id" => json.as_str().is_some_and(|text| !text.is_empty()),
        "boolean" => json.is_boolean(),
        "date" => json.as_str().is_some_and(|text| span(text, 0).is_some()),
        kind => {
            let Some((_, elements)) = TYPES.iter().find(|(name, _)| *name == kind) else { return false };
            let Some(members) = json.as_object() else { return false };
            let required = elements
                .iter()
                .filter(|element| element.ends_with('!'))
                .all(|element| members.contains_key(element.split(' ').next().unwrap_or_default()));
            !members.is_empty() && required && members.iter().all(|(key, value)| member_fits(key, value, elements))
        }
    }
}

fn member_fits(key: &str, value: &Value, elements: &[&str]) -> bool {
    if key == "id" {
        return fits(value, "string");
    }
    if key == "extension" {
        return value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(is_extension));
    }
    if let Some(primitive) = key.strip_prefix('_') {
        return elements.iter().any(|element| element.split(' ').next() == Some(primitive)) && holds_something(value);
    }
    let Some(kind) = elements.iter().find_map(|element| element.strip_prefix(key)?.strip_prefix(' ')) else {
        return false;
    };
    let kind = kind.trim_end_matches('!');
    match kind.strip_suffix('*') {
        Some(kind) => {
            value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(|item| fits(item, kind)))
        }
        None => !value.is_array() && fits(value, kind),
    }
}

fn is_extension(json: &Value) -> bool {
    text(json, "url").is_some_and(|url| !url.is_empty()) && holds_something(json)
}

/// No null, no empty array or object anywhere in it.
fn holds_something(json: &Value) -> bool {
    match json {
        Value::Null => false,
        Value::Array(items) => !items.is_empty() && items.iter().all(holds_something),
        Value::Object(members) => !members.is_empty() && members.values().all(holds_something),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
