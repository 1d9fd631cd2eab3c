//! Whether a provision matches: AND over its elements, OR over their repetitions, three-valued.

use serde_json::Value;

use super::consent::{Inherited, period_matches};
use super::dates::between;
use super::labels::Labels;
use super::resource::{
    authors, clinical_codes, dates, document_types, kind, may_hold_document, me, profiles, references,
};
use super::{Action, Code, Effect, PURPOSES, Question, Truth, actors, code, coding, codings, each, text};

/// The elements of a provision that constrain it.
pub const ELEMENTS: [&str; 9] =
    ["period", "actor", "action", "securityLabel", "purpose", "class", "code", "dataPeriod", "data"];

const ACTIONS: &str = "http://terminology.hl7.org/CodeSystem/consentaction";
const RESOURCE_TYPES: &str = "http://hl7.org/fhir/resource-types";
const LOINC: &str = "http://loinc.org";
const URIS: &str = "urn:ietf:rfc:3986";

/// v3-ActReason, purposes of use: (code, the code above it).
const PURPOSE_TABLE: &[(&str, &str)] = &[
    ("TREAT", "PurposeOfUse"),
    ("CLINTRL", "TREAT"),
    ("COC", "TREAT"),
    ("ETREAT", "TREAT"),
    ("BTG", "ETREAT"),
    ("ERTREAT", "ETREAT"),
    ("POPHLTH", "TREAT"),
    ("TREATDS", "TREAT"),
    ("HPAYMT", "PurposeOfUse"),
    ("HOPERAT", "PurposeOfUse"),
    ("HRESCH", "PurposeOfUse"),
    ("PATRQT", "PurposeOfUse"),
    ("FAMRQT", "PATRQT"),
    ("PWATRNY", "PATRQT"),
    ("SUPNWK", "PATRQT"),
    ("PUBHLTH", "PurposeOfUse"),
    ("HMARKT", "PurposeOfUse"),
    ("PurposeOfUse", ""),
];

/// Whether a provision of this effect matches.
pub fn matches(
    effect: Effect,
    provision: &Inherited<'_>,
    question: &Question<'_>,
    labels: &Labels,
    purpose: Option<&Code>,
) -> Truth {
    let element = |(name, stated): (&&'static str, &&Value)| match *name {
        "period" => period_matches(stated, question),
        "actor" => actors::matches(stated, question),
        "action" => Truth::any(each(stated).map(|action| action_matches(action, question.action))),
        "securityLabel" => labels_match(stated, effect, question, labels),
        "purpose" => Truth::any(each(stated).map(|stated| purpose_matches(stated, purpose))),
        "class" => Truth::any(each(stated).map(|class| class_matches(class, question.resource))),
        "code" => Truth::any(each(stated).map(|code| code_matches(code, question.resource))),
        "dataPeriod" => data_period_matches(stated, effect, question),
        _ => Truth::any(each(stated).map(|data| data_matches(data, question))),
    };
    let extended = if provision.extended { Truth::Unknown } else { Truth::Yes };
    Truth::all(provision.elements.iter().map(element)).min(extended)
}

/// Whether a purpose is that code of v3-ActReason or below it.
pub fn purpose_is_under(requested: &Code, above: &str) -> Truth {
    purpose_covers(&code(PURPOSES, above), requested)
}

fn purpose_covers(stated: &Code, requested: &Code) -> Truth {
    let above = |purpose: &Code| {
        let ours = purpose.system.as_deref() == Some(PURPOSES);
        PURPOSE_TABLE.iter().find(|(known, _)| ours && *known == purpose.code).map(|(_, above)| *above)
    };
    if stated.system.is_some() && stated == requested {
        return Truth::Yes;
    }
    match (above(stated), above(requested)) {
        (Some(_), Some("")) => Truth::No,
        (Some(_), Some(parent)) => purpose_covers(stated, &code(PURPOSES, parent)),
        _ => Truth::Unknown,
    }
}

fn purpose_matches(stated: &Value, requested: Option<&Code>) -> Truth {
    match (coding(stated), requested) {
        (Some(stated), Some(requested)) => purpose_covers(&stated, requested),
        _ => Truth::Unknown,
    }
}

/// Read and search are access, use or disclose; create, update and delete are collect or correct.
fn action_matches(stated: &Value, action: Action) -> Truth {
    let none = Value::Null;
    let codings = stated.get("coding").unwrap_or(&none);
    if each(codings).next().is_none() {
        return Truth::Unknown;
    }
    Truth::any(each(codings).map(|coding| match (text(coding, "system"), text(coding, "code")) {
        (Some(ACTIONS), Some("access" | "use" | "disclose")) => Truth::of(action == Action::Look),
        (Some(ACTIONS), Some("collect" | "correct")) => Truth::of(action == Action::Change),
        _ => Truth::Unknown,
    }))
}

fn labels_match(stated: &Value, effect: Effect, question: &Question<'_>, labels: &Labels) -> Truth {
    let settings = question.settings;
    let unreadable = each(stated).any(|label| coding(label).is_none());
    let stated = codings(stated);
    let truth = match effect {
        Effect::Permit => labels.permitted_by(&stated, &settings.label_systems, &settings.labels),
        Effect::Deny => labels.denied_by(&stated, &settings.label_systems),
    };
    if unreadable { truth.max(Truth::Unknown) } else { truth }
}

/// `class`: a resource type, a profile, or the type of a document.
fn class_matches(stated: &Value, resource: &Value) -> Truth {
    let Some(class) = coding(stated) else { return Truth::Unknown };
    match class.system.as_deref() {
        Some(RESOURCE_TYPES) => Truth::of(kind(resource) == class.code),
        // A resource may conform to a profile that it does not claim.
        Some(URIS) if profiles(resource).contains(&class.code.as_str()) => Truth::Yes,
        Some(URIS) | None => Truth::Unknown,
        Some(system) => {
            let types = document_types(resource);
            let told = types.iter().any(|known| known.system.as_deref() == Some(system));
            let is_none = system == LOINC && !may_hold_document(resource);
            match (types.contains(&class), is_none || (told && system == LOINC)) {
                (true, _) => Truth::Yes,
                (false, true) => Truth::No,
                (false, false) => Truth::Unknown,
            }
        }
    }
}

fn code_matches(stated: &Value, resource: &Value) -> Truth {
    let codings: Vec<Option<Code>> = stated.get("coding").into_iter().flat_map(each).map(coding).collect();
    if codings.is_empty() {
        return Truth::Unknown;
    }
    let borne = clinical_codes(resource);
    Truth::any(codings.iter().map(|stated| {
        let Some(stated) = stated else { return Truth::Unknown };
        if stated.system.is_some() && borne.contains(stated) {
            return Truth::Yes;
        }
        let silent = |other: &&Code| other.system.is_none() || stated.system.is_none();
        let perhaps = borne.iter().filter(silent).any(|other| other.code == stated.code);
        if perhaps { Truth::Unknown } else { Truth::No }
    }))
}

/// A permit needs the whole known period inside, a deny any overlap.
fn data_period_matches(stated: &Value, effect: Effect, question: &Question<'_>) -> Truth {
    let zone = question.settings.zone;
    if stated.get("start").is_none() && stated.get("end").is_none() {
        return Truth::Unknown;
    }
    let Some(stated) = between(text(stated, "start"), text(stated, "end"), zone) else { return Truth::Unknown };
    let Some((start, end)) = dates(question.resource) else { return Truth::Unknown };
    let Some(own) = between(start, end, zone) else { return Truth::Unknown };
    let overlaps = own.start < stated.end && stated.start < own.end;
    let inside = stated.start <= own.start && own.end <= stated.end;
    match effect {
        Effect::Permit => Truth::of(inside),
        Effect::Deny => Truth::of(overlaps),
    }
}

fn data_matches(stated: &Value, question: &Question<'_>) -> Truth {
    let bases = &question.settings.bases;
    let literal = stated.get("reference").and_then(|reference| text(reference, "reference"));
    let Some(named) = literal.and_then(|literal| actors::normal(literal, bases)) else { return Truth::Unknown };
    let resource = question.resource;
    let own = me(resource);
    let is_it = own.as_ref() == Some(&named);
    let refers_to_it = references(resource, bases).contains(&named);
    match text(stated, "meaning") {
        Some("instance") => Truth::of(is_it),
        Some("dependents") => Truth::of(is_it || refers_to_it),
        Some("related") => {
            let referred_to = match (question.facts.outgoing.get(&named), own) {
                (_, None) => Truth::No,
                (None, Some(_)) => Truth::Unknown,
                (Some(targets), Some(own)) => {
                    Truth::of(targets.iter().any(|target| actors::normal(target, bases).as_ref() == Some(&own)))
                }
            };
            referred_to.max(Truth::of(is_it || refers_to_it))
        }
        _ => {
            let authors = authors(resource, bases);
            let here = |reference: &&str| !reference.contains(':');
            let kind = |reference: &str| Some(reference).filter(here)?.split_once('/').map(|(kind, _)| kind.to_owned());
            // An author of another type (a PractitionerRole for a Practitioner) may be the same.
            let another = |author: &Option<String>| {
                author.as_deref().is_some_and(|author| kind(author).is_some() && kind(author) == kind(&named))
            };
            let unknown = authors.is_empty() || !authors.iter().all(another);
            let found = Truth::of(authors.contains(&Some(named.clone())));
            if unknown { found.max(Truth::Unknown) } else { found }
        }
    }
}
