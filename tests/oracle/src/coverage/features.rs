//! The subtleties of CONSENT.md, "Exact answers", and how a case is seen to hold one.

use serde_json::Value;

use super::{is_dated, patients};
use crate::evaluator::{each, text};

/// Every subtlety that a run has to hold often enough.
pub(super) const ALL: &[&str] = &[
    "a Consent that is not understood",
    "a child inherits what it does not state",
    "a child replaces what its parent states",
    "an untyped root",
    "no purpose",
    "several purposes",
    "a purpose of no table",
    "BTG without a grant",
    "TREAT under a grant",
    "an undated resource and a dataPeriod",
    "a dated resource and a dataPeriod",
    "unresolved memberships and an actor",
    "a caller without actors and an actor",
    "an actor that can be compared with nothing",
    "an actor of another role",
    "an actor by identifier",
    "an actor at another base",
    "an actor at one of our bases",
    "a partOf and the whole as actor",
    "an inactive membership",
    "a membership with a period",
    "an extension on a provision",
    "an extension inside an element",
    "EMRGONLY",
    "OPTIN or OPTINR",
    "OPTOUT or OPTOUTE",
    "type against policyRule",
    "policy basic-normal at an untyped root",
    "policy all-normal at an untyped root",
    "policy break-glass-only at an untyped root",
    "policy deny at an untyped root",
    "data.meaning instance",
    "data.meaning related",
    "data.meaning dependents",
    "data.meaning authoredby",
    "confidentiality in a provision",
    "two confidentiality codes",
    "an ancestor stated for its descendant",
    "an ancestor beside its descendant",
    "a label of no table on the resource",
    "a label of no table in a provision",
    "a retired label on the resource",
    "a retired label in a provision",
    "a local label, configured",
    "a local label, not configured",
    "an unlabelled resource",
    "codes that the label sets know",
    "an unknown action",
    "a write",
    "a class that is no resource type",
    "the own record",
    "two owners",
    "no owner",
    "a contained resource",
    "several Consents",
    "no Consent",
    "Consents that could not be had",
];

/// The subtleties of one case.
pub(super) fn of(case: &Value) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut add = |holds: bool, feature: &'static str| {
        if holds {
            found.push(feature);
        }
    };
    // What is asked of the Consents is looked for in their text: each of these strings can stand in one place only.
    let told = case.get("consents").map(Value::to_string).unwrap_or_default();
    let resource = case.get("resource").map(Value::to_string).unwrap_or_default();
    let memberships = case.get("memberships").map(Value::to_string).unwrap_or_default();
    let says = |words: &str| told.contains(words);
    let purposes: Vec<&Value> = case.get("purpose").into_iter().flat_map(each).collect();
    let granted = case.pointer("/caller/break_glass/0").is_some();
    let asks = |purpose: &str| purposes.iter().any(|asked| asked.as_str() == Some(purpose));
    add(purposes.is_empty(), "no purpose");
    add(purposes.len() > 1, "several purposes");
    add(purposes.iter().any(|purpose| purpose.is_object()), "a purpose of no table");
    add(asks("BTG") && !granted, "BTG without a grant");
    add(asks("TREAT") && granted, "TREAT under a grant");
    let data_period = says("\"dataPeriod\"");
    add(data_period && !is_dated(case), "an undated resource and a dataPeriod");
    add(data_period && is_dated(case), "a dated resource and a dataPeriod");
    let actor = says("\"actor\"");
    let names = ["/caller/fhir_user", "/caller/organization", "/caller/actors/0"];
    add(actor && memberships.contains("\"resolved\":false"), "unresolved memberships and an actor");
    add(actor && names.iter().all(|name| case.pointer(name).is_none()), "a caller without actors and an actor");
    add(actor && (says("urn:uuid:0b0b") || says("Dr. D")), "an actor that can be compared with nothing");
    add(says("\"CST\"") || says("\"text\":\"recipient\""), "an actor of another role");
    add(says("us-npi") || says("urn:oid:1.2.3"), "an actor by identifier");
    add(actor && says("https://elsewhere.example.org/fhir/Pr"), "an actor at another base");
    add(actor && says("http://upstream.example.org/fhir/Pr"), "an actor at one of our bases");
    let part_of =
        memberships.contains("\"of\":\"Organization/o2\"") || memberships.contains("\"of\":\"Organization/o3\"");
    add(part_of && (says("\"Organization/o2\"") || says("\"Organization/o3\"")), "a partOf and the whole as actor");
    add(memberships.contains("\"active\":false"), "an inactive membership");
    add(memberships.contains("\"end\"") || memberships.contains("\"start\""), "a membership with a period");
    let inside =
        says("},{\"extension\"") || says("[{\"extension\"") || says("eriod\":{\"end\":") && says("\"extension\"");
    add(says("example.org/narrower"), "an extension on a provision");
    add(inside, "an extension inside an element");
    add(says("\"EMRGONLY\""), "EMRGONLY");
    add(says("\"OPTIN"), "OPTIN or OPTINR");
    add(says("\"OPTOUT"), "OPTOUT or OPTOUTE");
    let consents =
        || case.get("consents").and_then(Value::as_object).into_iter().flatten().flat_map(|(_, row)| each(row));
    let typed = |consent: &&Value| consent.pointer("/provision/type").is_some();
    add(consents().any(|consent| typed(&consent) && consent.get("policyRule").is_some()), "type against policyRule");
    for (name, feature) in [
        ("basic-normal", "policy basic-normal at an untyped root"),
        ("all-normal", "policy all-normal at an untyped root"),
        ("break-glass-only", "policy break-glass-only at an untyped root"),
        ("deny", "policy deny at an untyped root"),
    ] {
        let uri = |consent: &&Value| {
            consent
                .pointer("/policy/0/uri")
                .and_then(Value::as_str)
                .is_some_and(|uri| uri.ends_with(&format!("Policy-{name}")))
        };
        add(consents().any(|consent| !typed(&consent) && uri(&consent)), feature);
    }
    for (meaning, feature) in [
        ("\"meaning\":\"instance\"", "data.meaning instance"),
        ("\"meaning\":\"related\"", "data.meaning related"),
        ("\"meaning\":\"dependents\"", "data.meaning dependents"),
        ("\"meaning\":\"authoredby\"", "data.meaning authoredby"),
    ] {
        add(says(meaning), feature);
    }
    labels(case, &told, &resource, &mut found);
    let mut add = |holds: bool, feature: &'static str| {
        if holds {
            found.push(feature);
        }
    };
    add(says("\"sell\"") || says("look at"), "an unknown action");
    add(!matches!(text(case, "action"), Some("read" | "search")), "a write");
    add(says("\"urn:ietf:rfc:3986\"") || says("\"34133-9\""), "a class that is no resource type");
    add(
        case.pointer("/caller/fhir_user").and_then(Value::as_str).is_some_and(|user| user.ends_with("Patient/p1")),
        "the own record",
    );
    add(patients(case) > 1, "two owners");
    add(patients(case) == 0, "no owner");
    add(resource.contains("\"contained\""), "a contained resource");
    add(consents().count() > 2, "several Consents");
    add(case.pointer("/consents/Patient~1p1").and_then(Value::as_array).is_some_and(Vec::is_empty), "no Consent");
    add(says("\"unavailable\"") || says("\"too-many\""), "Consents that could not be had");
    found
}

fn labels(case: &Value, told: &str, resource: &str, found: &mut Vec<&'static str>) {
    let mut add = |holds: bool, feature: &'static str| {
        if holds {
            found.push(feature);
        }
    };
    let borne = |code: &str| {
        resource.contains(&format!("\"code\":\"{code}\",\"system\":\"http://terminology.hl7.org/CodeSystem/v3-"))
    };
    let stated = |code: &str| {
        told.contains(&format!("\"code\":\"{code}\",\"system\":\"http://terminology.hl7.org/CodeSystem/v3-"))
    };
    let levels = ["V", "R", "N", "M", "L", "U"];
    add(levels.iter().any(|level| stated(level)), "confidentiality in a provision");
    add(levels.iter().filter(|level| borne(level)).count() > 1, "two confidentiality codes");
    add(stated("SUD") && (borne("ETHUD") || borne("OPIOIDUD")), "an ancestor stated for its descendant");
    add(borne("SUD") && (borne("ETHUD") || borne("OPIOIDUD")), "an ancestor beside its descendant");
    add(borne("HTEST"), "a label of no table on the resource");
    add(told.contains("\"securityLabel\"") && stated("HTEST"), "a label of no table in a provision");
    let retired = "\"code\":\"HIV\",\"system\":\"http://terminology.hl7.org/CodeSystem/v3-Confidentiality\"";
    add(resource.contains(retired), "a retired label on the resource");
    add(told.contains(retired), "a retired label in a provision");
    let local = told.contains("\"CELEBRITY\"") || resource.contains("\"CELEBRITY\"");
    let configured = case.pointer("/settings/label_systems").is_some();
    add(local && configured, "a local label, configured");
    add(local && !configured, "a local label, not configured");
    add(!resource.contains("\"security\""), "an unlabelled resource");
    let sets = case.pointer("/label_sets/sets/0").is_some();
    let clinical = ["\"B20\"", "\"F10.20\"", "\"F11\"", "\"6813\""].iter().any(|code| resource.contains(code));
    add(sets && clinical, "codes that the label sets know");
}
