//! Whose data a resource is: the patients in its subject-role paths, and only those.
//!
//! The owner is not the compartment: a performer or an author who happens to be a patient owns nothing (CONSENT.md,
//! "Whose data is it"). All owners must permit; a resource whose owner cannot be known is refused.

mod compartment;
mod find;
mod paths;

#[cfg(test)]
mod tests;

pub use compartment::patient_compartment;
pub(crate) use find::at_path;
pub use find::owners;
pub use paths::{OwnerRule, is_universal, owner_params, owner_rule};

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The logical id of a Patient on the upstream (`x` of `Patient/x`).
///
/// INVARIANT: matches FHIR's `id`: `[A-Za-z0-9\-.]{1,64}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PatientId(String);

/// A text that is not a FHIR id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a FHIR id")]
pub struct NotAnId;

impl PatientId {
    /// Reads the id part alone, or a relative reference `Patient/x` without a version.
    pub fn parse(text: &str) -> Result<Self, NotAnId> {
        let id = text.strip_prefix("Patient/").unwrap_or(text);
        if is_fhir_id(id) { Ok(Self(id.to_owned())) } else { Err(NotAnId) }
    }

    /// The id part, `x`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The relative reference, `Patient/x`.
    pub fn reference(&self) -> String {
        format!("Patient/{}", self.0)
    }
}

/// Whether `text` is a FHIR `id` (R4 datatypes, `id`).
pub fn is_fhir_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

impl fmt::Display for PatientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PatientId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for PatientId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PatientId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Who must permit before a resource is disclosed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owners {
    /// These patients, all of them; sorted, without repetition, never empty.
    Patients(Vec<PatientId>),
    /// Nobody's in particular: scope and organisational policy decide alone.
    Universal,
    /// Whoever owns the resources referred to (`Type/id`, sorted, without repetition, never empty): the caller of this
    /// crate resolves them. For a Provenance, any one visible target is enough; for every other type all must permit.
    /// A patient among them stands as `Patient/x`.
    ByReference(Vec<String>),
    /// It cannot be known whose it is, so it is refused.
    Unknown(NoOwner),
}

/// Why the owner of a resource cannot be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NoOwner {
    /// The type's owner elements are all absent.
    #[error("owner-absent")]
    Absent,
    /// The type has no owner path and is not universal.
    #[error("owner-type")]
    Type,
    /// An owner is named by identifier, display or extension only.
    #[error("owner-logical")]
    Logical,
    /// An owner is on another server.
    #[error("owner-foreign")]
    Foreign,
    /// An owner is a contained resource.
    #[error("owner-contained")]
    Contained,
    /// An owner reference is not a FHIR reference.
    #[error("owner-malformed")]
    Malformed,
    /// The resource has no readable `resourceType` or `id`, or is not an object.
    #[error("owner-unreadable")]
    Unreadable,
}
