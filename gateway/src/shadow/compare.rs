//! What the second policy decides on a question, and how that differs.

use std::collections::{BTreeMap, BTreeSet};

use gateway_core::decide::{Resolved, Ruling, Session, rule};
use gateway_core::reasons::{Reason, RuleName};

use super::{Asked, Job};
use crate::telemetry::ShadowResult;

/// What of a ruling changes what a caller gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the resource may leave.
    pub permits: bool,
    /// The elements that go, and the parts.
    pub goes: BTreeSet<String>,
}

impl Verdict {
    /// Of a ruling.
    pub fn of(ruling: &Ruling) -> Self {
        let parts = ruling.hidden.iter().map(|part| part.name.clone());
        let goes = if ruling.permits() { redacted(ruling).chain(parts).collect() } else { BTreeSet::new() };
        Self { permits: ruling.permits(), goes }
    }

    /// How another verdict on the same question differs from this one.
    pub fn against(&self, other: &Self) -> ShadowResult {
        match (self.permits, other.permits) {
            (true, false) => ShadowResult::WouldDeny,
            (false, true) => ShadowResult::WouldPermit,
            (true, true) if self.goes != other.goes => ShadowResult::WouldRedact,
            (true, true) | (false, false) => ShadowResult::Same,
        }
    }
}

/// The elements of the resource's own type that go where they are there. A ruling's redactions name those of every type,
/// since it may contain one; whether it does is not known of facts.
pub(crate) fn redacted(ruling: &Ruling) -> impl Iterator<Item = String> {
    let removes = |reason: &&Reason| matches!(reason.rule, RuleName::RedactionRule | RuleName::ElementLabel);
    ruling.decision.reasons().iter().filter(removes).filter_map(|reason| reason.detail.clone())
}

/// The rule that a ruling stands on: of a refusal the first that refused.
pub(crate) fn decided_by(ruling: &Ruling) -> &'static str {
    let reasons = ruling.decision.reasons();
    let first = reasons.iter().find(|reason| !matches!(reason.rule, RuleName::NotUnderstoodIgnored));
    first.or(reasons.first()).map_or("none", |reason| reason.rule.as_str())
}

/// What came of a comparison; names of rules and interactions only.
pub(super) struct Compared {
    pub(super) counts: BTreeMap<(ShadowResult, &'static str), u64>,
    pub(super) interaction: Option<&'static str>,
}

pub(super) fn compare(job: &Job) -> Compared {
    let mut counts = BTreeMap::new();
    let mut count = |result, rule| *counts.entry((result, rule)).or_insert(0) += 1;
    match &job.asked {
        Asked::Organisation { interaction, resource_type, passes } => {
            let decided = job.second.organisation.decide(&job.caller, interaction, resource_type.as_deref(), job.now);
            let result = match (passes, decided.is_ok()) {
                (true, false) => ShadowResult::WouldDeny,
                (false, true) => ShadowResult::WouldPermit,
                (true, true) | (false, false) => ShadowResult::Same,
            };
            count(result, "organisation-policy");
            Compared { counts, interaction: Some(interaction) }
        }
        Asked::Resources { questions, others, facts, reach, live } => {
            let session = Session::open(&job.caller, facts, &job.second.policy, job.now);
            for ((resource, action), live) in questions.iter().zip(live) {
                let ruling = rule(Resolved::of(resource, others), *action, others, |action, facts| match reach {
                    Some(reach) => session.decide_reference(*reach, facts),
                    None => session.decide(action, facts),
                });
                let result = live.against(&Verdict::of(&ruling));
                let rule = if result == ShadowResult::Same { "none" } else { decided_by(&ruling) };
                count(result, rule);
            }
            Compared { counts, interaction: None }
        }
    }
}
