//! The trust file: what a verifier believes before it looks at any proof (`docs/spec/proof.md`).
//!
//! It lies outside the bundle, because whoever makes a bundle could also pin what fits it. What it does not
//! pin cannot be checked, and the verdict says so.

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::canonical::{self, CanonicalError};
use crate::ids::{Address, ChainId, Hash, LogId, Origin};
use crate::note::{KeyKind, NoteVerifier};
use crate::printed::VersionOne;

#[cfg(test)]
mod tests;

/// The most bytes a trust file may have.
pub const MAX_TRUST_BYTES: usize = 256 * 1024;

/// How far an event may be recorded after its anchor's block where the trust file does not say.
///
/// A block's time is that of its slot's beginning, in whole seconds, and the gateway's clock is not the chain's.
pub const DEFAULT_CLOCK_SKEW_SECONDS: u32 = 30;

/// What a verifier believes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustFile {
    v: VersionOne,
    /// The origin of the log.
    pub origin: Origin,
    /// The key of the log.
    pub log_key: NoteVerifier,
    /// The witnesses that must have cosigned; none need have where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witnesses: Option<WitnessPolicy>,
    /// The chains on which the log anchors, and what is pinned there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chains: Vec<ChainTrust>,
    /// How many seconds after the time of its anchor's block an event may have been recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew_seconds: Option<u32>,
}

/// How many of which witnesses must have cosigned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessPolicy {
    /// How many.
    pub quorum: u32,
    /// Of which.
    pub keys: Vec<NoteVerifier>,
}

/// What is pinned about one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainTrust {
    /// The chain.
    pub chain_id: ChainId,
    /// The contract AnchorRegistry on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Address>,
    /// Keccak-256 of the contract's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_hash: Option<Hash>,
    /// The log in the contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_id: Option<LogId>,
}

/// Why a file is no trust file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Larger than [`MAX_TRUST_BYTES`].
    #[error("the trust file is larger than {MAX_TRUST_BYTES} bytes")]
    TooLarge,
    /// Not JSON that is acceptable.
    #[error(transparent)]
    Json(#[from] CanonicalError),
    /// JSON, but no trust file; the reason names the member.
    #[error("not a trust file of version 1: {reason}")]
    Shape {
        /// What is wrong, in the parser's words.
        reason: String,
    },
    /// The log's key is no log key.
    #[error("log_key must be an ed25519 key (type 0x01)")]
    LogKey,
    /// A witness's key is no witness key, or stands twice.
    #[error("witnesses.keys must be different cosignature/v1 keys (type 0x04)")]
    WitnessKeys,
    /// The quorum is nought or more than there are keys.
    #[error("witnesses.quorum must lie between 1 and the number of keys")]
    Quorum,
    /// One chain stands twice.
    #[error("chain {chain_id} is pinned twice")]
    Chain {
        /// Which.
        chain_id: ChainId,
    },
}

impl TrustFile {
    /// A trust file that pins the log only.
    #[must_use]
    pub const fn new(origin: Origin, log_key: NoteVerifier) -> Self {
        Self { v: VersionOne, origin, log_key, witnesses: None, chains: Vec::new(), clock_skew_seconds: None }
    }

    /// Reads a trust file, in any layout of its JSON.
    ///
    /// # Errors
    /// [`TrustError`]
    pub fn parse(bytes: &[u8]) -> Result<Self, TrustError> {
        if bytes.len() > MAX_TRUST_BYTES {
            return Err(TrustError::TooLarge);
        }
        let value = canonical::parse_strict(bytes)?;
        let trust: Self =
            serde_json::from_value(value).map_err(|error| TrustError::Shape { reason: error.to_string() })?;
        trust.check()?;
        Ok(trust)
    }

    /// The file as people read it.
    ///
    /// # Errors
    /// [`TrustError`] where it would not be read back.
    pub fn to_json(&self) -> Result<String, TrustError> {
        self.check()?;
        let text =
            serde_json::to_string_pretty(self).map_err(|error| TrustError::Shape { reason: error.to_string() })?;
        Ok(text + "\n")
    }

    /// What is pinned about a chain.
    #[must_use]
    pub fn chain(&self, chain_id: ChainId) -> Option<&ChainTrust> {
        self.chains.iter().find(|chain| chain.chain_id == chain_id)
    }

    /// How far an event may be recorded after its anchor's block.
    #[must_use]
    pub fn clock_skew(&self) -> Duration {
        Duration::from_secs(self.clock_skew_seconds.unwrap_or(DEFAULT_CLOCK_SKEW_SECONDS).into())
    }

    fn check(&self) -> Result<(), TrustError> {
        if self.log_key.kind() != KeyKind::Ed25519 {
            return Err(TrustError::LogKey);
        }
        if let Some(WitnessPolicy { quorum, keys }) = &self.witnesses {
            let mut names = HashSet::new();
            // One witness under two keys, or one key under two names, must not count twice.
            let distinct = keys.iter().all(|key| names.insert(key.name()))
                && keys.iter().map(NoteVerifier::public_key).collect::<HashSet<_>>().len() == keys.len();
            if !distinct || keys.iter().any(|key| key.kind() != KeyKind::CosignatureV1) {
                return Err(TrustError::WitnessKeys);
            }
            if *quorum == 0 || usize::try_from(*quorum).is_ok_and(|quorum| quorum > keys.len()) {
                return Err(TrustError::Quorum);
            }
        }
        let mut chains = HashSet::new();
        match self.chains.iter().find(|chain| !chains.insert(chain.chain_id)) {
            Some(twice) => Err(TrustError::Chain { chain_id: twice.chain_id }),
            None => Ok(()),
        }
    }
}
