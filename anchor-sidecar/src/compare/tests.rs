#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::sync::Arc;

use evidence::{
    checkpoint::Checkpoint,
    ids::{Hash, LeafIndex, TreeSize},
    merkle::{empty_root, leaf_hash, root_at},
    note::{KeyKind, NoteSigner},
};
use tempfile::TempDir;

use super::{Claim, CompareError, Comparison, Witness};
use crate::{
    nodes::Nodes,
    testlog::{ORIGIN, signer},
    tiles::Tiles,
};

fn comparison(leaves: u64, anchored: bool) -> (Comparison, Arc<Nodes>, TempDir) {
    let dir = TempDir::new().unwrap();
    let nodes = Nodes::empty(Tiles::of_log(dir.path()));
    nodes.append(&(0..leaves).map(|number| leaf_hash(&number.to_be_bytes())).collect::<Vec<_>>());
    let nodes = Arc::new(nodes);
    let comparison =
        Comparison::new(ORIGIN.parse().unwrap(), signer().verifier().clone(), Arc::clone(&nodes), anchored);
    (comparison, nodes, dir)
}

fn receipt(size: u64, root: Hash, index: u64, signer: &NoteSigner) -> Claim {
    let checkpoint = Checkpoint { origin: ORIGIN.parse().unwrap(), size: TreeSize::new(size), root };
    Claim::Receipt { index: LeafIndex::new(index), checkpoint: checkpoint.sign(signer).unwrap().to_string() }
}

#[test]
fn no_receipts_are_enough_on_a_new_log_and_on_one_without_a_chain() {
    for (leaves, anchored, enough) in [(0, true, true), (0, false, true), (9, false, true), (9, true, false)] {
        let (comparison, _, _dir) = comparison(leaves, anchored);
        assert_eq!(comparison.compare(&Claim::NoReceipts).unwrap().is_some(), enough, "{leaves} {anchored}");
    }
}

#[test]
fn a_receipt_within_the_log_is_enough() {
    let (comparison, nodes, _dir) = comparison(9, true);
    for size in 1..=9 {
        let root = root_at(&*nodes, TreeSize::new(size)).unwrap();
        assert!(comparison.compare(&receipt(size, root, size - 1, &signer())).unwrap().is_some());
    }
}

#[test]
fn whoever_has_seen_more_or_something_else_stops_the_log() {
    let (comparison, nodes, _dir) = comparison(9, true);
    let root = root_at(&*nodes, TreeSize::new(9)).unwrap();
    let behind = comparison.compare(&receipt(10, root, 0, &signer())).unwrap_err();
    assert!(matches!(behind, CompareError::Behind { witness: Witness::Source, .. }) && behind.is_fatal());
    let forked = comparison.compare(&receipt(8, root, 0, &signer())).unwrap_err();
    assert!(matches!(forked, CompareError::Forked { witness: Witness::Source, .. }) && forked.is_fatal());
    let chain = Claim::Chain { size: TreeSize::new(12), root };
    assert!(matches!(comparison.compare(&chain).unwrap_err(), CompareError::Behind { witness: Witness::Chain, .. }));
}

#[test]
fn a_strangers_receipt_refuses_the_peer_and_stops_nothing() {
    let (comparison, nodes, _dir) = comparison(9, true);
    let root = root_at(&*nodes, TreeSize::new(9)).unwrap();
    let stranger = NoteSigner::from_seed(ORIGIN, KeyKind::Ed25519, &[8; 32]).unwrap();
    let error = comparison.compare(&receipt(900, root, 0, &stranger)).unwrap_err();
    assert!(matches!(error, CompareError::NotOurs(_)) && !error.is_fatal());
    let beyond = comparison.compare(&receipt(9, root, 9, &signer())).unwrap_err();
    assert!(matches!(beyond, CompareError::IndexBeyond) && !beyond.is_fatal());
}

#[test]
fn a_fresh_registration_on_the_chain_is_an_answer() {
    let (comparison, _, _dir) = comparison(9, true);
    let chain = Claim::Chain { size: TreeSize::new(0), root: empty_root() };
    assert!(comparison.compare(&chain).unwrap().is_some());
}
