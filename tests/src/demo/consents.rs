//! Consents that the demo writes itself.

use anyhow::Result;
use serde_json::{Value, json};

use super::cast::PURPOSES;
use crate::harness::fhir::Fhir;

/// A Consent of this patient that permits treatment by this organisation, everything included.
#[must_use]
pub fn permits_treatment(id: &str, patient: &str, organization: &str) -> Value {
    let actor = json!({
        "role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
        "reference": {"reference": organization},
    });
    consent(
        id,
        patient,
        "OPTIN",
        &json!({"type": "permit", "actor": [actor], "purpose": [{"system": PURPOSES, "code": "TREAT"}]}),
    )
}

/// A Consent of this patient that permits nobody anything.
#[must_use]
pub fn opts_out(id: &str, patient: &str) -> Value {
    consent(id, patient, "OPTOUT", &json!({"type": "deny"}))
}

fn consent(id: &str, patient: &str, policy: &str, provision: &Value) -> Value {
    json!({
        "resourceType": "Consent",
        "id": id,
        "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": patient},
        "dateTime": "2026-01-01T00:00:00Z",
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": policy}]},
        "provision": provision,
    })
}

/// Patients that came without Consents permit treatment at the doctor's hospital: writes one Consent for each.
///
/// # Errors
/// When the server takes one not.
pub async fn permit_all(server: &Fhir, patients: &[String]) -> Result<()> {
    for patient in patients {
        let id = patient.rsplit('/').next().unwrap_or(patient);
        let consent = permits_treatment(&format!("demo-{id}"), patient, "Organization/northfield");
        server.put(&consent).await?;
    }
    Ok(())
}
