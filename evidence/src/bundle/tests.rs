#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use super::*;
use crate::ids::{Commitment, Epoch, Sequence, SourceId};

fn record(index: u64) -> Record {
    let leaf = Leaf {
        source: SourceId::new([1; 16]),
        epoch: Epoch::new(0),
        sequence: Sequence::new(index),
        commitment: Commitment::new([2; 32]),
    };
    Record { event: None, salt: None, leaf, index: LeafIndex::new(index), inclusion: vec![Hash::new([0; 32])] }
}

fn bundle(indices: &[u64]) -> ProofBundle {
    ProofBundle::new(None, indices.iter().copied().map(record).collect(), "note\n".to_owned())
}

#[test]
fn a_bundle_reads_back_with_one_newline_at_most() {
    let bytes = bundle(&[3, 7]).to_canonical().unwrap();
    assert_eq!(ProofBundle::parse(&bytes).unwrap(), bundle(&[3, 7]));
    let line = [bytes.as_slice(), b"\n"].concat();
    assert_eq!(ProofBundle::parse(&line).unwrap(), bundle(&[3, 7]));
    for wrong in [[b" ", bytes.as_slice()].concat(), [line.as_slice(), b"\n"].concat(), bytes[1..].to_vec()] {
        assert!(ProofBundle::parse(&wrong).is_err());
    }
}

#[test]
fn records_stand_in_the_order_of_the_log() {
    for wrong in [[].as_slice(), &[7, 3], &[3, 3]] {
        assert_eq!(bundle(wrong).to_canonical(), Err(BundleError::Records));
    }
}

#[test]
fn bundles_of_one_checkpoint_merge() {
    let merged = ProofBundle::merge(vec![bundle(&[7]), bundle(&[3, 9])]).unwrap();
    assert_eq!(merged, bundle(&[3, 7, 9]));
    assert_eq!(ProofBundle::merge(vec![bundle(&[7]), bundle(&[7])]), Err(BundleError::Records));
    assert_eq!(ProofBundle::merge(Vec::new()), Err(BundleError::Records));
    let mut other = bundle(&[3]);
    other.checkpoint = "another\n".to_owned();
    assert_eq!(ProofBundle::merge(vec![bundle(&[7]), other]), Err(BundleError::Unlike));
}

#[test]
fn a_record_exports_as_c2sp_tlog_proof() {
    assert_eq!(
        record(5).to_tlog_proof("origin\n6\nroot\n\n\u{2014} sig\n"),
        "c2sp.org/tlog-proof@v1\nindex 5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\norigin\n6\nroot\n\n\u{2014} sig\n"
    );
}
