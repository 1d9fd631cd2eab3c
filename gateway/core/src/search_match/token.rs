//! Tokens: codes, identifiers, booleans (FHIR R4, search, "token").

use std::borrow::Cow;

use super::Unsupported;
use super::elements::{Datatype, Found};
use super::value::Alternative;
use crate::coding::Coding;
use crate::consent::truth::Truth;
use crate::json::Value;
use crate::labels::{CONFIDENTIALITY_SYSTEM, Labels};

/// `code`, `system|code`, `|code` or `system|`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token {
    system: System,
    /// `None` is any code of the system.
    code: Option<String>,
}

#[derive(Clone, PartialEq, Eq)]
enum System {
    Any,
    None,
    Is(String),
}

impl Token {
    pub(super) fn parse(alternative: &Alternative) -> Result<Self, Unsupported> {
        let parts = alternative.parts()?;
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match parts.as_slice() {
            [code] => Ok(Self { system: System::Any, code: text(code) }),
            [system, code] => match (text(system), text(code)) {
                (None, None) => Err(Unsupported),
                (None, code) => Ok(Self { system: System::None, code }),
                (Some(system), code) => Ok(Self { system: System::Is(system), code }),
            },
            _ => Err(Unsupported),
        }
    }

    fn is(&self, held: &Held<'_>) -> Truth {
        let code = match (&self.code, &held.code) {
            (None, _) => Truth::True,
            (Some(_), None) => Truth::Unknown,
            (Some(asked), Some(held)) if asked == held => Truth::True,
            // Some systems are case-insensitive, and which ones is not known here.
            (Some(asked), Some(held)) if asked.to_lowercase() == held.to_lowercase() => Truth::Unknown,
            (Some(_), Some(_)) => Truth::False,
        };
        let system = match (&self.system, &held.system) {
            (System::Any, _) | (System::None, Namespace::Absent) => Truth::True,
            (System::Is(asked), Namespace::Is(held)) => Truth::from(asked == held),
            (System::None, Namespace::Is(_)) => Truth::False,
            (System::Is(_), Namespace::Absent) | (System::None | System::Is(_), Namespace::Implied) => Truth::Unknown,
        };
        code.and(system)
    }
}

/// A code that a resource holds.
struct Held<'a> {
    system: Namespace<'a>,
    code: Option<Cow<'a, str>>,
}

enum Namespace<'a> {
    Is(Cow<'a, str>),
    Absent,
    /// Of the element's own, which is not known here.
    Implied,
}

/// Whether any of these tokens is among what was found.
pub(super) fn truth(asked: &[Token], found: &Found<'_>) -> Truth {
    found.any(|value, datatype| {
        let held = held(value, datatype);
        // A concept without a code, or of another shape, may mean anything.
        if held.is_empty() {
            return Truth::Unknown;
        }
        Truth::any(held.iter().flat_map(|held| asked.iter().map(|token| token.is(held))))
    })
}

/// Whether the resource bears one of these labels: as stored. A confidentiality that the resource has above the stored
/// one is not that.
pub(super) fn labelled(asked: &[Token], found: &Found<'_>, labels: &Labels) -> Truth {
    let codings = labels.codings();
    let counts = |value: Value<'_>| {
        let coding =
            |coding: &Coding| value.str_at("code").is_some_and(|code| coding.is(CONFIDENTIALITY_SYSTEM, &code));
        value.str_at("system").as_deref() != Some(CONFIDENTIALITY_SYSTEM) || codings.iter().any(coding)
    };
    found.any(|value, datatype| {
        let stored = Truth::any(held(value, datatype).iter().flat_map(|held| asked.iter().map(|token| token.is(held))));
        if stored == Truth::True && !counts(value) { Truth::Unknown } else { stored }
    })
}

/// Whether the resource bears, or counts as bearing, one of these labels; unknown where a label is there that nobody
/// knows.
pub(super) fn maybe_labelled(asked: &[Token], found: &Found<'_>, labels: &Labels) -> Truth {
    let effective = labels.codings();
    let effective = effective.iter().map(|coding| Held {
        system: coding.system.as_deref().map_or(Namespace::Absent, |system| Namespace::Is(system.into())),
        code: Some(coding.code.as_str().into()),
    });
    let counted =
        Truth::any(effective.flat_map(|held| asked.iter().map(move |token| token.is(&held)).collect::<Vec<_>>()));
    let unknown = if labels.has_unknown() { Truth::Unknown } else { Truth::False };
    truth(asked, found).or(counted).or(unknown)
}

/// The codes of one element; none where it cannot be read.
fn held(value: Value<'_>, datatype: Datatype) -> Vec<Held<'_>> {
    let primitive = |system| value.as_str().map(|code| Held { system, code: Some(code) }).into_iter().collect();
    match datatype {
        Datatype::Code(Some(system)) => primitive(Namespace::Is(system.into())),
        Datatype::Code(None) | Datatype::Text => primitive(Namespace::Implied),
        Datatype::Boolean => {
            let code = value.as_bool().map(|is| if is { "true" } else { "false" });
            code.map(|code| Held { system: Namespace::Implied, code: Some(code.into()) }).into_iter().collect()
        }
        Datatype::Coding => vec![part(value, "code")],
        Datatype::Identifier | Datatype::ContactPoint => vec![part(value, "value")],
        Datatype::CodeableConcept => {
            value.get("coding").into_iter().flat_map(|list| list.each()).map(|coding| part(coding, "code")).collect()
        }
        Datatype::Date | Datatype::Period | Datatype::HumanName | Datatype::Address | Datatype::Opaque => Vec::new(),
    }
}

/// A system and a code in it, by its member `key`.
fn part<'a>(value: Value<'a>, key: &str) -> Held<'a> {
    let system = match (value.get("system"), value.str_at("system")) {
        (_, Some(system)) => Namespace::Is(system),
        (Some(_), None) => Namespace::Implied,
        (None, None) if value.get("_system").is_some() => Namespace::Implied,
        (None, None) => Namespace::Absent,
    };
    Held { system, code: value.str_at(key) }
}
