//! Strings and URIs (FHIR R4, search, "string" and "uri").

use std::borrow::Cow;

use super::Unsupported;
use super::elements::{Datatype, Found};
use crate::consent::truth::Truth;
use crate::json::Value;

/// How a string is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// It begins so, whatever case and diacritics.
    Begins,
    /// It holds it, whatever case and diacritics.
    Contains,
    /// It is that.
    Exact,
}

impl How {
    pub(super) fn of(modifier: Option<&str>) -> Result<Self, Unsupported> {
        match modifier {
            None => Ok(Self::Begins),
            Some("contains") => Ok(Self::Contains),
            Some("exact") => Ok(Self::Exact),
            Some(_) => Err(Unsupported),
        }
    }

    fn is(self, asked: &str, held: &str) -> bool {
        match self {
            Self::Begins => folded(held).starts_with(&folded(asked)),
            Self::Contains => folded(held).contains(&folded(asked)),
            Self::Exact => asked == held,
        }
    }
}

/// Whether any of these strings is among what was found.
pub(super) fn truth(how: How, asked: &[String], found: &Found<'_>) -> Truth {
    found.any(|value, datatype| {
        let held = strings(value, datatype);
        if held.is_empty() {
            return Truth::Unknown;
        }
        Truth::from(held.iter().any(|held| asked.iter().any(|asked| how.is(asked, held))))
    })
}

/// Whether any of these URIs is among what was found; a canonical is its URL whatever its version, unless one is asked
/// for.
pub(super) fn same_uri(asked: &[String], found: &Found<'_>) -> Truth {
    found.any(|value, _| match value.as_str() {
        Some(held) => {
            let url = held.split_once('|').map_or(held.as_ref(), |(url, _)| url);
            Truth::from(asked.iter().any(|asked| *asked == held || asked == url))
        }
        None => Truth::Unknown,
    })
}

/// The texts of an element, each by itself: the parts of a name or an address.
fn strings(value: Value<'_>, datatype: Datatype) -> Vec<Cow<'_, str>> {
    let parts: &[&str] = match datatype {
        Datatype::Text => return value.as_str().into_iter().collect(),
        Datatype::HumanName => &["text", "family", "given", "prefix", "suffix"],
        Datatype::Address => &["text", "line", "city", "district", "state", "postalCode", "country"],
        Datatype::Code(_)
        | Datatype::CodeableConcept
        | Datatype::Coding
        | Datatype::Identifier
        | Datatype::ContactPoint
        | Datatype::Boolean
        | Datatype::Date
        | Datatype::Period
        | Datatype::Opaque => &[],
    };
    let each = parts.iter().filter_map(|part| value.get(part)).flat_map(|part| part.each());
    each.filter_map(|part| part.as_str()).collect()
}

/// Small letters without diacritics: the Latin ones of Unicode's first blocks, composed or not. A letter that is not in
/// the table stands for itself, which finds less and never more.
fn folded(text: &str) -> String {
    let marks = '\u{300}'..='\u{36f}';
    let letters = text.chars().filter(|letter| !marks.contains(letter)).flat_map(char::to_lowercase);
    letters.filter(|letter| !marks.contains(letter)).map(base).collect()
}

fn base(letter: char) -> char {
    let at = PLAIN.iter().find(|(_, composed)| composed.contains(letter));
    at.map_or(letter, |(plain, _)| *plain)
}

const PLAIN: &[(char, &str)] = &[
    ('a', "àáâãäåāăą"),
    ('c', "çćĉċč"),
    ('d', "ď"),
    ('e', "èéêëēĕėęě"),
    ('g', "ĝğġģ"),
    ('h', "ĥ"),
    ('i', "ìíîïĩīĭį"),
    ('j', "ĵ"),
    ('k', "ķ"),
    ('l', "ĺļľ"),
    ('n', "ñńņň"),
    ('o', "òóôõöōŏő"),
    ('r', "ŕŗř"),
    ('s', "śŝşšș"),
    ('t', "ţťț"),
    ('u', "ùúûüũūŭůűų"),
    ('w', "ŵ"),
    ('y', "ýÿŷ"),
    ('z', "źżž"),
];
