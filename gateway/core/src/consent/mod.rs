//! Consents: one internal model for every FHIR version, strict readers into it, and what a Consent answers to a
//! question.
//!
//! read ([`r4`], [`r5`]) → match ([`matching`]) → evaluate ([`evaluate`]) → combine ([`combine`]); CONSENT.md, "Consent" and
//! "Exact answers", is the specification.

pub mod actors;
pub mod combine;
pub mod dates;
pub mod evaluate;
pub mod matching;
pub mod r4;
pub mod r5;
mod reader;
pub mod reference;
mod shape;
pub mod truth;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::caller::ActorRef;
use crate::coding::Coding;
use crate::reasons::ConsentRef;
use dates::{Moment, Period};

/// What a provision, a Consent or a decision says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Allowed.
    Permit,
    /// Not allowed.
    Deny,
}

/// A Consent that was understood, whether or not it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Id and version.
    pub reference: ConsentRef,
    /// The literal reference of its patient, as written.
    pub patient: String,
    /// When it was given.
    pub date_time: Option<Moment>,
    /// What it says.
    pub body: Body,
}

impl Consent {
    /// The resources whose own references `data.meaning = related` asks for, as written.
    pub fn related(&self) -> Vec<&str> {
        fn collect<'a>(provision: &'a Provision, found: &mut Vec<&'a str>) {
            let data = provision.constraints.data.iter().flatten().filter(|data| data.meaning == Meaning::Related);
            found.extend(data.filter_map(|data| data.reference.as_deref()));
            provision.children.iter().for_each(|child| collect(child, found));
        }
        let mut found = Vec::new();
        if let Body::Active { root, .. } = &self.body {
            collect(root, &mut found);
        }
        found
    }
}

/// Whether a Consent is one that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// It is active and about privacy or research.
    Active {
        /// What it is about.
        scope: Scope,
        /// Its root provision.
        root: Box<Provision>,
    },
    /// It never counts, so nothing more of it was read.
    Dormant(Dormant),
}

/// What a Consent that can count is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `patient-privacy`.
    PatientPrivacy,
    /// `research`: counts by setting.
    Research,
    /// R5: these categories, of which one that is not ignored is enough.
    Categories(Vec<Concept>),
}

/// Why a Consent never counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dormant {
    /// Its status is a known one other than `active`.
    Status,
    /// Its scope is `treatment` or `adr`.
    Scope,
}

/// A node of the provision tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provision {
    /// What it says when it matches: Permit only if every rule permits. Never empty; below the root exactly one stated
    /// effect.
    pub rules: BTreeSet<Rule>,
    /// The elements that it states; what a child does not state it inherits, what it states replaces the parent's.
    pub constraints: Constraints,
    /// Whether an extension narrows it in a way that is not understood: unknown, so it satisfies no permit. Inherited.
    pub extended: bool,
    /// Nested provisions.
    pub children: Vec<Provision>,
}

/// One source of a provision's effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// `type = permit`, OPTIN, OPTINR.
    Permit,
    /// `type = deny`, OPTOUT, OPTOUTE, PCF `Policy-deny`.
    Deny,
    /// No `type` and no policy of the table: the setting `untyped_root`.
    Untyped,
    /// EMRGONLY: deny but for ETREAT and below.
    EmergencyOnly,
    /// PCF `Policy-basic-normal`: treatment, up to `N`.
    BasicNormal,
    /// PCF `Policy-all-normal`: every purpose, up to `N`.
    AllNormal,
    /// PCF `Policy-break-glass-only`: BTG only.
    BreakGlassOnly,
}

/// The stated elements of a provision; `None` = not stated, no constraint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraints {
    /// `period`: when the question is asked.
    pub period: Option<Period>,
    /// `actor`: who asks.
    pub actors: Option<Vec<ProvisionActor>>,
    /// `action`: what is done.
    pub actions: Option<Vec<Concept>>,
    /// `securityLabel`: the resource's labels.
    pub security_labels: Option<Vec<Coding>>,
    /// `purpose`: what for.
    pub purposes: Option<Vec<Coding>>,
    /// `class` (R5: `resourceType`): the kind of resource.
    pub classes: Option<Vec<Coding>>,
    /// `documentType` (R5): the kind of document.
    pub document_types: Option<Vec<Coding>>,
    /// `code`: the clinical codes in the resource.
    pub codes: Option<Vec<Concept>>,
    /// `dataPeriod`: when the data came about.
    pub data_period: Option<Period>,
    /// `data`: these instances, or by relation to them.
    pub data: Option<Vec<Data>>,
}

/// A CodeableConcept, as its codings; one with text only has none.
pub type Concept = Vec<Coding>;

/// One `provision.actor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvisionActor {
    /// Whether its role is absent or IRCP; another role is not understood, so the actor is unknown.
    pub recipient: bool,
    /// Reference and identifier, where stated; empty where it can be compared with nothing.
    pub who: Vec<ActorRef>,
}

/// One `provision.data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// How it relates.
    pub meaning: Meaning,
    /// The literal reference, as written; `None` where only an identifier or a display is there.
    pub reference: Option<String>,
}

/// `consent-data-meaning`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// The very resource.
    Instance,
    /// It, what it refers to, and what refers to it.
    Related,
    /// It and what refers to it.
    Dependents,
    /// What the referenced one has authored.
    AuthoredBy,
}

/// A provision's elements, by their FHIR names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Element {
    /// An extension that is not understood.
    Extension,
    /// `period`
    Period,
    /// `actor`
    Actor,
    /// `action`
    Action,
    /// `securityLabel`
    SecurityLabel,
    /// `purpose`
    Purpose,
    /// `class`, or `resourceType` of R5
    Class,
    /// `documentType`
    DocumentType,
    /// `code`
    Code,
    /// `dataPeriod`
    DataPeriod,
    /// `data`
    Data,
}

impl Element {
    /// The FHIR name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Extension => "extension",
            Self::Period => "period",
            Self::Actor => "actor",
            Self::Action => "action",
            Self::SecurityLabel => "securityLabel",
            Self::Purpose => "purpose",
            Self::Class => "class",
            Self::DocumentType => "documentType",
            Self::Code => "code",
            Self::DataPeriod => "dataPeriod",
            Self::Data => "data",
        }
    }
}

impl Constraints {
    /// How many elements are stated.
    pub fn stated(&self) -> usize {
        [
            self.period.is_some(),
            self.actors.is_some(),
            self.actions.is_some(),
            self.security_labels.is_some(),
            self.purposes.is_some(),
            self.classes.is_some(),
            self.document_types.is_some(),
            self.codes.is_some(),
            self.data_period.is_some(),
            self.data.is_some(),
        ]
        .into_iter()
        .filter(|stated| *stated)
        .count()
    }
}

/// A Consent that cannot be relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Which one, where an id could be read.
    pub reference: Option<ConsentRef>,
    /// What is not understood.
    pub why: Why,
    /// Where, as element names (`provision.provision.type`); never a value.
    pub path: String,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.why.as_str(), self.path)
    }
}

impl std::error::Error for Unusable {}

/// What in a Consent is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// It is no FHIR Consent in JSON.
    NotAConsent,
    /// An element that this FHIR version's Consent does not have.
    UnknownElement,
    /// A JSON null.
    Null,
    /// An empty array or object.
    Empty,
    /// A JSON type or a primitive format other than the element's.
    WrongType,
    /// A required element is missing.
    Missing,
    /// Two values where FHIR allows one.
    TwoValues,
    /// `modifierExtension`.
    ModifierExtension,
    /// `implicitRules`.
    ImplicitRules,
    /// A code that the element's closed set does not have.
    UnknownCode,
    /// `expression`.
    Expression,
    /// A nested provision does not say permit or deny.
    MissingType,
    /// A period whose end is before its start.
    BackwardPeriod,
    /// The Consent is not about the patient whose Consents were asked for.
    OtherPatient,
    /// Provisions are nested deeper than the limit, or are more than the limit.
    TooLarge,
}

impl Why {
    /// A stable kebab-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAConsent => "not-a-consent",
            Self::UnknownElement => "unknown-element",
            Self::Null => "null",
            Self::Empty => "empty",
            Self::WrongType => "wrong-type",
            Self::Missing => "missing",
            Self::TwoValues => "two-values",
            Self::ModifierExtension => "modifier-extension",
            Self::ImplicitRules => "implicit-rules",
            Self::UnknownCode => "unknown-code",
            Self::Expression => "expression",
            Self::MissingType => "missing-type",
            Self::BackwardPeriod => "backward-period",
            Self::OtherPatient => "other-patient",
            Self::TooLarge => "too-large",
        }
    }
}
