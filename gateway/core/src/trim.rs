//! Trimming: `_summary` and `_elements` (FHIR R4, search, "Summary" and "Elements"), done on what was decided whole.
//!
//! The FHIR server is never asked for less than a decision needs, so the gateway leaves out by itself what the client
//! does not want. What is left out is pinned to the structure definitions of R4.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::facts::type_of;
use crate::interaction::{Refusal, SearchQuery};
use crate::json::{Edits, Kind, Value};
use crate::redact::{RedactError, is_named, mark};
use crate::resource_type::ResourceType;

/// How much of each resource a client wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trim {
    /// All of it.
    #[default]
    Whole,
    /// `_elements`: these elements of its root, and the mandatory ones; `Type.element` is of that type alone.
    Elements(BTreeSet<String>),
    /// `_summary=true`: the elements that its definition marks as summary.
    Summary,
    /// `_summary=text`: the narrative and the mandatory elements.
    Text,
    /// `_summary=data`: all but the narrative.
    Data,
    /// `_summary=count`: of a search its total only.
    Count,
}

/// The label of a resource that is not all of it (v3-ObservationValue).
const SUBSETTED: &str = "SUBSETTED";

impl Trim {
    /// Reads `_summary` and `_elements` out of a query, each of which may stand once, and not both.
    pub fn of(query: &SearchQuery) -> Result<Self, Refusal> {
        let mut trim = None;
        for param in query.params() {
            let (one, name) = match param.name.as_str() {
                "_summary" => (summary(&param.value), "_summary"),
                "_elements" => (elements(&param.value), "_elements"),
                _ => continue,
            };
            let one = one.filter(|_| param.modifier.is_none()).ok_or(Refusal::ValueRefused(name))?;
            if trim.replace(one).is_some() {
                return Err(Refusal::ValueRefused(name));
            }
        }
        Ok(trim.unwrap_or_default())
    }

    /// Plans what is left out of `resource`, which is labelled SUBSETTED then.
    pub fn plan(&self, resource: Value<'_>, edits: &mut Edits) -> Result<(), RedactError> {
        let rtype = type_of(resource).ok_or(RedactError::Unreadable)?;
        if *self == Self::Whole || self.is_of_others(rtype) {
            return Ok(());
        }
        let rows = ELEMENTS.get(&rtype).map(Vec::as_slice).unwrap_or_default();
        match self {
            Self::Summary => drop(summarise(resource, "", rows, edits)),
            Self::Whole | Self::Elements(_) | Self::Text | Self::Data | Self::Count => {
                edits.remove_children(resource, |child| !self.keeps(child, rtype, rows));
            }
        }
        mark(resource, "tag", SUBSETTED, edits)
    }

    /// Whether it names elements of other types only (`Patient.name`), which leaves this one whole.
    fn is_of_others(&self, rtype: ResourceType) -> bool {
        let Self::Elements(names) = self else { return false };
        let of_another = |name: &String| {
            let named = name.split_once('.').and_then(|(named, _)| ResourceType::parse(named).ok());
            named.is_some_and(|named| named != rtype)
        };
        names.iter().all(of_another)
    }

    /// Whether an element of the root stays.
    fn keeps(&self, child: &Value<'_>, rtype: ResourceType, rows: &[Row]) -> bool {
        let key = child.key().unwrap_or_default();
        let key = key.strip_prefix('_').unwrap_or(&key);
        if ALWAYS.contains(&key) {
            return true;
        }
        let mandatory = || rows.iter().any(|row| row.mandatory && is_named(row.path, key));
        let listed = |name: &String| {
            let name = name.strip_prefix(rtype.as_str()).and_then(|name| name.strip_prefix('.')).unwrap_or(name);
            let root = name.split('.').next().unwrap_or_default();
            root == key || key.strip_prefix(root).is_some_and(|datatype| CHOICES.contains(&datatype))
        };
        match self {
            Self::Whole | Self::Count => true,
            Self::Elements(names) => names.iter().any(listed) || mandatory(),
            Self::Summary => false,
            Self::Text => key == "text" || mandatory(),
            Self::Data => key != "text",
        }
    }
}

/// What no resource is without, and what changes the meaning of the rest.
const ALWAYS: &[&str] = &["resourceType", "id", "meta", "implicitRules", "modifierExtension"];

/// The datatypes of R4's choice elements, as they stand in the names of members.
const CHOICES: &[&str] = &[
    "Address",
    "Age",
    "Annotation",
    "Attachment",
    "Base64Binary",
    "Boolean",
    "Canonical",
    "CodeableConcept",
    "Coding",
    "Date",
    "DateTime",
    "Decimal",
    "Duration",
    "Identifier",
    "Instant",
    "Integer",
    "Money",
    "Period",
    "PositiveInt",
    "Quantity",
    "Range",
    "Ratio",
    "Reference",
    "SampledData",
    "String",
    "Time",
    "Timing",
    "UnsignedInt",
    "Uri",
    "Url",
];

fn summary(value: &str) -> Option<Trim> {
    Some(match value {
        "true" => Trim::Summary,
        "text" => Trim::Text,
        "data" => Trim::Data,
        "count" => Trim::Count,
        "false" => Trim::Whole,
        _ => return None,
    })
}

fn elements(value: &str) -> Option<Trim> {
    let name = |name: &str| {
        let plain = name.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()));
        plain.then(|| name.to_owned())
    };
    value.split(',').map(name).collect::<Option<_>>().map(Trim::Elements)
}

/// Cuts what is not in the summary out of `container`, which stands at `path`; whether nothing of it is left.
fn summarise(container: Value<'_>, path: &str, rows: &[Row], edits: &mut Edits) -> bool {
    let mut gone = BTreeSet::new();
    for child in container.children() {
        let key = child.key().unwrap_or_default();
        let key = key.strip_prefix('_').unwrap_or(&key);
        let row = rows.iter().find(|row| match row.path.rsplit_once('.') {
            Some((holder, name)) => holder == path && is_named(name, key),
            None => path.is_empty() && is_named(row.path, key),
        });
        let emptied = match row {
            _ if (path.is_empty() && ALWAYS.contains(&key)) || (!path.is_empty() && key == "modifierExtension") => {
                false
            }
            None => true,
            Some(row) if rows.iter().any(|other| other.is_within(row.path)) => nested(child, row.path, rows, edits),
            Some(_) => false,
        };
        if emptied {
            gone.insert(child.span().start);
        }
    }
    if !path.is_empty() && container.children().all(|child| gone.contains(&child.span().start)) {
        return true;
    }
    edits.remove_children(container, |child| gone.contains(&child.span().start));
    false
}

/// The same in each repetition of a backbone element.
fn nested(element: Value<'_>, path: &str, rows: &[Row], edits: &mut Edits) -> bool {
    if element.kind() != Kind::Array {
        return summarise(element, path, rows, edits);
    }
    let mut gone = BTreeSet::new();
    for item in element.items() {
        if summarise(item, path, rows, edits) {
            gone.insert(item.span().start);
        }
    }
    if element.items().all(|item| gone.contains(&item.span().start)) {
        return true;
    }
    edits.remove_children(element, |item| gone.contains(&item.span().start));
    false
}

/// An element that is mandatory or in the summary.
struct Row {
    path: &'static str,
    mandatory: bool,
}

impl Row {
    fn is_within(&self, path: &str) -> bool {
        self.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'))
    }
}

static ELEMENTS: LazyLock<BTreeMap<ResourceType, Vec<Row>>> =
    LazyLock::new(|| include_str!("trim/elements.txt").lines().filter_map(rows).collect());

/// `Type element! element+ …`; a line that is none is a comment (a test reads each).
fn rows(line: &'static str) -> Option<(ResourceType, Vec<Row>)> {
    let mut words = line.split(' ');
    let rtype = ResourceType::parse(words.next()?).ok()?;
    let row = |word: &'static str| Row { path: word.trim_end_matches(['!', '+']), mandatory: word.contains('!') };
    Some((rtype, words.map(row).collect()))
}

#[cfg(test)]
mod tests;
