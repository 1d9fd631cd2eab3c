//! What the demo's gateway is told beyond addresses and keys: a clinic's usual choice.

use anyhow::{Context, Result};
use serde_json::json;

use super::cast::PURPOSES;

/// Treatment is permitted up to normal confidentiality where no Consent is recorded; who a patient is and where she lives is for treatment and
/// for herself.
///
/// # Errors
/// Never, as long as TOML holds what JSON holds.
pub fn gateway() -> Result<toml::Table> {
    let hidden = ["Patient.name", "Patient.telecom", "Patient.address", "Patient.contact"].map(|path| {
        json!({
            "path": path,
            "except_purposes": [format!("{PURPOSES}|TREAT")],
            "except_own_record": true,
        })
    });
    toml::Table::try_from(json!({
        "consent": {"no_consent": "basic-normal"},
        // Whoever plays with the demo also writes Consents straight into the FHIR server, past the gateway.
        "consent_source": {"max_staleness": "1s"},
        "redaction": hidden,
    }))
    .context("settings that TOML cannot hold")
}
