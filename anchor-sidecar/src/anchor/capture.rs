//! Evidence of an anchor: header, account proof and storage proofs at its block, checked before they are kept.
//!
//! Nodes prune old state within minutes to hours, so it is captured when the transaction is mined and becomes
//! `anchors/<seq>.json` when that block is final. The file is the `anchor` of a proof bundle, byte for byte.

use std::path::Path;

use alloy_primitives::B256;
use evidence::{
    bundle::{Anchor as Evidence, HexBytes, StorageProof},
    ethereum::{EthereumError, HeadSlot, decode_header, head_slots, prove_account, prove_slot},
    ids::{Address, ChainId, Hash, LogId},
};

use super::flight::Inclusion;
use crate::{
    rpc::{At, Rpc, RpcError},
    volume::{VolumeError, ensure_dir, replace},
};

/// Why no evidence can be captured.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// A node did not answer.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The node has no such block.
    #[error("the node does not have block {0}")]
    NoBlock(B256),
    /// The header that the node gives is not the one that hashes to the block's hash.
    #[error("the header that the node gives for block {0} has another hash")]
    Header(B256),
    /// A proof that the node gives proves nothing.
    #[error("the node's proof of the anchor: {0}")]
    Proof(#[from] EthereumError),
    /// The proofs are good but of another head, or another contract.
    #[error("block {block} proves another {what} than was anchored")]
    Differs {
        /// The block.
        block: B256,
        /// What differs.
        what: &'static str,
    },
    /// The evidence cannot be written as JSON.
    #[error("the evidence cannot be written: {0}")]
    Form(String),
    /// The disk failed.
    #[error(transparent)]
    Volume(#[from] VolumeError),
}

/// What every anchor of one log has in common.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The chain.
    pub chain_id: ChainId,
    /// The contract.
    pub contract: Address,
    /// Hash of its code.
    pub code_hash: Hash,
    /// The log.
    pub log_id: LogId,
}

/// Captures and checks the evidence of anchor `seq` at its block.
///
/// # Errors
/// [`CaptureError`].
pub async fn capture(rpc: &Rpc, place: &Place, seq: u64, there: &Inclusion) -> Result<Evidence, CaptureError> {
    let block = there.block_hash;
    let header = rpc.header(block).await?.ok_or(CaptureError::NoBlock(block))?;
    let header_rlp = alloy_rlp::encode(&header);
    let slots = head_slots(&place.log_id);
    let keys = slots.map(|slot| B256::from(*slot.as_bytes()));
    let proof = rpc.proof(alloy_primitives::Address::from(*place.contract.as_bytes()), &keys, At::Hash(block)).await?;
    let storage = slots.into_iter().zip(proof.storage_proof).map(|(key, slot)| StorageProof {
        key,
        value: Hash::new(slot.value.to_be_bytes()),
        proof: nodes(slot.proof),
    });
    let evidence = Evidence {
        chain_id: place.chain_id,
        contract: place.contract,
        code_hash: place.code_hash,
        log_id: place.log_id,
        seq,
        size: there.head.size,
        root: there.head.root,
        block_number: there.block_number,
        block_hash: Hash::new(block.0),
        header_rlp: HexBytes(header_rlp),
        account_proof: nodes(proof.account_proof),
        storage_proofs: storage.collect(),
        transaction: there.transaction.map(|hash| Hash::new(hash.0)),
    };
    check(&evidence)?;
    Ok(evidence)
}

/// Checks that evidence proves what it states, from its own block hash on.
fn check(evidence: &Evidence) -> Result<(), CaptureError> {
    let block = B256::from(*evidence.block_hash.as_bytes());
    let differs = |what| CaptureError::Differs { block, what };
    let header = decode_header(&evidence.header_rlp.0)?;
    if header.hash != evidence.block_hash {
        return Err(CaptureError::Header(block));
    }
    if header.number != evidence.block_number {
        return Err(differs("block number"));
    }
    let account = prove_account(&header.state_root, &evidence.contract, &evidence.account_proof)?;
    if account.code_hash != evidence.code_hash {
        return Err(differs("contract code"));
    }
    for slot in &evidence.storage_proofs {
        prove_slot(&account.storage_root, &slot.key, &slot.value, &slot.proof)?;
    }
    let [first, second] = evidence.storage_proofs.as_slice() else { return Err(differs("number of slots")) };
    let head = HeadSlot::unpack(&first.value);
    if (head.seq, head.size, second.value) != (evidence.seq, evidence.size, evidence.root) {
        return Err(differs("head"));
    }
    Ok(())
}

fn nodes(proof: Vec<alloy_primitives::Bytes>) -> Vec<HexBytes> {
    proof.into_iter().map(|node| HexBytes(node.to_vec())).collect()
}

/// The text of evidence, as it stands in files and bundles (RFC 8785).
///
/// # Errors
/// [`CaptureError::Form`].
pub fn text(evidence: &Evidence) -> Result<String, CaptureError> {
    let bytes = evidence::canonical::to_canonical(evidence).map_err(|error| CaptureError::Form(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| CaptureError::Form(error.to_string()))
}

/// Reads the text of evidence.
///
/// # Errors
/// [`CaptureError::Form`].
pub fn parse(text: &str) -> Result<Evidence, CaptureError> {
    serde_json::from_str(text).map_err(|error| CaptureError::Form(error.to_string()))
}

/// Writes `<seq>.json`; when it returns, file and name survive a crash.
///
/// CRASH: written again with the same bytes when the journal does not yet say `final`.
///
/// # Errors
/// [`CaptureError::Volume`].
pub fn keep(dir: &Path, seq: u64, text: &str) -> Result<(), CaptureError> {
    ensure_dir(dir)?;
    Ok(replace(&dir.join(format!("{seq}.json")), text.as_bytes())?)
}

/// Takes the file of a final anchor that the chain undid out of the way; it is renamed, never deleted.
///
/// # Errors
/// [`CaptureError::Volume`].
pub fn set_aside(dir: &Path, seq: u64) -> Result<(), CaptureError> {
    let path = dir.join(format!("{seq}.json"));
    let failed = |error| VolumeError::io(&path, error);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error).into()),
    };
    let block = parse(&text).map_or_else(|_| "unreadable".to_owned(), |evidence| evidence.block_hash.to_string());
    std::fs::rename(&path, dir.join(format!("{seq}.undone-{block}"))).map_err(failed)?;
    Ok(crate::volume::sync_dir(dir)?)
}
