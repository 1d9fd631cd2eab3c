#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::facts::ResourceFacts;
use crate::json::Doc;
use crate::labels::{CodePattern, LabelSet, LabelSets};
use crate::policy::{ConsentSettings, Policy, PolicyRoles};
use crate::reference::BaseUrl;
use crate::scope::{Letter, Scopes};

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
const ICD: &str = "http://hl7.org/fhir/sid/icd-10-cm";

fn resource(name: &str) -> String {
    match name {
        "lab" | "*" => format!(
            r#"{{"resourceType":"Observation","id":"l","meta":{{"lastUpdated":"2026-01-02T03:04:05.678Z","profile":["http://example.org/lab|1.0"],
            "tag":[{{"system":"urn:tags","code":"t"}}],"security":[{{"system":"{CONFIDENTIALITY}","code":"N"}}]}},"status":"final",
            "category":[{{"coding":[{{"system":"{CATEGORY}","code":"laboratory"}}]}}],
            "code":{{"coding":[{{"system":"http://loinc.org","code":"2345-7"}},{{"system":"urn:local","code":"GLU"}},{{"code":"plain"}}]}},
            "subject":{{"reference":"Patient/p"}},"effectiveDateTime":"2025-03-01T12:30:00Z",
            "performer":[{{"reference":"Practitioner/d"}},{{"reference":"https://elsewhere/Practitioner/e"}}],"valueQuantity":{{"value":5}}}}"#
        ),
        "bare" => r#"{"resourceType":"Observation","id":"b","status":"final","code":{"coding":[{"code":"1-1"}]},"subject":{"reference":"Patient/p"}}"#.into(),
        "text" => r#"{"resourceType":"Observation","id":"t","_status":{"extension":[{"url":"u","valueString":"x"}]},"category":[{"text":"Laboratory"}],
            "code":{"coding":[{"display":"x"}]},"subject":{"identifier":{"value":"12"}},"effectiveTiming":{"event":["2025-01-01"]}}"#.into(),
        "odd" => r#"{"resourceType":"Observation","status":"final","code":{"coding":[{"code":"a,b"},{"code":"c|d"},{"code":"e$f"},{"code":"g\\h"}]}}"#.into(),
        "year" => r#"{"resourceType":"Observation","status":"final","effectiveDateTime":"2025"}"#.into(),
        "group" => r#"{"resourceType":"Observation","status":"final","subject":{"reference":"Group/g"}}"#.into(),
        "holder" => format!(
            r#"{{"resourceType":"Observation","status":"final","contained":[{{"resourceType":"Condition","meta":{{"security":[{{"system":"{ACT_CODE}","code":"PSY"}}]}}}}]}}"#
        ),
        "order" => r#"{"resourceType":"MedicationRequest","status":"active","intent":"order","medicationReference":{"reference":"Medication/m"},"authoredOn":"2025-03-06"}"#.into(),
        "encounter" => format!(
            r#"{{"resourceType":"Encounter","status":"in-progress","class":{{"system":"{ACT_CODE}","code":"AMB"}},"period":{{"start":"2025-01-02"}},
            "serviceProvider":{{"reference":"https://pub/r4/Organization/o"}}}}"#
        ),
        "stay" => r#"{"resourceType":"Encounter","period":{"start":"2025-01-02","end":"2025-01-31"}}"#.into(),
        "condition" => format!(
            r#"{{"resourceType":"Condition","meta":{{"security":[{{"system":"{CONFIDENTIALITY}","code":"N"}}]}},"code":{{"coding":[{{"system":"{ICD}","code":"B20"}}]}},
            "recordedDate":"2025-06-01","onsetPeriod":{{"start":"2019-05"}}}}"#
        ),
        "patient" => r#"{"resourceType":"Patient","id":"p","active":true,"gender":"female","birthDate":"1970-05-06","identifier":[{"system":"urn:mrn","value":"12"}],
            "telecom":[{"system":"phone","value":"555-1"}],"address":[{"city":"Lyon"}],
            "name":[{"family":"Shaw","given":["Amélie","José"],"prefix":["Dr"]}]}"#.into(),
        other => panic!("{other}"),
    }
}

fn policy() -> Policy {
    let hiv = LabelSet::new("HIV", ICD, [CodePattern::try_from("B20".to_owned()).unwrap()]).unwrap();
    let sets = LabelSets { version: "t".to_owned(), sets: vec![hiv] };
    Policy::new(ConsentSettings::default(), Vec::new(), sets, PolicyRoles::default()).unwrap()
}

fn bases() -> Bases {
    Bases { public: BaseUrl::parse("https://pub/r4").unwrap(), upstream: BaseUrl::parse("http://up/fhir").unwrap() }
}

/// What a scope with this filter says of the resource, and whether it is void.
fn outcome(name: &str, filter: &str, image: Image) -> &'static str {
    let text = resource(name);
    let doc = Doc::parse(text.as_bytes()).unwrap();
    let mut facts = ResourceFacts::of(doc.root(), &bases()).unwrap();
    let rtype = if name == "*" { "*" } else { facts.resource_type.as_str() };
    let scopes = Scopes::parse(&format!("user/{rtype}.rs?{filter}"));
    facts.match_filters(doc.root(), image, &scopes, &policy(), &bases());
    match (scopes.void(), facts.filters.as_slice()) {
        ([], [_]) => "match",
        ([], []) => "no",
        ([_], []) => "void",
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_table_of_filters() {
    let mut wrong = Vec::new();
    let mut count = 0;
    let rows = include_str!("../../vectors/filters.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    for row in rows {
        let (question, expected) = row.split_once(" -> ").unwrap();
        let (name, filter) = question.split_once(" ? ").unwrap();
        let found = outcome(name, filter, Image::Stored);
        if found != expected {
            wrong.push(format!("{row}: {found}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count >= 200, "{count} rows");
}

/// A server sets ids and times itself, so what a client says of them counts for nothing.
#[test]
fn what_the_server_sets_is_not_known_before() {
    for (filter, stored, updated, created) in [
        ("_id=l", "match", "match", "no"),
        ("_id:not=x", "match", "match", "no"),
        ("_lastUpdated=ge2026", "match", "no", "no"),
        ("_lastUpdated:missing=false", "match", "no", "no"),
        ("category=laboratory", "match", "match", "match"),
    ] {
        let found = [Image::Stored, Image::Updated, Image::Created].map(|image| outcome("lab", filter, image));
        assert_eq!(found, [stored, updated, created], "{filter}");
    }
}

#[test]
fn a_filter_knows_the_elements_that_it_looks_at() {
    for (rtype, filter, path, looks) in [
        ("Patient", "name=x", "Patient.name", true),
        ("Patient", "family=x", "Patient.name", true),
        ("Patient", "name=x", "Patient.name.given", true),
        ("Patient", "family=x", "Patient.name.given", false),
        ("Patient", "gender=female", "Patient.name", false),
        ("Patient", "gender=female&name=x", "Patient.name", true),
        ("Patient", "_id=x", "Patient.name", false),
        ("Observation", "value-concept=x", "Observation.value[x]", true),
        ("Observation", "code=x", "Observation.value[x]", false),
        ("Observation", "subject=Patient/1", "Observation.subject", true),
        ("Observation", "subject=Patient/1", "Encounter.subject", false),
    ] {
        let rtype = ResourceType::parse(rtype).unwrap();
        let filter = Filter::parse(Some(rtype), filter).unwrap();
        assert_eq!(filter.looks_at(rtype, &ElementPath::parse(path).unwrap()), looks, "{filter:?} {path}");
    }
}

#[test]
fn every_row_of_the_table_is_read() {
    let mut parameters = 0;
    for line in include_str!("parameters.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let rtype = ResourceType::parse(words.next().unwrap()).unwrap();
        for word in words {
            let parameter = table::parameter(word).unwrap_or_else(|| panic!("{rtype} {word}"));
            assert!(
                !parameter.leaves.is_empty() && table::find(Some(rtype), parameter.name).is_some(),
                "{rtype} {word}"
            );
            parameters += 1;
        }
    }
    assert!(parameters > 1000, "{parameters}");
    // What US Core 6.1 searches by, and its granular scopes.
    for (rtype, names) in [
        ("Observation", "status category code date patient"),
        ("Condition", "category clinical-status code encounter onset-date abatement-date recorded-date patient"),
        ("DocumentReference", "category type date period status patient"),
        ("DiagnosticReport", "status category code date patient"),
        ("Encounter", "class date identifier location status type discharge-disposition patient"),
        ("MedicationRequest", "status intent authoredon encounter patient"),
        ("Procedure", "status date code patient"),
        ("ServiceRequest", "status category code authored patient"),
        ("CarePlan", "category date status patient"),
        ("CareTeam", "role status patient"),
        ("Goal", "lifecycle-status target-date description patient"),
        ("AllergyIntolerance", "clinical-status patient"),
        ("Immunization", "status date patient"),
        ("QuestionnaireResponse", "status questionnaire authored patient"),
    ] {
        let rtype = ResourceType::parse(rtype).unwrap();
        for name in names.split(' ') {
            let known = table::find(Some(rtype), name).is_some();
            // R4 follows canonicals, which are not matched.
            assert_eq!(known, name != "questionnaire", "{rtype} {name}");
        }
    }
}

#[test]
fn debug_tells_no_value() {
    let filter = Filter::parse(Some(ResourceType::PATIENT), "name=secret&gender:not=male").unwrap();
    assert_eq!(format!("{filter:?}"), r#"["name", "gender:not"]"#);
}

proptest! {
    /// However a filter is dressed up, it grants nothing by itself, and what it is read as never panics.
    #[test]
    fn any_filter_is_read_or_void(filter in "[a-z_:=,|&%?\\\\$.0-9-]{0,40}", name in "lab|text|patient|encounter") {
        let text = resource(&name);
        let doc = Doc::parse(text.as_bytes()).unwrap();
        let mut facts = ResourceFacts::of(doc.root(), &bases()).unwrap();
        let scopes = Scopes::parse(&format!("user/{}.r?{filter}", facts.resource_type));
        prop_assert_eq!(scopes.allows(Letter::Read, &facts.resource_type), crate::scope::ScopeGrant::None);
        facts.match_filters(doc.root(), Image::Stored, &scopes, &policy(), &bases());
        prop_assert!(facts.filters.len() + scopes.void().len() <= 1);
    }

    /// One parameter more never finds more; one alternative more never finds less.
    #[test]
    fn parameters_narrow_and_alternatives_widen(
        a in "category=(laboratory|x)|status=(final|x)|date=(ge|lt|)2025|code:not=(2345-7|x)",
        b in "category=(laboratory|x)|status:not=(final|x)|_id=(l|x)|subject:missing=(true|false)",
        more in "laboratory|final|2025|x"
    ) {
        let found = |filter: &str| outcome("lab", filter, Image::Stored);
        if found(&format!("{a}&{b}")) == "match" {
            prop_assert_eq!((found(&a), found(&b)), ("match", "match"));
        }
        if !a.contains(":not") && found(&a) == "match" {
            let wider = format!("{a},{more}");
            prop_assert!(found(&wider) != "no", "{wider}");
        }
    }

    /// `:not` and its opposite are never both known.
    #[test]
    fn a_code_is_not_and_is_not_both(name in "lab|bare|text|odd|order", value in "laboratory|2345-7|1-1|plain|a\\\\,b|http://loinc.org\\|2345-7|\\|plain") {
        for parameter in ["code", "status"] {
            let is = outcome(&name, &format!("{parameter}={value}"), Image::Stored);
            let is_not = outcome(&name, &format!("{parameter}:not={value}"), Image::Stored);
            prop_assert!(is == "void" || is != "match" || is_not != "match");
        }
    }
}

#[test]
fn equal_filters_are_one() {
    let parse = |text: &str| Arc::new(Filter::parse(Some(ResourceType::PATIENT), text).unwrap());
    assert_eq!(parse("gender=male"), parse("gender=mal%65"));
    assert_ne!(parse("gender=male"), parse("gender=female"));
}
