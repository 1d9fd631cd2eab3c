//! What one Consent answers: whether it counts, its effect at the root, and its deepest matching provision.

use std::collections::BTreeMap;

use serde_json::Value;

use super::dates::{Span, between, span};
use super::labels::Labels;
use super::matching::{ELEMENTS, matches, purpose_is_under};
use super::{Code, Effect, Question, Truth, each, implicit, text};

const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
const SCOPES: &str = "http://terminology.hl7.org/CodeSystem/consentscope";
const PCF: &str = "https://profiles.ihe.net/ITI/PCF/Policy-";

/// The answer of an applicable Consent.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What it says.
    pub effect: Effect,
    /// Where: 0 is the root.
    pub depth: usize,
    /// How many elements the deciding provision states.
    pub stated: usize,
    /// `dateTime`.
    pub given: Option<Span>,
}

/// The code of `scope`.
pub fn scope(json: &Value) -> Option<&str> {
    let codings = json.get("scope")?.get("coding")?;
    let coding = each(codings).find(|coding| text(coding, "system") == Some(SCOPES))?;
    text(coding, "code")
}

/// Whether it is active, of a scope that counts, and within its period.
pub fn counts(json: &Value, question: &Question<'_>) -> bool {
    let scope = scope(json);
    let of_scope = scope == Some("patient-privacy") || (scope == Some("research") && question.settings.research);
    let root = json.get("provision");
    text(json, "status") == Some("active") && of_scope && root.is_none_or(|root| is_current(root, None, question))
}

/// An expired root ends the Consent, unless a provision below it states a period of its own that holds.
fn is_current(provision: &Value, above: Option<&Value>, question: &Question<'_>) -> bool {
    let period = provision.get("period").or(above);
    let children = provision.get("provision").into_iter().flat_map(each);
    period.is_none_or(|period| in_period(period, question) != Truth::No)
        || children.into_iter().any(|child| is_current(child, period, question))
}

fn in_period(period: &Value, question: &Question<'_>) -> Truth {
    if period.get("start").is_none() && period.get("end").is_none() {
        return Truth::Unknown;
    }
    match between(text(period, "start"), text(period, "end"), question.settings.zone) {
        Some(span) => Truth::of(span.start <= question.now && question.now < span.end),
        None => Truth::Unknown,
    }
}

/// `period`: the question is asked within it.
pub fn period_matches(period: &Value, question: &Question<'_>) -> Truth {
    in_period(period, question)
}

struct Found {
    effect: Effect,
    depth: usize,
    stated: usize,
}

/// What it says to the question; `None` where nothing matches.
pub fn answer(json: &Value, question: &Question<'_>, labels: &Labels, purpose: Option<&Code>) -> Option<Answer> {
    let mut found = Vec::new();
    let nothing = Value::Null;
    let root = json.get("provision").unwrap_or(&nothing);
    let effect = root_effect(json, question, labels, purpose);
    walk(
        root,
        effect,
        &Inherited::default(),
        0,
        &mut |effect, inherited| matches(effect, inherited, question, labels, purpose),
        &mut found,
    );
    let depth = found.iter().map(|found: &Found| found.depth).max()?;
    found.retain(|found| found.depth == depth);
    if question.settings.siblings == "most-specific" {
        let stated = found.iter().map(|found| found.stated).max()?;
        found.retain(|found| found.stated == stated);
    }
    let denied = found.iter().any(|found| found.effect == Effect::Deny);
    let effect = if denied { Effect::Deny } else { Effect::Permit };
    let stated = found.iter().filter(|found| found.effect == effect).map(|found| found.stated).max()?;
    let given = text(json, "dateTime").and_then(|given| span(given, question.settings.zone));
    Some(Answer { effect, depth, stated, given })
}

/// What a provision has from those above it, and then with its own in their place.
#[derive(Clone, Debug, Default)]
pub struct Inherited<'a> {
    /// By element.
    pub elements: BTreeMap<&'static str, &'a Value>,
    /// Whether an extension narrows it.
    pub extended: bool,
}

fn walk<'a>(
    provision: &'a Value,
    effect: Effect,
    above: &Inherited<'a>,
    depth: usize,
    matches: &mut dyn FnMut(Effect, &Inherited<'a>) -> Truth,
    found: &mut Vec<Found>,
) {
    let mut own = above.clone();
    let mut stated = 0;
    for element in ELEMENTS {
        if let Some(value) = provision.get(element) {
            own.elements.insert(element, value);
            stated += 1;
        }
    }
    own.extended |= is_extended(provision);
    let truth = matches(effect, &own);
    if truth == Truth::Yes || (truth == Truth::Unknown && effect == Effect::Deny) {
        found.push(Found { effect, depth, stated });
    }
    for child in provision.get("provision").into_iter().flat_map(each) {
        let effect = if text(child, "type") == Some("permit") { Effect::Permit } else { Effect::Deny };
        walk(child, effect, &own, depth + 1, matches, found);
    }
}

/// An extension anywhere in a provision but in those below it.
fn is_extended(json: &Value) -> bool {
    match json {
        Value::Object(members) => {
            members.iter().any(|(key, value)| key == "extension" || (key != "provision" && is_extended(value)))
        }
        Value::Array(items) => items.iter().any(is_extended),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The effect of the root: `type`, and what `policyRule` says; without `type` also what `policy.uri` says; the stricter.
fn root_effect(json: &Value, question: &Question<'_>, labels: &Labels, purpose: Option<&Code>) -> Effect {
    let mut said: Vec<Effect> = Vec::new();
    let kind = json.get("provision").and_then(|root| text(root, "type"));
    said.extend(kind.map(|kind| if kind == "permit" { Effect::Permit } else { Effect::Deny }));
    let rule = json.get("policyRule").and_then(|rule| rule.get("coding"));
    for coding in rule.into_iter().flat_map(each).filter(|coding| text(coding, "system") == Some(ACT_CODE)) {
        match text(coding, "code") {
            Some("OPTIN" | "OPTINR") => said.push(Effect::Permit),
            Some("OPTOUT" | "OPTOUTE") => said.push(Effect::Deny),
            Some("EMRGONLY") => {
                let emergency = purpose.is_some_and(|purpose| purpose_is_under(purpose, "ETREAT") == Truth::Yes);
                said.push(if emergency { Effect::Permit } else { Effect::Deny });
            }
            _ => {}
        }
    }
    if kind.is_none() {
        for policy in json.get("policy").into_iter().flat_map(each) {
            let name = text(policy, "uri").and_then(|uri| uri.strip_prefix(PCF));
            if let Some(name @ ("deny" | "basic-normal" | "all-normal" | "break-glass-only")) = name {
                said.push(implicit(name, labels, purpose));
            }
        }
        if said.is_empty() {
            said.push(if question.settings.untyped_root == "permit" { Effect::Permit } else { Effect::Deny });
        }
    }
    if said.contains(&Effect::Deny) { Effect::Deny } else { Effect::Permit }
}
