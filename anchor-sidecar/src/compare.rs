//! The start-up comparison: is the log on this volume at least as new as what others have seen of it?
//!
//! Until one external source has answered, nothing is sequenced and nothing signed. Later answers are compared as
//! well: whoever has seen more than the volume holds, or something else, stops the sidecar.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use evidence::{
    checkpoint::{Checkpoint, CheckpointError},
    ids::{Hash, LeafIndex, Origin, TreeSize},
    merkle::root_at,
    note::NoteVerifier,
};

use crate::nodes::{NodeError, Nodes};

/// What to do when the volume is behind; also in docs/operations.
pub const RECOVERY: &str = "this volume was restored from an old copy or belongs to another log: stop everything that \
    writes to it, put back the newest copy of log.dir (or the volume that the other side has seen), run \
    `anchor-sidecar fsck`, and start again; if no newer copy exists, start a new log under a new origin and register \
    it, because this one may never be continued from here";

/// The permission to sequence and sign: somebody outside has been heard, and the volume is not behind.
///
/// INVARIANT: only [`Comparison::compare`] makes it.
#[derive(Debug)]
pub struct Compared(());

/// Who says something about the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Witness {
    /// A source, by its last receipt.
    Source,
    /// The contract's head.
    Chain,
}

impl std::fmt::Display for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Source => "a source's receipt",
            Self::Chain => "the chain",
        })
    }
}

/// What somebody outside has seen of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// A source has no receipt yet.
    NoReceipts,
    /// A source's last receipt: a leaf's index and the signed checkpoint that covers it.
    Receipt {
        /// Index of the leaf.
        index: LeafIndex,
        /// The checkpoint's text.
        checkpoint: String,
    },
    /// The head that the contract stores.
    Chain {
        /// Size of the anchored tree; 0 on a fresh registration.
        size: TreeSize,
        /// Its root.
        root: Hash,
    },
}

/// Why a claim does not let the log run.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The volume holds less than others have seen. The sidecar must stop.
    #[error("{witness} has seen size {seen}, but this volume ends at size {ours}: {RECOVERY}")]
    Behind {
        /// Who has seen more.
        witness: Witness,
        /// Size that it has seen.
        seen: TreeSize,
        /// Size of the log on this volume.
        ours: TreeSize,
    },
    /// The volume holds something else. The sidecar must stop.
    #[error("{witness} has seen another root at size {size}: {RECOVERY}")]
    Forked {
        /// Who has seen another root.
        witness: Witness,
        /// Size at which they differ.
        size: TreeSize,
    },
    /// The receipt is not one of this log; the peer is refused, the log goes on.
    #[error("the receipt is not of this log: {0}")]
    NotOurs(#[from] CheckpointError),
    /// The receipt contradicts itself; the peer is refused, the log goes on.
    #[error("the receipt's index lies beyond its checkpoint")]
    IndexBeyond,
    /// The tree cannot be read. The sidecar must stop.
    #[error(transparent)]
    Node(#[from] NodeError),
}

impl CompareError {
    /// Whether the sidecar must stop.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Behind { .. } | Self::Forked { .. } | Self::Node(_) => true,
            Self::NotOurs(_) | Self::IndexBeyond => false,
        }
    }
}

/// Compares what others say with the log on this volume.
#[derive(Debug)]
pub struct Comparison {
    origin: Origin,
    key: NoteVerifier,
    nodes: Arc<Nodes>,
    anchored: bool,
}

impl Comparison {
    /// A comparison with the tree in `nodes`; `anchored` when a chain is configured.
    pub fn new(origin: Origin, key: NoteVerifier, nodes: Arc<Nodes>, anchored: bool) -> Self {
        Self { origin, key, nodes, anchored }
    }

    /// Compares one claim; `None` when it is no reason to stop but not enough to begin either.
    ///
    /// "No receipts yet" is enough on a new log, and on a log without a chain, where nobody else can be asked. On an
    /// anchored log that has leaves it is not: the chain, or a source with a receipt, must be heard.
    ///
    /// # Errors
    /// [`CompareError`]; see [`CompareError::is_fatal`].
    pub fn compare(&self, claim: &Claim) -> Result<Option<Compared>, CompareError> {
        match claim {
            Claim::NoReceipts => {
                let enough = self.nodes.size().get() == 0 || !self.anchored;
                Ok(enough.then_some(Compared(())))
            }
            Claim::Receipt { index, checkpoint } => {
                let seen = Checkpoint::open(checkpoint, &self.origin, &self.key, &[])?.checkpoint;
                if index.get() >= seen.size.get() {
                    return Err(CompareError::IndexBeyond);
                }
                self.holds(Witness::Source, seen.size, seen.root)
            }
            Claim::Chain { size, root } => self.holds(Witness::Chain, *size, *root),
        }
    }

    fn holds(&self, witness: Witness, size: TreeSize, root: Hash) -> Result<Option<Compared>, CompareError> {
        let ours = self.nodes.size();
        if size > ours {
            return Err(CompareError::Behind { witness, seen: size, ours });
        }
        if root_at(&*self.nodes, size)? != root {
            return Err(CompareError::Forked { witness, size });
        }
        Ok(Some(Compared(())))
    }
}
