//! What one Consent answers: Permit, Deny or nothing.
//!
//! The deepest provision that matches decides, root included; among provisions at one depth any matching deny wins, or
//! by setting the one that states more elements (CONSENT.md, "Consent").

use time::OffsetDateTime;

use super::matching::{Effective, Inquiry};
use super::truth::Truth;
use super::{Body, Consent, Effect, Element, Provision, Rule, Scope};
use crate::policy::{ConsentSettings, Siblings, UntypedRoot};
use crate::purpose;

/// A Consent's applicable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it says.
    pub effect: Effect,
    /// The provision that decided, as `provision.provision[0]`.
    pub provision: String,
    /// How deep it is; the root is 0.
    pub depth: usize,
    /// How many elements it states itself.
    pub stated: usize,
    /// The elements that were unknown; only a deny can have some.
    pub unknown: Vec<Element>,
    /// Whether the effect came from the setting `untyped_root`.
    pub untyped: bool,
}

/// Whether the Consent counts at all: active, of a scope that counts, within its period.
///
/// It is within its period where any of its provisions is: the root's period is inherited, so that an expired root ends
/// the Consent, unless a nested provision states a period of its own that holds now.
pub fn counts(consent: &Consent, now: OffsetDateTime, settings: &ConsentSettings) -> bool {
    match &consent.body {
        Body::Dormant(_) => false,
        Body::Active { scope, root } => {
            let in_scope = match scope {
                Scope::PatientPrivacy => true,
                Scope::Research => settings.research,
                Scope::Categories(categories) => !settings.ignores(categories),
            };
            in_scope && any_in_period(root, &Effective::default(), now, settings)
        }
    }
}

fn any_in_period(
    provision: &Provision,
    parent: &Effective<'_>,
    now: OffsetDateTime,
    settings: &ConsentSettings,
) -> bool {
    let effective = parent.under(provision);
    effective.is_in_period(now, settings) != Truth::False
        || provision.children.iter().any(|child| any_in_period(child, &effective, now, settings))
}

/// What a Consent answers; `None` = not applicable.
pub fn evaluate(consent: &Consent, inquiry: &Inquiry<'_>) -> Option<Answer> {
    let Body::Active { root, scope } = &consent.body else { return None };
    let newer_types = matches!(scope, Scope::Categories(_));
    let inquiry = &Inquiry { newer_types, ..*inquiry };
    let mut matching = Vec::new();
    collect(root, &Effective::default(), inquiry, &mut Vec::new(), &mut matching);
    let deepest = matching.iter().map(|answer| answer.depth).max()?;
    matching.retain(|answer| answer.depth == deepest);
    if inquiry.settings.siblings == Siblings::MostSpecific {
        let most = matching.iter().map(|answer| answer.stated).max()?;
        matching.retain(|answer| answer.stated == most);
    }
    let denied = matching.iter().any(|answer| answer.effect == Effect::Deny);
    // Of those that decide, the one that states most speaks for the Consent (`most-specific`), whatever their order.
    let mut answer = matching
        .into_iter()
        .filter(|answer| !denied || answer.effect == Effect::Deny)
        .reduce(|best, next| if next.stated > best.stated { next } else { best })?;
    if let Scope::Categories(_) = scope {
        // The root of R5 is `decision`, and its provisions stand beside it.
        answer.provision = match answer.provision.strip_prefix("provision.") {
            Some(below) => below.to_owned(),
            None => "decision".to_owned(),
        };
    }
    Some(answer)
}

/// Adds every provision of the tree that matches; `at` are the indices that lead to it, one for each level.
///
/// A child is asked whether or not its parent matches: it may have replaced the very element by which the parent does
/// not.
fn collect(
    provision: &Provision,
    parent: &Effective<'_>,
    inquiry: &Inquiry<'_>,
    at: &mut Vec<usize>,
    matching: &mut Vec<Answer>,
) {
    let effective = parent.under(provision);
    let effect = effect(provision, inquiry);
    let (truth, unknown) = effective.matches(inquiry, effect);
    if truth.satisfies(effect) {
        matching.push(Answer {
            effect,
            provision: path(at),
            depth: at.len(),
            stated: provision.constraints.stated(),
            unknown,
            untyped: provision.rules.contains(&Rule::Untyped),
        });
    }
    for (index, child) in provision.children.iter().enumerate() {
        at.push(index);
        collect(child, &effective, inquiry, at, matching);
        at.pop();
    }
}

/// `provision.provision[0].provision[2]`.
fn path(at: &[usize]) -> String {
    at.iter().fold("provision".to_owned(), |path, index| format!("{path}.provision[{index}]"))
}

/// Permit only if every rule of the provision permits.
fn effect(provision: &Provision, inquiry: &Inquiry<'_>) -> Effect {
    if provision.rules.iter().all(|rule| permits(*rule, inquiry)) { Effect::Permit } else { Effect::Deny }
}

/// What a rule says to a question; an unknown purpose permits nothing that depends on it.
pub fn permits(rule: Rule, inquiry: &Inquiry<'_>) -> bool {
    let purpose_under = |code| inquiry.purpose.is_some_and(|asked| purpose::is_under(asked, code) == Truth::True);
    match rule {
        Rule::Permit => true,
        Rule::Deny => false,
        Rule::Untyped => match inquiry.settings.untyped_root {
            UntypedRoot::Permit => true,
            UntypedRoot::Deny => false,
        },
        Rule::EmergencyOnly => purpose_under(purpose::ETREAT),
        Rule::BasicNormal => purpose_under(purpose::TREAT) && inquiry.labels.at_most_normal(),
        Rule::AllNormal => inquiry.labels.at_most_normal(),
        Rule::BreakGlassOnly => purpose_under(purpose::BTG),
    }
}
