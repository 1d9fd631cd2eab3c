//! Patients' Consents: fetched in one query for all patients of a window, cached, dropped when one is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_core::consent::{Consent, Unusable, Why, r4, r5};
use gateway_core::decide::PatientConsents;
use gateway_core::json::Value;
use gateway_core::owner::PatientId;
use gateway_core::reference::{Bases, Target};
use gateway_core::version::FhirVersion;

use super::kept::Kept;
use super::resources::{NoFacts, each_resource, percent_encode};
use crate::forward::Upstream;
use crate::problem::Problem;
use crate::telemetry::{CacheResult, Metrics};

/// Patients in one query; keeps the URL under 4 KiB with two spellings each.
const BATCH: usize = 20;
/// A patient with more Consents than this is hidden: one that is not read may deny (docs/adr/0031).
const MOST_CONSENTS: usize = 1_000;

/// The Consents of patients, no older than the configured age.
pub struct ConsentSource {
    upstream: Upstream,
    bases: Bases,
    /// Whether the Consents live on another server than the data, and so may refer to patients by absolute URL.
    apart: bool,
    kept: Kept<PatientId, (PatientConsents, Instant)>,
    metrics: Arc<Metrics>,
}

impl ConsentSource {
    /// A source that keeps at most `patients` patients' Consents for at most `max_staleness`.
    pub fn new(
        upstream: Upstream,
        bases: Bases,
        max_staleness: Duration,
        patients: usize,
        metrics: Arc<Metrics>,
    ) -> Self {
        let apart = upstream.base() != bases.upstream.as_str();
        Self { upstream, bases, apart, kept: Kept::new(patients as u64, max_staleness), metrics }
    }

    /// The Consents of each of these patients.
    ///
    /// # Errors
    /// [`Problem::NoFacts`] where they cannot all be had; an answer with a gap is never given.
    pub async fn of(&self, patients: &BTreeSet<PatientId>) -> Result<BTreeMap<PatientId, PatientConsents>, Problem> {
        let mut known = BTreeMap::new();
        let mut missing = Vec::new();
        for patient in patients {
            match self.kept.of(patient) {
                Some((consents, at)) => {
                    self.metrics.consent_cache(CacheResult::Hit);
                    self.metrics.consent_age(at.elapsed());
                    known.insert(patient.clone(), consents);
                }
                None => {
                    self.metrics.consent_cache(CacheResult::Miss);
                    missing.push(patient.clone());
                }
            }
        }
        for batch in missing.chunks(BATCH) {
            let asked_at = self.kept.asked_at();
            let fetched = self.fetch(batch).await.inspect_err(|_| {
                self.metrics.consent_cache(CacheResult::Unavailable);
            })?;
            let now = Instant::now();
            let kept = fetched.iter().map(|(patient, consents)| (patient.clone(), (consents.clone(), now)));
            self.kept.keep(asked_at, kept);
            known.extend(fetched);
        }
        Ok(known)
    }

    /// Forgets a patient's Consents: one of them is about to be, or has been, written.
    pub fn forget(&self, patient: &PatientId) {
        self.kept.forget(patient);
    }

    /// Forgets what is kept of these patients, and of whoever's one of these Consents (by logical id) was or may have been.
    pub(super) fn forget_changed(&self, consents: &BTreeSet<String>, patients: &BTreeSet<PatientId>) {
        self.kept.forget_where(|patient, (kept, _)| patients.contains(patient) || may_hold(kept, consents));
    }

    /// The server that Consents are read from, and the names of the one that patients are on.
    pub(super) fn server(&self) -> (&Upstream, &Bases) {
        (&self.upstream, &self.bases)
    }

    /// Forgets everything: it is not known whose Consent was written.
    pub fn forget_all(&self) {
        self.kept.forget_all();
    }

    /// Whether the source answers now.
    pub async fn reachable(&self) -> bool {
        matches!(self.upstream.facts("Consent?_count=0&_summary=count").await, Ok(answer) if answer.status == 200)
    }

    /// Fetches the Consents of these patients. One who has too many does not stand in the way of the others.
    async fn fetch(&self, patients: &[PatientId]) -> Result<BTreeMap<PatientId, PatientConsents>, Problem> {
        match (self.query(patients).await, patients) {
            (Ok(found), _) => Ok(found),
            (Err(NoFacts::TooMany), [patient]) => {
                tracing::warn!("a patient has more or larger Consents than are read, so what is theirs is hidden");
                Ok(BTreeMap::from([(patient.clone(), PatientConsents::TooMany)]))
            }
            (Err(NoFacts::TooMany), several) => {
                let mut found = BTreeMap::new();
                for patient in several {
                    found.extend(Box::pin(self.fetch(std::slice::from_ref(patient))).await?);
                }
                Ok(found)
            }
            (Err(NoFacts::Unavailable | NoFacts::Refused(_)), _) => Err(Problem::NoFacts("consents-unavailable")),
            (Err(NoFacts::Unreadable), _) => Err(NoFacts::Unreadable.into()),
        }
    }

    async fn query(&self, patients: &[PatientId]) -> Result<BTreeMap<PatientId, PatientConsents>, NoFacts> {
        let mut names = Vec::new();
        for patient in patients {
            names.push(percent_encode(&patient.reference()));
            if self.apart {
                names.push(percent_encode(&self.bases.upstream.join(&patient.reference())));
            }
        }
        let target = format!("Consent?patient={}&_count=200", names.join(","));
        let mut found: BTreeMap<PatientId, Vec<Result<Consent, Unusable>>> =
            patients.iter().map(|patient| (patient.clone(), Vec::new())).collect();
        each_resource(&self.upstream, &target, |resource| {
            match whose(resource, &self.bases) {
                Some(patient) => {
                    if let Some(consents) = found.get_mut(&patient) {
                        consents.push(read(resource, FhirVersion::R4));
                    }
                }
                // It answers a query for these patients and does not say whose it is: it may be any of theirs.
                None => {
                    for consents in found.values_mut() {
                        consents.push(Err(Unusable {
                            reference: None,
                            why: Why::OtherPatient,
                            path: "patient".to_owned(),
                        }));
                    }
                }
            }
            match found.values().any(|consents| consents.len() > MOST_CONSENTS) {
                true => Err(NoFacts::TooMany),
                false => Ok(()),
            }
        })
        .await?;
        Ok(found.into_iter().map(|(patient, consents)| (patient, PatientConsents::Recorded(consents.into()))).collect())
    }
}

/// Whether one of these Consents is among them, or may be.
fn may_hold(kept: &PatientConsents, consents: &BTreeSet<String>) -> bool {
    match kept {
        PatientConsents::Recorded(recorded) => recorded.iter().any(|consent| match consent {
            Ok(consent) => consents.contains(&consent.reference.id),
            Err(unusable) => unusable.reference.as_ref().is_none_or(|reference| consents.contains(&reference.id)),
        }),
        PatientConsents::TooMany | PatientConsents::Unavailable => true,
    }
}

/// The patient whom a Consent is about; `None` where it does not name one of this server's.
pub(crate) fn whose(consent: Value<'_>, bases: &Bases) -> Option<PatientId> {
    let named = consent.get("patient").or_else(|| consent.get("subject"))?;
    match Target::parse(&named.str_at("reference")?, bases) {
        Target::Local { rtype, id, .. } if rtype.as_str() == "Patient" => PatientId::parse(&id).ok(),
        Target::Local { .. } | Target::Fragment(_) | Target::Foreign(_) | Target::Malformed => None,
    }
}

/// Both readers must accept it: fhirbolt's typed R4 model, then the strict one that gives it its meaning (ADR 0011).
///
/// R4B has the Consent of R4. There is no typed model of R5 here: its strict reader reads alone.
pub(crate) fn read(resource: Value<'_>, version: FhirVersion) -> Result<Consent, Unusable> {
    let value: serde_json::Value = serde_json::from_slice(resource.raw()).map_err(|_| not_a_consent(None))?;
    if version == FhirVersion::R5 {
        return r5::read(&value);
    }
    let consent = r4::read(&value)?;
    match fhir_profiles::consent::check_r4(&with_the_tolerated(value).to_string()) {
        Ok(()) => Ok(consent),
        Err(_) => Err(not_a_consent(Some(&consent))),
    }
}

/// The Consent with `category` and `provision.actor.role`, where it lacks them. FHIR requires both; but no decision reads
/// the first, and the second absent is the recipient (CONSENT.md, "Actors").
fn with_the_tolerated(mut consent: serde_json::Value) -> serde_json::Value {
    let unstated = || serde_json::json!({"text": "unstated"});
    let mut open = Vec::new();
    if let Some(members) = consent.as_object_mut() {
        members.entry("category").or_insert_with(|| serde_json::json!([unstated()]));
        open.extend(members.get_mut("provision"));
    }
    while let Some(provision) = open.pop() {
        let Some(members) = provision.as_object_mut() else { continue };
        for (name, value) in members {
            let items = value.as_array_mut().map(Vec::as_mut_slice).unwrap_or_default();
            match name.as_str() {
                "provision" => open.extend(items),
                "actor" => {
                    for actor in items.iter_mut().filter_map(serde_json::Value::as_object_mut) {
                        actor.entry("role").or_insert_with(unstated);
                    }
                }
                _ => {}
            }
        }
    }
    consent
}

fn not_a_consent(consent: Option<&Consent>) -> Unusable {
    Unusable { reference: consent.map(|c| c.reference.clone()), why: Why::NotAConsent, path: "Consent".to_owned() }
}

#[cfg(test)]
mod tests;
