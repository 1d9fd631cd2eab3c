//! What is printed of the decision on one resource.

use gateway_core::decide::{Ruling, parts_of};
use gateway_core::facts::ResourceFacts;
use gateway_core::json::{Edits, Value};
use gateway_core::reasons::Reason;
use gateway_core::redact::redact;
use gateway_core::reference::Bases;
use serde::Serialize;

/// Permit or deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Word {
    Permit,
    Deny,
}

/// One row of the results.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    resource: String,
    decision: Word,
    /// The elements that are there and have to go.
    redactions: Vec<String>,
    /// The codes of the labels that counted, the effective confidentiality first.
    labels: Vec<String>,
    reasons: Vec<Because>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Because {
    consent: Option<String>,
    provision: Option<String>,
    rule: String,
}

/// Not of [`gateway_core::reasons::RuleName`]: the organisation is asked before the decision.
const ORGANISATION: &str = "organisation-policy";
const UNREADABLE: &str = "resource-unreadable";

impl Row {
    /// The row of a decision; `refused` are the organisation's policies that refuse the interaction on the type.
    pub(super) fn of(
        resource: Value<'_>,
        facts: &ResourceFacts,
        ruling: &Ruling,
        refused: Option<&[String]>,
        bases: &Bases,
    ) -> Self {
        let decision = &ruling.decision;
        let labels = decision.labels().codings().into_iter().map(|label| label.code).collect();
        let name = match &facts.id {
            Some(id) => format!("{}/{id}", facts.resource_type),
            None => facts.resource_type.to_string(),
        };
        let row = |decision, redactions, reasons| Self { resource: name, decision, redactions, labels, reasons };
        if refused.is_some() {
            return row(Word::Deny, Vec::new(), vec![Because::rule(ORGANISATION)]);
        }
        if !ruling.permits() {
            let hidden = ruling.hidden.iter().flat_map(|part| part.reasons.iter());
            return row(Word::Deny, Vec::new(), becauses(hidden.chain(decision.reasons())));
        }
        // What is not there need not go.
        let Ok(removed) = redact(resource, decision.redactions(), &mut Edits::new()) else {
            return row(Word::Deny, Vec::new(), vec![Because::rule(UNREADABLE)]);
        };
        let mut redactions: Vec<String> = removed.iter().map(ToString::to_string).collect();
        if let Some((list, _)) = parts_of(resource) {
            let places = ruling.hidden_places(resource, bases).into_iter();
            redactions.extend(places.map(|place| format!("{}.{list}[{place}]", facts.resource_type)));
        }
        let hidden = ruling.hidden.iter().flat_map(|part| part.reasons.iter());
        row(Word::Permit, redactions, becauses(decision.reasons().iter().chain(hidden)))
    }

    /// A resource that cannot be read is hidden from everybody.
    pub(super) fn unreadable(name: &str) -> Self {
        Self {
            resource: name.to_owned(),
            decision: Word::Deny,
            redactions: Vec::new(),
            labels: Vec::new(),
            reasons: vec![Because::rule(UNREADABLE)],
        }
    }
}

impl Because {
    fn rule(rule: &str) -> Self {
        Self { consent: None, provision: None, rule: rule.to_owned() }
    }
}

/// In the order given, each once.
fn becauses<'r>(reasons: impl Iterator<Item = &'r Reason>) -> Vec<Because> {
    let mut told = Vec::new();
    for reason in reasons {
        let because = Because {
            consent: reason.consent.as_ref().map(|consent| format!("Consent/{}", consent.id)),
            provision: reason.provision.clone(),
            rule: reason.rule.to_string(),
        };
        if !told.contains(&because) {
            told.push(because);
        }
    }
    told
}
