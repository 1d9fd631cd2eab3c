#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use super::*;

#[test]
fn equal_after_base_and_version_are_stripped() {
    let bases = bases(Some("https://gateway.example.org/fhir/"), Some("http://fhir:8080/r4")).unwrap();
    let same = |reference: &str| normalise(reference, &bases);
    for reference in [
        "Practitioner/1",
        "Practitioner/1/_history/7",
        "http://fhir:8080/r4/Practitioner/1",
        "https://gateway.example.org/fhir/Practitioner/1/_history/2",
    ] {
        assert_eq!(same(reference).as_deref(), Some("Practitioner/1"), "{reference}");
    }
    assert_eq!(
        same("https://x.example/fhir/Practitioner/1/_history/2").as_deref(),
        Some("https://x.example/fhir/Practitioner/1")
    );
    for reference in [
        "",
        "#a",
        "urn:uuid:0",
        "practitioner/1",
        "Practitioner",
        "Practitioner/",
        "Practitioner/1/2",
        "Doctor/1",
        "/Practitioner/1",
    ] {
        assert_eq!(same(reference), None, "{reference}");
    }
}

#[test]
fn without_bases_every_absolute_reference_is_elsewhere() {
    let bases = bases(None, None).unwrap();
    assert_eq!(normalise("https://a.example/Patient/1", &bases).as_deref(), Some("https://a.example/Patient/1"));
    assert_eq!(normalise("Patient/1", &bases).as_deref(), Some("Patient/1"));
    assert!(super::bases(Some("fhir"), None).is_err());
}
