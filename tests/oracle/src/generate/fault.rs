//! Faults that make a Consent not understood.

use serde_json::{Map, Value, json};

use super::random::Random;

/// The faults, by name.
pub const FAULTS: &[&str] = &[
    "unknown-element",
    "null",
    "empty-array",
    "empty-object",
    "modifier-extension",
    "nested-modifier-extension",
    "implicit-rules",
    "unknown-status",
    "unknown-scope",
    "no-scope",
    "unknown-type",
    "missing-nested-type",
    "two-values",
    "single-for-list",
    "unknown-meaning",
    "backward-period",
    "other-patient",
    "no-patient",
    "wrong-type",
    "not-a-date",
];

/// Puts one fault into a Consent.
pub(super) fn spoil(random: &mut Random, consent: &mut Value) {
    let fault = random.text(FAULTS);
    spoil_with(random, fault, consent);
}

/// Puts that fault into a Consent.
pub fn spoil_with(random: &mut Random, fault: &str, consent: &mut Value) {
    let deep = random.chance(60);
    let Some(top) = consent.as_object_mut() else { return };
    match fault {
        "modifier-extension" => {
            set(top, "modifierExtension", json!([{"url": "https://example.org/m", "valueCode": "x"}]));
        }
        "implicit-rules" => set(top, "implicitRules", json!("https://example.org/rules")),
        "unknown-status" => set(top, "status", json!("unknown")),
        "unknown-scope" => set(top, "scope", json!({"coding": [{"system": super::pools::SCOPES, "code": "privacy"}]})),
        "no-scope" => _ = top.remove("scope"),
        "other-patient" => set(top, "patient", json!({"reference": "Patient/p3"})),
        "no-patient" => _ = top.remove("patient"),
        "not-a-date" => set(top, "dateTime", json!(random.text(&["yesterday", "2022-6-1", "2022-02-30"]))),
        "two-values" if !deep => set(top, "patient", json!([{"reference": "Patient/p1"}])),
        "unknown-element" if !deep => set(top, "controller", json!([{"reference": "Organization/o1"}])),
        "null" if !deep => set(top, "dateTime", Value::Null),
        "empty-array" if !deep => set(top, "policy", json!([])),
        _ => {
            let root = top.entry("provision").or_insert_with(|| json!({"type": "permit"}));
            in_provision(random, fault, root, 0);
        }
    }
}

fn set(members: &mut Map<String, Value>, key: &str, value: Value) {
    members.insert(key.to_owned(), value);
}

fn in_provision(random: &mut Random, fault: &str, provision: &mut Value, depth: usize) {
    let below = provision.get_mut("provision").and_then(Value::as_array_mut).and_then(|children| children.first_mut());
    if let Some(child) = below
        && random.chance(60)
    {
        return in_provision(random, fault, child, depth + 1);
    }
    let Some(members) = provision.as_object_mut() else { return };
    match fault {
        "unknown-element" => set(members, "actors", json!([{"reference": {"reference": "Practitioner/d1"}}])),
        "null" => set(members, "purpose", Value::Null),
        "empty-array" => set(members, "purpose", json!([])),
        "empty-object" => set(members, "period", json!({})),
        "nested-modifier-extension" => {
            set(members, "modifierExtension", json!([{"url": "https://example.org/m", "valueCode": "x"}]));
        }
        "unknown-type" => set(members, "type", json!("allow")),
        "missing-nested-type" if depth > 0 => _ = members.remove("type"),
        "missing-nested-type" => set(members, "provision", json!([{"purpose": [{"code": "TREAT"}]}])),
        "two-values" => set(members, "type", json!(["permit", "deny"])),
        "single-for-list" => set(members, "purpose", json!({"code": "TREAT"})),
        "unknown-meaning" => set(members, "data", json!([{"meaning": "all", "reference": {"reference": "Task/t1"}}])),
        "backward-period" => set(members, "dataPeriod", json!({"start": "2023-01-01", "end": "2022-01-01"})),
        "wrong-type" => set(members, "securityLabel", json!(["R"])),
        _ => set(members, "period", json!({"start": "tomorrow"})),
    }
}
