#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use evidence::ids::{Epoch, Hash, LeafIndex, Sequence, TreeSize};
use evidence::leaf::LEAF_BYTES;
use tempfile::TempDir;

use super::{Record, Store, StoreError};
use crate::{
    group::{Addition, Stream},
    testlog::{ORIGIN, addition, signer, stream},
};

fn open(dir: &TempDir) -> Store {
    Store::open(dir.path(), &ORIGIN.parse().unwrap(), &signer().verifier().to_string()).unwrap()
}

/// A record with these leaves; root and checkpoint are of no account to the store.
fn record(store: &Store, first: u64, previous: Hash, additions: &[Addition]) -> Record {
    let mut leaves = Vec::new();
    for Addition { stream: (source, epoch), first, commitments } in additions {
        for (commitment, sequence) in commitments.iter().zip(first.get()..) {
            let sequence = Sequence::new(sequence);
            let leaf = evidence::leaf::Leaf { source: *source, epoch: *epoch, sequence, commitment: *commitment };
            leaves.extend_from_slice(&leaf.to_bytes());
        }
    }
    let size = TreeSize::new(first + u64::try_from(leaves.len() / LEAF_BYTES).unwrap());
    Record {
        lease: store.lease(),
        first: LeafIndex::new(first),
        leaves,
        size,
        root: Hash::new([1; 32]),
        range: vec![Hash::new([2; 32])],
        checkpoint: format!("checkpoint {size}"),
        previous,
    }
}

#[test]
fn what_is_appended_is_read_back() {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir);
    let other: Stream = (stream(1).0, Epoch::new(2));
    let first = record(&store, 0, Hash::new([0; 32]), &[addition(stream(1), 0, 3), addition(stream(2), 0, 2)]);
    store.append(&first, first.digest()).unwrap();
    let second = record(&store, 5, first.digest(), &[addition(stream(1), 3, 2), addition(other, 0, 1)]);
    store.append(&second, second.digest()).unwrap();

    let reader = store.reader().unwrap();
    let tip = reader.tip().unwrap().unwrap();
    assert_eq!((tip.size.get(), tip.digest), (8, second.digest()));
    assert_eq!(reader.record(first.size).unwrap().unwrap(), (first.clone(), first.digest()));
    assert_eq!(reader.record_after(first.size).unwrap().unwrap().0, second);
    for (index, checkpoint) in [(0, "checkpoint 5"), (4, "checkpoint 5"), (5, "checkpoint 8"), (7, "checkpoint 8")] {
        assert_eq!(reader.holding(LeafIndex::new(index)).unwrap().unwrap().checkpoint, checkpoint);
    }
    assert_eq!(reader.holding(LeafIndex::new(8)).unwrap(), None);
    assert_eq!(reader.at(TreeSize::new(6)).unwrap(), None);
    let leaf = reader.leaf(LeafIndex::new(6)).unwrap().unwrap();
    assert_eq!((leaf.source, leaf.sequence.get()), (stream(1).0, 4));
    let both = [first.leaves.as_slice(), &second.leaves].concat();
    assert_eq!(reader.leaves(LeafIndex::new(2), TreeSize::new(7)).unwrap(), &both[2 * LEAF_BYTES..7 * LEAF_BYTES],);
    let run = reader.run(stream(1).0, stream(1).1, Sequence::new(4)).unwrap().unwrap();
    assert_eq!((run.first.get(), run.index.get(), run.count), (3, 5, 2));
    assert_eq!(reader.run(stream(1).0, stream(1).1, Sequence::new(5)).unwrap(), None);
    let mut streams = reader.streams().unwrap();
    streams.sort();
    let expected = [(stream(1).0, Epoch::new(1), 5), (stream(1).0, Epoch::new(2), 1), (stream(2).0, Epoch::new(1), 2)];
    assert_eq!(streams, expected.map(|(source, epoch, next)| (source, epoch, Sequence::new(next))));
}

#[test]
fn a_record_that_does_not_follow_the_tip_is_not_written() {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir);
    let first = record(&store, 0, Hash::new([0; 32]), &[addition(stream(1), 0, 3)]);
    store.append(&first, first.digest()).unwrap();
    for bad in [
        record(&store, 2, first.digest(), &[addition(stream(1), 3, 1)]),
        record(&store, 3, Hash::new([9; 32]), &[addition(stream(1), 3, 1)]),
        record(&store, 0, Hash::new([0; 32]), &[addition(stream(1), 0, 4)]),
    ] {
        assert!(matches!(store.append(&bad, bad.digest()), Err(StoreError::Damaged { .. })));
    }
    assert_eq!(store.reader().unwrap().tip().unwrap().unwrap().size, first.size);
}

#[test]
fn a_lease_that_was_taken_ends_the_older_writer() {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir);
    let newer = open(&dir);
    assert_eq!(newer.lease(), store.lease() + 1);
    let first = record(&store, 0, Hash::new([0; 32]), &[addition(stream(1), 0, 3)]);
    assert!(matches!(store.append(&first, first.digest()), Err(StoreError::Fenced { .. })));
    assert_eq!(newer.reader().unwrap().tip().unwrap(), None);
}

#[test]
fn another_log_is_not_opened_and_its_lease_is_not_taken() {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir);
    let key = signer().verifier().to_string();
    for (origin, key) in [("log.example.org/other", key.as_str()), (ORIGIN, "another key")] {
        let opened = Store::open(dir.path(), &origin.parse().unwrap(), key);
        assert!(matches!(opened, Err(StoreError::OtherLog { .. })));
    }
    let first = record(&store, 0, Hash::new([0; 32]), &[addition(stream(1), 0, 3)]);
    store.append(&first, first.digest()).unwrap();
}

#[test]
fn a_tip_whose_checksum_differs_is_not_gone_on_from() {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir);
    let first = record(&store, 0, Hash::new([0; 32]), &[addition(stream(1), 0, 3)]);
    store.append(&first, first.digest()).unwrap();
    store.connection.execute("UPDATE records SET lease = lease + 1", []).unwrap();
    assert!(matches!(store.reader().unwrap().tip(), Err(StoreError::Damaged { size: 3, .. })));
}

#[test]
fn every_field_changes_the_digest() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let record = record(&store, 0, Hash::new([0; 32]), &[addition(stream(1), 0, 3)]);
    let changes: [fn(&mut Record); 8] = [
        |record| record.lease += 1,
        |record| record.first = LeafIndex::new(1),
        |record| record.leaves[70] ^= 1,
        |record| record.size = TreeSize::new(9),
        |record| record.root = Hash::new([3; 32]),
        |record| record.range.push(Hash::new([3; 32])),
        |record| record.checkpoint.push(' '),
        |record| record.previous = Hash::new([3; 32]),
    ];
    for change in changes {
        let mut changed = record.clone();
        change(&mut changed);
        assert_ne!(changed.digest(), record.digest());
    }
}
