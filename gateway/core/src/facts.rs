//! What a decision needs to know about one resource, taken out of its bytes once.

mod extract;
mod filters;
mod tables;

#[cfg(test)]
mod tests;

pub(crate) use extract::type_of;
pub use extract::{FactsError, UNKNOWN_AUTHOR};

use std::sync::Arc;

use crate::coding::Coding;
use crate::owner::Owners;
use crate::resource_type::ResourceType;
use crate::search_match::Filter;

/// The facts of one resource; owned, so that they outlive the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceFacts {
    /// `resourceType`.
    pub resource_type: ResourceType,
    /// `id`; absent in the body of a create.
    pub id: Option<String>,
    /// `meta.versionId`.
    pub version: Option<String>,
    /// `meta.lastUpdated`, as written.
    pub last_updated: Option<String>,
    /// Whose data it is (contained and nested resources included).
    pub owners: Owners,
    /// `meta.security` of the resource and of every contained or nested one, in document order.
    pub security: Vec<Coding>,
    /// Every coding outside `meta`, at any depth and in contained resources too; sorted, without repetition.
    pub codes: Vec<Coding>,
    /// `meta.profile`, of the resource and of every contained or nested one.
    pub profiles: Vec<String>,
    /// `type` and `category` / `class` codings of a document type (Composition, DocumentReference, DocumentManifest).
    pub document_types: Vec<Coding>,
    /// The dates that `dataPeriod` is matched against, best first; see [`DateCandidate`].
    pub dates: Vec<DateCandidate>,
    /// What the author elements of the type name (table in this module): normalised references, and `?` for an author
    /// who is named by identifier or display only and so is unknown.
    pub authors: Vec<String>,
    /// Every `reference` string in the resource, normalised: `Type/id` where it is on the upstream or the public base,
    /// else as written; `#contained` ones left out; sorted, without repetition.
    pub references: Vec<String>,
    /// Elements that carry DS4P inline security labels; a label on the resource itself is in `security` instead.
    pub inline_labels: Vec<InlineLabel>,
    /// Whether a narrative (`text`) is there, in the resource or in a contained one.
    pub has_narrative: bool,
    /// The filters of granular scopes that the resource is known to match ([`Self::match_filters`]); one that is not here
    /// does not match.
    pub filters: Vec<Arc<Filter>>,
}

impl ResourceFacts {
    /// Those of a resource that holds nothing but its id, and belongs to these.
    pub(crate) fn bare(resource_type: ResourceType, id: &str, owners: Owners) -> Self {
        Self {
            resource_type,
            id: Some(id.to_owned()),
            version: None,
            last_updated: None,
            owners,
            security: Vec::new(),
            codes: Vec::new(),
            profiles: Vec::new(),
            document_types: Vec::new(),
            dates: Vec::new(),
            authors: Vec::new(),
            references: Vec::new(),
            inline_labels: Vec::new(),
            has_narrative: false,
            filters: Vec::new(),
        }
    }
}

/// One dated element of a resource, in the order in which CONSENT.md asks for them (`dataPeriod`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateCandidate {
    /// Which kind of date it is.
    pub kind: DateKind,
    /// FHIR date, dateTime or instant as written; a single date is both start and end. `None` is open or unknown
    /// (a `Timing` gives neither).
    pub start: Option<String>,
    /// As `start`.
    pub end: Option<String>,
}

/// The kinds of date, best first: `authored`, else effective / occurrence / onset / performed / recorded, else
/// `lastUpdated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DateKind {
    /// `authoredOn`, `authored`, `date` of a document.
    Authored,
    /// `effective[x]`.
    Effective,
    /// `occurrence[x]`.
    Occurrence,
    /// `onset[x]`.
    Onset,
    /// `performed[x]`, `period` of an encounter.
    Performed,
    /// `recorded`, `recordedDate`, `issued`.
    Recorded,
    /// `meta.lastUpdated`.
    LastUpdated,
}

/// An element with DS4P inline security labels (extension `inline-sec-label`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlineLabel {
    /// The element, as `Patient.telecom` (no indices), in the form that `redact` takes.
    pub path: String,
    /// Its labels; empty where the extension holds no readable coding, which is an unknown label.
    pub labels: Vec<Coding>,
}
