//! FHIR search on one resource in memory: what a granular SMART scope filters by (FHIR R4, "Search"; SMART App Launch
//! 2.2, "Finer-grained resource constraints using search parameters").
//!
//! A [`Filter`] is made only where each of its parameters, modifiers and values can be matched, so that it never loses
//! one. Matching is three-valued: what cannot be known of a resource does not match, `:not` and `:missing` included
//! (docs/adr/0044). Repeated parameters are AND, commas OR.

mod date;
mod elements;
mod reference;
mod table;
mod text;
mod token;
mod value;

use std::fmt;

use crate::consent::dates::Zone;
use crate::consent::truth::Truth;
use crate::interaction::{Param, SearchQuery};
use crate::json::Value;
use crate::labels::Labels;
use crate::redact::ElementPath;
use crate::reference::Bases;
use crate::resource_type::ResourceType;
use elements::Leaf;

/// The parameters behind the `?` of a granular scope: a resource matches all of them, or it does not.
#[derive(Clone, PartialEq, Eq)]
pub struct Filter {
    criteria: Vec<Criterion>,
}

/// A filter that holds a parameter, modifier or value that is not supported, or none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the filter is not supported")]
pub struct Unsupported;

/// Whether an image of a resource is what the server stores, or what a client wants it to store: a server sets some of
/// it itself, so that the client's word for it counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// As stored.
    Stored,
    /// The body of a create: neither its id nor its time is known.
    Created,
    /// The body of an update: its time is not known.
    Updated,
}

/// A resource to be matched, with what its meaning hangs on.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The resource.
    pub resource: Value<'a>,
    /// Which image of it.
    pub image: Image,
    /// Its labels as they count, those among them that only the label sets give.
    pub labels: &'a Labels,
    /// What counts as local in references.
    pub bases: &'a Bases,
    /// The zone of dates without one.
    pub zone: &'a Zone,
}

/// One parameter with its values.
#[derive(Clone, PartialEq, Eq)]
struct Criterion {
    key: String,
    on: On,
    test: Test,
}

/// What a parameter looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
enum On {
    Id,
    LastUpdated,
    Security,
    Elements(&'static [Leaf]),
    References(&'static [(&'static str, Option<ResourceType>)]),
}

/// What is asked of it; values are alternatives.
#[derive(Clone, PartialEq, Eq)]
enum Test {
    Missing(bool),
    Token(Vec<token::Token>),
    NotToken(Vec<token::Token>),
    Date(Vec<date::Asked>),
    Text(text::How, Vec<String>),
    Uri(Vec<String>),
    Reference(Vec<reference::Asked>),
}

impl fmt::Debug for Filter {
    /// The parameters without their values, which may be patient data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.criteria.iter().map(|criterion| &criterion.key)).finish()
    }
}

impl Filter {
    /// Reads what stands behind the `?`, percent-encoded as in a URL. `None` for the type is `*`, where only the
    /// parameters of every type are known.
    pub fn parse(rtype: Option<ResourceType>, query: &str) -> Result<Self, Unsupported> {
        // An empty part or a second `?` may be what is left of a parameter that somebody meant.
        if query.split('&').any(str::is_empty) || query.contains('?') {
            return Err(Unsupported);
        }
        let query = SearchQuery::parse(query, &[]).map_err(|_| Unsupported)?;
        let criteria =
            query.params().iter().map(|param| Criterion::parse(rtype, param)).collect::<Result<Vec<_>, _>>()?;
        if criteria.is_empty() { Err(Unsupported) } else { Ok(Self { criteria }) }
    }

    /// Whether the resource is known to match every parameter.
    pub fn matches(&self, view: &View<'_>) -> bool {
        self.criteria.iter().all(|criterion| criterion.truth(view) == Truth::True)
    }

    /// Whether it looks at an element that this path names, stands in or holds: to be told that a resource matches is
    /// to be told of that element.
    pub fn looks_at(&self, rtype: ResourceType, path: &ElementPath) -> bool {
        self.criteria.iter().any(|criterion| match &criterion.on {
            On::Id | On::LastUpdated | On::Security => false,
            On::Elements(leaves) => leaves.iter().any(|leaf| path.overlaps(rtype, leaf.path)),
            On::References(elements) => elements.iter().any(|(element, _)| path.overlaps(rtype, element)),
        })
    }
}

impl Criterion {
    fn parse(rtype: Option<ResourceType>, param: &Param) -> Result<Self, Unsupported> {
        let (on, kind) = table::find(rtype, &param.name).ok_or(Unsupported)?;
        let modifier = param.modifier.as_deref();
        let test = match (kind, modifier) {
            (_, Some("missing")) => Test::Missing(value::boolean(&param.value)?),
            (table::Kind::Token, None) => Test::Token(value::each(&param.value, token::Token::parse)?),
            (table::Kind::Token, Some("not")) => Test::NotToken(value::each(&param.value, token::Token::parse)?),
            (table::Kind::Date, None) => Test::Date(value::each(&param.value, date::Asked::parse)?),
            (table::Kind::Text, _) => Test::Text(text::How::of(modifier)?, value::each(&param.value, value::plain)?),
            (table::Kind::Uri, None) => Test::Uri(value::each(&param.value, value::uri)?),
            (table::Kind::Reference, _) => {
                let of = modifier.map(ResourceType::parse).transpose().map_err(|_| Unsupported)?;
                Test::Reference(value::each(&param.value, |value| reference::Asked::parse(value, of))?)
            }
            (table::Kind::Token | table::Kind::Date | table::Kind::Uri, Some(_)) => return Err(Unsupported),
        };
        Ok(Self { key: param.key(), on, test })
    }

    fn truth(&self, view: &View<'_>) -> Truth {
        match (&self.on, view.image) {
            (On::LastUpdated, Image::Created | Image::Updated) | (On::Id, Image::Created) => return Truth::Unknown,
            _ => {}
        }
        let found = match &self.on {
            On::Id => elements::at(view.resource, table::ID),
            On::LastUpdated => elements::at(view.resource, table::LAST_UPDATED),
            On::Security => elements::at(view.resource, table::SECURITY),
            On::Elements(leaves) => elements::at(view.resource, leaves),
            On::References(elements) => return reference::truth(&self.test, elements, view),
        };
        let security = self.on == On::Security;
        match &self.test {
            Test::Missing(missing) => found.missing(*missing),
            Test::Token(asked) if security => token::labelled(asked, &found, view.labels),
            Test::NotToken(asked) if security => negated(token::maybe_labelled(asked, &found, view.labels)),
            Test::Token(asked) => token::truth(asked, &found),
            Test::NotToken(asked) => negated(token::truth(asked, &found)),
            Test::Date(asked) => date::truth(asked, &found, view.zone),
            Test::Text(how, asked) => text::truth(*how, asked, &found),
            Test::Uri(asked) => text::same_uri(asked, &found),
            Test::Reference(_) => Truth::Unknown,
        }
    }
}

/// The opposite; what is unknown stays so.
fn negated(truth: Truth) -> Truth {
    match truth {
        Truth::True => Truth::False,
        Truth::False => Truth::True,
        Truth::Unknown => Truth::Unknown,
    }
}

#[cfg(test)]
mod tests;
