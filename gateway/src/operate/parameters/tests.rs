//! What a body of an operation is taken for.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use super::*;

#[test]
fn parameters_are_read() {
    let text = br#"{"resourceType":"Parameters","parameter":[{"name":"mode","valueCode":"create"},{"name":"_count","valueInteger":3},
        {"name":"resource","resource":{"resourceType":"Goal", "id":"x"}}]}"#;
    let read = body(text, Some("resource")).unwrap();
    let params: Vec<_> = read.params.iter().map(|param| (param.name.as_str(), param.value.as_str())).collect();
    assert_eq!(params, [("mode", "create"), ("_count", "3")]);
    assert_eq!(read.resource.as_deref(), Some(br#"{"resourceType":"Goal", "id":"x"}"# as &[u8]));
    assert!(body(text, None).is_err());
    assert_eq!(body(b"", None).unwrap(), Body::default());
}

#[test]
fn what_is_no_parameters_is_the_resource() {
    let goal = br#"{"resourceType":"Goal"}"#;
    assert_eq!(body(goal, Some("resource")).unwrap().resource.as_deref(), Some(goal as &[u8]));
    assert!(body(goal, None).is_err());
}

#[test]
fn what_is_not_understood_is_refused() {
    for parameter in [
        r#"{"valueCode":"create"}"#,
        r#"{"name":"mode"}"#,
        r#"{"name":"mode","valueCode":"a","valueString":"b"}"#,
        r#"{"name":"mode","valueCoding":{"code":"a"}}"#,
        r#"{"name":"mode","part":[]}"#,
        r#"{"name":"other","resource":{"resourceType":"Goal"}}"#,
    ] {
        let text = format!(r#"{{"resourceType":"Parameters","parameter":[{parameter}]}}"#);
        assert!(body(text.as_bytes(), Some("resource")).is_err(), "{parameter}");
    }
    assert!(body(b"{", Some("resource")).is_err());
}
