//! Codes pass, texts do not.

use super::*;

#[test]
fn only_codes_that_fhir_defines_are_told() {
    let outcome = br#"{"resourceType":"OperationOutcome","issue":[
        {"severity":"error","code":"invariant","diagnostics":"Patient/alder","details":{"text":"alder"}},
        {"code":"required"},{"code":"invariant"},{"code":"Patient/alder"},{"severity":"error"}]}"#;
    assert_eq!(issue_codes(outcome), ["invariant", "required", "other"]);
}

#[test]
fn a_body_that_is_no_outcome_tells_nothing() {
    for body in ["", "<html>", r#"{"resourceType":"Patient","issue":[{"code":"invalid"}]}"#, "[]"] {
        assert!(issue_codes(body.as_bytes()).is_empty(), "{body}");
    }
}
