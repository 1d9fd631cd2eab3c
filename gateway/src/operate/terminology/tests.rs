//! What terminology operations pass on.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use super::*;

fn nobodys(text: &str) -> bool {
    let base = |text| BaseUrl::parse(text).unwrap();
    let bases = Bases { public: base("https://gateway.example.org/fhir"), upstream: base("http://hapi:8080/fhir") };
    is_nobodys(Doc::parse(text.as_bytes()).unwrap().root(), &bases)
}

#[test]
fn definitions_pass() {
    for text in [
        r#"{"resourceType":"ValueSet","contained":[{"resourceType":"CodeSystem"}],"expansion":{"contains":[{"code":"a"}]}}"#,
        r#"{"resourceType":"Parameters","parameter":[{"name":"valueSet","resource":{"resourceType":"ValueSet"}}]}"#,
        r#"{"resourceType":"ValueSet","extension":[{"valueReference":{"reference":"http://hapi:8080/fhir/CodeSystem/x"}}]}"#,
    ] {
        assert!(nobodys(text), "{text}");
    }
}

#[test]
fn nothing_of_a_patient_does() {
    for text in [
        r#"{"resourceType":"Parameters","parameter":[{"name":"x","resource":{"resourceType":"Patient"}}]}"#,
        r#"{"resourceType":"Parameters","parameter":[{"part":[{"resource":{"resourceType":"Bundle"}}]}]}"#,
        r#"{"resourceType":"ValueSet","contained":[{"resourceType":"Observation"}]}"#,
        r#"{"resourceType":"ValueSet","contained":[{"resourceType":7}]}"#,
        r#"{"resourceType":"ValueSet","extension":[{"valueReference":{"reference":"Patient/x"}}]}"#,
        r#"{"resourceType":"ValueSet","extension":[{"valueReference":{"reference":"https://elsewhere/Patient/x"}}]}"#,
    ] {
        assert!(!nobodys(text), "{text}");
    }
}
