//! References (FHIR R4, search, "reference").

use super::elements::{self, Datatype, Leaf};
use super::value::{self, Alternative};
use super::{Test, Unsupported, View};
use crate::consent::truth::Truth;
use crate::json::Value;
use crate::owner::is_fhir_id;
use crate::reference::{Bases, Target};
use crate::resource_type::ResourceType;

/// `id`, `Type/id`, or an absolute URL; of that type, where the modifier or the value names one.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Asked {
    of: Option<ResourceType>,
    to: To,
}

#[derive(Clone, PartialEq, Eq)]
enum To {
    Id(String),
    Absolute(String),
}

impl Asked {
    pub(super) fn parse(alternative: &Alternative, of: Option<ResourceType>) -> Result<Self, Unsupported> {
        let text = value::plain(alternative)?;
        if is_fhir_id(&text) {
            return Ok(Self { of, to: To::Id(text) });
        }
        if ["http://", "https://", "urn:"].iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(Self { of, to: To::Absolute(text) });
        }
        let (name, id) = text.split_once('/').ok_or(Unsupported)?;
        let named = ResourceType::parse(name).map_err(|_| Unsupported)?;
        if !is_fhir_id(id) || of.is_some_and(|of| of != named) {
            return Err(Unsupported);
        }
        Ok(Self { of: Some(named), to: To::Id(id.to_owned()) })
    }

    fn is(&self, held: &Target, bases: &Bases) -> Truth {
        let of = |rtype: ResourceType| self.of.is_none_or(|of| of == rtype);
        match (&self.to, held) {
            (To::Id(asked), Target::Local { rtype, id, .. }) => Truth::from(asked == id && of(*rtype)),
            (To::Id(_), Target::Foreign(_) | Target::Fragment(_)) | (To::Absolute(_), Target::Fragment(_)) => {
                Truth::False
            }
            (To::Absolute(asked), _) => match (Target::parse(asked, bases), held) {
                (Target::Local { version: Some(_), .. }, _) => Truth::Unknown,
                (Target::Local { rtype, id, .. }, Target::Local { rtype: type_held, id: held, .. }) => {
                    Truth::from(rtype == *type_held && id == *held && of(rtype))
                }
                (Target::Foreign(asked), Target::Foreign(held)) => {
                    // Of what type a foreign resource is, its URL does not say for certain.
                    if asked == *held && self.of.is_none() { Truth::True } else { Truth::Unknown }
                }
                (Target::Local { .. }, Target::Foreign(_)) | (Target::Foreign(_), Target::Local { .. }) => Truth::False,
                _ => Truth::Unknown,
            },
            (To::Id(_), Target::Malformed) => Truth::Unknown,
        }
    }
}

/// Whether any of the references at these elements is what is asked for.
pub(super) fn truth(test: &Test, at: &[(&'static str, Option<ResourceType>)], view: &View<'_>) -> Truth {
    let one = |(path, only): &(&'static str, Option<ResourceType>)| {
        let found = elements::at(view.resource, &[Leaf { path, datatype: Datatype::Text }]);
        found.any(|value, _| {
            let target = target(value, view.bases);
            let looked_at = match (only, &target) {
                (None, _) => Truth::True,
                (Some(only), Some(Target::Local { rtype, .. })) => Truth::from(only == rtype),
                (Some(_), _) => Truth::Unknown,
            };
            looked_at.and(match (test, &target) {
                (Test::Missing(_), _) => Truth::True,
                (Test::Reference(asked), Some(target)) => Truth::any(asked.iter().map(|a| a.is(target, view.bases))),
                _ => Truth::Unknown,
            })
        })
    };
    let any = Truth::any(at.iter().map(one));
    match test {
        Test::Missing(true) => super::negated(any),
        Test::Missing(false)
        | Test::Token(_)
        | Test::NotToken(_)
        | Test::Date(_)
        | Test::Text(..)
        | Test::Uri(_)
        | Test::Reference(_) => any,
    }
}

fn target(reference: Value<'_>, bases: &Bases) -> Option<Target> {
    Some(Target::parse(&reference.str_at("reference")?, bases))
}
