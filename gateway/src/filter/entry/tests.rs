//! Entries of which only the beginning is known.

use gateway_core::reference::BaseUrl;

use super::*;

#[test]
fn an_entry_is_named_by_the_full_url_that_it_begins_with() {
    let base = |url| BaseUrl::parse(url).unwrap();
    let bases = Bases { public: base("https://public.example/fhir"), upstream: base("http://upstream.example/r4") };
    let named = |begin: &str| name_of_beginning(begin.as_bytes(), ResourceType::parse("Observation").unwrap(), &bases);
    let whole = r#" { "fullUrl" : "http://upstream.example/r4/Observation/o1", "resource": {"resourceType":"Obs"#;
    assert_eq!(named(whole).as_deref(), Some("Observation/o1"));
    for other in [
        r#"{"fullUrl":"http://elsewhere.example/r4/Observation/o1","resource":{"#,
        r#"{"fullUrl":"http://upstream.example/r4/Patient/p","resource":{"#,
        r#"{"fullUrl":"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0","resource":{"#,
        r#"{"resource":{"resourceType":"Observation","id":"o1"#,
        r#"{"fullUrl":"http://upstream.example/r4/Obser"#,
        "",
    ] {
        assert_eq!(named(other), None, "{other}");
    }
}
