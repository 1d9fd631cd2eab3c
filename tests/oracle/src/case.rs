//! A case: everything that one decision is made from, as JSON in the form of the scenario corpus
//! (`gateway/core/scenarios/README.md`), so that a difference can be kept there as it is printed.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::evaluator::dates::span;
use crate::evaluator::{
    Action, Actor, Caller, Code, Effect, Facts, Membership, PURPOSES, Question, Recorded, Settings, code, coding,
    decide, each, text,
};

/// Asks the oracle.
pub fn oracle(case: &Value) -> Effect {
    let none = Value::Null;
    let (caller, facts, settings) = (caller(case), facts(case), settings(case));
    let action = match text(case, "action") {
        None | Some("read" | "search") => Action::Look,
        Some(_) => Action::Change,
    };
    let now = span(text(case, "now").unwrap_or("2026-06-01T12:00:00Z"), 0).map_or(0, |now| now.start);
    let resource = case.get("resource").unwrap_or(&none);
    decide(&Question { caller: &caller, action, resource, now, facts: &facts, settings: &settings })
}

/// A FHIR reference, or `system|value`.
pub fn actor(text: &str) -> Actor {
    match text.split_once('|') {
        None => Actor::Reference(text.to_owned()),
        Some(("", value)) => Actor::Identifier { system: None, value: value.to_owned() },
        Some((system, value)) => Actor::Identifier { system: Some(system.to_owned()), value: value.to_owned() },
    }
}

fn at<'a>(json: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    json.get(key).into_iter().flat_map(each)
}

fn strings(json: &Value, key: &str) -> Vec<String> {
    at(json, key).filter_map(Value::as_str).map(str::to_owned).collect()
}

fn purpose(json: &Value) -> Option<Code> {
    json.as_str().map(|purpose| code(PURPOSES, purpose)).or_else(|| coding(json))
}

/// Who asks.
pub fn caller(case: &Value) -> Caller {
    let none = Value::Null;
    let json = case.get("caller").unwrap_or(&none);
    Caller {
        fhir_user: text(json, "fhir_user").map(actor),
        organization: text(json, "organization").map(actor),
        actors: strings(json, "actors").iter().map(|text| actor(text)).collect(),
        roles: strings(json, "roles"),
        purposes: at(case, "purpose").filter_map(purpose).collect(),
        grants: strings(json, "break_glass").into_iter().collect(),
    }
}

fn facts(case: &Value) -> Facts {
    let none = Value::Null;
    let memberships = case.get("memberships").unwrap_or(&none);
    let owned = |json: &Value, key| text(json, key).map(str::to_owned);
    let named = |json: &Value, key| actor(text(json, key).unwrap_or_default());
    let objects = |key: &str| case.get(key).and_then(Value::as_object).into_iter().flatten();
    let recorded = |json: &Value| match json {
        Value::Array(consents) => Recorded::Consents(consents.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => Recorded::Unavailable,
    };
    let sets = case.get("label_sets").into_iter().flat_map(|sets| at(sets, "sets"));
    Facts {
        consents: objects("consents").map(|(patient, json)| (patient.clone(), recorded(json))).collect(),
        resolved: memberships.get("resolved") != Some(&Value::Bool(false)),
        memberships: at(memberships, "edges")
            .map(|edge| Membership {
                member: named(edge, "member"),
                of: named(edge, "of"),
                active: edge.get("active").and_then(Value::as_bool),
                start: owned(edge, "start"),
                end: owned(edge, "end"),
            })
            .collect(),
        identifiers: at(memberships, "identities")
            .map(|row| {
                let identifiers = strings(row, "identifiers");
                (named(row, "reference"), identifiers.iter().map(|text| actor(text)).collect())
            })
            .collect(),
        outgoing: objects("outgoing")
            .map(|(from, to)| (from.clone(), each(to).filter_map(Value::as_str).map(str::to_owned).collect()))
            .collect::<BTreeMap<_, _>>(),
        label_sets: sets
            .flat_map(|set| {
                let part = |key| text(set, key).unwrap_or_default().to_owned();
                let codes = strings(set, "codes").into_iter();
                codes.map(move |code| (part("sensitivity"), part("system"), code)).collect::<Vec<_>>()
            })
            .collect(),
    }
}

/// The operator's choices, with the defaults of CONSENT.md.
pub fn settings(case: &Value) -> Settings {
    let none = Value::Null;
    let json = case.get("settings").unwrap_or(&none);
    let choice = |key: &str, default: &str| text(json, key).unwrap_or(default).to_owned();
    let recorders = case.get("roles").map(|roles| strings(roles, "consent_recorder"));
    Settings {
        no_consent: choice("no_consent", "deny"),
        several_consents: choice("several_consents", "deny-overrides"),
        siblings: choice("siblings", "deny"),
        labels: choice("labels", "all-labels"),
        unlabelled: choice("unlabelled", "label"),
        untyped_root: choice("untyped_root", "deny"),
        not_understood: choice("not_understood", "deny"),
        research: json.get("research") == Some(&Value::Bool(true)),
        break_glass: choice("break_glass", "consent-decides"),
        zone: match text(json, "timezone") {
            Some("Etc/GMT+5") => -5 * 60,
            Some("Etc/GMT-9") => 9 * 60,
            _ => 0,
        },
        bases: ["public_base", "upstream_base"].iter().filter_map(|key| text(json, key)).map(str::to_owned).collect(),
        label_systems: strings(json, "label_systems"),
        consent_recorders: recorders.unwrap_or_else(|| vec!["consent-recorder".to_owned()]),
    }
}
