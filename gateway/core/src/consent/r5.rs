//! The strict reader of FHIR R5 Consents.
//!
//! `decision` holds where no provision matches, and each level of `provision` reverses the one above (FHIR R5, Consent,
//! "Provisions"). What is not understood makes the whole Consent [`Unusable`]; nothing is skipped.

mod shape;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::reader::{self, Form, MAX_DEPTH, MAX_PROVISIONS, concept, constraints, is_extended, items, period, text};
use super::shape::Fault;
use super::{Consent, Constraints, Provision, Rule, Scope, Unusable, Why};

static FORM: Form = Form {
    patient: "subject",
    date_time: "date",
    dormant: &["draft", "inactive", "not-done", "entered-in-error", "unknown"],
    scope: |members| Ok(Some(Scope::Categories(items(members.get("category")).map(concept).collect()))),
    check: shape::check,
    root,
};

/// Reads a Consent from JSON whose duplicate keys have been refused already.
pub fn read(json: &Value) -> Result<Consent, Unusable> {
    reader::read(json, &FORM)
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
