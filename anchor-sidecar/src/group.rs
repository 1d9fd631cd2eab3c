//! Forming one group: which of the queued leaves are new, which repeat, which must wait, which contradict.
//!
//! Pure: it reads the recorded log through [`Recorded`] and decides; [`crate::sequence`] writes what it decided.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use evidence::{
    ids::{Commitment, Epoch, LeafIndex, Sequence, SourceId},
    leaf::{LEAF_BYTES, Leaf},
};

use crate::store::Run;

/// One source in one epoch.
pub type Stream = (SourceId, Epoch);

/// Commitments of consecutive sequence numbers of one source, as they came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// The source and its epoch.
    pub stream: Stream,
    /// Sequence number of the first commitment.
    pub first: Sequence,
    /// The commitments; at least one, and their last sequence number is below 2^63.
    pub commitments: Vec<Commitment>,
}

impl Addition {
    /// The sequence number after the last one.
    pub fn end(&self) -> u64 {
        self.first.get().saturating_add(self.len())
    }

    fn len(&self) -> u64 {
        u64::try_from(self.commitments.len()).unwrap_or(u64::MAX)
    }
}

/// Why an addition is refused; the source must act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The log holds another commitment under that sequence number.
    #[error("the log holds another commitment at sequence {sequence}")]
    CommitmentDiffers {
        /// The first sequence number that differs.
        sequence: Sequence,
    },
    /// Earlier sequence numbers are missing.
    #[error("sequence numbers from {expected} on are missing")]
    SequenceGap {
        /// The sequence number that the log needs next from this source.
        expected: Sequence,
    },
}

/// How much of an addition one record holds: its longest leading part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covered {
    /// Index of the first leaf.
    pub index: LeafIndex,
    /// Leaves of the addition from the first on.
    pub count: u64,
}

/// What the log already holds.
pub trait Recorded {
    /// What goes wrong when it cannot be read.
    type Error;

    /// The run that holds a sequence number.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn run(&self, stream: Stream, sequence: Sequence) -> Result<Option<Run>, Self::Error>;

    /// The recorded leaves `from .. from + count`, one after the other.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn leaves(&self, from: LeafIndex, count: u64) -> Result<Vec<u8>, Self::Error>;
}

/// What is to be said to the asker of one addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// An earlier record holds it.
    Recorded(Covered),
    /// This group's record will hold it.
    InGroup(Covered),
    /// It is refused.
    Refused(Refused),
}

/// One group that is being formed. `T` is whatever the caller needs to answer an addition.
#[derive(Debug)]
pub struct Group<T> {
    first: u64,
    leaves: Vec<u8>,
    runs: Vec<Run>,
    /// New or repeated within the group; answered when the group is closed, since later additions may extend a run.
    pending: Vec<(Addition, T)>,
    answered: Vec<(T, Verdict)>,
}

/// Additions that wait for an earlier sequence number, by source and first sequence number.
pub type Parked<T> = BTreeMap<(Stream, Sequence), Vec<(Addition, T)>>;

impl<T> Group<T> {
    /// An empty group that begins at `first`.
    pub fn new(first: LeafIndex) -> Self {
        Self { first: first.get(), leaves: Vec::new(), runs: Vec::new(), pending: Vec::new(), answered: Vec::new() }
    }

    /// Number of new leaves.
    pub fn leaf_count(&self) -> usize {
        self.leaves.len() / LEAF_BYTES
    }

    /// The new leaves, one after the other.
    pub fn leaves(&self) -> &[u8] {
        &self.leaves
    }

    /// Takes one addition in; gives it back when earlier sequence numbers are missing.
    ///
    /// `next` holds the sequence number that each stream needs next, and is moved on.
    ///
    /// # Errors
    /// When the recorded log cannot be read.
    pub fn take<R: Recorded>(
        &mut self,
        addition: Addition,
        asker: T,
        next: &mut HashMap<Stream, u64>,
        recorded: &R,
    ) -> Result<Option<(Addition, T)>, R::Error> {
        let expected = next.get(&addition.stream).copied().unwrap_or(0);
        if addition.first.get() > expected {
            return Ok(Some((addition, asker)));
        }
        if addition.first.get() == expected {
            self.append(&addition);
            next.insert(addition.stream, addition.end());
            self.pending.push((addition, asker));
            return Ok(None);
        }
        if self.run(&addition).is_some() {
            self.pending.push((addition, asker));
            return Ok(None);
        }
        let verdict = match recorded.run(addition.stream, addition.first)? {
            Some(run) => {
                let covered = covered(&run, &addition);
                let leaves = recorded.leaves(covered.index, covered.count)?;
                compared(covered, &leaves, &addition).map_or_else(Verdict::Refused, Verdict::Recorded)
            }
            // The stream has passed it, yet no run holds it: the store contradicts itself, so nothing is confirmed.
            None => Verdict::Refused(Refused::SequenceGap { expected: Sequence::new(expected) }),
        };
        self.answered.push((asker, verdict));
        Ok(None)
    }

    /// Refuses an addition that has waited long enough.
    pub fn refuse(&mut self, addition: &Addition, asker: T, next: &HashMap<Stream, u64>) {
        let expected = Sequence::new(next.get(&addition.stream).copied().unwrap_or(0));
        self.answered.push((asker, Verdict::Refused(Refused::SequenceGap { expected })));
    }

    /// The runs of the new leaves and every verdict.
    pub fn close(self) -> Vec<(T, Verdict)> {
        let Self { first, leaves, runs, pending, mut answered } = self;
        for (addition, asker) in pending {
            let verdict = run_of(&runs, &addition).map(|run| {
                let covered = covered(run, &addition);
                let start = usize::try_from(covered.index.get().saturating_sub(first)).unwrap_or(usize::MAX);
                let end = start.saturating_add(usize::try_from(covered.count).unwrap_or(usize::MAX));
                let bytes = leaves.get(start.saturating_mul(LEAF_BYTES)..end.saturating_mul(LEAF_BYTES));
                compared(covered, bytes.unwrap_or_default(), &addition)
            });
            let verdict = match verdict {
                Some(Ok(covered)) => Verdict::InGroup(covered),
                Some(Err(refused)) => Verdict::Refused(refused),
                None => Verdict::Refused(Refused::SequenceGap { expected: addition.first }),
            };
            answered.push((asker, verdict));
        }
        answered
    }

    fn append(&mut self, addition: &Addition) {
        let (source, epoch) = addition.stream;
        let index = self.first.saturating_add(u64::try_from(self.leaf_count()).unwrap_or(u64::MAX));
        for (commitment, sequence) in addition.commitments.iter().zip(addition.first.get()..) {
            let leaf = Leaf { source, epoch, sequence: Sequence::new(sequence), commitment: *commitment };
            self.leaves.extend_from_slice(&leaf.to_bytes());
        }
        // The same rule as `Record::runs`: a run goes on where both sequence and index go on.
        match self.runs.last_mut() {
            Some(run)
                if (run.source, run.epoch) == addition.stream
                    && run.first.get().saturating_add(run.count) == addition.first.get() =>
            {
                run.count += addition.len();
            }
            _ => self.runs.push(Run {
                source,
                epoch,
                first: addition.first,
                index: LeafIndex::new(index),
                count: addition.len(),
            }),
        }
    }

    fn run(&self, addition: &Addition) -> Option<&Run> {
        run_of(&self.runs, addition)
    }
}

fn run_of<'r>(runs: &'r [Run], addition: &Addition) -> Option<&'r Run> {
    runs.iter().rev().find(|run| (run.source, run.epoch) == addition.stream && run.offset_of(addition.first).is_some())
}

/// The leading part of an addition that lies in a run; a function of the log alone, so that repetition repeats it.
fn covered(run: &Run, addition: &Addition) -> Covered {
    let offset = run.offset_of(addition.first).unwrap_or(0);
    Covered {
        index: LeafIndex::new(run.index.get().saturating_add(offset)),
        count: run.count.saturating_sub(offset).min(addition.len()),
    }
}

/// Compares the recorded leaves with an addition.
fn compared(covered: Covered, leaves: &[u8], addition: &Addition) -> Result<Covered, Refused> {
    let count = usize::try_from(covered.count).unwrap_or(usize::MAX);
    let mut recorded = leaves.chunks(LEAF_BYTES);
    for (commitment, sequence) in addition.commitments.iter().take(count).zip(addition.first.get()..) {
        let same = recorded.next().and_then(|bytes| Leaf::from_bytes(bytes).ok());
        if same.is_none_or(|leaf| leaf.commitment != *commitment) {
            return Err(Refused::CommitmentDiffers { sequence: Sequence::new(sequence) });
        }
    }
    Ok(covered)
}
