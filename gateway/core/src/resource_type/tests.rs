#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use super::*;
use FhirVersion::{R4, R4B, R5};

#[test]
fn each_version_has_its_types() {
    let rows = [
        ("Observation", [true, true, true]),
        ("MedicinalProduct", [true, false, false]),
        ("MedicinalProductDefinition", [false, true, true]),
        ("SubstanceProtein", [true, false, true]),
        ("SubstanceSpecification", [true, false, false]),
        ("Media", [true, true, false]),
        ("DeviceUsage", [false, false, true]),
        ("SubscriptionTopic", [false, true, true]),
    ];
    for (name, expected) in rows {
        let rtype = ResourceType::parse_any(name).unwrap();
        assert_eq!([R4, R4B, R5].map(|version| rtype.is_in(version)), expected, "{name}");
    }
    let every = || ResourceType::ALL.iter().chain(ResourceType::NEWER.iter().map(|(name, _)| name));
    let count = |version| every().filter(|name| ResourceType::parse_any(name).unwrap().is_in(version)).count();
    assert_eq!((count(R4), count(R4B)), (146, 141));
}

#[test]
fn names_of_other_versions_are_no_types_of_r4() {
    assert!(ResourceType::parse("DeviceUsage").is_err() && ResourceType::parse_any("Nope").is_err());
    assert!(ResourceType::NEWER.is_sorted_by(|a, b| a.0 < b.0));
}
