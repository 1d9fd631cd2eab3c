//! Includes: what a search asks to come along with its matches, and by which references of a resource.
//!
//! The table is pinned to FHIR R4; an include by a parameter that it does not hold follows nothing (ADR 0016).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::interaction::{Include, KnownParams};
use crate::json::Value;
use crate::owner::at_path;
use crate::reference::{Bases, Target};
use crate::resource_type::ResourceType;

/// An element whose references an include follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed {
    source: ResourceType,
    path: &'static str,
    /// The only types that are followed there: the parameter's own, and the one that the include names.
    only: [Option<ResourceType>; 2],
}

/// The elements that an include follows, of resources of type `holder` or, where that is `None`, of any. Only by what
/// the upstream declares: it follows nothing else, so nothing else came along for it.
pub fn followed(include: &Include, holder: Option<ResourceType>, known: &KnownParams) -> Vec<Followed> {
    let types = REFERENCES.iter().filter(|(rtype, _)| {
        include.source.is_none_or(|source| source == **rtype) && holder.is_none_or(|holder| holder == **rtype)
    });
    let mut followed = Vec::new();
    for (source, params) in types {
        let asked = |param: &&Param| include.param.as_deref().is_none_or(|name| name == param.name);
        for param in params.iter().filter(asked).filter(|param| known.contains(*source, param.name)) {
            let elements = param.elements.iter();
            let one = |(path, own)| Followed { source: *source, path, only: [own, include.target] };
            followed.extend(elements.copied().map(one));
        }
    }
    followed
}

impl Followed {
    /// The local resources that `resource` refers to there, as `Type/id`.
    pub fn referred(&self, resource: Value<'_>, bases: &Bases) -> Vec<String> {
        let own = resource.str_at("resourceType");
        if own.as_deref() != Some(self.source.as_str()) {
            return Vec::new();
        }
        let targets = at_path(resource, self.path).into_iter().filter_map(|element| element.str_at("reference"));
        let named = targets.filter_map(|reference| match Target::parse(&reference, bases) {
            Target::Local { rtype, id, .. } if self.only.iter().flatten().all(|only| *only == rtype) => {
                Some(format!("{rtype}/{id}"))
            }
            Target::Local { .. } | Target::Fragment(_) | Target::Foreign(_) | Target::Malformed => None,
        });
        named.collect()
    }
}

/// The elements that a reference parameter of that type looks at, each with the only type that counts there.
pub(crate) fn reference_elements(
    rtype: ResourceType,
    name: &str,
) -> Option<&'static [(&'static str, Option<ResourceType>)]> {
    let param = REFERENCES.get(&rtype)?.iter().find(|param| param.name == name)?;
    Some(&param.elements)
}

/// The types that a reference parameter leads to; `None` where they are many or it is not known.
pub(crate) fn chain_targets(rtype: ResourceType, name: &str) -> Option<Vec<ResourceType>> {
    let words = TARGETS.lines().find_map(|line| line.strip_prefix(rtype.as_str())?.strip_prefix(' '))?;
    let targets = words.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?;
    targets.split(',').map(|target| ResourceType::parse(target).ok()).collect()
}

const TARGETS: &str = include_str!("include/targets.txt");

/// The local resources of that type that `resource` refers to by the reference parameter of that name: their ids.
pub fn referred_by(resource: Value<'_>, name: &str, target: ResourceType, bases: &Bases) -> Vec<String> {
    let rtype = resource.str_at("resourceType").and_then(|own| ResourceType::parse(&own).ok());
    let elements = rtype.and_then(|rtype| Some((rtype, reference_elements(rtype, name)?)));
    let Some((source, elements)) = elements else { return Vec::new() };
    let at = |(path, own): &(&'static str, Option<ResourceType>)| {
        Followed { source, path, only: [*own, Some(target)] }.referred(resource, bases)
    };
    let names = elements.iter().flat_map(at);
    names.filter_map(|name| name.split_once('/').map(|(_, id)| id.to_owned())).collect()
}

/// A reference parameter of a type.
struct Param {
    name: &'static str,
    /// Element paths, each with the only type that is followed there.
    elements: Vec<(&'static str, Option<ResourceType>)>,
}

static REFERENCES: LazyLock<BTreeMap<ResourceType, Vec<Param>>> =
    LazyLock::new(|| include_str!("include/references.txt").lines().filter_map(row).collect());

/// `Type param=path,path:Type …`; a line that is none is a comment (a test reads each).
fn row(line: &'static str) -> Option<(ResourceType, Vec<Param>)> {
    let mut words = line.split(' ');
    let rtype = ResourceType::parse(words.next()?).ok()?;
    let params = words.filter_map(|word| {
        let (name, elements) = word.split_once('=')?;
        let elements = elements.split(',').map(|element| match element.split_once(':') {
            Some((path, only)) => (path, ResourceType::parse(only).ok()),
            None => (element, None),
        });
        Some(Param { name, elements: elements.collect() })
    });
    Some((rtype, params.collect()))
}

#[cfg(test)]
mod tests;
