//! What the FHIR server behind the gateway can do by itself. A test that compares with what it cannot do is skipped, by name.

use anyhow::Result;
use serde_json::Value;

use super::Skip;
use crate::harness::fhir::Fhir;

/// Skips where the FHIR server itself does not answer `path`.
pub(super) async fn answers(direct: &Fhir, path: &str) -> Result<()> {
    let answer = direct.get(path).await?;
    match answer.status.is_success() {
        true => Ok(()),
        false => Err(Skip(format!("the FHIR server does not answer {path}: {}", answer.status)).into()),
    }
}

/// Skips where the FHIR server itself leaves an element out of a summary that FHIR R4 has in it (`Observation.effective[x]`, Σ).
pub(super) async fn summarizes(direct: &Fhir) -> Result<()> {
    let found = direct.search("Observation?_id=alder-bp&_summary=true").await?;
    let kept = |entry: &Value| entry.pointer("/resource/effectiveDateTime").is_some();
    match found.iter().any(kept) {
        true => Ok(()),
        false => Err(Skip("the FHIR server leaves Observation.effective[x] out of a summary".to_owned()).into()),
    }
}
