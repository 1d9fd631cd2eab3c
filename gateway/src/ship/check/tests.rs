#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use evidence::ids::{Commitment, Epoch, Hash, Sequence, SourceId};
use evidence::note::{KeyKind, NoteSigner};

use super::*;
use crate::journal::Batch;

fn log(seed: u8) -> NoteSigner {
    NoteSigner::from_seed("log.example/hospital", KeyKind::Ed25519, &[seed; 32]).unwrap()
}

fn note(signer: &NoteSigner, origin: &str, size: u64, root: u8) -> String {
    let head =
        Checkpoint { origin: Origin::new(origin).unwrap(), size: TreeSize::new(size), root: Hash::new([root; 32]) };
    head.sign(signer).unwrap().to_string()
}

fn dispatch(records: u64) -> Dispatch {
    Dispatch {
        batch: Batch::of(1, records),
        source: SourceId::new([1; 16]),
        epoch: Epoch::new(1),
        first: Sequence::new(0),
        commitments: (0..records).map(|_| Commitment::new([2; 32])).collect(),
    }
}

/// A log of 100 leaves of which the last 3 are ours, after a receipt that ended at index 96 in a tree of 97.
struct Case {
    first_index: u64,
    count: Option<u64>,
    size: u64,
    note: String,
}

fn good() -> Case {
    Case { first_index: 97, count: None, size: 100, note: note(&log(1), "log.example/hospital", 100, 9) }
}

fn check(case: Case) -> Result<(Receipt, Known), BadReceipt> {
    let origin = Origin::new("log.example/hospital").unwrap();
    let before = Known {
        next_index: 97,
        head: Checkpoint { origin: origin.clone(), size: TreeSize::new(97), root: Hash::new([8; 32]) },
        note: String::new(),
    };
    let answer = LeavesAnswer {
        first_index: LeafIndex::new(case.first_index),
        count: case.count.map(TreeSize::new),
        size: TreeSize::new(case.size),
        checkpoint: case.note,
    };
    receipt(&dispatch(3), answer, &origin, log(1).verifier(), Some(&before))
}

#[test]
fn a_good_receipt_is_kept_as_it_came() {
    let (receipt, known) = check(good()).unwrap();
    assert_eq!((receipt.batch, receipt.first_index.get(), receipt.size.get()), (Batch::of(1, 3), 97, 100));
    assert_eq!(receipt.checkpoint, good().note);
    assert_eq!((known.next_index, known.last_index().get()), (100, 99));

    let (part, known) = check(Case { count: Some(1), ..good() }).unwrap();
    assert_eq!((part.batch, known.next_index), (Batch::of(1, 1), 98));
}

#[test]
fn whatever_is_no_receipt_is_refused() {
    let origin = "log.example/hospital";
    let cases = [
        ("another key", Case { note: note(&log(2), origin, 100, 9), ..good() }),
        ("another origin", Case { note: note(&log(1), "log.example/clinic", 100, 9), ..good() }),
        ("no note", Case { note: "100".to_owned(), ..good() }),
        ("a changed size", Case { note: good().note.replacen("100", "101", 1), size: 101, ..good() }),
        ("another size beside it", Case { size: 99, ..good() }),
        ("none counted", Case { count: Some(0), ..good() }),
        ("more counted", Case { count: Some(4), ..good() }),
        ("not covered", Case { first_index: 98, ..good() }),
        ("beyond all indices", Case { first_index: u64::MAX, ..good() }),
        ("before the last receipt", Case { first_index: 96, ..good() }),
        ("smaller tree", Case { count: Some(1), size: 96, note: note(&log(1), origin, 96, 9), first_index: 95 }),
        (
            "same size, other root",
            Case { count: Some(1), first_index: 97, size: 97, note: note(&log(1), origin, 97, 9) },
        ),
    ];
    let found: Vec<(&str, Option<BadReceipt>)> =
        cases.into_iter().map(|(name, case)| (name, check(case).err())).collect();
    for (name, bad) in &found {
        assert!(bad.is_some(), "{name} was accepted");
    }
    let kind = |name: &str| found.iter().find(|(found, _)| *found == name).and_then(|(_, bad)| bad.clone()).unwrap();
    assert!(matches!(kind("another key"), BadReceipt::Checkpoint(CheckpointError::Note(_))));
    assert!(matches!(kind("another origin"), BadReceipt::Checkpoint(CheckpointError::Origin { .. })));
    assert_eq!(kind("another size beside it"), BadReceipt::Size);
    assert_eq!(kind("more counted"), BadReceipt::Count);
    assert_eq!(kind("not covered"), BadReceipt::Uncovered);
    assert_eq!(kind("before the last receipt"), BadReceipt::Order);
}

#[test]
fn a_tree_that_contradicts_the_one_before_is_refused() {
    let origin = Origin::new("log.example/hospital").unwrap();
    let before = |size, root| Known {
        next_index: 10,
        head: Checkpoint { origin: origin.clone(), size: TreeSize::new(size), root: Hash::new([root; 32]) },
        note: String::new(),
    };
    let answer = || LeavesAnswer {
        first_index: LeafIndex::new(20),
        count: None,
        size: TreeSize::new(100),
        checkpoint: good().note,
    };
    let check = |before: Known| receipt(&dispatch(3), answer(), &origin, log(1).verifier(), Some(&before)).err();
    assert_eq!(check(before(100, 9)), None);
    assert_eq!(check(before(100, 8)), Some(BadReceipt::Contradiction));
    assert_eq!(check(before(101, 9)), Some(BadReceipt::Contradiction));
}
