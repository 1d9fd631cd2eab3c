//! References to resources of the FHIR server behind the gateway.

use std::fmt;
use std::str::FromStr;

use crate::printed::serde_as_printed;

/// Why a text is no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reference must read Type/id, with an id of 1 to 64 letters, digits, hyphens and dots")]
pub struct ReferenceError;

/// A resource, `Type/id` (FHIR R4 datatypes `id` and `Reference.reference`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(String);

impl Reference {
    /// The resource `id` of a type.
    ///
    /// # Errors
    /// [`ReferenceError`] where the type or the id is malformed.
    pub fn new(resource_type: &str, id: &str) -> Result<Self, ReferenceError> {
        format!("{resource_type}/{id}").parse()
    }

    /// `Type/id`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The type.
    #[must_use]
    pub fn resource_type(&self) -> &str {
        self.0.split_once('/').map_or("", |(resource_type, _)| resource_type)
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, id)| id)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (resource_type, id) = text.split_once('/').ok_or(ReferenceError)?;
        if is_type(resource_type) && is_id(id) { Ok(Self(text.to_owned())) } else { Err(ReferenceError) }
    }
}

serde_as_printed!(Reference);

/// A resource in one version, `Type/id/_history/version`, or as it stands where its server gives no versions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionedReference {
    reference: Reference,
    version: Option<String>,
}

impl VersionedReference {
    /// A version of a resource.
    ///
    /// # Errors
    /// [`ReferenceError`] where the version is malformed.
    pub fn new(reference: Reference, version: Option<&str>) -> Result<Self, ReferenceError> {
        match version {
            Some(version) if !is_id(version) => Err(ReferenceError),
            Some(version) => Ok(Self { reference, version: Some(version.to_owned()) }),
            None => Ok(Self { reference, version: None }),
        }
    }

    /// The resource.
    #[must_use]
    pub const fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The version (`meta.versionId`).
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
}

impl fmt::Display for VersionedReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}/_history/{version}", self.reference),
            None => self.reference.fmt(f),
        }
    }
}

impl FromStr for VersionedReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        match text.split_once("/_history/") {
            Some((reference, version)) => Self::new(reference.parse()?, Some(version)),
            None => Self::new(text.parse()?, None),
        }
    }
}

serde_as_printed!(VersionedReference);

fn is_type(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// FHIR R4 datatype `id`.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}
