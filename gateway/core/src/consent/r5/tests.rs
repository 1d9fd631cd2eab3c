#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::json;

use super::*;
use crate::consent::{Body, Dormant};

fn with(more: &Value) -> Value {
    let mut consent = json!({
        "resourceType": "Consent", "id": "c", "meta": {"versionId": "2"}, "status": "active",
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "subject": {"reference": "Patient/p"}, "date": "2026-01-10",
        "grantor": [{"reference": "Patient/p"}], "grantee": [{"display": "all"}],
        "manager": [{"reference": "Organization/m"}], "controller": [{"reference": "Organization/c"}],
        "regulatoryBasis": [{"text": "x"}], "policyBasis": {"url": "http://p"},
        "policyText": [{"reference": "DocumentReference/d"}],
        "verification": [{"verified": true, "verificationDate": ["2026-01-10"]}],
        "sourceAttachment": [{"url": "http://a", "size": "12", "pages": 2}],
        "decision": "permit"
    });
    for (name, value) in more.as_object().unwrap() {
        consent.as_object_mut().unwrap().insert(name.clone(), value.clone());
    }
    consent
}

fn root(more: &Value) -> Provision {
    match read(&with(more)).unwrap().body {
        Body::Active { root, .. } => *root,
        Body::Dormant(why) => panic!("{why:?}"),
    }
}

#[test]
fn each_level_reverses_the_one_above() {
    let nested = json!([{"provision": [{"provision": [{"purpose": [{"code": "x"}]}]}]}, {"code": [{"text": "x"}]}]);
    for (decision, above, below) in [("permit", Rule::Permit, Rule::Deny), ("deny", Rule::Deny, Rule::Permit)] {
        let root = root(&json!({"decision": decision, "provision": nested}));
        let rules = |provision: &Provision| provision.rules.iter().copied().collect::<Vec<_>>();
        assert_eq!(rules(&root), [above]);
        let [first, second] = root.children.as_slice() else { panic!("{root:?}") };
        assert_eq!((rules(first), rules(second)), (vec![below], vec![below]));
        let [third] = first.children.as_slice() else { panic!("{first:?}") };
        assert_eq!(rules(third), [above]);
        assert_eq!(rules(third.children.first().unwrap()), [below]);
    }
}

#[test]
fn kinds_of_resources_and_of_documents_are_two_elements() {
    let root = root(&json!({"period": {"end": "2027"}, "provision": [{
        "resourceType": [{"system": "http://hl7.org/fhir/fhir-types", "code": "DeviceUsage"}],
        "documentType": [{"system": "http://loinc.org", "code": "11506-3"}]
    }]}));
    let child = root.children.first().unwrap();
    assert_eq!(child.constraints.stated(), 2);
    assert_eq!(root.constraints.stated(), 1);
}

#[test]
fn what_is_not_understood_is_not_used() {
    let rows = [
        (json!({"decision": null}), Why::Null),
        (json!({"decision": "perhaps"}), Why::UnknownCode),
        (json!({"provision": []}), Why::Empty),
        (json!({"provision": {}}), Why::WrongType),
        (json!({"provision": [{"type": "permit"}]}), Why::UnknownElement),
        (json!({"provision": [{"class": [{"code": "x"}]}]}), Why::UnknownElement),
        (json!({"provision": [{"expression": {"language": "text/cql", "expression": "true"}}]}), Why::Expression),
        (
            json!({"provision": [{"data": [{"meaning": "other", "reference": {"reference": "Patient/p"}}]}]}),
            Why::UnknownCode,
        ),
        (json!({"patient": {"reference": "Patient/p"}}), Why::UnknownElement),
        (json!({"scope": {"text": "x"}}), Why::UnknownElement),
        (json!({"policyRule": {"text": "x"}}), Why::UnknownElement),
        (json!({"dateTime": "2026"}), Why::UnknownElement),
        (json!({"date": "soon"}), Why::WrongType),
        (json!({"status": "rejected"}), Why::UnknownCode),
        (json!({"subject": {"display": "x"}}), Why::Missing),
        (json!({"modifierExtension": [{"url": "x"}]}), Why::ModifierExtension),
        (json!({"provision": [{"modifierExtension": [{"url": "x"}]}]}), Why::ModifierExtension),
        (json!({"implicitRules": "http://x"}), Why::ImplicitRules),
        (json!({"period": {"start": "2027", "end": "2026"}}), Why::BackwardPeriod),
    ];
    for (more, why) in rows {
        assert_eq!(read(&with(&more)).map_err(|unusable| unusable.why), Err(why), "{more}");
    }
    let mut undecided = with(&json!({}));
    undecided.as_object_mut().unwrap().remove("decision");
    assert_eq!(read(&undecided).map_err(|unusable| unusable.why), Err(Why::Missing));
}

#[test]
fn only_active_ones_are_read_further() {
    for status in ["draft", "inactive", "not-done", "entered-in-error", "unknown"] {
        let consent = read(&with(&json!({"status": status, "nonsense": 1}))).unwrap();
        assert_eq!(consent.body, Body::Dormant(Dormant::Status), "{status}");
    }
}
