//! The rules in force: everything that decides and may change while the gateway runs (docs/adr/0030).
//!
//! A request takes them once, before it is known who asks, and keeps them to its end; what they are is in its events by
//! `policy_digest`.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use evidence::ids::Hash;
use gateway_core::labels::LabelSets;
use gateway_core::policy::{Policy, PolicyError};
use sha2::{Digest as _, Sha256};

use crate::auth::ClientTable;
use crate::config::{Config, GlassConfig};
use crate::organisation::{OrganisationPolicy, PolicyFault};
use crate::probe;

/// Most bytes of the file of label sets.
const MAX_LABEL_SETS: u64 = 64 << 20;

/// Everything that decides.
pub struct Rules {
    /// What Consents are decided under: settings, redactions, label sets, roles.
    pub policy: Arc<Policy>,
    /// What the organisation allows at all.
    pub organisation: OrganisationPolicy,
    /// What verified clients stand for.
    pub clients: ClientTable,
    /// Who may break the glass, and how.
    pub glass: GlassConfig,
    /// Equal digests decide equally.
    pub digest: Hash,
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
    /// They would not enforce.
    #[error("the enforcement probe failed: a denied resource was permitted; keep the settings that were in force")]
    Probe,
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
        Ok(Self { policy: Arc::new(policy), organisation, clients, glass, digest })
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
