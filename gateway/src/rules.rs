//! The rules in force: everything that decides and may change while the gateway runs (docs/adr/0030).
//!
//! A request takes them once, before it is known who asks, and keeps them to its end; what they are is in its events by
//! `policy_digest`.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use evidence::ids::Hash;
use gateway_core::caller::Caller;
use gateway_core::labels::LabelSets;
use gateway_core::policy::{Policy, PolicyError};
use sha2::{Digest as _, Sha256};

use crate::auth::ClientTable;
use crate::clock;
use crate::config::{Config, GlassConfig};
use crate::filter::Witness;
use crate::organisation::{OrganisationPolicy, PolicyFault, Refusal};
use crate::probe;
use crate::shadow::Second;

/// Most bytes of the file of label sets.
const MAX_LABEL_SETS: u64 = 64 << 20;

/// Everything that decides.
pub struct Rules {
    /// What Consents are decided under: settings, redactions, label sets, roles.
    pub policy: Arc<Policy>,
    /// What the organisation allows at all.
    pub organisation: Arc<OrganisationPolicy>,
    /// What verified clients stand for.
    pub clients: Arc<ClientTable>,
    /// Who may break the glass, and how.
    pub glass: GlassConfig,
    /// Equal digests decide equally.
    pub digest: Hash,
    /// The shadow: rules that decide beside these, without an effect.
    pub second: Option<Arc<Second>>,
    /// Who is told of each decision by these rules.
    pub witness: Option<Arc<dyn Witness>>,
}

/// Rules that cannot be put in force; each says the key and the cure.
#[derive(Debug, thiserror::Error)]
pub enum RulesFault {
    /// Organisational policy.
    #[error("policy.cedar_dir: {0}; correct the policy")]
    Organisation(#[from] PolicyFault),
    /// The file of label sets cannot be read.
    #[error(
        "policy.label_sets_file: the file cannot be read ({0}); name a file of at most 64 MiB that the gateway may read"
    )]
    Unreadable(std::io::ErrorKind),
    /// The file of label sets holds something else.
    #[error("policy.label_sets_file: {0}; write it as docs/operations/running.md shows")]
    LabelSets(serde_json::Error),
    /// Consent settings, redactions or roles.
    #[error("consent: {0}")]
    Policy(#[from] PolicyError),
    /// The shadow's organisational policy.
    #[error("shadow.cedar_dir: {0}; correct the policy, or remove the key")]
    ShadowOrganisation(PolicyFault),
    /// The shadow's settings.
    #[error("shadow.policy_file: {0}; correct the file, or remove the key")]
    ShadowPolicy(String),
    /// The shadow would need other facts than those that are gathered.
    #[error(
        "shadow.policy_file: consent.patient_links is not as in [consent], by which facts are gathered; write the same there"
    )]
    ShadowLinks,
    /// They would not enforce.
    #[error("the enforcement probe failed: a denied resource was permitted; keep the settings that were in force")]
    Probe,
}

impl RulesFault {
    /// Whether it is one of the shadow only.
    pub(crate) fn is_the_shadows(&self) -> bool {
        matches!(self, Self::ShadowOrganisation(_) | Self::ShadowPolicy(_) | Self::ShadowLinks)
    }
}

impl Rules {
    /// Reads them from where the configuration says, and makes sure that they enforce.
    pub fn load(config: &Config) -> Result<Self, RulesFault> {
        let organisation = OrganisationPolicy::load(config.organisation.dir.as_deref())?;
        let sets = match config.organisation.label_sets.as_deref() {
            Some(file) => label_sets(file)?,
            None => LabelSets::shipped().clone(),
        };
        let policy = Policy::new(config.consent.clone(), config.redactions.clone(), sets, config.roles.clone())?;
        probe::enforces(&policy).then_some(()).ok_or(RulesFault::Probe)?;
        let clients = ClientTable::new(config.auth.clients.clone());
        let glass = config.glass.clone();
        let digest = digest(&policy, &organisation, &clients, &glass);
        let (policy, organisation) = (Arc::new(policy), Arc::new(organisation));
        let second = config.shadow.as_ref().map(|shadow| Second::load(shadow, &policy, &organisation)).transpose()?;
        let (clients, second) = (Arc::new(clients), second.map(Arc::new));
        Ok(Self { policy, organisation, clients, glass, digest, second, witness: None })
    }

    /// The same rules, with another in the place of who is told of their decisions.
    #[must_use]
    pub fn seen_by(&self, witness: Arc<dyn Witness>) -> Self {
        Self {
            policy: Arc::clone(&self.policy),
            organisation: Arc::clone(&self.organisation),
            clients: Arc::clone(&self.clients),
            glass: self.glass.clone(),
            digest: self.digest,
            second: self.second.clone(),
            witness: Some(witness),
        }
    }

    /// What the organisation's policy says of an interaction, by its FHIR code, on a type.
    ///
    /// # Errors
    /// It refuses, by these policies.
    pub fn organisation(
        &self,
        caller: &Arc<Caller>,
        interaction: &'static str,
        resource_type: Option<&str>,
    ) -> Result<(), Refusal> {
        let now = clock::now();
        let decided = self.organisation.decide(caller, interaction, resource_type, now);
        if let Some(witness) = &self.witness {
            witness.organisation(caller, (interaction, resource_type), now, decided.is_ok());
        }
        decided
    }

    /// Whether these decide otherwise than others, or their shadow does.
    pub(crate) fn differ(&self, other: &Self) -> bool {
        let second = |rules: &Self| rules.second.as_ref().map(|second| second.digest());
        self.digest != other.digest || second(self) != second(other)
    }
}

fn label_sets(file: &Path) -> Result<LabelSets, RulesFault> {
    let unreadable = |error: std::io::Error| RulesFault::Unreadable(error.kind());
    if std::fs::metadata(file).map_err(unreadable)?.len() > MAX_LABEL_SETS {
        return Err(RulesFault::Unreadable(std::io::ErrorKind::FileTooLarge));
    }
    serde_json::from_slice(&std::fs::read(file).map_err(unreadable)?).map_err(RulesFault::LabelSets)
}

fn digest(policy: &Policy, organisation: &OrganisationPolicy, clients: &ClientTable, glass: &GlassConfig) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(b"sealgate/decides/v3\0");
    hasher.update(policy.digest());
    hasher.update(organisation.digest());
    hasher.update(clients.digest());
    // Nothing follows it, and its members are told by name.
    hasher.update(serde_json::json!(glass).to_string());
    Hash::new(hasher.finalize().into())
}

/// The rules in force now.
pub struct InForce(RwLock<Arc<Rules>>);

impl InForce {
    /// From the start on.
    pub fn new(rules: Rules) -> Self {
        Self(RwLock::new(Arc::new(rules)))
    }

    /// To be taken once for each request.
    pub fn now(&self) -> Arc<Rules> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on these. That they changed is on record already.
    pub(crate) fn replace(&self, rules: Rules) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }
}

#[cfg(test)]
mod tests;
