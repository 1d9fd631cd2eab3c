//! Whose kept facts a changed Consent is among.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use gateway_core::json::Doc;
use gateway_core::reasons::ConsentRef;

use super::*;

fn recorded(one: Result<Consent, Unusable>) -> PatientConsents {
    PatientConsents::Recorded(vec![one].into())
}

fn unusable(id: Option<&str>) -> PatientConsents {
    let reference = id.map(|id| ConsentRef { id: id.to_owned(), version: None });
    recorded(Err(Unusable { reference, why: Why::NotAConsent, path: String::new() }))
}

#[test]
fn a_changed_consent_is_forgotten_where_it_is_and_where_it_may_be() {
    let consent = br#"{"resourceType":"Consent","id":"x","meta":{"versionId":"7"},"status":"active",
        "scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},
        "category":[{"text":"any"}],"patient":{"reference":"Patient/p"},
        "policyRule":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"OPTIN"}]}}"#;
    let consent = read(Doc::parse(consent).unwrap().root(), FhirVersion::R4).unwrap();
    let changed = |id: &str| BTreeSet::from([id.to_owned()]);
    for (kept, holds_x, holds_y) in [
        (recorded(Ok(consent)), true, false),
        (unusable(Some("x")), true, false),
        (unusable(None), true, true),
        (PatientConsents::TooMany, true, true),
        (PatientConsents::Recorded(Vec::new().into()), false, false),
    ] {
        assert_eq!((may_hold(&kept, &changed("x")), may_hold(&kept, &changed("y"))), (holds_x, holds_y), "{kept:?}");
    }
}
