#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use super::*;

fn upstream() -> Upstream {
    let patience = Patience { connect: Duration::from_secs(1), read: Duration::from_secs(1) };
    let base = "http://fhir.example/base/".parse().unwrap();
    let peer = PeerConfig { base, bearer_token: None, client_certificate: None, ca_file: None };
    Upstream::new(&peer, patience).unwrap()
}

#[test]
fn a_paging_link_must_be_under_the_base() {
    let upstream = upstream();
    assert_eq!(upstream.target_of_link("http://fhir.example/base?_getpages=1"), Ok("?_getpages=1"));
    assert_eq!(upstream.target_of_link("http://fhir.example/base/Patient?x=1"), Ok("Patient?x=1"));
    assert_eq!(upstream.target_of_link("Patient?x=1"), Ok("Patient?x=1"));
    for foreign in [
        "http://fhir.example/baseball/Patient?x=1",
        "http://fhir.example.evil/base/Patient",
        "https://fhir.example/base/Patient",
        "//evil/base",
        "/base/Patient?x=1",
    ] {
        assert_eq!(upstream.target_of_link(foreign), Err(UpstreamError::ForeignLink), "{foreign}");
    }
}

#[test]
fn only_fhir_json_in_utf_8_is_read() {
    for good in ["application/fhir+json", "application/json;charset=UTF-8", "Application/FHIR+JSON; fhirVersion=4.0"] {
        assert!(is_fhir_json(good), "{good}");
    }
    for bad in ["text/html", "application/fhir+xml", "application/fhir+json; charset=latin1", ""] {
        assert!(!is_fhir_json(bad), "{bad}");
    }
}
