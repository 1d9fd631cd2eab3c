//! Taking elements out of a resource, and saying so in its labels.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::facts::type_of;
use crate::json::{Edits, Kind, Value};
use crate::resource_type::ResourceType;

/// An element of a type, for all its repetitions: `Patient.telecom`, `Observation.component.valueQuantity`,
/// `Observation.value[x]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElementPath {
    rtype: ResourceType,
    elements: Vec<String>,
}

/// Why elements cannot be taken out. The resource is then not released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedactError {
    /// The text is not `Type.element(.element)*`.
    #[error("not an element path")]
    NotAPath,
    /// The path names what a resource cannot be without, or what changes the meaning of the rest: `resourceType`, `id`,
    /// `meta`, `implicitRules`, `modifierExtension`.
    #[error("element must stay")]
    MustStay,
    /// The value is not a resource, or its `meta` is not of the shape FHIR gives it.
    #[error("not a readable resource")]
    Unreadable,
}

impl ElementPath {
    /// Reads `Type.element(.element)*`.
    pub fn parse(text: &str) -> Result<Self, RedactError> {
        let mut parts = text.split('.');
        let rtype = parts.next().and_then(|name| ResourceType::parse_any(name).ok()).ok_or(RedactError::NotAPath)?;
        let elements: Vec<String> = parts.map(str::to_owned).collect();
        let name = |part: &String| {
            let stem = part.strip_suffix("[x]").unwrap_or(part);
            !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        if elements.is_empty() || !elements.iter().all(name) {
            return Err(RedactError::NotAPath);
        }
        let first = elements.first().map(String::as_str).unwrap_or_default();
        let identity = matches!(first, "resourceType" | "id" | "meta" | "implicitRules");
        if identity || elements.iter().any(|part| part == "modifierExtension") {
            return Err(RedactError::MustStay);
        }
        Ok(Self { rtype, elements })
    }
}

impl fmt::Display for ElementPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.rtype, self.elements.join("."))
    }
}

impl FromStr for ElementPath {
    type Err = RedactError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// The label that says so (DS4P; v3-ObservationValue).
const REDACTED: &[u8] = br#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"REDACTED"}"#;

/// Plans the removal of `paths` from `resource` and from every resource inside it, and answers the paths that were
/// there, sorted.
///
/// Where anything goes, every narrative inside `resource` goes too (it may tell the same) and `resource` is labelled
/// REDACTED. What becomes empty is removed with it, since FHIR has no empty objects or arrays. Where nothing is there
/// to remove, nothing is edited.
pub fn redact(resource: Value<'_>, paths: &[ElementPath], edits: &mut Edits) -> Result<Vec<ElementPath>, RedactError> {
    if type_of(resource).is_none() {
        return Err(RedactError::Unreadable);
    }
    let mut marks = Marks { paths, gone: BTreeSet::new(), present: BTreeSet::new() };
    marks.resource(resource);
    if marks.gone.is_empty() {
        return Ok(Vec::new());
    }
    marks.narratives(resource);
    marks.cut(resource, edits);
    label(resource, edits)?;
    Ok(marks.present.into_iter().cloned().collect())
}

/// What is to go; values are named by the offset at which they start, which no two values share with a key.
struct Marks<'p> {
    paths: &'p [ElementPath],
    gone: BTreeSet<usize>,
    present: BTreeSet<&'p ElementPath>,
}

impl<'p> Marks<'p> {
    /// Marks what the paths of its type name, and goes on to the resources inside.
    fn resource(&mut self, resource: Value<'_>) {
        let rtype = type_of(resource);
        for path in self.paths.iter().filter(|path| Some(path.rtype) == rtype) {
            if self.path(resource, &path.elements) | self.recursive(resource, &path.elements) {
                self.present.insert(path);
            }
        }
        self.inside(resource);
    }

    /// A path may begin with an element that holds itself (`item`, `section`, `provision`): FHIR gives the inner ones
    /// the same definition, so the path reaches them too.
    fn recursive(&mut self, resource: Value<'_>, elements: &[String]) -> bool {
        let Some((first, [_, ..])) = elements.split_first() else { return false };
        let mut found = false;
        let mut below: Vec<_> = resource.children().filter(|child| names(first, child)).collect();
        while let Some(value) = below.pop() {
            found |= self.path(value, elements);
            below.extend(value.children().filter(|child| child.get("resourceType").is_none()));
        }
        found
    }

    fn inside(&mut self, value: Value<'_>) {
        for child in value.children() {
            if child.get("resourceType").is_some() {
                self.resource(child);
            } else {
                self.inside(child);
            }
        }
    }

    /// Whether anything stands at the path below `value`; what does is marked.
    fn path(&mut self, value: Value<'_>, elements: &[String]) -> bool {
        let Some((name, rest)) = elements.split_first() else { return false };
        let mut found = false;
        for holder in value.each() {
            for child in holder.children().filter(|child| names(name, child)) {
                // The extensions of a primitive (`_name`) are numbered with its values, so they go as a whole.
                let whole = child.key().is_some_and(|key| key.starts_with('_')) && stands(child, rest);
                if rest.is_empty() || whole {
                    self.gone.insert(child.span().start);
                    found = true;
                } else {
                    found |= self.path(child, rest);
                }
            }
        }
        found
    }

    /// Marks every narrative: `text` of a resource or of a section of a Composition.
    fn narratives(&mut self, value: Value<'_>) {
        for child in value.children() {
            let of_resource = child.key_is("text") && value.get("resourceType").is_some();
            if of_resource || (child.key_is("text") && child.get("div").is_some()) {
                self.gone.insert(child.span().start);
            } else {
                self.narratives(child);
            }
        }
    }

    /// Cuts what is marked out of `container`, and whatever that leaves empty; whether the container itself is empty
    /// after that (and was not before).
    fn cut(&self, container: Value<'_>, edits: &mut Edits) -> bool {
        let mut emptied = BTreeSet::new();
        for child in container.children() {
            let nested = matches!(child.kind(), Kind::Object | Kind::Array);
            if nested && !self.gone.contains(&child.span().start) && self.cut(child, edits) {
                emptied.insert(child.span().start);
            }
        }
        let goes = |child: &Value<'_>| {
            let start = child.span().start;
            self.gone.contains(&start) || emptied.contains(&start)
        };
        let children = container.children().count();
        let going = container.children().filter(goes).count();
        if children > 0 && children == going {
            // The container goes as a whole, in its own container's call.
            return true;
        }
        edits.remove_children(container, goes);
        false
    }
}

/// Whether an element name of a path is the name of this member: itself, its primitive extensions (`_name`), or one of
/// the types of a choice (`value[x]`: `valueQuantity`).
fn names(name: &str, member: &Value<'_>) -> bool {
    let Some(key) = member.key() else { return false };
    let key = key.strip_prefix('_').unwrap_or(&key);
    match name.strip_suffix("[x]") {
        None => key == name,
        Some(stem) => key.strip_prefix(stem).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase())),
    }
}

/// Whether anything stands at the path below `value`.
fn stands(value: Value<'_>, elements: &[String]) -> bool {
    let Some((name, rest)) = elements.split_first() else { return true };
    value.each().any(|holder| holder.children().any(|child| names(name, &child) && stands(child, rest)))
}

/// Adds REDACTED to `meta.security`, making what is not there.
fn label(resource: Value<'_>, edits: &mut Edits) -> Result<(), RedactError> {
    let Some(meta) = resource.get("meta") else {
        let raw = [br#"{"security":["#, REDACTED, b"]}"].concat();
        edits.insert_member(resource, "meta", &raw);
        return Ok(());
    };
    let Some(security) = meta.get("security") else {
        if meta.kind() != Kind::Object {
            return Err(RedactError::Unreadable);
        }
        edits.insert_member(meta, "security", &[b"[", REDACTED, b"]"].concat());
        return Ok(());
    };
    if security.kind() != Kind::Array {
        return Err(RedactError::Unreadable);
    }
    let already = security.items().any(|label| {
        label.str_at("code").as_deref() == Some("REDACTED")
            && label.str_at("system").as_deref() == Some("http://terminology.hl7.org/CodeSystem/v3-ObservationValue")
    });
    if !already {
        edits.push_item(security, REDACTED);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
