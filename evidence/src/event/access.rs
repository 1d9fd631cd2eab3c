//! Events about one request: what was asked, decided, disclosed and withheld.

use serde::{Deserialize, Serialize};

use super::{Reference, VersionedReference};
use crate::ids::{EventId, Hash};
use crate::printed::decimal;

/// A request that was decided, refused ones too.
///
/// INVARIANT: nothing in it depends on a patient's data or names a patient; query values stand in it only
/// sealed, under a key of this event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// How much of the request this event covers.
    pub phase: Phase,
    /// Who asked.
    pub caller: Caller,
    /// For what purpose, as verified.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purpose: Vec<Coding>,
    /// The emergency access that was granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlass>,
    /// The interaction, by FHIR's code: `read`, `search-type`, …
    pub interaction: String,
    /// The type that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// Whether the request was let through; what was left out of the answer is told by denials.
    pub decision: Decision,
    /// Why; only reasons that do not depend on data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// The digest of the policy and configuration that decided.
    pub policy_digest: Hash,
    /// The HTTP status of the answer; absent while it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went through; zero while it is not known.
    pub counts: Counts,
    /// Resources in the answer that have no owner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub universal: Vec<UniversalUse>,
    /// The query, encrypted, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_sealed: Option<String>,
    /// The trace that this request belongs to (W3C Trace Context).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// How much of a request its event covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// All of it: the answer fits one window, or was refused.
    Whole,
    /// Its beginning: more windows follow, and an outcome.
    Opened,
    /// The intent to change state, recorded before it is forwarded; an outcome follows.
    Intent,
}

/// Whether a request was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It was.
    Permit,
    /// It was not.
    Refuse,
}

/// Who asked, from verified claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// `iss`
    pub issuer: String,
    /// `sub`
    pub subject: String,
    /// The client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The organisation for which the caller acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The caller's roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Coding>,
    /// `jti`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
}

/// A code and the system that defines it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coding {
    /// The code system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The code.
    pub code: String,
}

/// An emergency access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlass {
    /// The claim or rule that granted it.
    pub grant: String,
    /// Why, as a code; free text could name a patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Coding>,
}

/// A rule that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// The rule.
    pub rule: String,
    /// What of it; never data of a patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Entries that the FHIR server gave.
    #[serde(with = "decimal")]
    pub entries: u64,
    /// Entries that were disclosed.
    #[serde(with = "decimal")]
    pub disclosed: u64,
    /// Elements that were taken out of disclosed entries.
    #[serde(with = "decimal")]
    pub redactions: u64,
    /// Bytes of the answer's body.
    #[serde(with = "decimal")]
    pub bytes: u64,
}

/// A resource without an owner, such as a Practitioner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UniversalUse {
    /// The resource.
    pub reference: Reference,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// What a later window of an answer, or the answer to a write, holds of resources without an owner. Patientless.
///
/// The request event lists those of the first window; it is durable before the later windows are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Universal {
    /// The request.
    pub request: EventId,
    /// Which window of the answer, from 0.
    pub window: u32,
    /// The resources.
    pub resources: Vec<UniversalUse>,
}

/// How an opened or intended request ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The request.
    pub request: EventId,
    /// How it ended.
    pub end: End,
    /// The HTTP status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How many windows were released, at most.
    pub windows: u32,
    /// What went through.
    pub counts: Counts,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The whole answer was handed over.
    Complete,
    /// The client went away.
    ClientGone,
    /// The FHIR server failed.
    UpstreamFailed,
    /// The answer could not be filtered.
    FilterFailed,
    /// It is not known: the FHIR server may or may not have carried out the write, or the gateway ended first (found at
    /// the next start).
    Unknown,
}

/// What one window of an answer discloses about one patient, or what a write changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disclosure {
    /// The request.
    pub request: EventId,
    /// Which window of the answer, from 0.
    pub window: u32,
    /// The patient.
    pub patient: Reference,
    /// That patient's resources.
    pub resources: Vec<ResourceUse>,
    /// The Consents that allowed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consents: Vec<ConsentUse>,
    /// The rule that allowed it where no Consent did; `write-unknown` where a write may or may not have been carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// One resource that was disclosed or written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceUse {
    /// The resource.
    pub reference: Reference,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// For a write, the digest of the resource as stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Hash>,
    /// Its security labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Coding>,
    /// What was taken out of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redactions: Vec<Redaction>,
}

/// An element that was taken out of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redaction {
    /// The element's path.
    pub path: String,
    /// The rule that took it out.
    pub rule: String,
}

/// A Consent that decided, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentUse {
    /// The Consent in its version.
    pub consent: VersionedReference,
    /// The path of the provision that matched, such as `provision.provision[0]`.
    pub provision: String,
}

/// What Consent hid or refused of one patient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Denial {
    /// The request.
    pub request: EventId,
    /// Which window of the answer, from 0.
    pub window: u32,
    /// The patient.
    pub patient: Reference,
    /// How many resources.
    #[serde(with = "decimal")]
    pub resources: u64,
    /// The rule that decided.
    pub rule: String,
    /// The Consents that decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consents: Vec<ConsentUse>,
}
