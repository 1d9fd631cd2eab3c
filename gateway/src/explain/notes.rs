//! The witness of an explanation: it notes every decision, references and reasons only.

use std::sync::{Arc, Mutex, PoisonError};

use gateway_core::caller::Caller;
use gateway_core::consent::Effect;
use gateway_core::decide::{Action, PatientRow, Ruling};
use gateway_core::facts::ResourceFacts;
use gateway_core::owner::PatientId;
use gateway_core::reasons::{Reason, RuleName};
use serde::Serialize;
use time::OffsetDateTime;

use crate::filter::{Ruled, Witness};
use crate::shadow::redacted;

/// Decisions that are listed; further ones are counted.
const MOST: usize = 500;

/// What was decided so far.
#[derive(Default)]
pub(super) struct Notes(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    rows: Vec<Row>,
    more: u64,
}

/// The decision on one resource.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    /// `Type/id`.
    resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    action: Action,
    decision: Effect,
    /// Whose it is; empty where it is nobody's.
    owners: Vec<String>,
    /// The codes of the labels that counted, the effective confidentiality first.
    labels: Vec<String>,
    /// The elements of its own type that go where they are there.
    redactions: Vec<String>,
    /// Of these, those that were there, with the rule that took each; absent where the resource was not cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<Vec<Removed>>,
    /// Targets or members that are hidden in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hidden_parts: Vec<Part>,
    /// What each owner's Consents say.
    patients: Vec<PatientRow>,
    /// Why.
    reasons: Vec<Reason>,
}

#[derive(Debug, Serialize)]
struct Removed {
    path: String,
    rule: &'static str,
}

#[derive(Debug, Serialize)]
struct Part {
    name: String,
    reasons: Vec<Reason>,
}

impl Notes {
    /// All that was noted, and how many decisions were not.
    pub(super) fn take(&self) -> (Vec<Row>, u64) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut noted.rows), noted.more)
    }
}

impl Row {
    fn of(facts: &ResourceFacts, action: Action, ruling: &Ruling) -> Self {
        let decision = &ruling.decision;
        let part =
            |part: &gateway_core::decide::HiddenPart| Part { name: part.name.clone(), reasons: part.reasons.clone() };
        Self {
            resource: name(facts),
            version: facts.version.clone(),
            action,
            decision: decision.effect(),
            owners: ruling.owners.iter().map(PatientId::reference).collect(),
            labels: decision.labels().codings().into_iter().map(|label| label.code).collect(),
            redactions: redacted(ruling).collect(),
            removed: None,
            hidden_parts: ruling.hidden.iter().map(part).collect(),
            patients: decision.patients().to_vec(),
            reasons: decision.reasons().to_vec(),
        }
    }

    fn is(&self, facts: &ResourceFacts) -> bool {
        self.version == facts.version && self.resource == name(facts)
    }
}

fn name(facts: &ResourceFacts) -> String {
    match &facts.id {
        Some(id) => format!("{}/{id}", facts.resource_type),
        None => facts.resource_type.to_string(),
    }
}

impl Witness for Notes {
    fn ruled(&self, asked: &Ruled<'_>, rulings: &[Ruling]) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Noted { rows, more } = &mut *noted;
        for ((facts, action), ruling) in asked.questions.iter().zip(rulings) {
            let row = Row::of(facts, *action, ruling);
            // A resource may be asked about more than once on the way of a request.
            let again = rows.iter().position(|old| old.is(facts) && old.action == *action);
            match again {
                Some(at) => rows.splice(at..=at, [row]).for_each(drop),
                None if rows.len() < MOST => rows.push(row),
                None => *more += 1,
            }
        }
    }

    fn cut(&self, resource: &ResourceFacts, removed: &[(String, RuleName)]) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = noted.rows.iter_mut().rev().find(|row| row.is(resource)) {
            let removed = removed.iter().map(|(path, rule)| Removed { path: path.clone(), rule: rule.as_str() });
            row.removed = Some(removed.collect());
        }
    }

    fn organisation(
        &self,
        _caller: &Arc<Caller>,
        _asked: (&'static str, Option<&str>),
        _now: OffsetDateTime,
        _passes: bool,
    ) {
    }
}
