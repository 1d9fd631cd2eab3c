//! Finding the owners of one resource by the table.

use std::collections::BTreeSet;

use super::paths::{OwnerRule, is_universal, owner_rule};
use super::{NoOwner, Owners, PatientId};
use crate::json::Value;
use crate::reference::{Bases, Target};
use crate::resource_type::ResourceType;

/// Whose data `resource` is, contained and nested resources included.
///
/// Every doubt ends in [`Owners::Unknown`]: an owner on another server, one named by identifier only, a contained
/// patient, a type that the table gives none. A Patient without an id (the body of a create) has no owner yet:
/// [`NoOwner::Absent`].
pub fn owners(resource: Value<'_>, bases: &Bases) -> Owners {
    let mut found = Found::default();
    match found.resource(resource, bases, Place::Itself) {
        Ok(()) => found.conclude(),
        Err(why) => Owners::Unknown(why),
    }
}

/// Where the resource under the cursor stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A resource of its own: it must have an owner.
    Itself,
    /// In `contained`: it belongs to its container and may add owners of its own.
    Contained,
}

/// What has been found so far.
#[derive(Default)]
struct Found {
    patients: BTreeSet<PatientId>,
    others: BTreeSet<String>,
    universal: bool,
}

impl Found {
    fn conclude(self) -> Owners {
        if !self.others.is_empty() {
            let mut references = self.others;
            references.extend(self.patients.iter().map(PatientId::reference));
            return Owners::ByReference(references.into_iter().collect());
        }
        if !self.patients.is_empty() {
            return Owners::Patients(self.patients.into_iter().collect());
        }
        if self.universal { Owners::Universal } else { Owners::Unknown(NoOwner::Absent) }
    }

    fn is_empty(&self) -> bool {
        self.patients.is_empty() && self.others.is_empty()
    }

    fn resource(&mut self, resource: Value<'_>, bases: &Bases, place: Place) -> Result<(), NoOwner> {
        let name = resource.str_at("resourceType").ok_or(NoOwner::Unreadable)?;
        let rtype = ResourceType::parse_any(&name).map_err(|_| NoOwner::Unreadable)?;
        match owner_rule(rtype) {
            OwnerRule::SelfPatient if place == Place::Contained => return Err(NoOwner::Contained),
            OwnerRule::SelfPatient => {
                let id = resource.str_at("id").ok_or(NoOwner::Absent)?;
                self.patients.insert(PatientId::parse(&id).map_err(|_| NoOwner::Unreadable)?);
            }
            OwnerRule::Paths(paths) => {
                let own = Self::along(paths, resource, bases)?;
                if own.is_empty() && place == Place::Itself {
                    return Err(NoOwner::Absent);
                }
                self.add(own);
            }
            OwnerRule::PatientsAt(paths) => {
                let own = Self::patients_along(paths, resource, bases)?;
                if own.is_empty() && place == Place::Itself {
                    return Err(NoOwner::Absent);
                }
                self.add(own);
            }
            // What is told about the container or its other parts is the container's.
            OwnerRule::PathsOrUniversal(paths) if place == Place::Contained => {
                self.literal_patients(paths, resource, bases)?;
            }
            OwnerRule::PathsOrUniversal(paths) => {
                let own = Self::along(paths, resource, bases)?;
                if own.is_empty() && !own.universal {
                    return Err(NoOwner::Absent);
                }
                self.universal |= own.is_empty() && own.universal;
                self.add(own);
            }
            OwnerRule::UniversalUnless(paths) => {
                self.universal = true;
                self.literal_patients(paths, resource, bases)?;
            }
            OwnerRule::Universal => self.universal = true,
            OwnerRule::Inside => self.inside(resource, bases)?,
            OwnerRule::None if place == Place::Contained => {}
            OwnerRule::None => return Err(NoOwner::Type),
        }
        for contained in resource.get("contained").into_iter().flat_map(|list| list.each()) {
            self.resource(contained, bases, Place::Contained)?;
        }
        Ok(())
    }

    fn add(&mut self, own: Found) {
        self.patients.extend(own.patients);
        self.others.extend(own.others);
    }

    /// The resources inside a Bundle or Parameters, however deep; an empty one has no owner.
    fn inside(&mut self, outer: Value<'_>, bases: &Bases) -> Result<(), NoOwner> {
        let entries = outer.get("entry").into_iter().flat_map(|list| list.each());
        for resource in entries.filter_map(|entry| entry.get("resource")) {
            self.resource(resource, bases, Place::Itself)?;
        }
        let mut parameters: Vec<_> = outer.get("parameter").into_iter().flat_map(|list| list.each()).collect();
        while let Some(parameter) = parameters.pop() {
            if let Some(resource) = parameter.get("resource") {
                self.resource(resource, bases, Place::Itself)?;
            }
            parameters.extend(parameter.get("part").into_iter().flat_map(|list| list.each()));
        }
        Ok(())
    }

    /// Only the patients referred to at the paths; whatever else stands there is passed over.
    fn literal_patients(&mut self, paths: &[&str], resource: Value<'_>, bases: &Bases) -> Result<(), NoOwner> {
        let named = paths.iter().flat_map(|path| at_path(resource, path));
        for target in named.filter_map(|reference| reference.str_at("reference")) {
            if let Target::Local { rtype: ResourceType::PATIENT, id, .. } = Target::parse(&target, bases) {
                self.patients.insert(PatientId::parse(&id).map_err(|_| NoOwner::Malformed)?);
            }
        }
        Ok(())
    }

    fn along(paths: &[&str], resource: Value<'_>, bases: &Bases) -> Result<Found, NoOwner> {
        let mut own = Found::default();
        for path in paths {
            for reference in at_path(resource, path) {
                own.reference(reference, bases)?;
            }
        }
        Ok(own)
    }

    /// As [`Found::along`], but who is known to be no patient is passed over.
    fn patients_along(paths: &[&str], resource: Value<'_>, bases: &Bases) -> Result<Found, NoOwner> {
        let mut own = Found::default();
        for reference in paths.iter().flat_map(|path| at_path(resource, path)) {
            let literal = reference.str_at("reference");
            let rtype = match literal.as_deref().map(|literal| Target::parse(literal, bases)) {
                Some(Target::Local { rtype, .. }) => Some(rtype),
                Some(target) => target.foreign_type(),
                None => reference.str_at("type").and_then(|name| ResourceType::parse_any(&name).ok()),
            };
            if rtype.is_none_or(|rtype| rtype == ResourceType::PATIENT) {
                own.reference(reference, bases)?;
            }
        }
        Ok(own)
    }

    /// One Reference at an owner path.
    fn reference(&mut self, reference: Value<'_>, bases: &Bases) -> Result<(), NoOwner> {
        if !reference.is_object() {
            return Err(NoOwner::Malformed);
        }
        let Some(literal) = reference.get("reference") else {
            // A logical reference may say of which type its target is.
            let stated = reference.str_at("type").and_then(|name| ResourceType::parse_any(&name).ok());
            return self.universal_or(stated, NoOwner::Logical);
        };
        let target = Target::parse(&literal.as_str().ok_or(NoOwner::Malformed)?, bases);
        match &target {
            Target::Local { rtype: ResourceType::PATIENT, id, .. } => {
                self.patients.insert(PatientId::parse(id).map_err(|_| NoOwner::Malformed)?);
            }
            Target::Local { rtype, .. } if is_universal(*rtype) => self.universal = true,
            Target::Local { .. } => self.others.extend(target.normalised()),
            Target::Foreign(_) => self.universal_or(target.foreign_type(), NoOwner::Foreign)?,
            // `#` is the container itself, whose owners are found anyway.
            Target::Fragment(id) if id.is_empty() => {}
            Target::Fragment(_) => return Err(NoOwner::Contained),
            Target::Malformed => return Err(NoOwner::Malformed),
        }
        Ok(())
    }

    fn universal_or(&mut self, rtype: Option<ResourceType>, otherwise: NoOwner) -> Result<(), NoOwner> {
        if !rtype.is_some_and(is_universal) {
            return Err(otherwise);
        }
        self.universal = true;
        Ok(())
    }
}

/// Every value at a dotted element path, through repetitions.
pub(crate) fn at_path<'a>(resource: Value<'a>, path: &str) -> Vec<Value<'a>> {
    path.split('.').fold(vec![resource], |values, name| {
        values.iter().filter_map(|value| value.get(name)).flat_map(|value| value.each()).collect()
    })
}
