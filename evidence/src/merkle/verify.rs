//! Checking proofs: the algorithms of RFC 9162 section 2.1.3.2 and 2.1.4.2, told by counting.

use super::{MerkleError, empty_root, node_hash};
use crate::ids::{Hash, LeafIndex, TreeSize};

/// Checks that a leaf is in a tree.
///
/// # Errors
/// [`MerkleError`], which says what differs.
pub fn verify_inclusion(
    leaf_hash: &Hash,
    index: LeafIndex,
    size: TreeSize,
    path: &[Hash],
    root: &Hash,
) -> Result<(), MerkleError> {
    must_equal(root_from_inclusion(leaf_hash, index, size, path)?, root)
}

/// The root that an inclusion proof leads to.
///
/// # Errors
/// [`MerkleError::IndexBeyondSize`] and [`MerkleError::WrongLength`].
pub fn root_from_inclusion(
    leaf_hash: &Hash,
    index: LeafIndex,
    size: TreeSize,
    path: &[Hash],
) -> Result<Hash, MerkleError> {
    if index.get() >= size.get() {
        return Err(MerkleError::IndexBeyondSize { index, size });
    }
    let shape = Shape::of(index.get(), size.get());
    let needed = shape.inner + shape.border;
    if path.len() != needed {
        return Err(MerkleError::WrongLength { found: path.len(), needed });
    }
    let (inner, border) = path.split_at_checked(shape.inner).unwrap_or((path, &[]));
    let hash = climb(*leaf_hash, inner, index.get());
    Ok(border.iter().fold(hash, |right, left| node_hash(left, &right)))
}

/// Checks that a tree is the beginning of another.
///
/// From the empty tree, whose root must be `SHA-256("")`, every tree grows by an empty proof; between equal
/// sizes the roots must be equal and the proof empty.
///
/// # Errors
/// [`MerkleError`], which says what differs.
pub fn verify_consistency(
    from: TreeSize,
    from_root: &Hash,
    to: TreeSize,
    to_root: &Hash,
    path: &[Hash],
) -> Result<(), MerkleError> {
    if from > to {
        return Err(MerkleError::Shrunk { from, to });
    }
    if from.get() == 0 || from == to {
        if !path.is_empty() {
            return Err(MerkleError::WrongLength { found: path.len(), needed: 0 });
        }
        if from.get() == 0 {
            must_equal(empty_root(), from_root)?;
        }
        if to.get() == 0 {
            must_equal(empty_root(), to_root)?;
        }
        return if from == to { must_equal(*from_root, to_root) } else { Ok(()) };
    }

    // The path climbs from the last complete subtree of the first tree. Where that is the whole first
    // tree, its root stands for it and is left out of the path.
    let last = from.get() - 1;
    let shape = Shape::of(last, to.get());
    let level = from.get().trailing_zeros() as usize;
    let rise = shape.inner.saturating_sub(level);
    let whole = from.get().is_power_of_two();
    let needed = usize::from(!whole) + rise + shape.border;
    let wrong_length = MerkleError::WrongLength { found: path.len(), needed };
    if path.len() != needed {
        return Err(wrong_length);
    }
    let (seed, path) = if whole { (from_root, path) } else { path.split_first().ok_or(wrong_length)? };
    let (inner, border) = path.split_at_checked(rise).ok_or(wrong_length)?;
    let position = last >> level;

    let first = inner
        .iter()
        .enumerate()
        .filter(|(height, _)| (position >> height) & 1 == 1)
        .fold(*seed, |right, (_, left)| node_hash(left, &right));
    let first = border.iter().fold(first, |right, left| node_hash(left, &right));
    must_equal(first, from_root)?;

    let second = climb(*seed, inner, position);
    let second = border.iter().fold(second, |right, left| node_hash(left, &right));
    must_equal(second, to_root)
}

/// How the way from a leaf to the root goes: first `inner` levels beside subtrees on either side, then
/// along the right border, where only left siblings are.
struct Shape {
    inner: usize,
    border: usize,
}

impl Shape {
    /// For `index` < `size`.
    const fn of(index: u64, size: u64) -> Self {
        let inner = (u64::BITS - (index ^ (size - 1)).leading_zeros()) as usize;
        let border = match index.checked_shr(inner as u32) {
            Some(rest) => rest.count_ones() as usize,
            None => 0,
        };
        Self { inner, border }
    }
}

/// Hashes from a node upwards; a set bit of `position` says that the node is a right child.
fn climb(from: Hash, siblings: &[Hash], position: u64) -> Hash {
    siblings.iter().enumerate().fold(from, |hash, (height, sibling)| {
        if (position >> height) & 1 == 1 { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) }
    })
}

fn must_equal(computed: Hash, expected: &Hash) -> Result<(), MerkleError> {
    if computed == *expected { Ok(()) } else { Err(MerkleError::RootDiffers { computed, expected: *expected }) }
}
