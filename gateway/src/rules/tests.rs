//! What rules are made of, and that each part of them shows in their digest.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed expectation is a failed test")]

use super::*;
use crate::config::LEAST;

fn rules(more: &str) -> Result<Rules, RulesFault> {
    let config = Config::parse(&format!("{LEAST}{more}"), []).unwrap_or_else(|problems| panic!("{problems}"));
    Rules::load(&config)
}

const SETS: &str = r#"{"version": "1", "sets": [{"sensitivity": "HIV",
    "system": "http://hl7.org/fhir/sid/icd-10-cm", "codes": ["B20"]}]}"#;

#[test]
fn every_part_of_the_rules_shows_in_their_digest() {
    let dir = tempfile::tempdir().unwrap();
    let sets = dir.path().join("sets.json");
    std::fs::write(&sets, SETS).unwrap();
    let policies = dir.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(policies.join("a.cedar"), "@id(\"a\") forbid (principal, action, resource);").unwrap();
    let client = "[[client]]\nissuer = \"https://login.example.org\"\nclient = \"c\"\n";
    let mut digests = std::collections::BTreeSet::new();
    let changes = [
        String::new(),
        "[consent]\nno_consent = \"basic-normal\"".to_owned(),
        "[[redaction]]\npath = \"Patient.telecom\"".to_owned(),
        "[roles]\npolicy_writer = [\"x\"]".to_owned(),
        client.to_owned(),
        format!("{client}role = \"r\""),
        format!("{client}purpose = [\"TREAT\"]"),
        format!("{client}organization = \"Organization/o\""),
        format!("{client}roles = [\"r\"]"),
        format!("[policy]\nlabel_sets_file = {:?}", sets.display().to_string()),
        format!("[policy]\ncedar_dir = {:?}", policies.display().to_string()),
    ];
    for change in &changes {
        let rules = rules(change).unwrap_or_else(|fault| panic!("{change}: {fault}"));
        assert!(digests.insert(rules.digest.to_string()), "does not show: {change}");
    }
    assert_eq!(rules("").unwrap().digest, rules("").unwrap().digest);
}

/// A shadow shows in no digest of what decides, and has to be one that could be put in force.
#[test]
fn a_shadow_is_checked_and_decides_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("shadow.toml");
    let with = |text: &str| {
        std::fs::write(&file, text).unwrap();
        rules(&format!("[shadow]\npolicy_file = {:?}", file.display().to_string()))
    };
    let (plain, shadowed) = (rules("").unwrap(), with("no_consent = \"all-normal\"").unwrap());
    assert_eq!(plain.digest, shadowed.digest);
    assert!(plain.differ(&shadowed) && !shadowed.differ(&with("no_consent = \"all-normal\"").unwrap()));
    assert!(shadowed.differ(&with("no_consent = \"basic-normal\"").unwrap()), "a changed shadow is noticed");
    for text in ["no_consent = \"perhaps\"", "[consent", "unknown = 1", "patient_links = \"follow\""] {
        let fault = with(text).err().unwrap_or_else(|| panic!("{text} is taken")).to_string();
        assert!(fault.starts_with("shadow.policy_file: "), "{text}: {fault}");
    }
}

#[test]
fn faulty_label_sets_are_refused_with_their_key() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sets.json");
    let with = |text: &str| {
        std::fs::write(&file, text).unwrap();
        rules(&format!("[policy]\nlabel_sets_file = {:?}", file.display().to_string()))
    };
    assert!(with(SETS).is_ok());
    for text in ["", "{\"sets\": 1}", &SETS.replace("HIV", "NOSUCH"), &SETS.replace("B20", "")] {
        let fault = with(text).err().unwrap_or_else(|| panic!("{text} is taken")).to_string();
        assert!(fault.starts_with("policy.label_sets_file: "), "{fault}");
    }
}
