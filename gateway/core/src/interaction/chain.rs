//! Chained parameters and `_has`: searches by what other resources hold (FHIR R4, search, "Chained parameters",
//! "Reverse Chaining").

use super::check::KnownParams;
use super::query::Param;
use super::refusal::Refusal;
use crate::include::{chain_targets, reference_elements};
use crate::resource_type::ResourceType;

/// One step of a chain; its inner parameter may be a chain again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chain {
    /// `reference[:Type].inner=value`: what refers to a resource that the inner search finds.
    Forward {
        /// The reference parameter of the type searched for.
        reference: String,
        /// The types on which the inner search is made; one or more.
        of: Vec<ResourceType>,
        /// The inner parameter.
        inner: Param,
    },
    /// `_has:Source:reference:inner=value`: what a resource that the inner search finds refers to.
    Reverse {
        /// The type on which the inner search is made.
        source: ResourceType,
        /// The reference parameter of that type.
        reference: String,
        /// The inner parameter.
        inner: Param,
    },
}

/// The parameters that every type has and a chain may end in.
const COMMON: &[&str] = &["_id", "_lastUpdated", "_profile", "_security", "_tag"];

impl Chain {
    /// Whether a parameter is one, understood or not: by what it begins with and by its dots, whatever follows.
    pub fn is_one(param: &Param) -> bool {
        let dotted = param.modifier.as_deref().is_some_and(|modifier| modifier.contains('.'));
        param.name == "_has" || param.name.contains('.') || dotted
    }

    /// Reads a parameter of a search of that type; at most `depth` steps, each by parameters that the upstream declares.
    ///
    /// # Errors
    /// What is no chain, is too deep, or goes by a parameter that is not known: it is never dropped.
    pub fn parse(rtype: ResourceType, param: &Param, known: &KnownParams, depth: usize) -> Result<Self, Refusal> {
        let left = depth.checked_sub(1).ok_or(Refusal::ParameterRefused("a chain of so many steps"))?;
        if param.name == "_has" {
            Self::reverse(rtype, param, known, left)
        } else {
            Self::forward(rtype, param, known, left)
        }
    }

    fn forward(rtype: ResourceType, param: &Param, known: &KnownParams, left: usize) -> Result<Self, Refusal> {
        let key = param.key();
        let (head, rest) = key.split_once('.').ok_or(Refusal::ParameterUnknown)?;
        let (reference, named) = match head.split_once(':') {
            Some((reference, named)) => (reference, Some(named)),
            None => (head, None),
        };
        if !known.contains(rtype, reference) || reference_elements(rtype, reference).is_none() {
            return Err(Refusal::ParameterUnknown);
        }
        let inner = inner(rest, param)?;
        let targets = chain_targets(rtype, reference);
        let of = match named {
            Some(named) => vec![ResourceType::parse(named).map_err(|_| Refusal::ModifierUnknown)?],
            None => targets.ok_or(Refusal::ParameterRefused("a chain without a type"))?,
        };
        let reaches = |of: &ResourceType| may_be(*of, &inner, known, left);
        // Of the types that it may lead to only those count that have the inner parameter.
        let refusal = of
            .first()
            .map_or(Refusal::ParameterUnknown, |first| reaches(first).err().unwrap_or(Refusal::ParameterUnknown));
        let of: Vec<ResourceType> = of.into_iter().filter(|of| reaches(of).is_ok()).collect();
        if of.is_empty() {
            return Err(refusal);
        }
        Ok(Self::Forward { reference: reference.to_owned(), of, inner })
    }

    fn reverse(rtype: ResourceType, param: &Param, known: &KnownParams, left: usize) -> Result<Self, Refusal> {
        let mut parts = param.modifier.as_deref().unwrap_or_default().splitn(3, ':');
        let (Some(source), Some(reference), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Refusal::ParameterMalformed);
        };
        let source = ResourceType::parse(source).map_err(|_| Refusal::ParameterUnknown)?;
        let leads_here = chain_targets(source, reference).is_none_or(|targets| targets.contains(&rtype));
        if !known.contains(source, reference) || reference_elements(source, reference).is_none() || !leads_here {
            return Err(Refusal::ParameterUnknown);
        }
        let inner = inner(rest, param)?;
        may_be(source, &inner, known, left)?;
        Ok(Self::Reverse { source, reference: reference.to_owned(), inner })
    }
}

/// What stands behind a step, with the value of the whole.
fn inner(key: &str, param: &Param) -> Result<Param, Refusal> {
    let (name, modifier) = match key.split_once(':') {
        Some((name, modifier)) => (name, Some(modifier.to_owned())),
        None => (key, None),
    };
    if name.is_empty() || modifier.as_ref().is_some_and(String::is_empty) {
        return Err(Refusal::ParameterName);
    }
    Ok(Param { name: name.to_owned(), modifier, value: param.value.clone() })
}

/// Whether the inner parameter may be searched by on that type.
fn may_be(rtype: ResourceType, inner: &Param, known: &KnownParams, left: usize) -> Result<(), Refusal> {
    if Chain::is_one(inner) {
        return Chain::parse(rtype, inner, known, left).map(drop);
    }
    let shaped = inner.name.starts_with('_') && !COMMON.contains(&inner.name.as_str());
    if shaped || !known.contains(rtype, &inner.name) { Err(Refusal::ParameterUnknown) } else { Ok(()) }
}
