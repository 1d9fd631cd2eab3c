#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]

use super::*;
use crate::json::Doc;

fn trimmed(query: &str, resource: &str) -> String {
    let trim = Trim::of(&SearchQuery::parse(query, &[]).unwrap()).unwrap();
    let doc = Doc::parse(resource.as_bytes()).unwrap();
    let mut edits = Edits::new();
    trim.plan(doc.root(), &mut edits).unwrap();
    String::from_utf8(edits.apply(resource.as_bytes()).unwrap()).unwrap()
}

const TAG: &str = r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}"#;

const VISIT: &str = r#"{"resourceType":"Encounter","id":"e","meta":{"versionId":"1","security":[{"code":"R"}]},"text":{"status":"generated","div":"<div>x</div>"},
 "status":"finished","_status":{"id":"s"},"class":{"code":"AMB"},"priority":{"text":"p"},"subject":{"reference":"Patient/p"},
 "diagnosis":[{"condition":{"reference":"Condition/c"},"use":{"text":"u"},"rank":1},{"use":{"text":"only"}}],"hospitalization":{"dischargeDisposition":{"text":"h"}},
 "location":[{"location":{"reference":"Location/l"}}],"modifierExtension":[{"url":"m","valueBoolean":true}]}"#;

#[test]
fn each_way_of_trimming_leaves_what_fhir_says() {
    let with_tag = format!(r#""meta":{{"tag":[{TAG}],"versionId":"1","security":[{{"code":"R"}}]}}"#);
    let head = format!(r#"{{"resourceType":"Encounter","id":"e",{with_tag}"#);
    let text = r#""text":{"status":"generated","div":"<div>x</div>"}"#;
    let mandatory = r#""status":"finished","_status":{"id":"s"},"class":{"code":"AMB"}"#;
    let modifier = r#""modifierExtension":[{"url":"m","valueBoolean":true}]}"#;
    for (query, expected) in [
        ("_summary=false", VISIT.to_owned()),
        ("_elements=Patient.name", VISIT.to_owned()),
        ("", VISIT.to_owned()),
        ("_summary=text", format!("{head},{text},\n {mandatory},{modifier}")),
        ("_elements=id", format!("{head},\n {mandatory},{modifier}")),
        (
            "_elements=subject,Encounter.text",
            format!("{head},{text},\n {mandatory},\"subject\":{{\"reference\":\"Patient/p\"}},{modifier}"),
        ),
        ("_elements=Patient.subject,sub", format!("{head},\n {mandatory},{modifier}")),
        (
            "_summary=true",
            format!(
                "{head},\n {mandatory},\"subject\":{{\"reference\":\"Patient/p\"}},\n \"diagnosis\":[{{\"condition\":{{\"reference\":\"Condition/c\"}}}}],{modifier}"
            ),
        ),
        (
            "_summary=data",
            VISIT
                .replace(&format!(",{text}"), "")
                .replace(r#""meta":{"versionId""#, &format!(r#""meta":{{"tag":[{TAG}],"versionId""#)),
        ),
    ] {
        let found = trimmed(query, VISIT);
        let squeezed = |text: &str| text.replace(['\n', ' '], "");
        assert_eq!(squeezed(&found), squeezed(&expected), "{query}");
        Doc::parse(found.as_bytes()).unwrap();
    }
}

#[test]
fn the_label_is_there_once_and_made_where_nothing_is() {
    let tagged = format!(r#"{{"resourceType":"Patient","meta":{{"tag":[{{"code":"t"}},{TAG}]}},"gender":"male"}}"#);
    assert_eq!(trimmed("_elements=gender", &tagged), tagged);
    let bare = r#"{"resourceType":"Patient","gender":"male","name":[]}"#;
    let expected = format!(r#"{{"meta":{{"tag":[{TAG}]}},"resourceType":"Patient","gender":"male"}}"#);
    assert_eq!(trimmed("_elements=gender", bare), expected);
}

#[test]
fn a_choice_is_named_by_its_stem() {
    let observation = r#"{"resourceType":"Observation","meta":{"tag":[]},"status":"final","code":{},"valueQuantity":{"value":1.00},"referenceRange":[{}],"reference":1}"#;
    let found = trimmed("_elements=value", observation);
    assert!(found.contains(r#""valueQuantity":{"value":1.00}"#), "{found}");
    assert!(trimmed("_summary=true", observation).contains(r#""valueQuantity":{"value":1.00}"#));
}

#[test]
fn every_row_of_the_table_is_read() {
    let lines = include_str!("elements.txt").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for line in lines {
        let (rtype, rows) = rows(line).unwrap_or_else(|| panic!("{line}"));
        assert_eq!(line.split(' ').count(), rows.len() + 1, "{rtype}");
        for word in line.split(' ').skip(1) {
            assert!(word.ends_with(['!', '+']), "{rtype} {word}");
        }
        count += 1;
    }
    assert_eq!(count, ResourceType::ALL.len());
}
