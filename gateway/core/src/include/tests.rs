//! What includes follow, and what the table says.

use super::*;
use crate::json::Doc;
use crate::reference::BaseUrl;

fn bases() -> Bases {
    Bases {
        public: BaseUrl::parse("https://public.example/fhir").unwrap(),
        upstream: BaseUrl::parse("http://upstream.example/r4").unwrap(),
    }
}

/// An upstream that declares everything that the table holds.
fn everything() -> KnownParams {
    let mut known = KnownParams::new();
    for (rtype, params) in REFERENCES.iter() {
        params.iter().for_each(|param| known.insert(*rtype, param.name));
    }
    known
}

fn typed(name: &str) -> ResourceType {
    ResourceType::parse(name).unwrap()
}

const OBSERVATION: &str = r#"{"resourceType":"Observation","id":"o","subject":{"reference":"Patient/p"},
    "performer":[{"reference":"https://public.example/fhir/Practitioner/d/_history/2"},{"reference":"Patient/q"},
        {"display":"somebody"},{"reference":"http://elsewhere.example/Practitioner/e"}],
    "hasMember":[{"reference":"Observation/m"}],"extension":[{"valueReference":{"reference":"Group/g"}}]}"#;

/// What `_include` of this value follows in the Observation.
fn included(value: &str, known: &KnownParams) -> Vec<String> {
    let doc = Doc::parse(OBSERVATION.as_bytes()).unwrap();
    let followed = followed(&Include::parse(value).unwrap(), Some(typed("Observation")), known);
    let mut found: Vec<String> = followed.iter().flat_map(|one| one.referred(doc.root(), &bases())).collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn only_the_parameter_that_was_asked_for_is_followed() {
    let rows: &[(&str, &[&str])] = &[
        ("Observation:performer", &["Patient/q", "Practitioner/d"]),
        ("Observation:performer:Practitioner", &["Practitioner/d"]),
        ("Observation:subject", &["Patient/p"]),
        ("Observation:patient", &["Patient/p"]),
        ("Observation:patient:Group", &[]),
        ("Observation:encounter", &[]),
        ("Observation:code", &[]),
        ("Observation:invented", &[]),
        ("Condition:subject", &[]),
        ("Observation:*", &["Observation/m", "Patient/p", "Patient/q", "Practitioner/d"]),
        ("Observation:*:Patient", &["Patient/p", "Patient/q"]),
        ("*", &["Observation/m", "Patient/p", "Patient/q", "Practitioner/d"]),
    ];
    for (value, expected) in rows {
        assert_eq!(included(value, &everything()), *expected, "{value}");
    }
}

#[test]
fn what_the_upstream_does_not_declare_is_not_followed() {
    let mut known = KnownParams::new();
    known.insert(typed("Observation"), "subject");
    assert_eq!(included("Observation:*", &known), ["Patient/p"]);
    assert!(included("Observation:performer", &known).is_empty());
}

#[test]
fn a_reverse_include_follows_any_type() {
    let followed = followed(&Include::parse("*").unwrap(), None, &everything());
    let doc = Doc::parse(br#"{"resourceType":"Provenance","target":[{"reference":"Condition/c"}]}"#).unwrap();
    assert!(followed.iter().any(|one| one.referred(doc.root(), &bases()) == ["Condition/c"]));
}

#[test]
fn malformed_includes_are_refused() {
    for value in
        ["", "Observation", "Observation:", "Nothing:subject", "Observation:a b", "Observation:subject:x:y", "**"]
    {
        assert_eq!(Include::parse(value), None, "{value}");
    }
}

/// Each line is read whole; types and elements are FHIR's.
#[test]
fn every_line_of_the_table_is_read() {
    let lines = include_str!("references.txt").lines().filter(|line| !line.starts_with('#'));
    let mut types = 0;
    for line in lines {
        let (rtype, params) = row(line).unwrap_or_else(|| panic!("{line}"));
        types += 1;
        assert_eq!(params.len(), line.split(' ').count() - 1, "{line}");
        for param in &params {
            let (name, elements) = (param.name, &param.elements);
            let restricted = line.split(' ').find(|word| word.starts_with(&format!("{name}="))).unwrap();
            let only = elements.iter().filter(|(_, only)| only.is_some()).count();
            assert_eq!(only, restricted.matches(':').count(), "{rtype} {name}");
            let plain = |path: &str| path.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
            assert!(elements.iter().all(|(path, _)| !path.is_empty() && plain(path)), "{rtype} {name}");
        }
    }
    assert_eq!(REFERENCES.len(), types, "a type stands twice");
    assert!(types > 90, "only {types} types");
}
