#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use proptest::prelude::*;

use super::*;

fn label(code: &str) -> Coding {
    match Confidentiality::parse(code) {
        Some(_) => Coding::new(CONFIDENTIALITY_SYSTEM, code),
        None => Coding::new(SENSITIVITY_SYSTEM, code),
    }
}

fn labels(codes: &[&str]) -> Labels {
    Labels::read(&codes.iter().map(|code| label(code)).collect::<Vec<_>>(), &[], None)
}

fn stated(codes: &[&str]) -> Vec<Coding> {
    codes.iter().map(|code| label(code)).collect()
}

#[test]
fn confidentiality_is_ordered() {
    let order = ["U", "L", "M", "N", "R", "V"].map(|code| Confidentiality::parse(code).unwrap());
    assert!(order.is_sorted());
    assert!(order.iter().all(|level| Confidentiality::parse(level.as_str()) == Some(*level)));
    assert_eq!(Confidentiality::parse("X"), None);
}

#[test]
fn the_effective_confidentiality() {
    assert_eq!(labels(&[]).confidentiality(), Confidentiality::N);
    assert_eq!(labels(&["L"]).confidentiality(), Confidentiality::L);
    assert_eq!(labels(&["L", "HIV"]).confidentiality(), Confidentiality::R);
    assert_eq!(labels(&["V", "HIV"]).confidentiality(), Confidentiality::V);
    assert_eq!(labels(&["N", "R"]).confidentiality(), Confidentiality::R);
}

#[test]
fn an_element_needs_its_own_labels_and_those_around_it() {
    let both = labels(&["R", "SUD"]).with(&labels(&["V", "OPIOIDUD"]));
    assert_eq!(both, labels(&["V", "OPIOIDUD"]));
    assert!(labels(&[]).with(&Labels::unreadable()).has_unknown());
}

#[test]
fn what_is_recorded_names_level_and_sensitivities() {
    assert_eq!(labels(&["HIV", "PSY"]).codings(), stated(&["R", "HIV", "PSY"]));
    assert_eq!(labels(&[]).codings(), stated(&["N"]));
}

#[test]
fn a_label_set_names_a_sensitivity_and_matches_codes_and_categories() {
    let read = |json: &str| serde_json::from_str::<LabelSets>(json);
    let file = r#"{"version":"1","sets":[{"sensitivity":"SUD","system":"urn:icd","codes":["F10.-","B20"]}]}"#;
    let sets = read(file).unwrap();
    let of = |code: &str| sets.sensitivities_of(&Coding::new("urn:icd", code)).count();
    assert_eq!(["F10", "F10.1", "F10.10", "B20"].map(of), [1; 4]);
    assert_eq!(["F1", "F101", "F100.1", "B20.1", "B2"].map(of), [0; 5]);
    assert_eq!(sets.sensitivities_of(&Coding::new("urn:other", "B20")).count(), 0);
    assert_eq!(
        serde_json::to_string(&sets).unwrap(),
        r#"{"version":"1","sets":[{"sensitivity":"SUD","system":"urn:icd","codes":["B20","F10.-"]}]}"#
    );
    for wrong in [
        file.replace("\"SUD\"", "\"SUDD\""),
        file.replace("\"SUD\"", "\"NORDSCLCD\""),
        file.replace("B20", "B2-"),
        file.replace("F10.-", ".-"),
        file.replace("version", "edition"),
    ] {
        assert!(read(&wrong).is_err(), "{wrong}");
    }
}

const CODES: &[&str] = &["U", "L", "M", "N", "R", "V", "HIV", "PSY", "SUD", "ETHUD", "OPIOIDUD", "SEX", "SPI", "BH"];

fn some_codes() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::collection::vec(proptest::sample::select(CODES), 0..4)
}

proptest! {
    /// What a permit covers, the same permit covers with more named; what a deny reaches, it reaches with more named.
    #[test]
    fn naming_more_covers_more(on in some_codes(), some in some_codes(), more in some_codes()) {
        let labels = labels(&on);
        let all: Vec<Coding> = stated(&some).into_iter().chain(stated(&more)).collect();
        for rule in [LabelRule::AllLabels, LabelRule::AnyLabel] {
            if labels.permitted_by(&stated(&some), &[], rule) == Truth::True {
                prop_assert_eq!(labels.permitted_by(&all, &[], rule), Truth::True);
            }
        }
        if labels.denied_by(&stated(&some), &[]) != Truth::False {
            prop_assert_ne!(labels.denied_by(&all, &[]), Truth::False);
        }
    }

    /// An unknown label satisfies no permit that names labels and every deny that names labels.
    #[test]
    fn an_unknown_label_is_unknown(on in some_codes(), some in some_codes()) {
        let with: Vec<Coding> = stated(&on).into_iter().chain([Coding::new("urn:example", "X")]).collect();
        let labels = Labels::read(&with, &[], None);
        prop_assert_ne!(labels.permitted_by(&stated(&some), &[], LabelRule::AnyLabel), Truth::True);
        prop_assert_ne!(labels.denied_by(&stated(&some), &[]), Truth::False);
        prop_assert!(!labels.at_most_normal());
    }

    /// all-labels never permits what any-label does not.
    #[test]
    fn all_labels_is_the_stricter(on in some_codes(), some in some_codes()) {
        let labels = labels(&on);
        if labels.permitted_by(&stated(&some), &[], LabelRule::AllLabels) == Truth::True {
            prop_assert_eq!(labels.permitted_by(&stated(&some), &[], LabelRule::AnyLabel), Truth::True);
        }
    }

    /// A higher confidentiality is never permitted where the lower is not, nor spared where the lower is denied.
    #[test]
    fn confidentiality_is_monotonous(low in 0..6_usize, high in 0..6_usize, some in some_codes()) {
        let levels = ["U", "L", "M", "N", "R", "V"];
        prop_assume!(low <= high);
        let at = |index: usize| labels(&[levels.get(index).copied().unwrap()]);
        if at(high).permitted_by(&stated(&some), &[], LabelRule::AllLabels) == Truth::True {
            prop_assert_eq!(at(low).permitted_by(&stated(&some), &[], LabelRule::AllLabels), Truth::True);
        }
        if at(low).denied_by(&stated(&some), &[]) == Truth::True {
            prop_assert_eq!(at(high).denied_by(&stated(&some), &[]), Truth::True);
        }
    }
}

#[test]
fn the_shipped_sets_label_what_the_specification_names() {
    let cm = "http://hl7.org/fhir/sid/icd-10-cm";
    let rows: &[(&str, &str, &[&str])] = &[
        (cm, "B20", &["HIV"]),
        (cm, "F10.20", &["ETHUD"]),
        (cm, "F11", &["OPIOIDUD"]),
        (cm, "F11.20", &["OPIOIDUD"]),
        (cm, "F14.10", &["SUD"]),
        (cm, "F32.9", &["MH", "PSY"]),
        (cm, "Z30.011", &["SEX"]),
        (cm, "T74.11XA", &["SDV"]),
        (cm, "A56.2", &["STD"]),
        (cm, "Z15.01", &["GDIS"]),
        (cm, "E11.9", &[]),
        ("http://loinc.org", "80203-3", &["HIV"]),
        ("http://www.nlm.nih.gov/research/umls/rxnorm", "352364", &["OPIOIDUD"]),
        ("http://loinc.org", "B20", &[]),
    ];
    for (system, code, expected) in rows {
        let coding = Coding::new(*system, *code);
        let codes: Vec<String> = LabelSets::shipped().sensitivities_of(&coding).map(|label| label.code).collect();
        assert_eq!(codes, *expected, "{code}");
    }
    let systems: std::collections::BTreeSet<String> = LabelSets::shipped().systems().map(str::to_owned).collect();
    assert!(systems.iter().all(|system| !system.contains("cpt") && !system.contains("snomed")), "{systems:?}");
}
