//! Who the caller is, and whether that is the actor whom a provision names (CONSENT.md, "Actors").

use serde_json::Value;

use super::dates::between;
use super::{Actor, Membership, Question, Truth, each, text};

const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";

/// The types whose instances are one person or device each, so that two of them are never the same actor.
const INDIVIDUALS: &[&str] = &["Practitioner", "Patient", "RelatedPerson", "Device", "Person"];

/// Base and version stripped where the base is ours; `None` for what can be compared with nothing.
pub fn normal(reference: &str, bases: &[String]) -> Option<String> {
    for base in bases {
        if let Some(relative) = reference.strip_prefix(base.as_str()).and_then(|rest| rest.strip_prefix('/')) {
            return relative_normal(relative);
        }
    }
    if reference.starts_with("http://") || reference.starts_with("https://") {
        return reference.split("/_history/").next().map(str::to_owned);
    }
    relative_normal(reference)
}

fn relative_normal(reference: &str) -> Option<String> {
    let parts: Vec<&str> = reference.split('/').collect();
    let name = |text: &str| text.starts_with(|c: char| c.is_ascii_uppercase()) && text.chars().all(char::is_alphabetic);
    let id = |text: &str| {
        (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
    };
    match parts.as_slice() {
        [kind, one] | [kind, one, "_history", _] if name(kind) && id(one) => Some(format!("{kind}/{one}")),
        _ => None,
    }
}

/// Whether two names are of the same actor.
fn same(one: &Actor, other: &Actor, bases: &[String]) -> Truth {
    match (one, other) {
        (Actor::Reference(one), Actor::Reference(other)) => match (normal(one, bases), normal(other, bases)) {
            (Some(one), Some(other)) => Truth::of(one == other),
            _ => Truth::No,
        },
        (Actor::Identifier { system: s1, value: v1 }, Actor::Identifier { system: s2, value: v2 }) => match (s1, s2) {
            (Some(s1), Some(s2)) => Truth::of(s1 == s2 && v1 == v2),
            _ => Truth::No,
        },
        _ => Truth::No,
    }
}

/// Everything that the caller is, with how sure that is.
pub fn identities(question: &Question<'_>) -> Vec<(Actor, Truth)> {
    let bases = &question.settings.bases;
    let mut known: Vec<(Actor, Truth)> = Vec::new();
    let caller = question.caller;
    for own in caller.fhir_user.iter().chain(&caller.organization).chain(&caller.actors) {
        if is_comparable(own, bases) {
            raise(&mut known, own, Truth::Yes);
        }
    }
    loop {
        let mut changed = false;
        for membership in &question.facts.memberships {
            let truth = in_force(membership, question).min(is_known(&membership.member, &known, bases));
            changed |= raise(&mut known, &membership.of, truth);
        }
        for (reference, identifiers) in &question.facts.identifiers {
            for identifier in identifiers {
                let truth = is_known(reference, &known, bases);
                changed |= raise(&mut known, identifier, truth);
                let truth = is_known(identifier, &known, bases);
                changed |= raise(&mut known, reference, truth);
            }
        }
        if !changed {
            return known;
        }
    }
}

/// Adds a name, or makes it surer; whether that was news.
fn raise(known: &mut Vec<(Actor, Truth)>, actor: &Actor, truth: Truth) -> bool {
    if truth == Truth::No {
        return false;
    }
    match known.iter_mut().find(|(name, _)| name == actor) {
        Some((_, before)) => {
            let news = truth > *before;
            *before = truth.max(*before);
            news
        }
        None => {
            known.push((actor.clone(), truth));
            true
        }
    }
}

fn is_known(actor: &Actor, known: &[(Actor, Truth)], bases: &[String]) -> Truth {
    Truth::any(known.iter().map(|(name, truth)| same(name, actor, bases).min(*truth)))
}

/// Inactive memberships and those out of their period do not count.
fn in_force(membership: &Membership, question: &Question<'_>) -> Truth {
    if membership.active == Some(false) {
        return Truth::No;
    }
    let period = between(membership.start.as_deref(), membership.end.as_deref(), question.settings.zone);
    period.map_or(Truth::Unknown, |period| Truth::of(period.start <= question.now && question.now < period.end))
}

/// `provision.actor`: one of them is the caller.
pub fn matches(stated: &Value, question: &Question<'_>) -> Truth {
    let known = identities(question);
    Truth::any(
        each(stated).map(|actor| if is_recipient(actor) { names(actor, &known, question) } else { Truth::Unknown }),
    )
}

/// A role that is absent or IRCP is the recipient's; whether one of another role is who asks cannot be told.
fn is_recipient(actor: &Value) -> bool {
    let Some(role) = actor.get("role") else { return true };
    let ircp = |coding: &Value| text(coding, "system") == Some(PARTICIPATION) && text(coding, "code") == Some("IRCP");
    role.get("coding").is_some_and(|codings| each(codings).any(ircp))
}

/// By reference or by identifier; an actor that is named by neither, or by an identifier without system, is unknown.
fn names(actor: &Value, known: &[(Actor, Truth)], question: &Question<'_>) -> Truth {
    let nothing = Value::Null;
    let reference = actor.get("reference").unwrap_or(&nothing);
    let literal = text(reference, "reference");
    let identifier = reference.get("identifier").unwrap_or(&nothing);
    let mut found = Vec::new();
    if let Some(literal) = literal {
        found.push(includes(&Actor::Reference(literal.to_owned()), known, question));
    }
    if let Some(value) = text(identifier, "value") {
        let system = text(identifier, "system").map(str::to_owned);
        found.push(includes(&Actor::Identifier { system, value: value.to_owned() }, known, question));
    }
    if found.is_empty() { Truth::Unknown } else { Truth::any(found) }
}

fn is_comparable(actor: &Actor, bases: &[String]) -> bool {
    match actor {
        Actor::Reference(literal) => normal(literal, bases).is_some(),
        Actor::Identifier { system, .. } => system.is_some(),
    }
}

fn includes(stated: &Actor, known: &[(Actor, Truth)], question: &Question<'_>) -> Truth {
    let bases = &question.settings.bases;
    if !is_comparable(stated, bases) || known.is_empty() {
        return Truth::Unknown;
    }
    match is_known(stated, known, bases) {
        Truth::No if is_excluded(stated, known, question) => Truth::No,
        Truth::No => Truth::Unknown,
        found @ (Truth::Unknown | Truth::Yes) => found,
    }
}

/// Whether the caller is certainly not the actor: everything was looked up, or both are individuals of one type.
fn is_excluded(stated: &Actor, known: &[(Actor, Truth)], question: &Question<'_>) -> bool {
    let bases = &question.settings.bases;
    let caller = question.caller;
    let mut own = caller.fhir_user.iter().chain(&caller.organization).chain(&caller.actors);
    // Somebody named by an identifier that no known resource bears could be anybody.
    let placed = |name: &Actor| match name {
        Actor::Reference(_) => true,
        Actor::Identifier { .. } => {
            question.facts.identifiers.iter().any(|(_, borne)| borne.contains(name))
                || question.facts.memberships.iter().any(|membership| membership.member == *name)
        }
    };
    let all_looked_up = question.facts.resolved
        && own.all(|name| is_comparable(name, bases))
        && known.iter().all(|(name, _)| placed(name));
    let individual = |actor: &Actor| match actor {
        Actor::Reference(literal) => {
            let kind = normal(literal, bases)?.split_once('/')?.0.to_owned();
            INDIVIDUALS.contains(&kind.as_str()).then_some(kind)
        }
        Actor::Identifier { .. } => None,
    };
    let kind = individual(stated);
    let another = known.iter().any(|(name, truth)| *truth == Truth::Yes && kind.is_some() && individual(name) == kind);
    all_looked_up || another
}
