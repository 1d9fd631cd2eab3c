//! What a receipt must be before it is kept (pure).

use evidence::checkpoint::{Checkpoint, CheckpointError};
use evidence::ids::{LeafIndex, Origin, TreeSize};
use evidence::note::NoteVerifier;

use super::wire::LeavesAnswer;
use crate::journal::{Dispatch, Receipt};

/// Why an answer of the log is no receipt; each of them means that the log cannot be trusted as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReceipt {
    /// The checkpoint is malformed, of another log, or not signed by the log's key.
    #[error("its checkpoint is not acceptable: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The size beside the checkpoint is another than the one that is signed.
    #[error("it names another size than its checkpoint")]
    Size,
    /// It is about none or more of the leaves than were sent.
    #[error("it counts other leaves than were sent")]
    Count,
    /// The leaves lie beyond the checkpoint that should cover them.
    #[error("its checkpoint does not cover the leaves")]
    Uncovered,
    /// The leaves lie before or among leaves that have a receipt.
    #[error("its leaves lie before those of the receipt before it")]
    Order,
    /// Its tree is smaller than that of the receipt before it, or of equal size with another root.
    #[error("its tree contradicts that of the receipt before it")]
    Contradiction,
}

/// The newest receipt that is kept, as far as the next must agree with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// The first index that a later leaf can have.
    pub(super) next_index: u64,
    pub(super) head: Checkpoint,
    pub(super) note: String,
}

impl Known {
    /// Reads a receipt that the journal holds; the signature is checked again.
    pub(super) fn from_receipt(receipt: &Receipt, origin: &Origin, log_key: &NoteVerifier) -> Result<Self, BadReceipt> {
        let opened = Checkpoint::open(&receipt.checkpoint, origin, log_key, &[])?;
        Ok(Self {
            next_index: receipt.first_index.get().saturating_add(receipt.batch.records()),
            head: opened.checkpoint,
            note: receipt.checkpoint.clone(),
        })
    }

    /// Index of the last leaf that it covers.
    pub(super) fn last_index(&self) -> LeafIndex {
        LeafIndex::new(self.next_index.saturating_sub(1))
    }
}

/// Checks the log's answer for a batch against the log's key, the batch, and the receipt before it.
pub(super) fn receipt(
    dispatch: &Dispatch,
    answer: LeavesAnswer,
    origin: &Origin,
    log_key: &NoteVerifier,
    before: Option<&Known>,
) -> Result<(Receipt, Known), BadReceipt> {
    let LeavesAnswer { first_index, count, size, checkpoint } = answer;
    let sent = dispatch.batch.records();
    let batch = dispatch.batch.prefix(count.map_or(sent, TreeSize::get)).ok_or(BadReceipt::Count)?;
    let head = Checkpoint::open(&checkpoint, origin, log_key, &[])?.checkpoint;
    if head.size != size {
        return Err(BadReceipt::Size);
    }
    let next_index = first_index.get().checked_add(batch.records()).ok_or(BadReceipt::Uncovered)?;
    if next_index > size.get() {
        return Err(BadReceipt::Uncovered);
    }
    if let Some(before) = before {
        if first_index.get() < before.next_index {
            return Err(BadReceipt::Order);
        }
        if head.size < before.head.size || (head.size == before.head.size && head.root != before.head.root) {
            return Err(BadReceipt::Contradiction);
        }
    }
    let known = Known { next_index, head, note: checkpoint.clone() };
    Ok((Receipt { batch, first_index, size, checkpoint }, known))
}

#[cfg(test)]
mod tests;
