//! Where a record stands: its position in the file, and what the log calls that place.

use evidence::ids::{Commitment, Epoch, Sequence, SourceId};

/// The row number of a record in the file; the first is 1, without gaps over all epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub(super) u64);

/// A record's place as the log knows it: `(source, epoch, sequence)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The journal.
    pub source: SourceId,
    /// Its epoch.
    pub epoch: Epoch,
    /// The place in that epoch, from 0.
    pub sequence: Sequence,
}

/// How positions of this file become places: each epoch begins at a position.
///
/// INVARIANT: `epochs` is not empty, ascending in both columns, and begins at position 1.
#[derive(Debug, Clone)]
pub(super) struct Numbering {
    source: SourceId,
    epochs: Vec<(Epoch, Position)>,
}

impl Position {
    /// The number itself.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    pub(super) fn plus(self, by: u64) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// As SQLite stores it.
    pub(super) fn row(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    pub(super) fn from_row(row: i64) -> Self {
        Self(u64::try_from(row).unwrap_or(0))
    }
}

impl Place {
    /// What a payload is bound to: `source (16) ‖ epoch (u32 BE) ‖ sequence (u64 BE) ‖ C (32)`.
    pub(super) fn associated(&self, commitment: &Commitment) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(60);
        bytes.extend_from_slice(self.source.as_bytes());
        bytes.extend_from_slice(&self.epoch.get().to_be_bytes());
        bytes.extend_from_slice(&self.sequence.get().to_be_bytes());
        bytes.extend_from_slice(commitment.as_bytes());
        bytes
    }
}

impl Numbering {
    /// Takes the epochs of a file, or nothing where they break the invariant.
    pub(super) fn new(source: SourceId, epochs: Vec<(Epoch, Position)>) -> Option<Self> {
        let ascending = epochs.is_sorted_by(|one, next| one.0 < next.0 && one.1 < next.1);
        let from_the_start = epochs.first().is_some_and(|(_, first)| *first == Position(1));
        (ascending && from_the_start).then_some(Self { source, epochs })
    }

    pub(super) fn source(&self) -> SourceId {
        self.source
    }

    /// The epoch that new records belong to.
    pub(super) fn current(&self) -> Epoch {
        self.epochs.last().map_or(Epoch::new(0), |(epoch, _)| *epoch)
    }

    /// The place of a position.
    pub(super) fn place(&self, position: Position) -> Place {
        let (epoch, first) = self
            .epochs
            .iter()
            .rev()
            .find(|(_, first)| *first <= position)
            .copied()
            .unwrap_or((Epoch::new(0), Position(1)));
        Place { source: self.source, epoch, sequence: Sequence::new(position.0.saturating_sub(first.0)) }
    }

    /// How many records from `position` on, at most `wanted`, are of the same epoch.
    pub(super) fn within_epoch(&self, position: Position, wanted: u64) -> u64 {
        let end = self.epochs.iter().map(|(_, first)| *first).find(|first| *first > position);
        end.map_or(wanted, |end| wanted.min(end.0 - position.0))
    }
}

#[cfg(test)]
mod tests;
