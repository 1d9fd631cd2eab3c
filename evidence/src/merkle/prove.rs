//! Proofs from stored nodes.

use super::{MerkleError, empty_root, node_hash};
use crate::ids::{Hash, LeafIndex, TreeSize};

/// Where the hashes of complete subtrees are found.
pub trait NodeSource {
    /// What goes wrong when a node cannot be read; it also carries a question that makes no sense.
    type Error: From<MerkleError>;

    /// The root of the complete subtree over the leaves `index × 2^level .. (index + 1) × 2^level`.
    ///
    /// It is asked for subtrees only that lie wholly within the tree.
    ///
    /// # Errors
    /// Where the node cannot be read.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// The root of the first `size` leaves.
///
/// # Errors
/// What the source answers.
pub fn root_at<S: NodeSource + ?Sized>(source: &S, size: TreeSize) -> Result<Hash, S::Error> {
    if size.get() == 0 { Ok(empty_root()) } else { range_root(source, 0, size.get()) }
}

/// The inclusion proof of a leaf in the tree of `size` leaves: PATH(m, D\[n\]) of RFC 6962 section 2.1.1.
///
/// # Errors
/// [`MerkleError::IndexBeyondSize`], or what the source answers.
pub fn inclusion_path<S: NodeSource + ?Sized>(
    source: &S,
    index: LeafIndex,
    size: TreeSize,
) -> Result<Vec<Hash>, S::Error> {
    if index.get() >= size.get() {
        return Err(MerkleError::IndexBeyondSize { index, size }.into());
    }
    let (mut begin, mut end) = (0, size.get());
    let mut path = Vec::new();
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index.get() < middle {
            path.push(range_root(source, middle, end)?);
            end = middle;
        } else {
            path.push(range_root(source, begin, middle)?);
            begin = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The consistency proof between two sizes: PROOF(m, D\[n\]) of RFC 6962 section 2.1.2.
///
/// Empty where the first tree is empty or the sizes are equal.
///
/// # Errors
/// [`MerkleError::Shrunk`], or what the source answers.
pub fn consistency_path<S: NodeSource + ?Sized>(
    source: &S,
    from: TreeSize,
    to: TreeSize,
) -> Result<Vec<Hash>, S::Error> {
    if from > to {
        return Err(MerkleError::Shrunk { from, to }.into());
    }
    if from.get() == 0 || from == to {
        return Ok(Vec::new());
    }
    // SUBPROOF(m, D[begin..end], b), told from the top down.
    let (mut begin, mut end, size) = (0, to.get(), from.get());
    let mut path = Vec::new();
    while end != size {
        let middle = begin + split(end - begin);
        if size <= middle {
            path.push(range_root(source, middle, end)?);
            end = middle;
        } else {
            path.push(range_root(source, begin, middle)?);
            begin = middle;
        }
    }
    if begin > 0 {
        path.push(range_root(source, begin, end)?);
    }
    path.reverse();
    Ok(path)
}

/// The largest power of two that is smaller than `n`, for `n` > 1.
const fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// MTH(D\[begin..end\]) for a range that is not empty, as the recursions of RFC 6962 make them: `begin` is a
/// multiple of the smallest power of two that is not smaller than the range.
fn range_root<S: NodeSource + ?Sized>(source: &S, begin: u64, end: u64) -> Result<Hash, S::Error> {
    let mut peaks = Vec::new();
    let mut position = begin;
    while position < end {
        let level = (end - position).ilog2();
        // INVARIANT: `level` is below 64.
        peaks.push(source.node(u8::try_from(level).unwrap_or(u8::MAX), position >> level)?);
        position += 1 << level;
    }
    let mut peaks = peaks.into_iter().rev();
    let smallest = peaks.next().unwrap_or_else(empty_root);
    Ok(peaks.fold(smallest, |right, left| node_hash(&left, &right)))
}
