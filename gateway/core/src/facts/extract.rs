//! One walk over a resource that takes its facts out.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::tables::{author_paths, date_kind};
use super::{DateCandidate, DateKind, InlineLabel, ResourceFacts};
use crate::coding::Coding;
use crate::json::Value;
use crate::owner::{at_path, is_fhir_id, owners};
use crate::reference::{Bases, Target};
use crate::resource_type::ResourceType;

/// A JSON value that is no readable FHIR resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// Not an object with a `resourceType` of FHIR.
    #[error("not a FHIR resource")]
    NotAResource,
    /// `id`, `meta` or a member of `meta` is not of its FHIR type.
    #[error("malformed {0}")]
    Malformed(&'static str),
}

impl ResourceFacts {
    /// Takes the facts of `resource`; references are normalised by `bases`.
    pub fn of(resource: Value<'_>, bases: &Bases) -> Result<Self, FactsError> {
        let resource_type = type_of(resource).ok_or(FactsError::NotAResource)?;
        let id = text_at(resource, "id", "id")?;
        if id.as_deref().is_some_and(|id| !is_fhir_id(id)) {
            return Err(FactsError::Malformed("id"));
        }
        let meta = resource.get("meta");
        if meta.is_some_and(|meta| !meta.is_object()) {
            return Err(FactsError::Malformed("meta"));
        }
        let in_meta = |key, name| meta.map_or(Ok(None), |meta| text_at(meta, key, name));
        let last_updated = in_meta("lastUpdated", "meta.lastUpdated")?;
        let mut walk = Walk::new(bases);
        walk.resource(resource)?;
        Ok(Self {
            resource_type,
            id,
            version: in_meta("versionId", "meta.versionId")?,
            owners: owners(resource, bases),
            security: walk.security,
            codes: walk.codes.into_iter().map(owned).collect(),
            profiles: walk.profiles,
            document_types: document_types(resource_type, resource),
            dates: dates(resource_type, resource, last_updated.as_deref()),
            authors: authors(resource_type, resource, bases),
            references: walk.references.into_iter().collect(),
            inline_labels: walk.inline_labels,
            has_narrative: walk.has_narrative,
            last_updated,
        })
    }
}

/// The type of a JSON value that is a resource.
pub(crate) fn type_of(value: Value<'_>) -> Option<ResourceType> {
    ResourceType::parse_any(&value.str_at("resourceType")?).ok()
}

fn text_at(object: Value<'_>, key: &str, name: &'static str) -> Result<Option<String>, FactsError> {
    let Some(value) = object.get(key) else { return Ok(None) };
    value.as_str().map(|text| Some(text.into_owned())).ok_or(FactsError::Malformed(name))
}

/// A coding that still borrows from the resource.
type Borrowed<'a> = (Option<Cow<'a, str>>, Cow<'a, str>);

fn owned((system, code): Borrowed<'_>) -> Coding {
    Coding { system: system.map(Cow::into_owned), code: code.into_owned() }
}

struct Walk<'a, 'b> {
    bases: &'b Bases,
    security: Vec<Coding>,
    codes: BTreeSet<Borrowed<'a>>,
    profiles: Vec<String>,
    references: BTreeSet<String>,
    inline_labels: Vec<InlineLabel>,
    has_narrative: bool,
    /// Type and element names from the nearest resource down.
    path: Vec<Cow<'a, str>>,
}

impl<'a, 'b> Walk<'a, 'b> {
    fn new(bases: &'b Bases) -> Self {
        Self {
            bases,
            security: Vec::new(),
            codes: BTreeSet::new(),
            profiles: Vec::new(),
            references: BTreeSet::new(),
            inline_labels: Vec::new(),
            has_narrative: false,
            path: Vec::new(),
        }
    }

    /// A resource: the one asked about, a contained one, or one inside a Bundle or Parameters.
    fn resource(&mut self, resource: Value<'a>) -> Result<(), FactsError> {
        let Some(rtype) = type_of(resource) else {
            return Err(FactsError::NotAResource);
        };
        let outer = std::mem::replace(&mut self.path, vec![Cow::Borrowed(rtype.as_str())]);
        for member in resource.members() {
            match member.key.as_ref() {
                "resourceType" | "id" => {}
                "meta" => self.meta(member.value)?,
                "text" => self.has_narrative = true,
                "extension" => {
                    let labels = self.extensions(member.value)?;
                    self.security.extend(labels.into_iter().flatten());
                }
                _ => self.element(member.key, member.value)?,
            }
        }
        self.path = outer;
        Ok(())
    }

    fn meta(&mut self, meta: Value<'a>) -> Result<(), FactsError> {
        for label in meta.get("security").into_iter().flat_map(|list| list.each()) {
            let (Some(code), system) = (label.str_at("code"), label.str_at("system")) else {
                return Err(FactsError::Malformed("meta.security"));
            };
            self.security.push(owned((system, code)));
        }
        for profile in meta.get("profile").into_iter().flat_map(|list| list.each()) {
            let profile = profile.as_str().ok_or(FactsError::Malformed("meta.profile"))?;
            self.profiles.push(profile.into_owned());
        }
        Ok(())
    }

    /// A named element, in all its repetitions.
    fn element(&mut self, key: Cow<'a, str>, value: Value<'a>) -> Result<(), FactsError> {
        let coding = key == "coding";
        // A primitive's extensions stand under `_name` (FHIR R4, JSON, "primitive elements").
        let name = match key.strip_prefix('_') {
            Some(name) => Cow::Owned(name.to_owned()),
            None => key,
        };
        self.path.push(name);
        for item in value.each() {
            self.item(item, coding)?;
        }
        self.path.pop();
        Ok(())
    }

    fn item(&mut self, item: Value<'a>, coding: bool) -> Result<(), FactsError> {
        if item.is_array() {
            for inner in item.items() {
                self.item(inner, coding)?;
            }
            return Ok(());
        }
        if item.get("resourceType").is_some() {
            return self.resource(item);
        }
        let (mut system, mut code) = (None, None);
        for member in item.members() {
            match member.key.as_ref() {
                "system" => system = member.value.as_str(),
                "code" if member.value.as_str().is_some() => code = member.value.as_str(),
                "reference" => self.reference(member.key, member.value)?,
                "div" if self.path.last().is_some_and(|name| name == "text") => self.has_narrative = true,
                "extension" => {
                    for labels in self.extensions(member.value)? {
                        self.inline_labels.push(InlineLabel { path: self.path.join("."), labels });
                    }
                }
                _ => self.element(member.key, member.value)?,
            }
        }
        if let Some(code) = code.filter(|_| system.is_some() || coding) {
            self.codes.insert((system, code));
        }
        Ok(())
    }

    /// A `reference` member: a string in a Reference, an element of its own in some types.
    fn reference(&mut self, key: Cow<'a, str>, value: Value<'a>) -> Result<(), FactsError> {
        match value.as_str() {
            Some(literal) => {
                let target = Target::parse(&literal, self.bases);
                let malformed = (target == Target::Malformed).then(|| literal.into_owned());
                self.references.extend(target.normalised().or(malformed));
                Ok(())
            }
            None => self.element(key, value),
        }
    }

    /// Walks the extensions of one element and answers the inline labels among them, one list for each.
    fn extensions(&mut self, list: Value<'a>) -> Result<Vec<Vec<Coding>>, FactsError> {
        let mut found = Vec::new();
        for extension in list.each() {
            if extension.str_at("url").is_some_and(|url| url.ends_with(INLINE_LABEL)) {
                found.push(label_codings(extension));
            } else {
                self.path.push(Cow::Borrowed("extension"));
                self.item(extension, false)?;
                self.path.pop();
            }
        }
        Ok(found)
    }
}

/// The tail of DS4P's `…/StructureDefinition/extension-inline-sec-label`; the tail, since its base has moved before.
const INLINE_LABEL: &str = "inline-sec-label";

fn label_codings(extension: Value<'_>) -> Vec<Coding> {
    let single = extension.get("valueCoding");
    let concept = extension.get("valueCodeableConcept").and_then(|concept| concept.get("coding"));
    let codings = single.into_iter().chain(concept.into_iter().flat_map(|list| list.each()));
    codings.filter_map(|coding| Some(owned((coding.str_at("system"), coding.str_at("code")?)))).collect()
}

/// The types of document that Consent's `class` may name.
fn document_types(rtype: ResourceType, resource: Value<'_>) -> Vec<Coding> {
    if !matches!(rtype.as_str(), "Composition" | "DocumentReference" | "DocumentManifest") {
        return Vec::new();
    }
    let codings = ["type.coding", "category.coding"].into_iter().flat_map(|path| at_path(resource, path));
    codings.filter_map(|coding| Some(owned((coding.str_at("system"), coding.str_at("code")?)))).collect()
}

fn dates(rtype: ResourceType, resource: Value<'_>, last_updated: Option<&str>) -> Vec<DateCandidate> {
    let text = |value: Option<Value<'_>>| value.and_then(|value| value.as_str()).map(Cow::into_owned);
    let mut found = Vec::new();
    for member in resource.members() {
        let Some(kind) = date_kind(rtype, &member.key) else { continue };
        let value = member.value;
        found.push(match value.as_str() {
            Some(date) => DateCandidate { kind, start: Some(date.clone().into_owned()), end: Some(date.into_owned()) },
            None => DateCandidate { kind, start: text(value.get("start")), end: text(value.get("end")) },
        });
    }
    // Appointment and Slot have their period in two members.
    if let (Some(start), true) = (text(resource.get("start")), rtype.as_str() == "Appointment") {
        found.push(DateCandidate { kind: DateKind::Occurrence, start: Some(start), end: text(resource.get("end")) });
    }
    for value in at_path(resource, "collection.collectedDateTime") {
        found.push(DateCandidate { kind: DateKind::Performed, start: text(Some(value)), end: text(Some(value)) });
    }
    for value in at_path(resource, "collection.collectedPeriod") {
        let (start, end) = (text(value.get("start")), text(value.get("end")));
        found.push(DateCandidate { kind: DateKind::Performed, start, end });
    }
    if let Some(date) = last_updated.map(str::to_owned) {
        found.push(DateCandidate { kind: DateKind::LastUpdated, start: Some(date.clone()), end: Some(date) });
    }
    found.sort_by_key(|candidate| candidate.kind);
    found
}

fn authors(rtype: ResourceType, resource: Value<'_>, bases: &Bases) -> Vec<String> {
    let elements = author_paths(rtype).iter().flat_map(|path| at_path(resource, path));
    let named = elements.map(|element| match element.str_at("reference") {
        Some(literal) => Target::parse(&literal, bases).normalised().unwrap_or_else(|| UNKNOWN_AUTHOR.to_owned()),
        None => UNKNOWN_AUTHOR.to_owned(),
    });
    named.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Stands in [`ResourceFacts::authors`] for an author who is named otherwise than by a literal reference.
pub const UNKNOWN_AUTHOR: &str = "?";
