//! The decision: one function, pure and exhaustive, on one resource.
//!
//! ARCHITECTURE.md, invariant 3: a request check is only an early out; every resource that leaves is decided on its own.
//! [`Permit`] and [`ResourcePermit`] have private fields and are made here only.

mod elements;
mod links;
mod patient;
mod possible;
mod ruling;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use time::OffsetDateTime;

use crate::caller::Caller;
use crate::consent::actors::Memberships;
use crate::consent::{Consent, Effect, Unusable};
use crate::facts::ResourceFacts;
use crate::labels::Labels;
use crate::owner::{Owners, PatientId};
use crate::policy::{PatientLinks, Policy};
use crate::reasons::{Reason, RuleName};
use crate::redact::ElementPath;
use crate::resource_type::ResourceType;
use crate::scope::{Letter, ScopeGrant};
pub use elements::redacts;
use elements::{element_redactions, operator_redactions};
pub use links::{PatientLinksFound, linked_patients};
pub use patient::Session;
pub use ruling::{HiddenPart, Lacking, Others, Resolved, Ruling, lacking, parts_of, rule};

/// The types besides Consent from which decisions are made, so that writing them is for named roles only: who belongs
/// to what (`Organization.partOf`, members, roles), who bears which identifier, and what the FHIR server finds when it
/// is asked for Consents and memberships (a SearchParameter may replace the one of the specification).
const POLICY_INPUTS: &[&str] = &[
    "CareTeam",
    "CompartmentDefinition",
    "Group",
    "Organization",
    "Practitioner",
    "PractitionerRole",
    "SearchParameter",
];

/// What is done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Read or vread.
    Read,
    /// Found by a search, or included by one.
    Search,
    /// Created.
    Create,
    /// Updated or patched: asked of the image before and of the image after.
    Update,
    /// Deleted.
    Delete,
}

impl Action {
    /// The scope letter that it needs.
    pub fn letter(self) -> Letter {
        match self {
            Self::Read => Letter::Read,
            Self::Search => Letter::Search,
            Self::Create => Letter::Create,
            Self::Update => Letter::Update,
            Self::Delete => Letter::Delete,
        }
    }

    /// Whether it only looks.
    pub fn is_read(self) -> bool {
        match self {
            Self::Read | Self::Search => true,
            Self::Create | Self::Update | Self::Delete => false,
        }
    }
}

/// Leave to carry out an interaction; what comes back is decided resource by resource.
#[derive(Debug)]
pub struct Permit {
    action: Action,
    resource_type: ResourceType,
    grant: ScopeGrant,
}

impl Permit {
    /// What may be done.
    pub fn action(&self) -> Action {
        self.action
    }

    /// To which type.
    pub fn resource_type(&self) -> ResourceType {
        self.resource_type
    }

    /// Whether only the launch patient's resources may come of it.
    pub fn grant(&self) -> ScopeGrant {
        self.grant
    }
}

/// An interaction that is refused whatever the data; the reason is safe to tell the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused: {}", .reason.rule)]
pub struct Refused {
    /// Why; independent of data.
    pub reason: Box<Reason>,
}

/// Decides whether the token's scopes allow an interaction on a type at all.
///
/// Data-independent. `Err` is a 403.
pub fn decide_interaction(caller: &Caller, action: Action, resource_type: ResourceType) -> Result<Permit, Refused> {
    match scope(caller, action, resource_type) {
        Ok(grant) => Ok(Permit { action, resource_type, grant }),
        Err(rule) => Err(Refused { reason: Box::new(Reason::of(rule)) }),
    }
}

/// A question: may this caller do this to this resource, now?
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// What.
    pub action: Action,
    /// To which resource; owners by reference must have been resolved.
    pub resource: &'a ResourceFacts,
    /// When.
    pub now: OffsetDateTime,
}

/// What was gathered before the question is asked.
#[derive(Clone, Debug, Default)]
pub struct ConsentFacts {
    /// The Consents of each owner patient; a patient who is not here counts as [`PatientConsents::Unavailable`].
    pub patients: BTreeMap<PatientId, PatientConsents>,
    /// The other Patients who are the same person, for each Patient that is linked; asked where
    /// `patient_links = follow` only.
    pub links: PatientLinksFound,
    /// What the caller belongs to.
    pub memberships: Arc<Memberships>,
    /// What the resources that a Consent names by `data.meaning = related` refer to: named resource (`Type/id`) →
    /// references. A resource that is not here is unknown.
    pub outgoing: BTreeMap<String, BTreeSet<String>>,
}

/// The Consents of one patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatientConsents {
    /// All that are recorded, understood or not; empty if none is.
    Recorded(Arc<[Result<Consent, Unusable>]>),
    /// More are recorded, or larger ones, than are read: one that was not read may deny.
    TooMany,
    /// They could not be had, or are older than may be relied on.
    Unavailable,
}

/// Leave to disclose or to change one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourcePermit {
    redactions: Vec<ElementPath>,
}

impl ResourcePermit {
    /// The elements that have to be removed first, as `redact` takes them; sorted, without repetition.
    pub fn redactions(&self) -> &[ElementPath] {
        &self.redactions
    }
}

/// The answer for one owner patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PatientRow {
    /// Whose Consents were asked.
    pub patient: PatientId,
    /// What they say.
    pub effect: Effect,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// What was decided, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    effect: Effect,
    redactions: Vec<ElementPath>,
    labels: Labels,
    reasons: Vec<Reason>,
    patients: Vec<PatientRow>,
}

impl Decision {
    /// Permit only if every rule and every owner permits.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// The elements that have to be removed; empty where the effect is Deny.
    pub fn redactions(&self) -> &[ElementPath] {
        &self.redactions
    }

    /// The labels of the resource as they counted.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Every reason: of the resource and its redactions first, then of each patient.
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// One row per owner patient whose Consents were asked.
    pub fn patients(&self) -> &[PatientRow] {
        &self.patients
    }

    /// The leave that the next stage needs; `None` where the effect is Deny.
    pub fn permit(&self) -> Option<ResourcePermit> {
        match self.effect {
            Effect::Permit => Some(ResourcePermit { redactions: self.redactions.clone() }),
            Effect::Deny => None,
        }
    }
}

/// Decides one question.
///
/// Scope, then owner, then every owner's Consents, then elements. Everything that cannot be known denies. Whoever asks
/// many questions for one caller opens a [`Session`] once.
pub fn decide(question: &Question<'_>, facts: &ConsentFacts, policy: &Policy) -> Decision {
    Session::open(question.caller, facts, policy, question.now).decide(question.action, question.resource)
}

impl Session<'_> {
    /// Decides on one resource; [`decide`] with what is the same for every resource worked out before.
    pub fn decide(&self, action: Action, resource: &ResourceFacts) -> Decision {
        self.decide_within(scope(self.caller(), action, resource.resource_type), action, resource)
    }

    /// Decides whether the caller may know of a resource that he refers to in what he writes.
    ///
    /// As a read; but where no scope of his reads its type, Consent decides alone, as far as the scope reaches by which
    /// he writes (`reach`): who writes for the launch patient learns of no other patient by it.
    pub fn decide_reference(&self, reach: ScopeGrant, resource: &ResourceFacts) -> Decision {
        let granted = match scope(self.caller(), Action::Read, resource.resource_type) {
            Err(RuleName::ScopeMissing) => Ok(reach),
            granted => granted,
        };
        self.decide_within(granted, Action::Read, resource)
    }

    /// The rule by which an action is refused whatever is stored: scope, type, role and the resource's own owner
    /// elements alone. `None` where patients' Consents or other resources have to be asked.
    pub fn refuses_outright(&self, action: Action, resource: &ResourceFacts) -> Option<RuleName> {
        let granted = scope(self.caller(), action, resource.resource_type);
        let rule = owners(self, granted, action, resource).err()?.rule;
        (rule != RuleName::OwnerUnresolved).then_some(rule)
    }

    fn decide_within(
        &self,
        granted: Result<ScopeGrant, RuleName>,
        action: Action,
        resource: &ResourceFacts,
    ) -> Decision {
        let labels = self.labels(resource);
        let patients = match owners(self, granted, action, resource) {
            Err(reason) => return Decision::new(Effect::Deny, labels, BTreeSet::new(), vec![*reason], Vec::new()),
            Ok(Whose::Nobody(reason)) => {
                let (redactions, removed) = operator_redactions(self, resource, false);
                let reasons = std::iter::once(reason).chain(removed).collect();
                return Decision::new(Effect::Permit, labels, redactions, reasons, Vec::new());
            }
            Ok(Whose::Patients(patients)) => patients,
        };
        let rows: Vec<PatientRow> =
            patients.iter().map(|patient| self.ask(patient, action, resource, &labels)).collect();
        if rows.iter().any(|row| row.effect == Effect::Deny) {
            return Decision::new(Effect::Deny, labels, BTreeSet::new(), Vec::new(), rows);
        }
        let own = patients.iter().all(|patient| self.is_own(patient));
        let (mut redactions, mut removed) = operator_redactions(self, resource, own);
        match element_redactions(self, action, resource, patients, &labels) {
            Err(reason) => return Decision::new(Effect::Deny, labels, BTreeSet::new(), vec![*reason], rows),
            Ok((paths, reasons)) => {
                redactions.extend(paths);
                removed.extend(reasons);
            }
        }
        Decision::new(Effect::Permit, labels, redactions, removed, rows)
    }
}

impl Decision {
    /// Puts a decision together; of a refusal only the patients who refuse give reasons, the others' answers stay in
    /// their rows.
    fn new(
        effect: Effect,
        labels: Labels,
        redactions: BTreeSet<ElementPath>,
        reasons: Vec<Reason>,
        patients: Vec<PatientRow>,
    ) -> Self {
        let spoke = patients.iter().filter(|row| row.effect == effect);
        let reasons = reasons.into_iter().chain(spoke.flat_map(|row| row.reasons.iter().cloned())).collect();
        Self { effect, redactions: redactions.into_iter().collect(), labels, reasons, patients }
    }
}

/// Whose Consents have to be asked.
enum Whose<'a> {
    /// Nobody's: the reason says why that permits.
    Nobody(Reason),
    /// These patients', all of them.
    Patients(&'a [PatientId]),
}

/// The rules that come before Consent: scope, owner, and who may touch what decisions are made from.
fn owners<'r>(
    session: &Session<'_>,
    granted: Result<ScopeGrant, RuleName>,
    action: Action,
    resource: &'r ResourceFacts,
) -> Result<Whose<'r>, Box<Reason>> {
    let (caller, policy) = (session.caller(), session.policy());
    let grant = granted.map_err(|rule| Box::new(Reason::of(rule)))?;
    let patients: &[PatientId] = match &resource.owners {
        Owners::Unknown(why) => return Err(Box::new(Reason::of(RuleName::OwnerUnknown).with_detail(why.to_string()))),
        Owners::ByReference(_) => return Err(Box::new(Reason::of(RuleName::OwnerUnresolved))),
        Owners::Universal => &[],
        Owners::Patients(patients) if patients.is_empty() => return Err(Box::new(Reason::of(RuleName::OwnerUnknown))),
        Owners::Patients(patients) => patients,
    };
    let launched = |launch: &PatientId| patients.is_empty() || patients.contains(launch);
    match grant {
        ScopeGrant::All => {}
        ScopeGrant::PatientOnly if caller.launch_patient.as_ref().is_some_and(launched) => {}
        ScopeGrant::PatientOnly | ScopeGrant::None => return Err(Box::new(Reason::of(RuleName::ScopeOtherPatient))),
    }
    let has_role = |roles: &[String]| caller.roles.iter().any(|role| roles.contains(role));
    let linking = policy.settings().patient_links == PatientLinks::Follow;
    let feeds = POLICY_INPUTS.contains(&resource.resource_type.as_str())
        || (linking && resource.resource_type == ResourceType::PATIENT);
    if feeds && !action.is_read() && !has_role(&policy.roles().policy_writer) {
        return Err(Box::new(Reason::of(RuleName::PolicyInput)));
    }
    if resource.resource_type.as_str() == "AuditEvent" && matches!(action, Action::Update | Action::Delete) {
        return Err(Box::new(Reason::of(RuleName::AuditRecord)));
    }
    if resource.resource_type == ResourceType::CONSENT {
        let own = !patients.is_empty() && patients.iter().all(|patient| session.is_own(patient));
        return if own || has_role(&policy.roles().consent_recorder) {
            Ok(Whose::Nobody(Reason::of(RuleName::ConsentRecord)))
        } else {
            Err(Box::new(Reason::of(RuleName::ConsentRecord)))
        };
    }
    if patients.is_empty() {
        return Ok(Whose::Nobody(Reason::of(RuleName::Universal)));
    }
    Ok(Whose::Patients(patients))
}

/// What the scopes grant, or the rule that refuses.
fn scope(caller: &Caller, action: Action, resource_type: ResourceType) -> Result<ScopeGrant, RuleName> {
    match caller.scopes.allows(action.letter(), &resource_type) {
        ScopeGrant::None => Err(RuleName::ScopeMissing),
        ScopeGrant::PatientOnly if caller.launch_patient.is_none() => Err(RuleName::ScopePatientAbsent),
        grant @ (ScopeGrant::PatientOnly | ScopeGrant::All) => Ok(grant),
    }
}

#[cfg(test)]
mod tests;
