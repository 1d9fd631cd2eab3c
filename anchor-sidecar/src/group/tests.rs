#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::{collections::HashMap, convert::Infallible};

use evidence::{
    ids::{Commitment, LeafIndex, Sequence},
    leaf::LEAF_BYTES,
};
use proptest::prelude::*;

use super::{Addition, Covered, Group, Recorded, Refused, Stream, Verdict};
use crate::{
    store::{Record, Run},
    testlog::{addition, stream},
};

/// A log in memory: what the store would hold.
#[derive(Default)]
struct Memory {
    leaves: Vec<u8>,
    runs: Vec<Run>,
    next: HashMap<Stream, u64>,
}

impl Recorded for Memory {
    type Error = Infallible;

    fn run(&self, (source, epoch): Stream, sequence: Sequence) -> Result<Option<Run>, Infallible> {
        let holds = |run: &&Run| (run.source, run.epoch) == (source, epoch) && run.offset_of(sequence).is_some();
        Ok(self.runs.iter().find(holds).copied())
    }

    fn leaves(&self, from: LeafIndex, count: u64) -> Result<Vec<u8>, Infallible> {
        let (from, count) = (usize::try_from(from.get()).unwrap(), usize::try_from(count).unwrap());
        Ok(self.leaves[from * LEAF_BYTES..(from + count) * LEAF_BYTES].to_vec())
    }
}

impl Memory {
    /// Records one group of additions; gives each verdict in the order asked, `None` for those given back.
    fn record(&mut self, additions: &[Addition]) -> Vec<Option<Verdict>> {
        let first = u64::try_from(self.leaves.len() / LEAF_BYTES).unwrap();
        let mut next = self.next.clone();
        let mut group = Group::new(LeafIndex::new(first));
        for (number, addition) in additions.iter().enumerate() {
            // An addition that comes too early is given back; these tests do not ask again.
            let _ = group.take(addition.clone(), number, &mut next, self).unwrap();
        }
        let leaves = group.leaves().to_vec();
        let runs = record(first, &leaves).runs();
        let mut verdicts = vec![None; additions.len()];
        for (number, verdict) in group.close() {
            verdicts[number] = Some(verdict);
        }
        self.leaves.extend(leaves);
        self.runs.extend(runs);
        self.next = next;
        verdicts
    }
}

fn record(first: u64, leaves: &[u8]) -> Record {
    Record {
        lease: 1,
        first: LeafIndex::new(first),
        leaves: leaves.to_vec(),
        size: evidence::ids::TreeSize::new(first + u64::try_from(leaves.len() / LEAF_BYTES).unwrap()),
        root: evidence::ids::Hash::new([0; 32]),
        range: Vec::new(),
        checkpoint: String::new(),
        previous: evidence::ids::Hash::new([0; 32]),
    }
}

fn covered(index: u64, count: u64) -> Covered {
    Covered { index: LeafIndex::new(index), count }
}

#[test]
fn new_leaves_get_the_next_places() {
    let mut log = Memory::default();
    let verdicts = log.record(&[addition(stream(1), 0, 3), addition(stream(2), 0, 2), addition(stream(1), 3, 1)]);
    let expected = [covered(0, 3), covered(3, 2), covered(5, 1)].map(|covered| Some(Verdict::InGroup(covered)));
    assert_eq!(verdicts, expected);
}

#[test]
fn repetition_in_the_same_group_gets_the_same_place() {
    let mut log = Memory::default();
    let twice = addition(stream(1), 0, 3);
    let verdicts = log.record(&[twice.clone(), twice]);
    assert_eq!(verdicts[0], verdicts[1]);
    assert_eq!(log.leaves.len(), 3 * LEAF_BYTES);
}

#[test]
fn another_commitment_is_refused_by_the_first_sequence_that_differs() {
    let mut log = Memory::default();
    log.record(&[addition(stream(1), 0, 5)]);
    let mut other = addition(stream(1), 1, 3);
    other.commitments[1] = Commitment::new([0xee; 32]);
    let differs = Verdict::Refused(Refused::CommitmentDiffers { sequence: Sequence::new(2) });
    assert_eq!(log.record(std::slice::from_ref(&other)), [Some(differs)]);

    let mut same_group = Memory::default();
    let verdicts = same_group.record(&[addition(stream(1), 0, 5), other]);
    assert_eq!(verdicts[1], Some(differs));
}

#[test]
fn a_gap_is_given_back() {
    let mut log = Memory::default();
    assert_eq!(log.record(&[addition(stream(1), 1, 1)]), [None]);
    assert!(log.leaves.is_empty());
}

#[test]
fn an_answer_covers_only_the_part_that_one_run_of_one_record_holds() {
    let mut log = Memory::default();
    log.record(&[addition(stream(1), 0, 4)]);
    log.record(&[addition(stream(1), 4, 4)]);
    // Sequence 2..8 lies in two records, and 8..10 is new: only 2 and 3 are answered, nothing is recorded.
    assert_eq!(log.record(&[addition(stream(1), 2, 8)]), [Some(Verdict::Recorded(covered(2, 2)))]);
    assert_eq!(log.record(&[addition(stream(1), 4, 6)]), [Some(Verdict::Recorded(covered(4, 4)))]);
    assert_eq!(log.record(&[addition(stream(1), 8, 2)]), [Some(Verdict::InGroup(covered(8, 2)))]);
}

proptest! {
    /// Whatever is sent, in whatever groups: the log is gapless a source, never changes, and every repeated addition
    /// gets what it got before.
    #[test]
    fn every_answer_is_a_function_of_the_log(
        groups in prop::collection::vec(
            prop::collection::vec((1_u8..4, 0_u64..12, 1_u64..6), 1..8), 1..12),
    ) {
        let mut log = Memory::default();
        let mut given: Vec<(Addition, Covered)> = Vec::new();
        for group in groups {
            let additions: Vec<_> =
                group.into_iter().map(|(source, first, count)| addition(stream(source), first, count)).collect();
            let before = log.leaves.clone();
            let verdicts = log.record(&additions);
            prop_assert!(log.leaves.starts_with(&before));
            for (addition, verdict) in additions.into_iter().zip(verdicts) {
                if let Some(Verdict::InGroup(covered) | Verdict::Recorded(covered)) = verdict {
                    prop_assert!(covered.count >= 1);
                    given.push((addition, covered));
                }
            }
        }
        let mut next: HashMap<Stream, u64> = HashMap::new();
        for leaf in record(0, &log.leaves).parsed_leaves() {
            let leaf = leaf.unwrap();
            let next = next.entry((leaf.source, leaf.epoch)).or_default();
            prop_assert_eq!(leaf.sequence.get(), *next);
            *next += 1;
        }
        prop_assert_eq!(&next, &log.next);
        let before = log.leaves.clone();
        for (addition, covered) in given {
            prop_assert_eq!(log.record(std::slice::from_ref(&addition)), [Some(Verdict::Recorded(covered))]);
        }
        prop_assert_eq!(before, log.leaves);
    }
}
