//! The strict reader of FHIR R5 Consents.
//!
//! `decision` holds where no provision matches, and each level of `provision` reverses the one above (FHIR R5, Consent,
//! "Provisions"). What is not understood makes the whole Consent [`Unusable`]; nothing is skipped.

mod shape;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::r4::shape::Fault;
use super::r4::{
    MAX_DEPTH, MAX_PROVISIONS, concept, constraints, is_extended, items, moment, period, reference_of, text, text_at,
};
use super::{Body, Consent, Constraints, Dormant, Provision, Rule, Scope, Unusable, Why};
use crate::reasons::ConsentRef;

/// Reads a Consent from JSON whose duplicate keys have been refused already.
pub fn read(json: &Value) -> Result<Consent, Unusable> {
    let Value::Object(members) = json else {
        return Err(Unusable { reference: None, why: Why::NotAConsent, path: String::new() });
    };
    let reference = reference_of(members);
    let unusable = |fault: Fault| Unusable { reference: reference.clone(), why: fault.why, path: fault.path };
    consent(members, reference.clone()).map_err(unusable)
}

fn consent(members: &Map<String, Value>, reference: Option<ConsentRef>) -> Result<Consent, Fault> {
    if members.get("resourceType").and_then(Value::as_str) != Some("Consent") {
        return Err(Fault::new(Why::NotAConsent, "resourceType"));
    }
    let reference = reference.ok_or_else(|| Fault::new(Why::Missing, "id"))?;
    // These two may change what every other element means, `status` included.
    if members.contains_key("implicitRules") {
        return Err(Fault::new(Why::ImplicitRules, "implicitRules"));
    }
    if members.contains_key("modifierExtension") {
        return Err(Fault::new(Why::ModifierExtension, "modifierExtension"));
    }
    let subject = text_at(members.get("subject"), "reference");
    if !is_active(members)? {
        let patient = subject.unwrap_or_default().to_owned();
        return Ok(Consent { reference, patient, date_time: None, body: Body::Dormant(Dormant::Status) });
    }
    shape::check(members)?;
    let patient = subject.ok_or_else(|| Fault::new(Why::Missing, "subject.reference"))?.to_owned();
    let date_time = text(members, "date").map(|text| moment(text, "date")).transpose()?;
    let scope = Scope::Categories(items(members.get("category")).map(concept).collect());
    let root = root(members)?;
    Ok(Consent { reference, patient, date_time, body: Body::Active { scope, root: Box::new(root) } })
}

/// `consent-state-codes` of R5.
fn is_active(members: &Map<String, Value>) -> Result<bool, Fault> {
    match members.get("status") {
        None => Err(Fault::new(Why::Missing, "status")),
        Some(Value::String(status)) => match status.as_str() {
            "active" => Ok(true),
            "draft" | "inactive" | "not-done" | "entered-in-error" | "unknown" => Ok(false),
            _ => Err(Fault::new(Why::UnknownCode, "status")),
        },
        Some(Value::Null) => Err(Fault::new(Why::Null, "status")),
        Some(Value::Array(_)) => Err(Fault::new(Why::TwoValues, "status")),
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => Err(Fault::new(Why::WrongType, "status")),
    }
}

/// The root: `decision`, within `period`.
fn root(members: &Map<String, Value>) -> Result<Provision, Fault> {
    let decision = match text(members, "decision") {
        Some("permit") => Rule::Permit,
        Some("deny") => Rule::Deny,
        Some(_) => return Err(Fault::new(Why::UnknownCode, "decision")),
        None => return Err(Fault::new(Why::Missing, "decision")),
    };
    let constraints = Constraints {
        period: members.get("period").map(|value| period(value, "period")).transpose()?,
        ..Constraints::default()
    };
    let mut budget = MAX_PROVISIONS;
    let children = provisions(members, reverse(decision), 1, &mut budget, "")?;
    Ok(Provision { rules: BTreeSet::from([decision]), constraints, extended: false, children })
}

fn reverse(rule: Rule) -> Rule {
    if rule == Rule::Permit { Rule::Deny } else { Rule::Permit }
}

/// The provisions below a level, all of one effect.
fn provisions(
    members: &Map<String, Value>,
    rule: Rule,
    depth: usize,
    budget: &mut usize,
    path: &str,
) -> Result<Vec<Provision>, Fault> {
    let mut found = Vec::new();
    for (at, provision) in items(members.get("provision")).enumerate() {
        let path = if path.is_empty() { format!("provision[{at}]") } else { format!("{path}.provision[{at}]") };
        let Value::Object(provision) = provision else { return Err(Fault::new(Why::WrongType, &path)) };
        *budget = budget.checked_sub(1).ok_or_else(|| Fault::new(Why::TooLarge, &path))?;
        if depth > MAX_DEPTH {
            return Err(Fault::new(Why::TooLarge, &path));
        }
        if provision.contains_key("expression") {
            return Err(Fault::new(Why::Expression, &format!("{path}.expression")));
        }
        found.push(Provision {
            rules: BTreeSet::from([rule]),
            constraints: constraints(provision, "resourceType", &path)?,
            extended: is_extended(provision),
            children: provisions(provision, reverse(rule), depth.saturating_add(1), budget, &path)?,
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
