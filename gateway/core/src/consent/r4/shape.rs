//! The shape of an R4 Consent: which elements there are, which may repeat, and what JSON each is.
//!
//! A strict reader's first half: what passes has no unknown element, no null, nothing empty, no second value where FHIR
//! allows one and no modifier extension (FHIR R4: Consent, datatypes; "JSON representation of resources"). Elements that
//! no decision reads are held to it too, `contained` resources and the values of extensions apart.

use serde_json::{Map, Value};

use crate::consent::Why;

/// What is wrong, and at which element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::consent) struct Fault {
    pub(in crate::consent) why: Why,
    pub(in crate::consent) path: String,
}

impl Fault {
    pub(in crate::consent) fn new(why: Why, path: &str) -> Self {
        Self { why, path: path.to_owned() }
    }
}

/// One element: its name, whether it repeats, and what it is.
pub(in crate::consent) struct Field(
    pub(in crate::consent) &'static str,
    pub(in crate::consent) Card,
    pub(in crate::consent) Kind,
);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::consent) enum Card {
    One,
    Many,
}

#[derive(Clone, Copy)]
pub(in crate::consent) enum Kind {
    /// A primitive that JSON writes as a string.
    Text,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// An object with these elements.
    Of(&'static [Field]),
    /// Any object: not looked into (contained resources, narratives).
    Free,
}

use Card::{Many, One};
use Kind::{Bool, Free, Number, Of, Text};

pub(in crate::consent) static PERIOD: [Field; 2] = [Field("start", One, Text), Field("end", One, Text)];

pub(in crate::consent) static CODING: [Field; 5] = [
    Field("system", One, Text),
    Field("version", One, Text),
    Field("code", One, Text),
    Field("display", One, Text),
    Field("userSelected", One, Bool),
];

pub(in crate::consent) static CONCEPT: [Field; 2] = [Field("coding", Many, Of(&CODING)), Field("text", One, Text)];

pub(in crate::consent) static IDENTIFIER: [Field; 6] = [
    Field("use", One, Text),
    Field("type", One, Of(&CONCEPT)),
    Field("system", One, Text),
    Field("value", One, Text),
    Field("period", One, Of(&PERIOD)),
    Field("assigner", One, Of(&REFERENCE)),
];

pub(in crate::consent) static REFERENCE: [Field; 4] = [
    Field("reference", One, Text),
    Field("type", One, Text),
    Field("identifier", One, Of(&IDENTIFIER)),
    Field("display", One, Text),
];

static ATTACHMENT: [Field; 8] = [
    Field("contentType", One, Text),
    Field("language", One, Text),
    Field("data", One, Text),
    Field("url", One, Text),
    Field("size", One, Number),
    Field("hash", One, Text),
    Field("title", One, Text),
    Field("creation", One, Text),
];

pub(in crate::consent) static META: [Field; 6] = [
    Field("versionId", One, Text),
    Field("lastUpdated", One, Text),
    Field("source", One, Text),
    Field("profile", Many, Text),
    Field("security", Many, Of(&CODING)),
    Field("tag", Many, Of(&CODING)),
];

static POLICY: [Field; 2] = [Field("authority", One, Text), Field("uri", One, Text)];

static VERIFICATION: [Field; 3] =
    [Field("verified", One, Bool), Field("verifiedWith", One, Of(&REFERENCE)), Field("verificationDate", One, Text)];

pub(in crate::consent) static ACTOR: [Field; 2] =
    [Field("role", One, Of(&CONCEPT)), Field("reference", One, Of(&REFERENCE))];

pub(in crate::consent) static DATA: [Field; 2] = [Field("meaning", One, Text), Field("reference", One, Of(&REFERENCE))];

static PROVISION: [Field; 11] = [
    Field("type", One, Text),
    Field("period", One, Of(&PERIOD)),
    Field("actor", Many, Of(&ACTOR)),
    Field("action", Many, Of(&CONCEPT)),
    Field("securityLabel", Many, Of(&CODING)),
    Field("purpose", Many, Of(&CODING)),
    Field("class", Many, Of(&CODING)),
    Field("code", Many, Of(&CONCEPT)),
    Field("dataPeriod", One, Of(&PERIOD)),
    Field("data", Many, Of(&DATA)),
    Field("provision", Many, Of(&PROVISION)),
];

static CONSENT: [Field; 19] = [
    Field("resourceType", One, Text),
    Field("meta", One, Of(&META)),
    Field("language", One, Text),
    Field("text", One, Free),
    Field("contained", Many, Free),
    Field("identifier", Many, Of(&IDENTIFIER)),
    Field("status", One, Text),
    Field("scope", One, Of(&CONCEPT)),
    Field("category", Many, Of(&CONCEPT)),
    Field("patient", One, Of(&REFERENCE)),
    Field("dateTime", One, Text),
    Field("performer", Many, Of(&REFERENCE)),
    Field("organization", Many, Of(&REFERENCE)),
    Field("sourceAttachment", One, Of(&ATTACHMENT)),
    Field("sourceReference", One, Of(&REFERENCE)),
    Field("policy", Many, Of(&POLICY)),
    Field("policyRule", One, Of(&CONCEPT)),
    Field("verification", Many, Of(&VERIFICATION)),
    Field("provision", One, Of(&PROVISION)),
];

/// Checks a whole Consent.
pub(super) fn check(consent: &Map<String, Value>) -> Result<(), Fault> {
    object(consent, &CONSENT, "")?;
    if consent.contains_key("sourceAttachment") && consent.contains_key("sourceReference") {
        return Err(Fault::new(Why::TwoValues, "source[x]"));
    }
    Ok(())
}

/// Checks one element that is a CodeableConcept.
pub(in crate::consent) fn check_concept(value: &Value, path: &str) -> Result<(), Fault> {
    one(value, Of(&CONCEPT), path)
}

/// Checks an object against its fields.
pub(in crate::consent) fn object(members: &Map<String, Value>, fields: &[Field], path: &str) -> Result<(), Fault> {
    if members.is_empty() {
        return Err(Fault::new(Why::Empty, path));
    }
    for (name, value) in members {
        let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match name.as_str() {
            "id" => one(value, Text, &at)?,
            "extension" => many(value, Free, &at)?,
            "modifierExtension" => return Err(Fault::new(Why::ModifierExtension, &at)),
            "implicitRules" if path.is_empty() => return Err(Fault::new(Why::ImplicitRules, &at)),
            _ => match fields.iter().find(|field| field.0 == name) {
                Some(Field(_, One, kind)) => one(value, *kind, &at)?,
                Some(Field(_, Many, kind)) => many(value, *kind, &at)?,
                None => companion(name, value, fields, &at)?,
            },
        }
    }
    Ok(())
}

/// `_name` beside a primitive `name`: its id and extensions.
fn companion(name: &str, value: &Value, fields: &[Field], path: &str) -> Result<(), Fault> {
    let primitive = name.strip_prefix('_').is_some_and(|name| {
        name == "id"
            || fields.iter().any(|Field(field, _, kind)| *field == name && matches!(kind, Text | Bool | Number))
    });
    if !primitive {
        return Err(Fault::new(Why::UnknownElement, path));
    }
    match value {
        Value::Array(_) => many(value, Of(&[]), path),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            one(value, Of(&[]), path)
        }
    }
}

fn many(value: &Value, kind: Kind, path: &str) -> Result<(), Fault> {
    match value {
        Value::Array(items) if items.is_empty() => Err(Fault::new(Why::Empty, path)),
        Value::Array(items) => items.iter().try_for_each(|item| one(item, kind, path)),
        Value::Null => Err(Fault::new(Why::Null, path)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Err(Fault::new(Why::WrongType, path))
        }
    }
}

fn one(value: &Value, kind: Kind, path: &str) -> Result<(), Fault> {
    match (value, kind) {
        (Value::Null, _) => Err(Fault::new(Why::Null, path)),
        (Value::Array(items), _) if items.is_empty() => Err(Fault::new(Why::Empty, path)),
        (Value::Array(_), _) => Err(Fault::new(Why::TwoValues, path)),
        (Value::String(text), Text) if text.trim().is_empty() => Err(Fault::new(Why::Empty, path)),
        (Value::String(_), Text) | (Value::Bool(_), Bool) | (Value::Number(_), Number) => Ok(()),
        (Value::Object(members), Of(fields)) => object(members, fields, path),
        (Value::Object(members), Free) if members.is_empty() => Err(Fault::new(Why::Empty, path)),
        (Value::Object(_), Free) => Ok(()),
        (Value::String(_) | Value::Bool(_) | Value::Number(_) | Value::Object(_), _) => {
            Err(Fault::new(Why::WrongType, path))
        }
    }
}
