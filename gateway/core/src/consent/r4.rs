//! The strict reader of FHIR R4 and R4B Consents (their `Consent` is the same).
//!
//! `type` is taken literally at every level. What is not understood makes the whole Consent [`Unusable`]; nothing is
//! skipped (CONSENT.md, "Exact answers": *Not understood*).

pub(super) mod shape;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::dates::{Moment, Period, Zone};
use super::{
    Body, Concept, Consent, Constraints, Data, Dormant, Meaning, Provision, ProvisionActor, Rule, Scope, Unusable, Why,
};
use crate::caller::ActorRef;
use crate::coding::Coding;
use crate::labels::SENSITIVITY_SYSTEM;
use crate::owner::is_fhir_id;
use crate::reasons::ConsentRef;
use shape::Fault;

/// Provisions may be nested this deep below the root; real laws need four levels.
pub const MAX_DEPTH: usize = 16;
/// A Consent may have this many provisions.
pub const MAX_PROVISIONS: usize = 1024;

const SCOPES: &str = "http://terminology.hl7.org/CodeSystem/consentscope";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";

/// Reads a Consent from JSON whose duplicate keys have been refused already.
pub fn read(json: &Value) -> Result<Consent, Unusable> {
    let Value::Object(members) = json else {
        return Err(Unusable { reference: None, why: Why::NotAConsent, path: String::new() });
    };
    let reference = reference_of(members);
    let unusable = |fault: Fault| Unusable { reference: reference.clone(), why: fault.why, path: fault.path };
    consent(members, reference.clone()).map_err(unusable)
}

/// Id and version, as far as they can be read.
pub(super) fn reference_of(members: &Map<String, Value>) -> Option<ConsentRef> {
    let id = members.get("id")?.as_str().filter(|id| is_fhir_id(id))?;
    let version = members.get("meta").and_then(|meta| meta.get("versionId")).and_then(Value::as_str);
    Some(ConsentRef { id: id.to_owned(), version: version.filter(|v| is_fhir_id(v)).map(str::to_owned) })
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
    let patient = || text_at(members.get("patient"), "reference").unwrap_or_default().to_owned();
    let dormant =
        |why| Consent { reference: reference.clone(), patient: patient(), date_time: None, body: Body::Dormant(why) };
    if !is_active(members)? {
        return Ok(dormant(Dormant::Status));
    }
    let Some(scope) = scope(members)? else { return Ok(dormant(Dormant::Scope)) };
    shape::check(members)?;
    let patient = text_at(members.get("patient"), "reference")
        .ok_or_else(|| Fault::new(Why::Missing, "patient.reference"))?
        .to_owned();
    let date_time = text(members, "dateTime").map(|text| moment(text, "dateTime")).transpose()?;
    let root = root(members)?;
    Ok(Consent { reference, patient, date_time, body: Body::Active { scope, root: Box::new(root) } })
}

/// `consent-state-codes`.
fn is_active(members: &Map<String, Value>) -> Result<bool, Fault> {
    match members.get("status") {
        None => Err(Fault::new(Why::Missing, "status")),
        Some(Value::String(status)) => match status.as_str() {
            "active" => Ok(true),
            "draft" | "proposed" | "rejected" | "inactive" | "entered-in-error" => Ok(false),
            _ => Err(Fault::new(Why::UnknownCode, "status")),
        },
        Some(Value::Null) => Err(Fault::new(Why::Null, "status")),
        Some(Value::Array(_)) => Err(Fault::new(Why::TwoValues, "status")),
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => Err(Fault::new(Why::WrongType, "status")),
    }
}

/// The one scope of the consentscope code system; `None` for one that never counts.
fn scope(members: &Map<String, Value>) -> Result<Option<Scope>, Fault> {
    let value = members.get("scope").ok_or_else(|| Fault::new(Why::Missing, "scope"))?;
    shape::check_concept(value, "scope")?;
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

/// Whether an extension stands in the provision or in one of its elements, nested provisions apart.
pub(super) fn is_extended(members: &Map<String, Value>) -> bool {
    members.iter().any(|(name, value)| match name.as_str() {
        "provision" => false,
        "extension" => true,
        _ => has_extension(value),
    })
}

fn has_extension(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, value)| name == "extension" || has_extension(value)),
        Value::Array(items) => items.iter().any(has_extension),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The stated elements of a provision; `kind` is the element that names kinds of resources.
pub(super) fn constraints(members: &Map<String, Value>, kind: &str, path: &str) -> Result<Constraints, Fault> {
    let codings = |name: &str| stated(members, name, |value| coding(value, &format!("{path}.{name}")));
    let concepts = |name: &str| stated(members, name, |value| Ok(concept(value)));
    let period = |name: &str| members.get(name).map(|value| period(value, &format!("{path}.{name}"))).transpose();
    Ok(Constraints {
        period: period("period")?,
        actors: stated(members, "actor", |value| Ok(actor(value)))?,
        actions: concepts("action")?,
        security_labels: codings("securityLabel")?,
        purposes: codings("purpose")?,
        classes: codings(kind)?,
        document_types: codings("documentType")?,
        codes: concepts("code")?,
        data_period: period("dataPeriod")?,
        data: stated(members, "data", |value| data(value, &format!("{path}.data")))?,
    })
}

/// A repeating element: `None` where it is not stated.
fn stated<T>(
    members: &Map<String, Value>,
    name: &str,
    read: impl Fn(&Value) -> Result<T, Fault>,
) -> Result<Option<Vec<T>>, Fault> {
    members.get(name).map(|value| items(Some(value)).map(read).collect()).transpose()
}

fn actor(value: &Value) -> ProvisionActor {
    let recipient = match value.get("role") {
        None => true,
        Some(role) => concept(role).iter().any(|coding| coding.is(PARTICIPATION, "IRCP")),
    };
    ProvisionActor { recipient, who: value.get("reference").map(actor_refs).unwrap_or_default() }
}

/// The literal and the logical part of a Reference.
fn actor_refs(value: &Value) -> Vec<ActorRef> {
    let literal = value.get("reference").and_then(Value::as_str).map(ActorRef::reference);
    let identifier = value.get("identifier").and_then(|identifier| {
        let value = identifier.get("value")?.as_str()?.to_owned();
        let system = identifier.get("system").and_then(Value::as_str).map(str::to_owned);
        Some(ActorRef::Identifier { system, value })
    });
    literal.into_iter().chain(identifier).collect()
}

fn data(value: &Value, path: &str) -> Result<Data, Fault> {
    let meaning = match value.get("meaning").and_then(Value::as_str) {
        Some("instance") => Meaning::Instance,
        Some("related") => Meaning::Related,
        Some("dependents") => Meaning::Dependents,
        Some("authoredby") => Meaning::AuthoredBy,
        Some(_) => return Err(Fault::new(Why::UnknownCode, &format!("{path}.meaning"))),
        None => return Err(Fault::new(Why::Missing, &format!("{path}.meaning"))),
    };
    Ok(Data { meaning, reference: text_at(value.get("reference"), "reference").map(str::to_owned) })
}

pub(super) fn period(value: &Value, path: &str) -> Result<Period, Fault> {
    let bound = |name| value.get(name).and_then(Value::as_str).map(|text| moment(text, path)).transpose();
    let (start, end) = (bound("start")?, bound("end")?);
    let period = Period { start, end };
    if period.start.is_none() && period.end.is_none() {
        return Err(Fault::new(Why::Missing, path));
    }
    let span = period.span(&Zone::utc()).ok_or_else(|| Fault::new(Why::WrongType, path))?;
    match (span.start, span.end) {
        (Some(start), Some(end)) if end <= start => Err(Fault::new(Why::BackwardPeriod, path)),
        _ => Ok(period),
    }
}

pub(super) fn moment(text: &str, path: &str) -> Result<Moment, Fault> {
    Moment::parse(text).map_err(|_| Fault::new(Why::WrongType, path))
}

/// A Coding that a decision compares: without a code it says nothing that could be compared.
fn coding(value: &Value, path: &str) -> Result<Coding, Fault> {
    read_coding(value).ok_or_else(|| Fault::new(Why::Missing, &format!("{path}.code")))
}

/// The codings of a CodeableConcept that have a code.
pub(super) fn concept(value: &Value) -> Concept {
    items(value.get("coding")).filter_map(read_coding).collect()
}

fn read_coding(value: &Value) -> Option<Coding> {
    let code = value.get("code")?.as_str()?.to_owned();
    Some(Coding { system: value.get("system").and_then(Value::as_str).map(str::to_owned), code })
}

pub(super) fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}

pub(super) fn text_at<'a>(value: Option<&'a Value>, name: &str) -> Option<&'a str> {
    value?.get(name)?.as_str()
}

#[cfg(test)]
mod tests;
