#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed expectation is a failed test")]

use super::*;

/// RFC 9162, 2.1.1, by its definition.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

fn split(count: usize) -> usize {
    count.next_power_of_two() / 2
}

/// RFC 9162, 2.1.3.1.
fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut below, beside) = if index < left.len() {
        (path(index, left), root(right))
    } else {
        (path(index - left.len(), right), root(left))
    };
    below.push(beside);
    below
}

/// RFC 9162, 2.1.4.1.
fn growth(first: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if first == leaves.len() {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut below, beside) = if first <= left.len() {
        (growth(first, left, whole), root(right))
    } else {
        (growth(first - left.len(), right, false), root(left))
    };
    below.push(beside);
    below
}

#[test]
fn proofs_hold_and_no_other_root_does() {
    let leaves: Vec<Hash> = (0..20_u8).map(|one| leaf_hash(&[one])).collect();
    for size in 1..=leaves.len() {
        let tree = &leaves[..size];
        for (index, leaf) in tree.iter().enumerate() {
            let proof = path(index, tree);
            let check = |root, proof: &[Hash]| included(*leaf, index as u64, size as u64, root, proof);
            check(root(tree), &proof).unwrap();
            check([7; 32], &proof).unwrap_err();
            check(root(tree), &[proof, vec![[7; 32]]].concat()).unwrap_err();
        }
        for first in 1..=size {
            let proof = growth(first, tree, true);
            let check = |from, to| grew(first as u64, from, size as u64, to, &proof);
            check(root(&leaves[..first]), root(tree)).unwrap();
            check([7; 32], root(tree)).unwrap_err();
            check(root(&leaves[..first]), [7; 32]).unwrap_err();
        }
    }
}

#[test]
fn slots_carry() {
    let mut slot = [0xff; 32];
    slot[0] = 1;
    let mut following = [0; 32];
    following[0] = 2;
    assert_eq!(next(slot), following);
}
