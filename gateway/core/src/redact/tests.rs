#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::json::Doc;

const TAG: &str = r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"REDACTED"}"#;

fn redacted(text: &str, paths: &[&str]) -> (String, Vec<String>) {
    let doc = Doc::parse(text.as_bytes()).unwrap();
    let paths: Vec<_> = paths.iter().map(|path| ElementPath::parse(path).unwrap()).collect();
    let mut edits = Edits::new();
    let present = redact(doc.root(), &paths, &mut edits).unwrap();
    let bytes = edits.apply(text.as_bytes()).unwrap();
    Doc::parse(&bytes).expect("what is left is JSON");
    (String::from_utf8(bytes).unwrap(), present.iter().map(ToString::to_string).collect())
}

#[test]
fn what_is_named_goes_and_the_rest_stays_byte_for_byte() {
    let meta = format!(r#""meta":{{"security":[{TAG}]}},"#);
    let rows: &[(&str, &[&str], String, &[&str])] = &[
        (
            r#"{ "resourceType":"Patient", "id":"1", "telecom":[{"value":"5"}], "n":1.00 }"#,
            &["Patient.telecom"],
            format!(r#"{{{meta} "resourceType":"Patient", "id":"1", "n":1.00 }}"#),
            &["Patient.telecom"],
        ),
        (
            r#"{"resourceType":"Patient","text":{"status":"generated","div":"<div/>"},"birthDate":"1970","_birthDate":{"id":"a"}}"#,
            &["Patient.birthDate", "Patient.telecom", "Observation.code"],
            format!(r#"{{{meta}"resourceType":"Patient"}}"#),
            &["Patient.birthDate"],
        ),
        (
            r#"{"resourceType":"Patient","meta":{"versionId":"3"},"name":[{"family":"X"},{"family":"Y","use":"old"}]}"#,
            &["Patient.name.family"],
            format!(
                r#"{{"resourceType":"Patient","meta":{{"security":[{TAG}],"versionId":"3"}},"name":[{{"use":"old"}}]}}"#
            ),
            &["Patient.name.family"],
        ),
        (
            r#"{"resourceType":"Patient","meta":{"security":[{"code":"R"}]},"name":[{"family":"X"}]}"#,
            &["Patient.name.family"],
            format!(r#"{{"resourceType":"Patient","meta":{{"security":[{{"code":"R"}},{TAG}]}}}}"#),
            &["Patient.name.family"],
        ),
        (
            r#"{"resourceType":"Observation","component":[{"code":{},"valueQuantity":{"value":1}},{"code":{},"valueString":"x"}],"valueset":1}"#,
            &["Observation.component.value[x]", "Observation.value[x]"],
            format!(
                r#"{{{meta}"resourceType":"Observation","component":[{{"code":{{}}}},{{"code":{{}}}}],"valueset":1}}"#
            ),
            &["Observation.component.value[x]"],
        ),
        (
            r#"{"resourceType":"Claim","contained":[{"resourceType":"Patient","text":{"div":"x"},"telecom":[],"id":"a"}],"text":{"div":"y"}}"#,
            &["Patient.telecom"],
            format!(r#"{{{meta}"resourceType":"Claim","contained":[{{"resourceType":"Patient","id":"a"}}]}}"#),
            &["Patient.telecom"],
        ),
        (
            r#"{"resourceType":"Composition","title":"t","section":[{"text":{"div":"x"}},{"title":"s","text":{"div":"x"}}]}"#,
            &["Composition.title"],
            format!(r#"{{{meta}"resourceType":"Composition","section":[{{"title":"s"}}]}}"#),
            &["Composition.title"],
        ),
        (
            r#"{"resourceType":"QuestionnaireResponse","item":[{"linkId":"1","answer":[{"valueString":"a","item":[{"linkId":"3","answer":[]}]}],"item":[{"linkId":"2","answer":[{}]}]}]}"#,
            &["QuestionnaireResponse.item.answer"],
            format!(
                r#"{{{meta}"resourceType":"QuestionnaireResponse","item":[{{"linkId":"1","item":[{{"linkId":"2"}}]}}]}}"#
            ),
            &["QuestionnaireResponse.item.answer"],
        ),
        (
            r#"{"resourceType":"Patient","name":[{"given":["a","b"],"_given":[{"extension":[{"url":"u"}]},null]}]}"#,
            &["Patient.name.given.extension"],
            format!(r#"{{{meta}"resourceType":"Patient","name":[{{"given":["a","b"]}}]}}"#),
            &["Patient.name.given.extension"],
        ),
    ];
    for (before, paths, after, present) in rows {
        let (bytes, found) = redacted(before, paths);
        assert_eq!(&bytes, after);
        assert_eq!(&found, present);
    }
}

#[test]
fn nothing_to_remove_means_nothing_changes() {
    let text = r#"{"resourceType":"Patient","text":{"div":"x"},"gender":"other"}"#;
    assert_eq!(redacted(text, &["Patient.telecom", "Observation.gender"]), (text.to_owned(), vec![]));
    let twice = format!(r#"{{"resourceType":"Patient","meta":{{"security":[{TAG}]}},"gender":"x","active":true}}"#);
    let once = format!(r#"{{"resourceType":"Patient","meta":{{"security":[{TAG}]}},"active":true}}"#);
    assert_eq!(redacted(&twice, &["Patient.gender"]).0, once);
}

#[test]
fn lists_of_lists_hide_nothing() {
    let (bytes, present) = redacted(r#"{"resourceType":"Patient","name":[[{"x":1.5,"y":2}]]}"#, &["Patient.name.x"]);
    assert_eq!(present, ["Patient.name.x"]);
    assert!(!bytes.contains("1.5") && bytes.contains(r#"[[{"y":2}]]"#), "{bytes}");
}

#[test]
fn identity_stays_and_nonsense_is_refused() {
    use RedactError::{MustStay, NotAPath};
    for (path, error) in [
        ("Patient.id", MustStay),
        ("Patient.meta.security", MustStay),
        ("Patient.resourceType", MustStay),
        ("Patient.implicitRules", MustStay),
        ("Patient.name.modifierExtension", MustStay),
        ("Patient", NotAPath),
        ("Patient.", NotAPath),
        ("patient.name", NotAPath),
        ("Patient.name[0]", NotAPath),
        ("Patient.na me", NotAPath),
        ("Patient..name", NotAPath),
        ("Patient.[x]", NotAPath),
        ("", NotAPath),
    ] {
        assert_eq!(ElementPath::parse(path), Err(error), "{path}");
    }
    for text in [r#"{"a":1}"#, r#"[]"#, r#"{"resourceType":"Nope","a":1}"#] {
        let doc = Doc::parse(text.as_bytes()).unwrap();
        assert_eq!(redact(doc.root(), &[], &mut Edits::new()), Err(RedactError::Unreadable));
    }
    let doc = Doc::parse(br#"{"resourceType":"Patient","meta":[],"name":[{}]}"#).unwrap();
    let paths = [ElementPath::parse("Patient.name").unwrap()];
    assert_eq!(redact(doc.root(), &paths, &mut Edits::new()), Err(RedactError::Unreadable));
}

/// The same redaction on the value instead of the bytes: the definition that the spans are held to.
fn model(resource: &mut Json, path: &[&str]) -> bool {
    fn remove(value: &mut Json, path: &[&str]) -> bool {
        match (value, path) {
            (Json::Array(items), _) => items.iter_mut().fold(false, |found, item| remove(item, path) | found),
            (Json::Object(map), [name]) => map.remove(*name).is_some(),
            (Json::Object(map), [name, rest @ ..]) => map.get_mut(*name).is_some_and(|inner| remove(inner, rest)),
            _ => false,
        }
    }
    /// Empties what lost everything; whether it is empty now and was not before.
    fn prune(after: &mut Json, before: &Json) -> bool {
        match (after, before) {
            (Json::Object(map), Json::Object(was)) => {
                map.retain(|key, inner| !prune(inner, &was[key]));
                map.is_empty() && !was.is_empty()
            }
            (Json::Array(items), Json::Array(was)) => {
                let mut before = was.iter();
                items.retain_mut(|inner| !prune(inner, before.next().unwrap()));
                items.is_empty() && !was.is_empty()
            }
            _ => false,
        }
    }
    let before = resource.clone();
    let found = remove(resource, path);
    if found {
        prune(resource, &before);
        let meta = serde_json::json!({"security": [serde_json::from_str::<Json>(TAG).unwrap()]});
        resource.as_object_mut().unwrap().insert("meta".into(), meta);
    }
    found
}

/// Elements with the names that the paths below use, however nested.
fn element() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![Just(serde_json::json!(1.50)), "[a-z\"é]{0,4}".prop_map(Json::from), Just(Json::Null)];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("x|y|z", inner, 0..3).prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Redacting the bytes and reading them again gives what redacting the value gives.
    #[test]
    fn spans_do_what_the_values_say(
        members in prop::collection::btree_map("name|link|contact", element(), 0..4),
        path in prop::sample::select(vec!["name", "name.x", "name.x.y", "contact.z", "link.y.z"]),
        pretty: bool,
    ) {
        let mut resource = Json::Object(members.into_iter().collect());
        resource["resourceType"] = "Patient".into();
        let text = if pretty { serde_json::to_string_pretty(&resource) } else { serde_json::to_string(&resource) };
        let (bytes, present) = redacted(&text.unwrap(), &[&format!("Patient.{path}")]);
        let found = model(&mut resource, &path.split('.').collect::<Vec<_>>());
        prop_assert_eq!(found, !present.is_empty());
        prop_assert_eq!(serde_json::from_str::<Json>(&bytes).unwrap(), resource);
    }
}
