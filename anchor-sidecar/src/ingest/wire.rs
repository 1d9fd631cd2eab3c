//! Bodies of the write side: parsed once, unknown keys refused.

use evidence::ids::{Commitment, Epoch, LeafIndex, LogId, Origin, Sequence, SourceId, TreeSize};
use serde::{Deserialize, Serialize};

use crate::{compare::Claim, group::Addition};

/// Why a body is refused.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Not the JSON object that the path takes.
    #[error("the body is not what this path takes: {0}")]
    Json(#[from] serde_json::Error),
    /// No commitment, or more than one request may hold.
    #[error("a request holds 1 to {limit} commitments")]
    Count {
        /// The most that are allowed.
        limit: usize,
    },
    /// Sequence numbers that SQLite cannot hold.
    #[error("sequence numbers end at 2^63-1")]
    SequenceTooLarge,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeavesBody {
    source: SourceId,
    epoch: Epoch,
    first: Sequence,
    commitments: Vec<Commitment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeafBody {
    source: SourceId,
    epoch: Epoch,
    sequence: Sequence,
    commitment: Commitment,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HelloBody {
    source: SourceId,
    epoch: Epoch,
    #[serde(deserialize_with = "Option::deserialize")]
    last_receipt: Option<ReceiptBody>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiptBody {
    index: LeafIndex,
    checkpoint: String,
}

/// Body of `POST /v1/leaves`.
///
/// # Errors
/// [`WireError`].
pub fn leaves(body: &[u8], limit: usize) -> Result<Addition, WireError> {
    let LeavesBody { source, epoch, first, commitments } = serde_json::from_slice(body)?;
    addition(Addition { stream: (source, epoch), first, commitments }, limit)
}

/// Body of `POST /v1/leaf`.
///
/// # Errors
/// [`WireError`].
pub fn leaf(body: &[u8]) -> Result<Addition, WireError> {
    let LeafBody { source, epoch, sequence, commitment } = serde_json::from_slice(body)?;
    addition(Addition { stream: (source, epoch), first: sequence, commitments: vec![commitment] }, 1)
}

fn addition(addition: Addition, limit: usize) -> Result<Addition, WireError> {
    if addition.commitments.is_empty() || addition.commitments.len() > limit {
        return Err(WireError::Count { limit });
    }
    let count = u64::try_from(addition.commitments.len()).unwrap_or(u64::MAX);
    match addition.first.get().checked_add(count) {
        Some(end) if i64::try_from(end).is_ok() => Ok(addition),
        Some(_) | None => Err(WireError::SequenceTooLarge),
    }
}

/// Body of `POST /v1/hello`: who greets, and what it has seen.
///
/// # Errors
/// [`WireError`].
pub fn hello(body: &[u8]) -> Result<(SourceId, Epoch, Claim), WireError> {
    let HelloBody { source, epoch, last_receipt } = serde_json::from_slice(body)?;
    let claim = match last_receipt {
        None => Claim::NoReceipts,
        Some(ReceiptBody { index, checkpoint }) => Claim::Receipt { index, checkpoint },
    };
    Ok((source, epoch, claim))
}

/// Answer of `POST /v1/hello`.
#[derive(Debug, Serialize)]
pub struct HelloAnswer {
    /// The log's id in the contract, where it is anchored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_id: Option<LogId>,
    /// The log's origin.
    pub origin: Origin,
    /// Leaves in the log.
    pub size: TreeSize,
}

/// Answer of `POST /v1/leaves`: the receipt of the first `count` leaves; the source sends the others again.
#[derive(Debug, Serialize)]
pub struct LeavesAnswer<'a> {
    /// Index of the first leaf.
    pub first_index: LeafIndex,
    /// Leaves that this receipt is about, from the first on; fewer than sent only when some were recorded before.
    pub count: TreeSize,
    /// Size of the checkpoint's tree.
    pub size: TreeSize,
    /// The signed checkpoint that covers them.
    pub checkpoint: &'a str,
}

/// Answer of `POST /v1/leaf`: a receipt that can be checked at once.
#[derive(Debug, Serialize)]
pub struct LeafAnswer<'a> {
    /// Index of the leaf.
    pub index: LeafIndex,
    /// Its inclusion proof in the checkpoint's tree.
    pub inclusion: Vec<evidence::ids::Hash>,
    /// The signed checkpoint.
    pub checkpoint: &'a str,
}

/// Every error of the write side.
#[derive(Debug, Serialize)]
pub struct ErrorAnswer {
    /// What went wrong, in kebab case, for programs.
    pub error: &'static str,
    /// The same as a sentence.
    pub message: String,
    /// The sequence number that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
    /// The sequence number that the log needs next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Sequence>,
}

#[cfg(test)]
mod tests;
