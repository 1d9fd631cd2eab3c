//! Gather: the facts that a decision needs, fetched with the gateway's own credential.
//!
//! [`consents`] holds patients' Consents, [`memberships`] what a caller belongs to, [`resources`] the facts of resources
//! that others refer to, [`versions`] those of all versions of a resource; [`watch`] sees which Consents change. What cannot be had is a 503 that does not depend on any patient's data (docs/ARCHITECTURE.md,
//! invariant 2).

mod changes;
pub mod consents;
mod kept;
pub mod memberships;
pub mod resources;
pub mod versions;
pub mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gateway_core::caller::Caller;
use gateway_core::consent::{Body, Meaning, Provision};
use gateway_core::decide::{ConsentFacts, PatientConsents, PatientLinksFound};
use gateway_core::owner::PatientId;
use gateway_core::policy::PatientLinks;
use gateway_core::reference::{Bases, Target};

use consents::ConsentSource;
use memberships::MembershipSource;
use resources::ResourceSource;

use crate::problem::Problem;
use crate::telemetry::Metrics;

/// All sources of facts; one for the process.
pub struct Facts {
    /// Consents by patient.
    pub consents: ConsentSource,
    /// Memberships by caller.
    pub memberships: MembershipSource,
    /// Other resources' facts.
    pub resources: ResourceSource,
    /// The two names of the upstream.
    pub bases: Bases,
    /// What is counted and timed.
    pub metrics: Arc<Metrics>,
}

impl Facts {
    /// The facts for deciding on resources of these patients for this caller.
    ///
    /// Memberships and related resources are fetched only where a Consent at hand asks about them.
    pub async fn of(
        &self,
        caller: &Caller,
        patients: &BTreeSet<PatientId>,
        links: PatientLinks,
    ) -> Result<ConsentFacts, Problem> {
        let links = match links {
            PatientLinks::Ignore => PatientLinksFound::default(),
            PatientLinks::Follow => self.resources.links_of(patients).await?,
        };
        let persons = patients.iter().flat_map(|patient| links.person(patient)).collect();
        let patients = self.consents.of(&persons).await?;
        let mut asks = Asks::default();
        for consents in patients.values() {
            asks.look_at(consents, &self.bases);
        }
        let memberships = match asks.actors {
            true => self.memberships.of(caller).await?,
            false => Arc::default(),
        };
        let related = match asks.related.is_empty() {
            true => BTreeMap::new(),
            false => self.resources.facts_of(&asks.related).await?,
        };
        let outgoing = related.into_iter().map(|(name, facts)| (name, facts.references.iter().cloned().collect()));
        Ok(ConsentFacts { patients, links, memberships, outgoing: outgoing.collect() })
    }
}

/// What the Consents at hand ask about beyond the resource itself.
#[derive(Default)]
struct Asks {
    actors: bool,
    related: BTreeSet<String>,
}

impl Asks {
    fn look_at(&mut self, consents: &PatientConsents, bases: &Bases) {
        let PatientConsents::Recorded(consents) = consents else { return };
        for consent in consents.iter().flatten() {
            if let Body::Active { root, .. } = &consent.body {
                self.provision(root, bases);
            }
        }
    }

    fn provision(&mut self, provision: &Provision, bases: &Bases) {
        self.actors |= provision.constraints.actors.is_some();
        for data in provision.constraints.data.iter().flatten().filter(|data| data.meaning == Meaning::Related) {
            if let Some(Target::Local { rtype, id, .. }) = data.reference.as_deref().map(|r| Target::parse(r, bases)) {
                self.related.insert(format!("{rtype}/{id}"));
            }
        }
        for child in &provision.children {
            self.provision(child, bases);
        }
    }
}
