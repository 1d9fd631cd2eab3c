//! Why a decision is what it is, for the record and for the explain view.
//!
//! Reasons carry names of rules, Consents and elements, never values of the patient's data. The caller of the FHIR
//! surface sees only what is safe to see, which is not decided here.

use std::fmt;

use serde::Serialize;

use crate::owner::PatientId;

/// The rules by which a decision is made; closed, and stable as kebab-case names in events and scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleName {
    /// No scope of the token grants this letter on this resource type.
    ScopeMissing,
    /// Only `patient/` scopes grant it and the token has no launch patient.
    ScopePatientAbsent,
    /// Only `patient/` scopes grant it and the resource is not the launch patient's.
    ScopeOtherPatient,
    /// Granular scopes grant it: to this resource, by a filter that it matches, or not, since it is known to match none.
    ScopeFilter,
    /// The type has no owner: scope and organisational policy decide alone.
    Universal,
    /// It cannot be known whose the resource is.
    OwnerUnknown,
    /// The owner follows from references that were not resolved before the question was asked.
    OwnerUnresolved,
    /// A Consent resource: its patient or the consent-recorder role.
    ConsentRecord,
    /// A write to a resource that feeds decisions (Group, CareTeam, PractitionerRole), without the named role.
    PolicyInput,
    /// A change or deletion of an AuditEvent: what is on record is added to, never changed.
    AuditRecord,
    /// The Consents of the owner could not be had, so nothing is permitted.
    ConsentUnavailable,
    /// The owner has more Consents, or larger ones, than are read, so nothing is permitted.
    ConsentsTooMany,
    /// A Consent of the owner is not understood (`not_understood = deny`).
    ConsentNotUnderstood,
    /// A Consent of the owner is not understood and the setting says to go on without it.
    NotUnderstoodIgnored,
    /// A provision of a Consent permits.
    ConsentPermit,
    /// A provision of a Consent denies.
    ConsentDeny,
    /// Applicable Consents differ and `several_consents = refuse-ambiguous`.
    ConsentsDiffer,
    /// Applicable Consents tie under `most-recent` or `most-specific` and differ; a tie is a deny.
    ConsentsTie,
    /// A Consent is recorded and none applies to the question.
    NoConsentApplies,
    /// The effect of an R4 root came from the setting `untyped_root`.
    UntypedRoot,
    /// No Consent is recorded: implicit policy `deny`.
    ImplicitDeny,
    /// No Consent is recorded: implicit policy `basic-normal`.
    ImplicitBasicNormal,
    /// No Consent is recorded: implicit policy `all-normal`.
    ImplicitAllNormal,
    /// No Consent is recorded: implicit policy `break-glass-only`.
    ImplicitBreakGlassOnly,
    /// A new Patient, whose Consents cannot be there yet, is created by a role that registers patients.
    Registration,
    /// The patient reads the own record and no applicable Consent denies it.
    OwnRecord,
    /// A break-glass grant is in force and `break_glass = overrides-consent`.
    BreakGlassOverride,
    /// The resource bears no label and `unlabelled = hide`.
    UnlabelledHidden,
    /// The resource is larger than what is read of one, so that it cannot be decided on.
    ResourceTooLarge,
    /// A resource was found by a reference that is removed from it, because its target is hidden.
    HiddenTarget,
    /// An element is removed because its inline security label is not permitted.
    ElementLabel,
    /// An element is removed by the operator's redaction rule.
    RedactionRule,
}

impl RuleName {
    /// Every rule, in the order of declaration.
    pub const ALL: &'static [Self] = &[
        Self::ScopeMissing,
        Self::ScopePatientAbsent,
        Self::ScopeOtherPatient,
        Self::ScopeFilter,
        Self::Universal,
        Self::OwnerUnknown,
        Self::OwnerUnresolved,
        Self::ConsentRecord,
        Self::PolicyInput,
        Self::AuditRecord,
        Self::ConsentUnavailable,
        Self::ConsentsTooMany,
        Self::ConsentNotUnderstood,
        Self::NotUnderstoodIgnored,
        Self::ConsentPermit,
        Self::ConsentDeny,
        Self::ConsentsDiffer,
        Self::ConsentsTie,
        Self::NoConsentApplies,
        Self::UntypedRoot,
        Self::ImplicitDeny,
        Self::ImplicitBasicNormal,
        Self::ImplicitAllNormal,
        Self::ImplicitBreakGlassOnly,
        Self::Registration,
        Self::OwnRecord,
        Self::BreakGlassOverride,
        Self::UnlabelledHidden,
        Self::ResourceTooLarge,
        Self::HiddenTarget,
        Self::ElementLabel,
        Self::RedactionRule,
    ];

    /// The kebab-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ScopeMissing => "scope-missing",
            Self::ScopePatientAbsent => "scope-patient-absent",
            Self::ScopeOtherPatient => "scope-other-patient",
            Self::ScopeFilter => "scope-filter",
            Self::Universal => "universal",
            Self::OwnerUnknown => "owner-unknown",
            Self::OwnerUnresolved => "owner-unresolved",
            Self::ConsentRecord => "consent-record",
            Self::PolicyInput => "policy-input",
            Self::AuditRecord => "audit-record",
            Self::ConsentUnavailable => "consent-unavailable",
            Self::ConsentsTooMany => "consents-too-many",
            Self::ConsentNotUnderstood => "consent-not-understood",
            Self::NotUnderstoodIgnored => "not-understood-ignored",
            Self::ConsentPermit => "consent-permit",
            Self::ConsentDeny => "consent-deny",
            Self::ConsentsDiffer => "consents-differ",
            Self::ConsentsTie => "consents-tie",
            Self::NoConsentApplies => "no-consent-applies",
            Self::UntypedRoot => "untyped-root",
            Self::ImplicitDeny => "implicit-deny",
            Self::ImplicitBasicNormal => "implicit-basic-normal",
            Self::ImplicitAllNormal => "implicit-all-normal",
            Self::ImplicitBreakGlassOnly => "implicit-break-glass-only",
            Self::Registration => "registration",
            Self::OwnRecord => "own-record",
            Self::BreakGlassOverride => "break-glass-override",
            Self::UnlabelledHidden => "unlabelled-hidden",
            Self::ResourceTooLarge => "resource-too-large",
            Self::HiddenTarget => "hidden-target",
            Self::ElementLabel => "element-label",
            Self::RedactionRule => "redaction-rule",
        }
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which version of which Consent; printed and serialised as `Consent/c/_history/2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsentRef {
    /// The logical id.
    pub id: String,
    /// `meta.versionId`, where the server states one.
    pub version: Option<String>,
}

impl fmt::Display for ConsentRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Consent/{}", self.id)?;
        match &self.version {
            Some(version) => write!(f, "/_history/{version}"),
            None => Ok(()),
        }
    }
}

impl Serialize for ConsentRef {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One reason of a decision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reason {
    /// The rule.
    pub rule: RuleName,
    /// Under whose Consents, for rules that are asked per patient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient: Option<PatientId>,
    /// The Consent that spoke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent: Option<ConsentRef>,
    /// The provision that decided, as `provision` (the root) or `provision.provision[0]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provision: Option<String>,
    /// A closed name that says more: the path of a removed element, why a Consent is not understood, which elements
    /// of a deny were unknown. Never a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Reason {
    /// A reason that is its rule alone.
    pub fn of(rule: RuleName) -> Self {
        Self { rule, patient: None, consent: None, provision: None, detail: None }
    }

    /// The same reason, with a detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same reason, under a patient's Consents.
    #[must_use]
    pub fn for_patient(mut self, patient: &PatientId) -> Self {
        self.patient = Some(patient.clone());
        self
    }

    /// The same reason, spoken by a Consent.
    #[must_use]
    pub fn by_consent(mut self, consent: ConsentRef) -> Self {
        self.consent = Some(consent);
        self
    }
}
