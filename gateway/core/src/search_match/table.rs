//! Which elements a parameter looks at: pinned to FHIR R4.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::On;
use super::elements::{Datatype, Leaf};
use crate::include::reference_elements;
use crate::resource_type::ResourceType;

/// The kinds of parameter that can be matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Token,
    Date,
    Text,
    Uri,
    Reference,
}

pub(super) const ID: &[Leaf] = &[Leaf { path: "id", datatype: Datatype::Text }];
pub(super) const LAST_UPDATED: &[Leaf] = &[Leaf { path: "meta.lastUpdated", datatype: Datatype::Date }];
pub(super) const SECURITY: &[Leaf] = &[Leaf { path: "meta.security", datatype: Datatype::Coding }];
const TAG: &[Leaf] = &[Leaf { path: "meta.tag", datatype: Datatype::Coding }];
const PROFILE: &[Leaf] = &[Leaf { path: "meta.profile", datatype: Datatype::Text }];

/// What the parameter of that name looks at in resources of that type (`None`: of any), if it can be matched.
pub(super) fn find(rtype: Option<ResourceType>, name: &str) -> Option<(On, Kind)> {
    match name {
        "_id" => return Some((On::Id, Kind::Token)),
        "_lastUpdated" => return Some((On::LastUpdated, Kind::Date)),
        "_security" => return Some((On::Security, Kind::Token)),
        "_tag" => return Some((On::Elements(TAG), Kind::Token)),
        "_profile" => return Some((On::Elements(PROFILE), Kind::Uri)),
        _ => {}
    }
    let rtype = rtype?;
    if let Some(elements) = reference_elements(rtype, name) {
        return Some((On::References(elements), Kind::Reference));
    }
    let parameter = PARAMETERS.get(&rtype)?.iter().find(|parameter| parameter.name == name)?;
    Some((On::Elements(&parameter.leaves), parameter.kind))
}

pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) leaves: Vec<Leaf>,
}

pub(super) static PARAMETERS: LazyLock<BTreeMap<ResourceType, Vec<Parameter>>> =
    LazyLock::new(|| include_str!("parameters.txt").lines().filter_map(row).collect());

/// `Type name/kind=path:datatype,path:datatype@system …`; a line that is none is a comment (a test reads each).
fn row(line: &'static str) -> Option<(ResourceType, Vec<Parameter>)> {
    let mut words = line.split(' ');
    let rtype = ResourceType::parse(words.next()?).ok()?;
    Some((rtype, words.filter_map(parameter).collect()))
}

pub(super) fn parameter(word: &'static str) -> Option<Parameter> {
    let (name, rest) = word.split_once('/')?;
    let (kind, leaves) = rest.split_once('=')?;
    let kind = match kind {
        "token" => Kind::Token,
        "date" => Kind::Date,
        "string" => Kind::Text,
        "uri" => Kind::Uri,
        _ => return None,
    };
    Some(Parameter { name, kind, leaves: leaves.split(',').map(leaf).collect::<Option<_>>()? })
}

fn leaf(text: &'static str) -> Option<Leaf> {
    let (path, datatype) = text.split_once(':')?;
    let (datatype, system) = match datatype.split_once('@') {
        Some((datatype, system)) => (datatype, Some(system)),
        None => (datatype, None),
    };
    let datatype = match datatype {
        "code" => Datatype::Code(system),
        "CodeableConcept" => Datatype::CodeableConcept,
        "Coding" => Datatype::Coding,
        "Identifier" => Datatype::Identifier,
        "ContactPoint" => Datatype::ContactPoint,
        "boolean" => Datatype::Boolean,
        "string" | "markdown" | "id" | "uri" | "url" => Datatype::Text,
        "date" | "dateTime" | "instant" => Datatype::Date,
        "Period" => Datatype::Period,
        "HumanName" => Datatype::HumanName,
        "Address" => Datatype::Address,
        "Timing" | "?" => Datatype::Opaque,
        _ => return None,
    };
    Some(Leaf { path, datatype })
}
