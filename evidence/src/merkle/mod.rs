//! The tree of RFC 6962 section 2.1, with SHA-256.
//!
//! Building: [`CompactRange`] appends and gives roots; [`inclusion_path`] and [`consistency_path`] make
//! proofs from stored nodes. Checking: [`verify_inclusion`] and [`verify_consistency`].

use sha2::{Digest, Sha256};

use crate::ids::{Hash, LeafIndex, TreeSize};

mod compact;
mod prove;
pub mod tile;
mod verify;

#[cfg(test)]
mod tests;

pub use compact::CompactRange;
pub use prove::{NodeSource, consistency_path, inclusion_path, root_at};
pub use verify::{root_from_inclusion, verify_consistency, verify_inclusion};

/// Why a proof does not hold, or cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// The leaf lies outside the tree.
    #[error("leaf {index} is not in a tree of {size} leaves")]
    IndexBeyondSize {
        /// The leaf.
        index: LeafIndex,
        /// The tree.
        size: TreeSize,
    },
    /// The first tree is larger than the second.
    #[error("a tree of {from} leaves cannot have grown into one of {to}")]
    Shrunk {
        /// The first tree.
        from: TreeSize,
        /// The second tree.
        to: TreeSize,
    },
    /// The proof has another number of hashes than these sizes need.
    #[error("the proof has {found} hashes where these sizes need {needed}")]
    WrongLength {
        /// How many it has.
        found: usize,
        /// How many it must have.
        needed: usize,
    },
    /// The proof leads to another root.
    #[error("the proof leads to root {computed}, not to {expected}")]
    RootDiffers {
        /// The root that the proof leads to.
        computed: Hash,
        /// The root that it should lead to.
        expected: Hash,
    },
    /// The number of peaks does not fit the size.
    #[error("a tree of {size} leaves has {needed} peaks, not {found}")]
    WrongPeaks {
        /// The tree.
        size: TreeSize,
        /// How many were given.
        found: usize,
        /// How many it has.
        needed: usize,
    },
    /// The tree can hold no more leaves.
    #[error("the tree is full")]
    Full,
}

/// The root of the tree without leaves: `SHA-256("")`.
#[must_use]
pub fn empty_root() -> Hash {
    Hash::new(Sha256::digest([]).into())
}

/// The hash of a leaf: `SHA-256(0x00 ‖ entry)`.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash::new(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
}

/// The hash of an inner node: `SHA-256(0x01 ‖ left ‖ right)`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash::new(Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into())
}
