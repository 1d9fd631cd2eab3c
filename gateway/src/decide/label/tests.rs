#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use super::*;

fn labelled(text: &str, policy: Option<&str>) -> Result<String, String> {
    let dir = tempfile::tempdir().unwrap();
    let resource = dir.path().join("resource.json");
    std::fs::write(&resource, text).unwrap();
    let policy = policy.map(|text| {
        let file = dir.path().join("policy.toml");
        std::fs::write(&file, text).unwrap();
        file
    });
    let bytes = label(&Arguments { resource, policy }).map_err(|fault| fault.to_string())?;
    Ok(String::from_utf8(bytes).unwrap())
}

const HIV: &str = r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"}"#;
const R: &str = r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}"#;
const CODED: &str = r#""subject": {"reference":"Patient/p"}, "value" : 1.00, "code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"B20"}]}}"#;

#[test]
fn labels_are_added_and_all_else_stays_byte_for_byte() {
    let rows = [
        (format!("{{\"resourceType\":\"Condition\",  {CODED}\n"), format!(r#"{{"meta":{{"security":[{R},{HIV}]}},"#)),
        (
            format!(r#"{{"meta":{{"versionId":"1"}},"resourceType":"Condition",{CODED}"#),
            format!(r#"{{"meta":{{"security":[{R},{HIV}],"versionId":"1"}},"#),
        ),
        (
            format!(r#"{{"meta":{{"security":[{{"system":"x","code":"y"}} ]}},"resourceType":"Condition",{CODED}"#),
            format!(r#"{{"meta":{{"security":[{{"system":"x","code":"y"}},{R},{HIV} ]}},"#),
        ),
        (
            format!(r#"{{"meta":{{"security":[{R}]}},"resourceType":"Condition",{CODED}"#),
            format!(r#"{{"meta":{{"security":[{R},{HIV}]}},"#),
        ),
    ];
    for (text, begins) in rows {
        let labelled = labelled(&text, None).unwrap();
        assert!(labelled.starts_with(&begins), "{labelled}");
        assert_eq!(labelled.get(begins.len()..), text.find("\"resourceType\"").and_then(|at| text.get(at..)));
    }
}

#[test]
fn what_is_labelled_or_bears_no_code_of_the_sets_stays_as_it_is() {
    let very = R.replace("\"R\"", "\"V\"");
    for text in [
        r#"{ "resourceType" : "Observation", "code":{"coding":[{"system":"http://loinc.org","code":"29463-7"}]} }"#
            .to_owned(),
        format!(r#"{{"meta":{{"security":[{very},{HIV}]}},"resourceType":"Condition",{CODED}"#),
    ] {
        assert_eq!(labelled(&text, None).unwrap(), text);
    }
    let text = format!(r#"{{"resourceType":"Condition",{CODED}"#);
    assert_eq!(labelled(&text, Some("[consent]\nunlabelled = \"normal\"")).unwrap(), text);
}

#[test]
fn a_bundle_is_labelled_entry_by_entry() {
    let text = format!(
        r#"{{"resourceType":"Bundle","entry":[{{"resource":{{"resourceType":"Condition",{CODED}}},{{"fullUrl":"x"}}]}}"#
    );
    let labelled = labelled(&text, None).unwrap();
    assert!(
        labelled.contains(&format!(r#"{{"resource":{{"meta":{{"security":[{R},{HIV}]}},"resourceType""#)),
        "{labelled}"
    );
    assert!(labelled.starts_with(r#"{"resourceType":"Bundle""#));
}

#[test]
fn what_is_no_resource_is_a_sentence() {
    assert!(labelled("{", None).unwrap_err().contains("is not JSON"));
    assert!(labelled(r#"{"a":1}"#, None).unwrap_err().contains("cannot be labelled"));
    assert!(labelled("{}", Some("wat = 1")).unwrap_err().starts_with("--policy"));
}
