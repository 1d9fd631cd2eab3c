//! The example Consents of IHE Privacy Consent on FHIR decide as their profile says, by the engine and by the oracle.
//!
//! They are not ours to ship: `SEALGATE_SHARED_DATA` names the folder that holds `ihe-pcf/`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use oracle::compare::both;
use oracle::evaluator::Effect::{self, Deny, Permit};
use serde_json::{Value, json};

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("SEALGATE_SHARED_DATA").map(|root| PathBuf::from(root).join("ihe-pcf"));
    if folder.is_none() {
        let _ =
            writeln!(io::stderr(), "SKIPPED: SEALGATE_SHARED_DATA is not set, the IHE PCF Consents were not decided");
    }
    folder
}

/// Consent, purpose, resource, when, and what is decided.
const ROWS: &[(&str, &str, &str, &str, Effect)] = &[
    ("basic-treat", "TREAT", "bloodPressure", "2023-01-01", Permit),
    ("basic-treat", "COC", "bloodPressure", "2023-01-01", Permit),
    ("basic-treat", "HPAYMT", "alcoholUse", "2023-01-01", Permit),
    ("basic-treat", "HOPERAT", "weight", "2023-01-01", Permit),
    ("basic-treat", "HRESCH", "weight", "2023-01-01", Deny),
    ("basic-treat", "", "weight", "2023-01-01", Deny),
    ("basic-ink", "TREAT", "weight", "2023-01-01", Permit),
    ("basic-ink", "HRESCH", "weight", "2023-01-01", Deny),
    ("basic-treat-infant", "TREAT", "weight", "2023-01-01", Permit),
    ("basic-treat-infant", "HMARKT", "weight", "2023-01-01", Deny),
    ("basic-reject", "TREAT", "weight", "2023-01-01", Deny),
    ("basic-reject", "HPAYMT", "weight", "2023-01-01", Deny),
    ("basic-reject", "HRESCH", "weight", "2023-01-01", Deny),
    ("basic-research", "HRESCH", "weight", "2023-01-01", Permit),
    ("basic-research", "TREAT", "weight", "2023-01-01", Deny),
    ("expired-treat", "TREAT", "weight", "2022-12-31", Permit),
    ("expired-treat", "TREAT", "weight", "2023-01-01", Deny),
    ("intermediate-timeframe", "TREAT", "alcoholUse", "2023-01-01", Permit),
    ("intermediate-timeframe", "TREAT", "bloodSugar", "2023-01-01", Deny),
    ("intermediate-timeframe", "TREAT", "weight-2", "2023-01-01", Deny),
    ("intermediate-data", "TREAT", "bloodSugar", "2023-01-01", Permit),
    ("intermediate-data", "TREAT", "weight-2", "2023-01-01", Permit),
    ("intermediate-data", "HRESCH", "weight-2", "2023-01-01", Deny),
    ("intermediate-authoredby", "TREAT", "weight", "2023-01-01", Deny),
    ("intermediate-purpose", "FooBar", "weight", "2023-01-01", Permit),
    ("intermediate-purpose", "TREAT", "weight", "2023-01-01", Deny),
];

fn case(consent: &Value, purpose: &str, resource: &Value, day: &str) -> Value {
    let purpose = match purpose {
        "" => json!([]),
        "FooBar" => json!([{"system": "http://example.org/policies/purposeOfUse", "code": "FooBar"}]),
        code => json!([code]),
    };
    json!({
        "consents": {"Patient/ex-patient": [consent]},
        "caller": {"fhir_user": "Practitioner/ex-clerk", "organization": "Organization/ex-org-researcher"},
        "purpose": purpose,
        "now": format!("{day}T12:00:00Z"),
        "resource": resource,
    })
}

fn decided(case: &Value) -> Effect {
    both(case).unwrap().unwrap_or_else(|difference| panic!("{difference:?} on {case:#}"))
}

#[test]
fn the_published_consents_decide_as_their_profile_says() {
    let Some(folder) = folder() else { return };
    let read = |name: &str| -> Value {
        let bytes = fs::read(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        serde_json::from_slice(&bytes).unwrap()
    };
    let consent = |name: &str| read(&format!("Consent-ex-consent-{name}.json"));
    let observation = |name: &str| read(&format!("Observation-ex-{name}.json"));
    for (name, purpose, resource, day, expected) in ROWS {
        let case = case(&consent(name), purpose, &observation(resource), day);
        assert_eq!(decided(&case), *expected, "{name} for {purpose:?} of {resource} on {day}");
    }
    let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for name in
        names.filter_map(|file| Some(file.strip_prefix("Consent-ex-consent-")?.strip_suffix(".json")?.to_owned()))
    {
        assert!(ROWS.iter().any(|(row, ..)| *row == name), "{name} is decided by no row");
    }

    let mut weight = observation("weight");
    weight["performer"] = json!([{"reference": "Practitioner/ex-practitioner"}]);
    let authored = case(&consent("intermediate-authoredby"), "TREAT", &weight, "2023-01-01");
    assert_eq!(decided(&authored), Permit, "authored by the practitioner whom the Consent names");
    weight["id"] = json!("another");
    let unnamed = case(&consent("intermediate-data"), "TREAT", &weight, "2023-01-01");
    assert_eq!(decided(&unnamed), Deny, "an Observation that the Consent does not name");
    let encounter = case(&consent("intermediate-data"), "TREAT", &read("Encounter-ex-encounter.json"), "2023-01-01");
    assert_eq!(decided(&encounter), Permit, "the Encounter that the Consent names");
    let mut elsewhere = case(&consent("intermediate-purpose"), "FooBar", &weight, "2023-01-01");
    elsewhere["caller"] = json!({"organization": "Organization/ex-organization"});
    assert_eq!(decided(&elsewhere), Deny, "the purpose of the Consent, but another organisation");
}
