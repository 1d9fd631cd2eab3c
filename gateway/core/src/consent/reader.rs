//! What the strict readers of Consents have in common: how a Consent is read, whatever its version, and what its
//! provisions are made of.
//!
//! What is not understood makes the whole Consent [`Unusable`]; nothing is skipped (CONSENT.md, "Exact answers": *Not
//! understood*).

use serde_json::{Map, Value};

use super::dates::{Moment, Period, Zone};
use super::shape::Fault;
use super::{
    Body, Concept, Consent, Constraints, Data, Dormant, Meaning, Provision, ProvisionActor, Scope, Unusable, Why,
};
use crate::caller::ActorRef;
use crate::coding::Coding;
use crate::owner::is_fhir_id;
use crate::reasons::ConsentRef;

/// Provisions may be nested this deep below the root; real laws need four levels.
pub(super) const MAX_DEPTH: usize = 16;
/// A Consent may have this many provisions.
pub(super) const MAX_PROVISIONS: usize = 1024;

pub(super) const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";

/// Reads something of the members of a Consent.
type Read<T> = fn(&Map<String, Value>) -> Result<T, Fault>;

/// What a version of FHIR has of its own in a Consent.
pub(super) struct Form {
    /// The element that says whose it is.
    pub(super) patient: &'static str,
    /// The element that says of when it is.
    pub(super) date_time: &'static str,
    /// The codes of `status` by which it does not count.
    pub(super) dormant: &'static [&'static str],
    /// What it is about; `None` for what never counts.
    pub(super) scope: Read<Option<Scope>>,
    /// Checks its shape.
    pub(super) check: Read<()>,
    /// Its root provision.
    pub(super) root: Read<Provision>,
}

/// Reads a Consent of this form from JSON whose duplicate keys have been refused already.
pub(super) fn read(json: &Value, form: &Form) -> Result<Consent, Unusable> {
    let Value::Object(members) = json else {
        return Err(Unusable { reference: None, why: Why::NotAConsent, path: String::new() });
    };
    let reference = reference_of(members);
    let unusable = |fault: Fault| Unusable { reference: reference.clone(), why: fault.why, path: fault.path };
    consent(members, reference.clone(), form).map_err(unusable)
}

/// Id and version, as far as they can be read.
fn reference_of(members: &Map<String, Value>) -> Option<ConsentRef> {
    let id = members.get("id")?.as_str().filter(|id| is_fhir_id(id))?;
    let version = members.get("meta").and_then(|meta| meta.get("versionId")).and_then(Value::as_str);
    Some(ConsentRef { id: id.to_owned(), version: version.filter(|v| is_fhir_id(v)).map(str::to_owned) })
}

fn consent(members: &Map<String, Value>, reference: Option<ConsentRef>, form: &Form) -> Result<Consent, Fault> {
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
    let patient = text_at(members.get(form.patient), "reference");
    let dormant = |reference, why| {
        let patient = patient.unwrap_or_default().to_owned();
        Ok(Consent { reference, patient, date_time: None, body: Body::Dormant(why) })
    };
    if !is_active(members, form.dormant)? {
        return dormant(reference, Dormant::Status);
    }
    let Some(scope) = (form.scope)(members)? else { return dormant(reference, Dormant::Scope) };
    (form.check)(members)?;
    let missing = || Fault::new(Why::Missing, &format!("{}.reference", form.patient));
    let patient = patient.ok_or_else(missing)?.to_owned();
    let date_time = text(members, form.date_time).map(|text| moment(text, form.date_time)).transpose()?;
    let root = (form.root)(members)?;
    Ok(Consent { reference, patient, date_time, body: Body::Active { scope, root: Box::new(root) } })
}

/// `consent-state-codes`, of which these do not count.
fn is_active(members: &Map<String, Value>, dormant: &[&str]) -> Result<bool, Fault> {
    match members.get("status") {
        None => Err(Fault::new(Why::Missing, "status")),
        Some(Value::String(status)) => match status.as_str() {
            "active" => Ok(true),
            status if dormant.contains(&status) => Ok(false),
            _ => Err(Fault::new(Why::UnknownCode, "status")),
        },
        Some(Value::Null) => Err(Fault::new(Why::Null, "status")),
        Some(Value::Array(_)) => Err(Fault::new(Why::TwoValues, "status")),
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => Err(Fault::new(Why::WrongType, "status")),
    }
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
