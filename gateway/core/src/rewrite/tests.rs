#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use super::*;
use crate::json::Doc;

fn rebased(text: &str) -> String {
    let upstream = BaseUrl::parse("http://hapi:8080/fhir").unwrap();
    let public = BaseUrl::parse("https://fhir.example.org/r4").unwrap();
    let doc = Doc::parse(text.as_bytes()).unwrap();
    let mut edits = Edits::new();
    rebase(doc.root(), &upstream, &public, &mut edits);
    String::from_utf8(edits.apply(text.as_bytes()).unwrap()).unwrap()
}

#[test]
fn only_urls_under_the_base_in_their_elements_change() {
    let rows = [
        (
            r#"{"reference":"http://hapi:8080/fhir/Patient/1"}"#,
            r#"{"reference":"https://fhir.example.org/r4/Patient/1"}"#,
        ),
        (
            r#"{ "reference" : "http:\/\/hapi:8080\/fhir\/Patient\/1" , "n":1.00 }"#,
            r#"{ "reference" : "https://fhir.example.org/r4/Patient/1" , "n":1.00 }"#,
        ),
        (r#"{"fullUrl":"http://hapi:8080/fhir/Patient/1"}"#, r#"{"fullUrl":"https://fhir.example.org/r4/Patient/1"}"#),
        (
            r#"{"link":[{"relation":"self","url":"http://hapi:8080/fhir?x=1"}]}"#,
            r#"{"link":[{"relation":"self","url":"http://hapi:8080/fhir?x=1"}]}"#,
        ),
        (
            r#"{"link":[{"relation":"self","url":"http://hapi:8080/fhir/Patient?x=1"}]}"#,
            r#"{"link":[{"relation":"self","url":"https://fhir.example.org/r4/Patient?x=1"}]}"#,
        ),
        (
            r#"{"resourceType":"Patient","photo":[{"url":"http://hapi:8080/fhir/Binary/2"}]}"#,
            r#"{"resourceType":"Patient","photo":[{"url":"https://fhir.example.org/r4/Binary/2"}]}"#,
        ),
        (
            r#"{"valueAttachment":{"url":"http://hapi:8080/fhir"}}"#,
            r#"{"valueAttachment":{"url":"https://fhir.example.org/r4"}}"#,
        ),
        (
            r#"{"extension":[{"url":"http://hapi:8080/fhir/x","valueReference":{"reference":"http://hapi:8080/fhir/Patient/1"}}]}"#,
            r#"{"extension":[{"url":"http://hapi:8080/fhir/x","valueReference":{"reference":"https://fhir.example.org/r4/Patient/1"}}]}"#,
        ),
        (
            r#"{"extension":[{"url":"http://hapi:8080/fhir/x","valueAttachment":{"url":"http://hapi:8080/fhir/Binary/1"}}]}"#,
            r#"{"extension":[{"url":"http://hapi:8080/fhir/x","valueAttachment":{"url":"https://fhir.example.org/r4/Binary/1"}}]}"#,
        ),
    ];
    for (before, after) in rows {
        assert_eq!(rebased(before), after);
    }
    let untouched = [
        r#"{"reference":"http://hapi:8080/fhir2/Patient/1"}"#,
        r#"{"reference":"http://hapi:8080/fhi"}"#,
        r#"{"reference":"Patient/1"}"#,
        r#"{"reference":{"display":"http://hapi:8080/fhir/Patient/1"}}"#,
        r#"{"resourceType":"Questionnaire","url":"http://hapi:8080/fhir/Questionnaire/1"}"#,
        r#"{"contained":[{"resourceType":"ValueSet","url":"http://hapi:8080/fhir/ValueSet/1"}]}"#,
        r#"{"identifier":[{"system":"http://hapi:8080/fhir/ids","value":"http://hapi:8080/fhir/Patient/1"}]}"#,
        r#"{"text":{"div":"<a href=\"http://hapi:8080/fhir/Patient/1\"/>"}}"#,
        r#"{"modifierExtension":[{"url":"http://hapi:8080/fhir/x"}]}"#,
    ];
    for text in untouched {
        assert_eq!(rebased(text), text);
    }
}
