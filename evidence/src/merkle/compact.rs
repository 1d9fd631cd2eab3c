//! The right edge of a growing tree.

use super::{MerkleError, empty_root, node_hash};
use crate::ids::{Hash, LeafIndex, TreeSize};

/// What a log must keep to append: its size, and the root of each complete subtree that its size is the sum of.
///
/// For 2^n leaves that is one hash, for any size at most 64. A log that stores size and peaks starts
/// again without reading a single leaf.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompactRange {
    size: u64,
    /// The roots of the complete subtrees, largest (leftmost) first: one for each bit that is set in `size`.
    peaks: Vec<Hash>,
}

impl CompactRange {
    /// The tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// Continues a tree from what [`Self::size`] and [`Self::peaks`] gave.
    ///
    /// # Errors
    /// [`MerkleError::WrongPeaks`] where the number of peaks is not the number of bits set in the size.
    pub fn from_peaks(size: TreeSize, peaks: Vec<Hash>) -> Result<Self, MerkleError> {
        let needed = size.get().count_ones() as usize;
        if peaks.len() == needed {
            Ok(Self { size: size.get(), peaks })
        } else {
            Err(MerkleError::WrongPeaks { size, found: peaks.len(), needed })
        }
    }

    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        TreeSize::new(self.size)
    }

    /// The roots of the complete subtrees, largest first.
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Appends the hash of a leaf and gives the leaf's index.
    ///
    /// # Errors
    /// [`MerkleError::Full`] after 2^64 − 1 leaves.
    pub fn append(&mut self, leaf_hash: Hash) -> Result<LeafIndex, MerkleError> {
        self.append_visiting(leaf_hash, |_, _, _| {})
    }

    /// Appends the hash of a leaf and shows every complete subtree that it completes, the leaf itself first.
    ///
    /// `visit` gets (level, index at that level, hash): what [`super::NodeSource::node`] must answer later.
    ///
    /// # Errors
    /// [`MerkleError::Full`] after 2^64 − 1 leaves.
    pub fn append_visiting(
        &mut self,
        leaf_hash: Hash,
        mut visit: impl FnMut(u8, u64, Hash),
    ) -> Result<LeafIndex, MerkleError> {
        let index = self.size;
        let size = index.checked_add(1).ok_or(MerkleError::Full)?;
        let (mut hash, mut level, mut position) = (leaf_hash, 0_u8, index);
        visit(level, position, hash);
        while position & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            level += 1;
            position >>= 1;
            visit(level, position, hash);
        }
        self.peaks.push(hash);
        self.size = size;
        Ok(LeafIndex::new(index))
    }

    /// Appends the hashes of leaves in their order and gives the index of the first.
    ///
    /// # Errors
    /// [`MerkleError::Full`] after 2^64 − 1 leaves; those before are then appended.
    pub fn append_all(&mut self, leaf_hashes: impl IntoIterator<Item = Hash>) -> Result<LeafIndex, MerkleError> {
        let first = LeafIndex::new(self.size);
        for hash in leaf_hashes {
            self.append(hash)?;
        }
        Ok(first)
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(smallest) = peaks.next() else { return empty_root() };
        peaks.fold(*smallest, |right, left| node_hash(left, &right))
    }
}
