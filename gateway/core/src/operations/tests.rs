//! The table holds together.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use super::*;

fn rtype(name: &str) -> ResourceType {
    ResourceType::parse(name).unwrap()
}

#[test]
fn every_row_is_known_and_names_types() {
    assert!(KNOWN.is_sorted_by(|a, b| a < b));
    assert!(SERVED.is_sorted_by(|a, b| a.name < b.name));
    for row in SERVED {
        assert_eq!(known(row.name), Some(row.name));
        assert!(row.types.iter().all(|name| ResourceType::parse(name).is_ok()), "{}", row.name);
        assert!(row.on_type.or(row.on_instance).is_some(), "{} is served nowhere", row.name);
    }
}

#[test]
fn a_level_without_a_letter_is_not_served() {
    let instance = |name: &str| OperationLevel::Instance(rtype(name), "x".into());
    let version = OperationLevel::Version(rtype("Patient"), "x".into(), "1".into());
    for (name, level, expected) in [
        ("$break-glass", instance("Patient"), Some(Letter::Read)),
        ("$break-glass", OperationLevel::Type(rtype("Patient")), None),
        ("$break-glass", instance("Practitioner"), None),
        ("$everything", instance("Patient"), Some(Letter::Read)),
        ("$everything", OperationLevel::Type(rtype("Patient")), None),
        ("$everything", instance("Encounter"), None),
        ("$meta", instance("Goal"), Some(Letter::Read)),
        ("$meta", OperationLevel::Type(rtype("Goal")), None),
        ("$meta", OperationLevel::System, None),
        ("$meta", version, None),
        ("$validate", OperationLevel::Type(rtype("Goal")), Some(Letter::Create)),
        ("$validate", instance("Goal"), Some(Letter::Update)),
        ("$validate", OperationLevel::System, None),
        ("$expand", OperationLevel::Type(rtype("ValueSet")), Some(Letter::Read)),
        ("$expand", OperationLevel::Type(rtype("Patient")), None),
        ("$lastn", OperationLevel::Type(rtype("Observation")), None),
        ("$match", OperationLevel::Type(rtype("Patient")), None),
        ("$docref", OperationLevel::Type(rtype("DocumentReference")), None),
        ("$export", OperationLevel::System, None),
    ] {
        let row = served(name, &level);
        assert_eq!(row.and_then(|row| row.letter(&level)), expected, "{name} on {level:?}");
    }
}
