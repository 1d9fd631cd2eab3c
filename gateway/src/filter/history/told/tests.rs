//! What passes of an entry's `request` and `response`.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use gateway_core::json::Doc;
use gateway_core::reference::BaseUrl;

use super::*;

fn bases() -> Bases {
    let base = |text| BaseUrl::parse(text).unwrap();
    Bases { public: base("https://gateway.example.org/fhir"), upstream: base("http://hapi:8080/fhir") }
}

fn told(entry: &str) -> String {
    let doc = Doc::parse(entry.as_bytes()).unwrap();
    Told::of(doc.root(), "Observation/x", &bases()).members(None)
}

#[test]
fn what_is_known_passes() {
    for (entry, expected) in [
        (
            r#"{"request":{"method":"PUT","url":"Observation/x/_history/2"},"response":{"status":"200 OK","etag":"W/\"2\"","lastModified":"2026-01-01T00:00:00.5+01:00"}}"#,
            r#","request":{"method":"PUT","url":"Observation/x/_history/2"},"response":{"status":"200 OK","etag":"W/\"2\"","lastModified":"2026-01-01T00:00:00.5+01:00"}"#,
        ),
        (
            r#"{"request":{"method":"POST","url":"Observation"},"response":{"status":"201"}}"#,
            r#","request":{"method":"POST","url":"Observation"},"response":{"status":"201"}"#,
        ),
        (
            r#"{"request":{"method":"DELETE","url":"http://hapi:8080/fhir/Observation/x","ifMatch":"W/\"1\""}}"#,
            r#","request":{"method":"DELETE","url":"Observation/x"}"#,
        ),
    ] {
        assert_eq!(told(entry), expected);
    }
}

#[test]
fn nothing_else_does() {
    for entry in [
        r#"{"request":{"method":"PUT","url":"Observation?subject=Patient/cedar","ifNoneExist":"cedar"}}"#,
        r#"{"request":{"method":"PUT","url":"Patient/cedar"},"response":{"location":"Patient/cedar","outcome":{"x":"cedar"}}}"#,
        r#"{"request":{"method":"cedar","url":"http://elsewhere/Observation/x"},"response":{"status":"200 because of 'cedar'","etag":"cedar","lastModified":"cedar"}}"#,
        r#"{"request":"cedar","response":["cedar"]}"#,
    ] {
        assert_eq!(told(entry), r#","request":{"method":"PUT","url":"Observation/x"}"#, "{entry}");
    }
}

#[test]
fn a_deletion_is_named_by_its_request_or_its_full_url() {
    let name = |entry: &str| name_of(Doc::parse(entry.as_bytes()).unwrap().root(), None, &bases());
    let x = Some("Observation/x".to_owned());
    assert_eq!(name(r#"{"request":{"url":"Observation/x/_history/3"}}"#), x);
    assert_eq!(name(r#"{"request":{"url":"Observation"},"fullUrl":"http://hapi:8080/fhir/Observation/x"}"#), x);
    assert_eq!(name(r#"{"fullUrl":"http://elsewhere/Observation/x"}"#), None);
    assert_eq!(name("{}"), None);
}
