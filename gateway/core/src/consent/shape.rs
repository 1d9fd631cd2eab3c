//! The shape of a Consent: which elements there are, which may repeat, and what JSON each is.
//!
//! A strict reader's first half: what passes has no unknown element, no null, nothing empty, no second value where FHIR
//! allows one and no modifier extension (FHIR R4 and R5: Consent, datatypes; "JSON representation of resources"). Elements
//! that no decision reads are held to it too, `contained` resources and the values of extensions apart.

use serde_json::{Map, Value};

use super::Why;

/// What is wrong, and at which element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) why: Why,
    pub(super) path: String,
}

impl Fault {
    pub(super) fn new(why: Why, path: &str) -> Self {
        Self { why, path: path.to_owned() }
    }
}

/// One element: its name, whether it repeats, and what it is.
pub(super) struct Field(pub(super) &'static str, pub(super) Card, pub(super) Kind);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Card {
    One,
    Many,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
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

pub(super) static PERIOD: [Field; 2] = [Field("start", One, Text), Field("end", One, Text)];

pub(super) static CODING: [Field; 5] = [
    Field("system", One, Text),
    Field("version", One, Text),
    Field("code", One, Text),
    Field("display", One, Text),
    Field("userSelected", One, Bool),
];

pub(super) static CONCEPT: [Field; 2] = [Field("coding", Many, Of(&CODING)), Field("text", One, Text)];

pub(super) static IDENTIFIER: [Field; 6] = [
    Field("use", One, Text),
    Field("type", One, Of(&CONCEPT)),
    Field("system", One, Text),
    Field("value", One, Text),
    Field("period", One, Of(&PERIOD)),
    Field("assigner", One, Of(&REFERENCE)),
];

pub(super) static REFERENCE: [Field; 4] = [
    Field("reference", One, Text),
    Field("type", One, Text),
    Field("identifier", One, Of(&IDENTIFIER)),
    Field("display", One, Text),
];

pub(super) static META: [Field; 6] = [
    Field("versionId", One, Text),
    Field("lastUpdated", One, Text),
    Field("source", One, Text),
    Field("profile", Many, Text),
    Field("security", Many, Of(&CODING)),
    Field("tag", Many, Of(&CODING)),
];

pub(super) static ACTOR: [Field; 2] = [Field("role", One, Of(&CONCEPT)), Field("reference", One, Of(&REFERENCE))];

pub(super) static DATA: [Field; 2] = [Field("meaning", One, Text), Field("reference", One, Of(&REFERENCE))];

/// Checks one element that is a CodeableConcept.
pub(super) fn check_concept(value: &Value, path: &str) -> Result<(), Fault> {
    one(value, Of(&CONCEPT), path)
}

/// Checks an object against its fields.
pub(super) fn object(members: &Map<String, Value>, fields: &[Field], path: &str) -> Result<(), Fault> {
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
