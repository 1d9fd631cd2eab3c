//! Patients who are one person.

use std::collections::{BTreeMap, BTreeSet};

use crate::json::Value;
use crate::owner::PatientId;
use crate::reference::{Bases, Target};
use crate::resource_type::ResourceType;

/// Which Patients are linked, both ways and over any number of links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatientLinksFound(BTreeMap<PatientId, BTreeSet<PatientId>>);

impl PatientLinksFound {
    /// Two Patients are one person.
    pub fn link(&mut self, one: &PatientId, other: &PatientId) {
        self.0.entry(one.clone()).or_default().insert(other.clone());
        self.0.entry(other.clone()).or_default().insert(one.clone());
    }

    /// The patient, and everybody who is the same person.
    pub fn person(&self, patient: &PatientId) -> BTreeSet<PatientId> {
        let mut person = BTreeSet::new();
        let mut open = vec![patient.clone()];
        while let Some(one) = open.pop() {
            open.extend(self.0.get(&one).into_iter().flatten().filter(|other| !person.contains(*other)).cloned());
            person.insert(one);
        }
        person
    }
}

/// The Patients of this server that a Patient names in `link.other`, whatever the type of the link says: each type tells
/// of the same person (FHIR R4, Patient.link).
pub fn linked_patients(patient: Value<'_>, bases: &Bases) -> Vec<PatientId> {
    if patient.str_at("resourceType").as_deref() != Some("Patient") {
        return Vec::new();
    }
    let links = patient.get("link").into_iter().flat_map(|list| list.each());
    let named = links.filter_map(|link| link.get("other")?.str_at("reference"));
    named
        .filter_map(|reference| match Target::parse(&reference, bases) {
            Target::Local { rtype: ResourceType::PATIENT, id, .. } => PatientId::parse(&id).ok(),
            Target::Local { .. } | Target::Fragment(_) | Target::Foreign(_) | Target::Malformed => None,
        })
        .collect()
}
