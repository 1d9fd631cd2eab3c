//! The strict reader of FHIR R4 and R4B Consents (their `Consent` is the same).
//!
//! `type` is taken literally at every level. What is not understood makes the whole Consent [`Unusable`]; nothing is
//! skipped (CONSENT.md, "Exact answers": *Not understood*).

mod shape;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::reader::{self, Form, MAX_DEPTH, MAX_PROVISIONS, concept, constraints, is_extended, items, text};
use super::shape::{Fault, check_concept};
use super::{Consent, Constraints, Provision, Rule, Scope, Unusable, Why};
use crate::coding::Coding;
use crate::labels::SENSITIVITY_SYSTEM;

const SCOPES: &str = "http://terminology.hl7.org/CodeSystem/consentscope";

static FORM: Form = Form {
    patient: "patient",
    date_time: "dateTime",
    dormant: &["draft", "proposed", "rejected", "inactive", "entered-in-error"],
    scope,
    check: shape::check,
    root,
};

/// Reads a Consent from JSON whose duplicate keys have been refused already.
pub fn read(json: &Value) -> Result<Consent, Unusable> {
    reader::read(json, &FORM)
}

/// The one scope of the consentscope code system; `None` for one that never counts.
fn scope(members: &Map<String, Value>) -> Result<Option<Scope>, Fault> {
    let value = members.get("scope").ok_or_else(|| Fault::new(Why::Missing, "scope"))?;
    check_concept(value, "scope")?;
    let codes: BTreeSet<String> = concept(value)
        .into_iter()
        .filter(|coding| coding.system.as_deref() == Some(SCOPES))
        .map(|coding| coding.code)
        .collect();
    let mut codes = codes.into_iter();
    match (codes.next(), codes.next()) {
        (Some(code), None) => match code.as_str() {
            "patient-privacy" => Ok(Some(Scope::PatientPrivacy)),
            "research" => Ok(Some(Scope::Research)),
            "treatment" | "adr" => Ok(None),
            _ => Err(Fault::new(Why::UnknownCode, "scope")),
        },
        (Some(_), Some(_)) => Err(Fault::new(Why::TwoValues, "scope")),
        (None, _) => Err(Fault::new(Why::UnknownCode, "scope")),
    }
}

/// The root provision, with its effect from `type`, `policyRule` and `policy.uri`.
///
/// `type` against `policyRule`: the stricter, so both have to permit. `policy.uri` names the policy that a typed root
/// refines (IHE PCF), so it gives the effect of an untyped root only.
fn root(members: &Map<String, Value>) -> Result<Provision, Fault> {
    let mut rules: BTreeSet<Rule> =
        members.get("policyRule").map(concept).into_iter().flatten().filter_map(|c| directive(&c)).collect();
    let stated = members.get("provision").and_then(|provision| provision.get("type")).and_then(Value::as_str);
    match stated {
        Some(code) => {
            rules.insert(effect(code, "provision.type")?);
        }
        None => rules.extend(
            items(members.get("policy")).filter_map(|policy| policy.get("uri")?.as_str()).filter_map(overarching),
        ),
    }
    if rules.is_empty() {
        rules.insert(Rule::Untyped);
    }
    let mut budget = MAX_PROVISIONS;
    match members.get("provision") {
        Some(Value::Object(members)) => provision(members, rules, 0, &mut budget, "provision"),
        _ => Ok(Provision { rules, constraints: Constraints::default(), extended: false, children: Vec::new() }),
    }
}

/// v3-ActCode, ActConsentDirective.
fn directive(coding: &Coding) -> Option<Rule> {
    if coding.system.as_deref() != Some(SENSITIVITY_SYSTEM) {
        return None;
    }
    match coding.code.as_str() {
        "OPTIN" | "OPTINR" => Some(Rule::Permit),
        "OPTOUT" | "OPTOUTE" => Some(Rule::Deny),
        "EMRGONLY" => Some(Rule::EmergencyOnly),
        _ => None,
    }
}

/// The overarching policies of IHE PCF (volume 1, 53.2.1).
fn overarching(uri: &str) -> Option<Rule> {
    match uri {
        "https://profiles.ihe.net/ITI/PCF/Policy-basic-normal" => Some(Rule::BasicNormal),
        "https://profiles.ihe.net/ITI/PCF/Policy-all-normal" => Some(Rule::AllNormal),
        "https://profiles.ihe.net/ITI/PCF/Policy-break-glass-only" => Some(Rule::BreakGlassOnly),
        "https://profiles.ihe.net/ITI/PCF/Policy-deny" => Some(Rule::Deny),
        _ => None,
    }
}

/// `consent-provision-type`, taken literally.
fn effect(code: &str, path: &str) -> Result<Rule, Fault> {
    match code {
        "permit" => Ok(Rule::Permit),
        "deny" => Ok(Rule::Deny),
        _ => Err(Fault::new(Why::UnknownCode, path)),
    }
}

fn provision(
    members: &Map<String, Value>,
    rules: BTreeSet<Rule>,
    depth: usize,
    budget: &mut usize,
    path: &str,
) -> Result<Provision, Fault> {
    *budget = budget.checked_sub(1).ok_or_else(|| Fault::new(Why::TooLarge, path))?;
    if depth > MAX_DEPTH {
        return Err(Fault::new(Why::TooLarge, path));
    }
    let mut children = Vec::new();
    for (at, child) in items(members.get("provision")).enumerate() {
        let path = format!("{path}.provision[{at}]");
        let Value::Object(child) = child else { return Err(Fault::new(Why::WrongType, &path)) };
        let code = text(child, "type").ok_or_else(|| Fault::new(Why::MissingType, &path))?;
        let rules = BTreeSet::from([effect(code, &path)?]);
        children.push(provision(child, rules, depth.saturating_add(1), budget, &path)?);
    }
    Ok(Provision { rules, constraints: constraints(members, "class", path)?, extended: is_extended(members), children })
}

#[cfg(test)]
mod tests;
