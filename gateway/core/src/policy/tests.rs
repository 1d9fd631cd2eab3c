#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use super::*;
use crate::labels::{CodePattern, LabelSet};

fn policy(settings: ConsentSettings, redactions: Vec<RedactionRule>) -> Result<Policy, PolicyError> {
    Policy::new(settings, redactions, LabelSets::default(), PolicyRoles::default())
}

fn rule(path: &str) -> RedactionRule {
    RedactionRule {
        path: path.to_owned(),
        except_purposes: Vec::new(),
        except_roles: Vec::new(),
        except_own_record: false,
    }
}

#[test]
fn an_installation_that_sets_nothing_is_safe() {
    let settings: ConsentSettings = serde_json::from_str("{}").unwrap();
    assert_eq!(settings, ConsentSettings::default());
    assert_eq!(settings.no_consent, NoConsent::Deny);
    assert_eq!(settings.several_consents, SeveralConsents::DenyOverrides);
    assert_eq!(settings.siblings, Siblings::Deny);
    assert_eq!(settings.labels, LabelRule::AllLabels);
    assert_eq!(settings.unlabelled, Unlabelled::Label);
    assert_eq!(settings.untyped_root, UntypedRoot::Deny);
    assert_eq!(settings.not_understood, NotUnderstood::Deny);
    assert_eq!(settings.break_glass, BreakGlass::ConsentDecides);
    assert!(!settings.research);
    assert_eq!(settings.timezone, Zone::utc());
}

#[test]
fn unknown_settings_and_values_are_refused() {
    for json in [
        r#"{"no_consents":"deny"}"#,
        r#"{"no_consent":"permit"}"#,
        r#"{"several_consents":"first-permit"}"#,
        r#"{"patient_links":"merge"}"#,
        r#"{"timezone":"Nowhere"}"#,
    ] {
        assert!(serde_json::from_str::<ConsentSettings>(json).is_err(), "{json}");
    }
}

#[test]
fn every_value_is_written_as_consent_md_writes_it() {
    let json = r#"{"no_consent":"break-glass-only","several_consents":"refuse-ambiguous","siblings":"most-specific","labels":"any-label","unlabelled":"hide","untyped_root":"permit","not_understood":"ignore","research":true,"timezone":"Europe/Vienna","public_base":"https://g.example/fhir","upstream_base":"http://u.example/fhir","label_systems":["urn:l"],"break_glass":"overrides-consent","patient_links":"follow","ignore_categories":[{"code":"npp"},{"system":"urn:c","code":"x"}],"no_consent_by":[{"no_consent":"all-normal","realms":["https://i"],"purposes":[{"system":"urn:p","code":"y"}],"resource_types":["Flag"]}]}"#;
    let settings: ConsentSettings = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&settings).unwrap(), json);
}

#[test]
fn what_cannot_be_enforced_is_refused() {
    for path in [
        "Patient",
        "Patient.id",
        "Patient.meta",
        "Patient.meta.security",
        "Doctor.name",
        "telecom",
        "Patient.",
        "Patient.tele com",
        "",
    ] {
        let refused = policy(ConsentSettings::default(), vec![rule(path)]).unwrap_err();
        assert_eq!(refused, PolicyError::RedactionPath(path.to_owned()));
    }
    let base = ConsentSettings { public_base: Some("fhir".to_owned()), ..ConsentSettings::default() };
    assert_eq!(policy(base, Vec::new()).unwrap_err(), PolicyError::Base("public_base"));
    let system = labels::SENSITIVITY_SYSTEM.to_owned();
    let local = ConsentSettings { label_systems: vec![system.clone()], ..ConsentSettings::default() };
    assert_eq!(policy(local, Vec::new()).unwrap_err(), PolicyError::LabelSystem(system));
}

#[test]
fn the_digest_tells_policies_apart() {
    let plain = policy(ConsentSettings::default(), Vec::new()).unwrap();
    assert_eq!(plain.digest().len(), 64);
    assert_eq!(plain.digest(), policy(ConsentSettings::default(), Vec::new()).unwrap().digest());
    let research = ConsentSettings { research: true, ..ConsentSettings::default() };
    let set = LabelSet::new("HIV", "urn:icd", [CodePattern::new("B20").unwrap()]).unwrap();
    let sets = LabelSets { version: String::new(), sets: vec![set] };
    let roles = PolicyRoles { policy_writer: vec!["x".to_owned()], ..PolicyRoles::default() };
    let others = [
        policy(research, Vec::new()).unwrap(),
        policy(ConsentSettings::default(), vec![rule("Patient.telecom")]).unwrap(),
        Policy::new(ConsentSettings::default(), Vec::new(), sets, PolicyRoles::default()).unwrap(),
        Policy::new(ConsentSettings::default(), Vec::new(), LabelSets::default(), roles).unwrap(),
    ];
    let digests: std::collections::BTreeSet<&str> = others.iter().chain([&plain]).map(Policy::digest).collect();
    assert_eq!(digests.len(), others.len() + 1);
}

#[test]
fn codes_may_be_written_short() {
    let json = r#"{"ignore_categories":["npp","urn:c|x"],"no_consent_by":[{"no_consent":"deny","purposes":["HRESCH","urn:p|y"]}]}"#;
    let settings: ConsentSettings = serde_json::from_str(json).unwrap();
    assert_eq!(settings.ignore_categories, [Coding::bare("npp"), Coding::new("urn:c", "x")]);
    let purposes: Vec<&Coding> = settings.no_consent_by.iter().flat_map(|rule| &rule.purposes).collect();
    assert_eq!(purposes, [&Coding::new(crate::purpose::SYSTEM, "HRESCH"), &Coding::new("urn:p", "y")]);
    for json in
        [r#"{"ignore_categories":[""]}"#, r#"{"ignore_categories":["urn:c|"]}"#, r#"{"no_consent_by":[{"realms":[]}]}"#]
    {
        assert!(serde_json::from_str::<ConsentSettings>(json).is_err(), "{json}");
    }
    let rule = NoConsentBy {
        no_consent: NoConsent::Deny,
        realms: Vec::new(),
        purposes: Vec::new(),
        resource_types: vec!["Nope".to_owned()],
    };
    let settings = ConsentSettings { no_consent_by: vec![rule], ..ConsentSettings::default() };
    assert_eq!(policy(settings, Vec::new()).unwrap_err(), PolicyError::ResourceType("Nope".to_owned()));
}
