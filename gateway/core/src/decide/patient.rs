//! What the Consents of one owner patient say to a question.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::{Action, ConsentFacts, PatientConsents, PatientRow};
use crate::caller::{ActorRef, Caller};
use crate::coding::Coding;
use crate::consent::actors::Identities;
use crate::consent::combine::{Applicable, combine};
use crate::consent::evaluate::{Answer, counts, evaluate, permits};
use crate::consent::matching::Inquiry;
use crate::consent::reference::normalise;
use crate::consent::truth::Truth;
use crate::consent::{Body, Consent, Effect, Element, Rule, Unusable, Why};
use crate::facts::ResourceFacts;
use crate::labels::Labels;
use crate::owner::PatientId;
use crate::policy::{BreakGlass, NoConsent, NotUnderstood, PatientLinks, Policy, Unlabelled};
use crate::purpose;
use crate::reasons::{Reason, RuleName};

/// One caller's questions at one time, with what is the same for all of them worked out once.
#[derive(Debug)]
pub struct Session<'a> {
    caller: &'a Caller,
    facts: &'a ConsentFacts,
    policy: &'a Policy,
    now: OffsetDateTime,
    identities: Identities,
    /// The patient who the caller is, as `Patient/x`.
    own: Option<String>,
}

impl<'a> Session<'a> {
    /// Prepares to decide for this caller, on these facts, now.
    pub fn open(caller: &'a Caller, facts: &'a ConsentFacts, policy: &'a Policy, now: OffsetDateTime) -> Self {
        let (bases, zone) = (policy.bases(), &policy.settings().timezone);
        let identities = Identities::of(caller, &facts.memberships, bases, zone, now);
        let own = match &caller.fhir_user {
            Some(ActorRef::Reference(user)) => normalise(user, bases),
            Some(ActorRef::Identifier { .. }) | None => None,
        };
        Self { caller, facts, policy, now, identities, own }
    }

    pub(super) fn caller(&self) -> &'a Caller {
        self.caller
    }

    pub(super) fn policy(&self) -> &'a Policy {
        self.policy
    }

    /// The Consents of the patient that were understood, as far as they could be had.
    pub(super) fn consents_of(&self, patient: &PatientId) -> Vec<&'a Consent> {
        let facts = self.facts;
        let of = |one: &PatientId| match facts.patients.get(one) {
            Some(PatientConsents::Recorded(consents)) => consents.iter().flatten().collect(),
            Some(PatientConsents::TooMany | PatientConsents::Unavailable) | None => Vec::new(),
        };
        self.person(patient).iter().flat_map(of).collect()
    }

    /// The labels of the resource, by the setting `unlabelled`.
    pub(super) fn labels(&self, resource: &ResourceFacts) -> Labels {
        let labelling = match self.policy.settings().unlabelled {
            Unlabelled::Label => Some((self.policy.label_sets(), resource.codes.as_slice())),
            Unlabelled::Normal | Unlabelled::Hide => None,
        };
        Labels::read(&resource.security, &self.policy.settings().label_systems, labelling)
    }

    /// The labels that an element bears itself; a label that could not be read is unknown.
    pub(super) fn element_labels(&self, codings: &[Coding]) -> Labels {
        if codings.is_empty() {
            return Labels::unreadable();
        }
        Labels::read(codings, &self.policy.settings().label_systems, None)
    }

    /// Whether the caller is that patient.
    pub(super) fn is_own(&self, patient: &PatientId) -> bool {
        self.own.as_ref().is_some_and(|own| *own == patient.reference())
    }

    /// Asks the Consents of one patient about a resource, or an element of it, with these labels.
    pub(super) fn ask(
        &self,
        patient: &PatientId,
        action: Action,
        resource: &ResourceFacts,
        labels: &Labels,
    ) -> PatientRow {
        let inquiry = Inquiry {
            identities: &self.identities,
            action,
            resource,
            labels,
            newer_types: false,
            purpose: None,
            now: self.now,
            outgoing: &self.facts.outgoing,
            settings: self.policy.settings(),
            bases: self.policy.bases(),
        };
        let (effect, reasons) = self.answer(patient, &inquiry);
        let reasons: BTreeSet<Reason> = reasons.into_iter().map(|reason| reason.for_patient(patient)).collect();
        PatientRow { patient: patient.clone(), effect, reasons: reasons.into_iter().collect() }
    }

    fn answer(&self, patient: &PatientId, inquiry: &Inquiry<'_>) -> (Effect, Vec<Reason>) {
        let settings = self.policy.settings();
        if settings.unlabelled == Unlabelled::Hide && inquiry.labels.is_unlabelled() && !self.is_own(patient) {
            return deny(Reason::of(RuleName::UnlabelledHidden));
        }
        let granted = self.caller.break_glass.contains(patient);
        if granted && settings.break_glass == BreakGlass::OverridesConsent {
            return (Effect::Permit, vec![Reason::of(RuleName::BreakGlassOverride)]);
        }
        let person = self.person(patient);
        let mut recorded = Vec::new();
        for one in &person {
            match self.facts.patients.get(one) {
                Some(PatientConsents::Recorded(consents)) => recorded.extend(consents.iter()),
                Some(PatientConsents::TooMany) => return deny(Reason::of(RuleName::ConsentsTooMany)),
                Some(PatientConsents::Unavailable) | None => return deny(Reason::of(RuleName::ConsentUnavailable)),
            }
        }
        let (consents, mut reasons) = match self.counting(&person, &recorded) {
            Ok(counting) => counting,
            Err(reasons) => return (Effect::Deny, reasons),
        };
        let asked: Vec<Coding> =
            self.caller.purposes.iter().map(|purpose| purpose::under_grant(purpose, granted)).collect();
        let purposes: Vec<Option<&Coding>> =
            if asked.is_empty() { vec![None] } else { asked.iter().map(Some).collect() };
        let mut effect = Effect::Permit;
        // Every purpose has to be permitted; where one is not, only the reasons that deny are told.
        let mut because = Vec::new();
        for purpose in purposes {
            let (one, why) = self.one_purpose(patient, &consents, &Inquiry { purpose, ..*inquiry });
            if one == Effect::Deny && effect == Effect::Permit {
                effect = Effect::Deny;
                because.clear();
            }
            if one == effect {
                because.extend(why);
            }
        }
        reasons.extend(because);
        (effect, reasons)
    }

    /// The Consents that count, and what is to be said of those left out; `Err` where one is not understood.
    fn counting<'c>(
        &self,
        person: &BTreeSet<PatientId>,
        recorded: &[&'c Result<Consent, Unusable>],
    ) -> Result<(Vec<&'c Consent>, Vec<Reason>), Vec<Reason>> {
        let settings = self.policy.settings();
        let mut counting = Vec::new();
        let mut not_understood = Vec::new();
        for consent in recorded {
            match consent {
                Ok(consent) if matches!(consent.body, Body::Dormant(_)) => {}
                Ok(consent) if !self.is_about(consent, person) => {
                    let why = Unusable {
                        reference: Some(consent.reference.clone()),
                        why: Why::OtherPatient,
                        path: "patient".to_owned(),
                    };
                    not_understood.push(why);
                }
                Ok(consent) if counts(consent, self.now, settings) => counting.push(consent),
                Ok(_) => {}
                Err(unusable) => not_understood.push(unusable.clone()),
            }
        }
        let (rule, stop) = match settings.not_understood {
            NotUnderstood::Deny => (RuleName::ConsentNotUnderstood, !not_understood.is_empty()),
            NotUnderstood::Ignore => (RuleName::NotUnderstoodIgnored, false),
        };
        let reasons: Vec<Reason> = not_understood
            .into_iter()
            .map(|unusable| {
                let detail = format!("{} {}", unusable.why.as_str(), unusable.path);
                let consent = unusable.reference;
                Reason { consent, ..Reason::of(rule).with_detail(detail.trim_end()) }
            })
            .collect();
        if stop { Err(reasons) } else { Ok((counting, reasons)) }
    }

    /// Whether the Consent's patient is one whose Consents were gathered.
    fn is_about(&self, consent: &Consent, person: &BTreeSet<PatientId>) -> bool {
        let about = normalise(&consent.patient, self.policy.bases());
        about.is_some_and(|about| person.iter().any(|patient| patient.reference() == about))
    }

    /// The patient, and by setting those who are the same person.
    fn person(&self, patient: &PatientId) -> BTreeSet<PatientId> {
        match self.policy.settings().patient_links {
            PatientLinks::Ignore => [patient.clone()].into(),
            PatientLinks::Follow => self.facts.links.person(patient),
        }
    }

    fn one_purpose(&self, patient: &PatientId, consents: &[&Consent], inquiry: &Inquiry<'_>) -> (Effect, Vec<Reason>) {
        let settings = self.policy.settings();
        let applicable: Vec<Applicable<'_>> = consents
            .iter()
            .filter_map(|consent| Some(Applicable { consent, answer: evaluate(consent, inquiry)? }))
            .collect();
        if let Some(combined) = combine(applicable, settings) {
            let mut reasons: Vec<Reason> = combined.because.map(Reason::of).into_iter().collect();
            for one in &combined.deciding {
                reasons.extend(provision_reasons(one.consent, &one.answer));
            }
            return (combined.effect, reasons);
        }
        // Patients who read their own record need neither a permit nor the implicit policy.
        if inquiry.action.is_read() && self.is_own(patient) {
            return (Effect::Permit, vec![Reason::of(RuleName::OwnRecord)]);
        }
        if !consents.is_empty() {
            return deny(Reason::of(RuleName::NoConsentApplies));
        }
        let policies = self.implicit(inquiry).into_iter().map(|policy| {
            let (rule, name) = implicit_rule(policy);
            (if permits(rule, inquiry) { Effect::Permit } else { Effect::Deny }, Reason::of(name))
        });
        let policies: Vec<(Effect, Reason)> = policies.collect();
        let any_denies = policies.iter().any(|(effect, _)| *effect == Effect::Deny);
        let effect = if any_denies { Effect::Deny } else { Effect::Permit };
        let because = policies.into_iter().filter(|(one, _)| *one == effect).map(|(_, reason)| reason).collect();
        (effect, because)
    }

    /// The implicit policies that may hold: the first rule that does, and those before it of which that is unknown. All
    /// have to permit.
    fn implicit(&self, inquiry: &Inquiry<'_>) -> Vec<NoConsent> {
        let mut policies = Vec::new();
        for rule in &inquiry.settings.no_consent_by {
            let realm = rule.realms.is_empty() || rule.realms.contains(&self.caller.issuer);
            let own_type = inquiry.resource.resource_type.as_str();
            let of_type = rule.resource_types.is_empty() || rule.resource_types.iter().any(|name| name == own_type);
            let purpose = match (rule.purposes.is_empty(), inquiry.purpose) {
                (true, _) => Truth::True,
                (false, None) => Truth::Unknown,
                (false, Some(asked)) => Truth::any(rule.purposes.iter().map(|stated| purpose::covers(stated, asked))),
            };
            match Truth::from(realm && of_type).and(purpose) {
                Truth::True => {
                    policies.push(rule.no_consent);
                    return policies;
                }
                Truth::Unknown => policies.push(rule.no_consent),
                Truth::False => {}
            }
        }
        policies.push(inquiry.settings.no_consent);
        policies
    }
}

fn implicit_rule(policy: NoConsent) -> (Rule, RuleName) {
    match policy {
        NoConsent::Deny => (Rule::Deny, RuleName::ImplicitDeny),
        NoConsent::BasicNormal => (Rule::BasicNormal, RuleName::ImplicitBasicNormal),
        NoConsent::AllNormal => (Rule::AllNormal, RuleName::ImplicitAllNormal),
        NoConsent::BreakGlassOnly => (Rule::BreakGlassOnly, RuleName::ImplicitBreakGlassOnly),
    }
}

fn deny(reason: Reason) -> (Effect, Vec<Reason>) {
    (Effect::Deny, vec![reason])
}

/// Which provision of which Consent said so, and whether its effect came from a setting.
fn provision_reasons(consent: &Consent, answer: &Answer) -> Vec<Reason> {
    let rule = match answer.effect {
        Effect::Permit => RuleName::ConsentPermit,
        Effect::Deny => RuleName::ConsentDeny,
    };
    let spoken = |rule| Reason {
        provision: Some(answer.provision.clone()),
        ..Reason::of(rule).by_consent(consent.reference.clone())
    };
    let unknown: Vec<&str> = answer.unknown.iter().copied().map(Element::as_str).collect();
    let decided = if unknown.is_empty() {
        spoken(rule)
    } else {
        spoken(rule).with_detail(format!("unknown: {}", unknown.join(", ")))
    };
    let untyped = answer.untyped.then(|| spoken(RuleName::UntypedRoot));
    std::iter::once(decided).chain(untyped).collect()
}
