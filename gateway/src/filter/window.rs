//! A window: bytes that may leave together, and all that must be on record before they do (EVIDENCE.md 1, "Windows").

use std::collections::{BTreeMap, BTreeSet};

use evidence::event::{
    Coding as EventCoding, ConsentUse, Counts, Denial, Disclosure, EventBody, Redaction, Reference, ResourceUse,
    UniversalUse, VersionedReference,
};
use evidence::ids::EventId;
use gateway_core::decide::Ruling;
use gateway_core::facts::ResourceFacts;
use gateway_core::owner::PatientId;
use gateway_core::reasons::{Reason, RuleName};

/// Bytes of an answer with the record of what they disclose and what was kept back from them.
///
/// INVARIANT: made by the filter alone; `bytes` holds nothing that was not permitted.
#[derive(Debug, Default)]
pub struct Window {
    /// What goes out.
    pub(crate) bytes: Vec<u8>,
    /// Whether the answer ends with it.
    pub(crate) last: bool,
    disclosed: BTreeMap<PatientId, Disclosed>,
    universal: Vec<UniversalUse>,
    denied: BTreeMap<(PatientId, &'static str), Denied>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Disclosed {
    resources: Vec<ResourceUse>,
    consents: BTreeSet<(String, String)>,
    rules: BTreeSet<&'static str>,
}

#[derive(Clone, Debug, Default)]
struct Denied {
    resources: u64,
    consents: BTreeSet<(String, String)>,
}

/// The rule of a disclosure whose write may or may not have been carried out (docs/spec/event.md).
pub const WRITE_UNKNOWN: &str = "write-unknown";

/// The rule of the event that a claim of emergency access has for its patient (docs/spec/event.md).
pub const BREAK_GLASS_GRANTED: &str = "break-glass-granted";

/// A resource whose identity cannot stand in a record, which therefore cannot be disclosed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a resource without a usable identity cannot be recorded")]
pub struct NotRecordable;

impl Window {
    /// The one window of an answer that needs no more.
    pub(crate) fn only() -> Self {
        Self { last: true, ..Self::default() }
    }

    /// Puts a disclosed resource on record: under each of its owners, or as universal where it has none.
    ///
    /// `removed` are the elements that were taken out, with the rule that took them; `digest` is that of a stored
    /// resource, for writes.
    pub(crate) fn disclose(
        &mut self,
        facts: &ResourceFacts,
        owners: &[PatientId],
        labels: &[gateway_core::coding::Coding],
        reasons: &[Reason],
        removed: Vec<(String, RuleName)>,
        digest: Option<evidence::ids::Hash>,
    ) -> Result<(), NotRecordable> {
        let id = facts.id.as_deref().ok_or(NotRecordable)?;
        let reference = Reference::new(facts.resource_type.as_str(), id).map_err(|_| NotRecordable)?;
        self.counts.disclosed += 1;
        self.counts.redactions += removed.len() as u64;
        if owners.is_empty() {
            self.universal.push(UniversalUse { reference, version: facts.version.clone() });
            return Ok(());
        }
        let labels: Vec<EventCoding> =
            labels.iter().map(|c| EventCoding { system: c.system.clone(), code: c.code.clone() }).collect();
        let redactions: Vec<Redaction> =
            removed.into_iter().map(|(path, rule)| Redaction { path, rule: rule.as_str().to_owned() }).collect();
        for owner in owners {
            let record = self.disclosed.entry(owner.clone()).or_default();
            record.resources.push(ResourceUse {
                reference: reference.clone(),
                version: facts.version.clone(),
                digest,
                labels: labels.clone(),
                redactions: redactions.clone(),
            });
            let allowed = |r: &&Reason| !matches!(r.rule, RuleName::ElementLabel | RuleName::RedactionRule);
            for reason in reasons.iter().filter(|r| concerns(r, owner)).filter(allowed) {
                match consent_use(reason) {
                    Some(consent) => drop(record.consents.insert(consent)),
                    None => drop(record.rules.insert(reason.rule.as_str())),
                }
            }
        }
        Ok(())
    }

    /// Puts on record, for each of these patients, that it is not known whether a write to their records was carried
    /// out; [`Self::disclose`] adds what is known of the resource.
    pub(crate) fn unsure(&mut self, owners: &[PatientId]) {
        for owner in owners {
            self.disclosed.entry(owner.clone()).or_default().rules.insert(WRITE_UNKNOWN);
        }
    }

    /// Puts on record that emergency access to this patient's record is granted; nothing of it is disclosed by that.
    pub(crate) fn granted(&mut self, patient: &PatientId) {
        self.disclosed.entry(patient.clone()).or_default().rules.insert(BREAK_GLASS_GRANTED);
    }

    /// Puts on record that Consent kept a resource back: under each owner whose Consents refused it.
    pub(crate) fn deny(&mut self, owners: &[PatientId], reasons: &[Reason]) {
        for owner in owners {
            let theirs: Vec<&Reason> = reasons.iter().filter(|r| concerns(r, owner)).collect();
            let Some(first) = theirs.first() else { continue };
            let record = self.denied.entry((owner.clone(), first.rule.as_str())).or_default();
            record.resources += 1;
            record.consents.extend(theirs.iter().filter_map(|r| consent_use(r)));
        }
    }

    /// Puts on record what these rulings kept back.
    pub(crate) fn deny_by<'r>(&mut self, rulings: impl IntoIterator<Item = &'r Ruling>) {
        for ruling in rulings {
            self.deny(&ruling.refusing_owners(), &ruling.reasons());
        }
    }

    /// The window of a refusal: nothing but what these rulings kept back.
    pub(crate) fn denied<'r>(rulings: impl IntoIterator<Item = &'r Ruling>) -> Box<Self> {
        let mut window = Box::new(Self::only());
        window.deny_by(rulings);
        window
    }

    /// One window of two, of which each may be none.
    pub(crate) fn together(one: Option<Box<Self>>, other: Option<Box<Self>>) -> Option<Box<Self>> {
        match (one, other) {
            (Some(mut one), Some(other)) => {
                one.absorb(*other);
                Some(one)
            }
            (one, other) => one.or(other),
        }
    }

    /// Takes in what another window discloses and kept back, but not its bytes.
    pub(crate) fn absorb(&mut self, other: Self) {
        for (owner, theirs) in other.disclosed {
            let record = self.disclosed.entry(owner).or_default();
            record.resources.extend(theirs.resources);
            record.consents.extend(theirs.consents);
            record.rules.extend(theirs.rules);
        }
        self.universal.extend(other.universal);
        for (of, theirs) in other.denied {
            let record = self.denied.entry(of).or_default();
            record.resources += theirs.resources;
            record.consents.extend(theirs.consents);
        }
        self.counts.entries += other.counts.entries;
        self.counts.disclosed += other.counts.disclosed;
        self.counts.redactions += other.counts.redactions;
    }

    /// Whether it is Consent that kept something back: no limit of the gateway, and no rule that a grant never opens.
    pub(crate) fn hides_by_consent(&self) -> bool {
        let others = [
            RuleName::ResourceTooLarge,
            RuleName::ConsentsTooMany,
            RuleName::ConsentUnavailable,
            RuleName::UnlabelledHidden,
        ];
        self.denied.keys().any(|(_, rule)| others.iter().all(|other| other.as_str() != *rule))
    }

    /// What Consent kept back, without what is disclosed; `None` where it kept nothing back.
    pub(crate) fn kept_back(&self) -> Option<Box<Self>> {
        let denied = self.denied.clone();
        (!denied.is_empty()).then(|| Box::new(Self { denied, ..Self::only() }))
    }

    /// Counts an entry that the upstream gave.
    pub(crate) fn count_entry(&mut self) {
        self.counts.entries += 1;
    }

    /// Entries, disclosed entries, removed elements and bytes of this window.
    pub fn counts(&self) -> Counts {
        Counts { bytes: self.bytes.len() as u64, ..self.counts }
    }

    /// Whether the answer ends with this window.
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// The resources without an owner that this window discloses.
    pub(crate) fn universal(&self) -> &[UniversalUse] {
        &self.universal
    }

    /// The patients' events of this window, in the order of patients: disclosures, then denials.
    pub(crate) fn events(&self, request: EventId, window: u32) -> Result<Vec<EventBody>, NotRecordable> {
        let mut events = Vec::with_capacity(self.disclosed.len() + self.denied.len());
        for (patient, record) in &self.disclosed {
            events.push(EventBody::Disclosure(Disclosure {
                request,
                window,
                patient: patient_reference(patient)?,
                resources: record.resources.clone(),
                consents: consent_uses(&record.consents)?,
                rule: (!record.rules.is_empty()).then(|| record.rules.iter().copied().collect::<Vec<_>>().join(" ")),
            }));
        }
        for ((patient, rule), record) in &self.denied {
            events.push(EventBody::Denial(Denial {
                request,
                window,
                patient: patient_reference(patient)?,
                resources: record.resources,
                rule: (*rule).to_owned(),
                consents: consent_uses(&record.consents)?,
            }));
        }
        Ok(events)
    }
}

/// Reasons that name a patient concern that patient; the others concern all owners.
fn concerns(reason: &Reason, owner: &PatientId) -> bool {
    reason.patient.as_ref().is_none_or(|patient| patient == owner)
}

fn consent_use(reason: &Reason) -> Option<(String, String)> {
    let consent = reason.consent.as_ref()?;
    Some((consent.to_string(), reason.provision.clone().unwrap_or_default()))
}

fn patient_reference(patient: &PatientId) -> Result<Reference, NotRecordable> {
    Reference::new("Patient", patient.as_str()).map_err(|_| NotRecordable)
}

fn consent_uses(uses: &BTreeSet<(String, String)>) -> Result<Vec<ConsentUse>, NotRecordable> {
    uses.iter()
        .map(|(consent, provision)| {
            let consent: VersionedReference = consent.parse().map_err(|_| NotRecordable)?;
            Ok(ConsentUse { consent, provision: provision.clone() })
        })
        .collect()
}
