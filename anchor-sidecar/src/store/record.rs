//! One group of leaves as it is written: the commit point of the log.

use evidence::{
    ids::{Epoch, Hash, LeafIndex, Sequence, SourceId, TreeSize},
    leaf::{LEAF_BYTES, Leaf},
};
use sha2::{Digest as _, Sha256};

/// First bytes of what a record's digest covers.
const DOMAIN: &[u8] = b"sealgate/record/v1\0";

/// One group of leaves, its place, and the signed state of the log after it.
///
/// INVARIANT: `size = first + number of leaves`, `size > first`, `root` is the RFC 6962 root at `size`,
/// `previous` is the digest of the record before (zeros for the first).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Lease epoch of the writer.
    pub lease: u64,
    /// Index of the first leaf.
    pub first: LeafIndex,
    /// The leaves, each [`LEAF_BYTES`] long, one after the other.
    pub leaves: Vec<u8>,
    /// Size of the tree after the group.
    pub size: TreeSize,
    /// Root of the tree after the group.
    pub root: Hash,
    /// Roots of the complete subtrees of that tree, largest first.
    pub range: Vec<Hash>,
    /// The signed checkpoint of that tree (C2SP signed note).
    pub checkpoint: String,
    /// Digest of the record before.
    pub previous: Hash,
}

impl Record {
    /// SHA-256 over every field: the record's checksum, and the next record's `previous`.
    pub fn digest(&self) -> Hash {
        let mut hasher = Sha256::new();
        hasher.update(DOMAIN);
        hasher.update(self.lease.to_be_bytes());
        hasher.update(self.first.get().to_be_bytes());
        hasher.update(self.size.get().to_be_bytes());
        hasher.update(self.root.as_bytes());
        hasher.update(self.previous.as_bytes());
        let range: Vec<u8> = self.range.iter().flat_map(|hash| *hash.as_bytes()).collect();
        for part in [&range, self.checkpoint.as_bytes(), &self.leaves] {
            hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(part);
        }
        Hash::new(hasher.finalize().into())
    }

    /// The leaves, parsed; `None` for one that is not a leaf.
    pub fn parsed_leaves(&self) -> impl Iterator<Item = Option<Leaf>> + '_ {
        self.leaves.chunks(LEAF_BYTES).map(|bytes| Leaf::from_bytes(bytes).ok())
    }

    /// The runs of its leaves, in order of index; leaves that do not parse end a run and belong to none.
    pub fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for (leaf, index) in self.parsed_leaves().zip(self.first.get()..) {
            let Some(leaf) = leaf else { continue };
            match runs.last_mut() {
                Some(run) if run.continued_by(&leaf, index) => run.count += 1,
                _ => runs.push(Run {
                    source: leaf.source,
                    epoch: leaf.epoch,
                    first: leaf.sequence,
                    index: LeafIndex::new(index),
                    count: 1,
                }),
            }
        }
        runs
    }
}

/// Leaves of one source and epoch that follow each other both in sequence and in the log, within one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The source.
    pub source: SourceId,
    /// The source's epoch.
    pub epoch: Epoch,
    /// Sequence number of the first leaf.
    pub first: Sequence,
    /// Index of the first leaf in the log.
    pub index: LeafIndex,
    /// Number of leaves; at least one.
    pub count: u64,
}

impl Run {
    fn continued_by(&self, leaf: &Leaf, index: u64) -> bool {
        self.source == leaf.source
            && self.epoch == leaf.epoch
            && self.first.get().checked_add(self.count) == Some(leaf.sequence.get())
            && self.index.get().checked_add(self.count) == Some(index)
    }

    /// Place of a sequence number in the run.
    pub fn offset_of(&self, sequence: Sequence) -> Option<u64> {
        sequence.get().checked_sub(self.first.get()).filter(|offset| *offset < self.count)
    }
}

/// The state of the log after a record, as far as the next record needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    /// Size of the tree.
    pub size: TreeSize,
    /// Root of the tree.
    pub root: Hash,
    /// Roots of its complete subtrees, largest first.
    pub range: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: String,
    /// Digest of the record.
    pub digest: Hash,
}
