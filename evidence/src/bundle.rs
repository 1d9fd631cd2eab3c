//! Proof bundles, `*.sealproof.json` (`docs/spec/proof.md`).
//!
//! A bundle carries everything that a verifier needs but its trust: records with their leaves, one checkpoint
//! that covers them all, and the anchors that cover the checkpoint. It states, it does not prove:
//! [`crate::verify::verify`] does.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::{self, CanonicalError};
use crate::event::{AccessEvent, EventError};
use crate::ids::{Address, ChainId, Hash, LeafIndex, LogId, Salt, TenantId, Timestamp, TreeSize};
use crate::leaf::Leaf;
pub use crate::printed::HexBytes;
use crate::printed::{VersionOne, decimal};

#[cfg(test)]
mod tests;

/// The most bytes a bundle may have.
pub const MAX_BUNDLE_BYTES: usize = 64 * 1024 * 1024;

/// A proof bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofBundle {
    v: VersionOne,
    /// The tenant for which the events were recorded; the log does not know it, so it may be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// The records, at least one, in the order of their places in the log.
    pub records: Vec<Record>,
    /// The signed checkpoint with its cosignatures, as its note's text; each record is proven in its tree.
    pub checkpoint: String,
    /// The anchors of heads that the checkpoint's tree is the beginning of; none while waiting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anchors: Vec<AnchorLink>,
    /// Until when the first anchor is expected, while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor_expected_by: Option<Timestamp>,
}

/// One record: an event, if it is shown, and its place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The event, unless it is withheld. What is committed to is its canonical form, whatever it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Value>,
    /// The salt, unless it is withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<Salt>,
    /// The leaf.
    pub leaf: Leaf,
    /// The leaf's place in the log.
    pub index: LeafIndex,
    /// The inclusion proof in the checkpoint's tree.
    pub inclusion: Vec<Hash>,
}

/// An anchor, and how the checkpoint's tree grew into the anchored one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorLink {
    /// The consistency proof from the checkpoint's size to the anchored size, which is not smaller.
    pub consistency: Vec<Hash>,
    /// The anchor.
    pub anchor: Anchor,
}

/// A head of the log in the state of a chain at one block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// The chain.
    pub chain_id: ChainId,
    /// The contract.
    pub contract: Address,
    /// Keccak-256 of the contract's code.
    pub code_hash: Hash,
    /// The log in the contract.
    pub log_id: LogId,
    /// How many heads of the log had been anchored, this one included.
    #[serde(with = "decimal")]
    pub seq: u64,
    /// The anchored size.
    pub size: TreeSize,
    /// The anchored root.
    pub root: Hash,
    /// The number of the block at whose end the head stood in the contract.
    #[serde(with = "decimal")]
    pub block_number: u64,
    /// The hash of that block.
    pub block_hash: Hash,
    /// The RLP of that block's header.
    pub header_rlp: HexBytes,
    /// `accountProof` of `eth_getProof` for the contract at that block.
    pub account_proof: Vec<HexBytes>,
    /// `storageProof` of `eth_getProof` for the two slots of the log at that block.
    pub storage_proofs: Vec<StorageProof>,
    /// The hash of the transaction that anchored; information only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<Hash>,
}

/// The proof of one storage slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageProof {
    /// The slot, 32 bytes.
    pub key: Hash,
    /// Its word, 32 bytes.
    pub value: Hash,
    /// The nodes of the storage trie from the root down.
    pub proof: Vec<HexBytes>,
}

/// Why bytes are not a proof bundle, or a value cannot be written as one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Larger than [`MAX_BUNDLE_BYTES`].
    #[error("the bundle is larger than {MAX_BUNDLE_BYTES} bytes")]
    TooLarge,
    /// Not JSON that is acceptable, or not in canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// JSON, but no bundle of this version: an unknown or missing member, or a value of another form.
    #[error("not a proof bundle of version 1")]
    Shape,
    /// No record, or not in the order of their places.
    #[error("a bundle has at least one record, and each lies further on in the log than the one before it")]
    Records,
    /// Bundles that do not share one checkpoint, tenant and anchors.
    #[error("the bundles do not share one checkpoint, tenant and anchors")]
    Unlike,
}

impl ProofBundle {
    /// A bundle of records in one checkpoint, not anchored yet.
    #[must_use]
    pub const fn new(tenant: Option<TenantId>, records: Vec<Record>, checkpoint: String) -> Self {
        Self { v: VersionOne, tenant, records, checkpoint, anchors: Vec::new(), anchor_expected_by: None }
    }

    /// Reads a bundle; whatever would not be written as the very same bytes is refused. One newline at the
    /// end is allowed.
    ///
    /// # Errors
    /// [`BundleError`]
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > MAX_BUNDLE_BYTES {
            return Err(BundleError::TooLarge);
        }
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let value = canonical::parse_strict(bytes)?;
        let bundle: Self = serde_json::from_value(value).map_err(|_| BundleError::Shape)?;
        if bundle.to_canonical()? == bytes { Ok(bundle) } else { Err(CanonicalError::NotCanonical.into()) }
    }

    /// The bytes of the file (RFC 8785).
    ///
    /// # Errors
    /// [`BundleError`] where it would not be read back.
    pub fn to_canonical(&self) -> Result<Vec<u8>, BundleError> {
        let places: Vec<LeafIndex> = self.records.iter().map(|record| record.index).collect();
        if places.is_empty() || !places.is_sorted_by(|one, next| one < next) {
            return Err(BundleError::Records);
        }
        let bytes = canonical::to_canonical(self)?;
        if bytes.len() > MAX_BUNDLE_BYTES { Err(BundleError::TooLarge) } else { Ok(bytes) }
    }

    /// One bundle of the records of several that share checkpoint, tenant and anchors.
    ///
    /// # Errors
    /// [`BundleError::Unlike`] where they do not, [`BundleError::Records`] where there is none or one record
    /// stands in two of them.
    pub fn merge(parts: Vec<Self>) -> Result<Self, BundleError> {
        let mut parts = parts.into_iter();
        let mut whole = parts.next().ok_or(BundleError::Records)?;
        for part in parts {
            let alike = (&part.tenant, &part.checkpoint, &part.anchors, part.anchor_expected_by)
                == (&whole.tenant, &whole.checkpoint, &whole.anchors, whole.anchor_expected_by);
            if !alike {
                return Err(BundleError::Unlike);
            }
            whole.records.extend(part.records);
        }
        whole.records.sort_by_key(|record| record.index);
        let twice = |pair: &[Record]| matches!(pair, [one, next] if one.index == next.index);
        if whole.records.windows(2).any(twice) { Err(BundleError::Records) } else { Ok(whole) }
    }
}

impl Record {
    /// The event, typed.
    ///
    /// # Errors
    /// [`EventError::Shape`] where it is of a version or kind that this program does not know.
    pub fn access_event(&self) -> Result<Option<AccessEvent>, EventError> {
        self.event.clone().map(AccessEvent::from_value).transpose()
    }

    /// The place of this record as a C2SP tlog-proof of the log's own entry, the leaf.
    #[must_use]
    pub fn to_tlog_proof(&self, checkpoint: &str) -> String {
        let mut text = format!("c2sp.org/tlog-proof@v1\nindex {}\n", self.index);
        for hash in &self.inclusion {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", STANDARD.encode(hash));
        }
        text + "\n" + checkpoint
    }
}
