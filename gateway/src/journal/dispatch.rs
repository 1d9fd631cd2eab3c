//! The journal as a queue for the log: the batch that is on its way, and the receipts.

use evidence::ids::{Commitment, Epoch, LeafIndex, Sequence, SourceId, TreeSize};
use rusqlite::{Connection, OptionalExtension as _};

use super::place::{Numbering, Position};

/// The most records of one batch; `POST /v1/leaves` takes no more.
pub const MAX_DISPATCH: u64 = 1_024;

/// A run of records of one epoch, planned to be sent together.
///
/// INVARIANT: there is one such plan whenever a record has no receipt, and it is durable before it is first sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    pub(super) first: Position,
    pub(super) records: u64,
}

/// The batch that is on its way, as the log wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// Which records these are; goes back into the journal with the receipt.
    pub batch: Batch,
    /// The journal.
    pub source: SourceId,
    /// Its epoch.
    pub epoch: Epoch,
    /// The sequence of the first commitment; the others follow without a gap.
    pub first: Sequence,
    /// The commitments, in order.
    pub commitments: Vec<Commitment>,
}

/// What the log answered for a batch, checked by the shipper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The batch.
    pub batch: Batch,
    /// The index of its first leaf; the others follow without a gap.
    pub first_index: LeafIndex,
    /// The size of the tree that `checkpoint` signs.
    pub size: TreeSize,
    /// The signed note.
    pub checkpoint: String,
}

impl Batch {
    #[cfg(test)]
    pub(crate) fn of(first: u64, records: u64) -> Self {
        Self { first: Position(first), records }
    }

    /// How many records it has.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Its first `records` records, nothing where it has fewer.
    #[must_use]
    pub fn prefix(&self, records: u64) -> Option<Self> {
        (1..=self.records).contains(&records).then_some(Self { first: self.first, records })
    }

    pub(super) fn last(&self) -> Position {
        self.first.plus(self.records.saturating_sub(1))
    }

    /// The plan in the file.
    pub(super) fn on_its_way(connection: &Connection) -> Result<Option<Self>, rusqlite::Error> {
        connection
            .prepare_cached("SELECT first_position, records FROM dispatch")?
            .query_row([], |row| {
                let (first, records): (i64, i64) = (row.get(0)?, row.get(1)?);
                Ok(Self { first: Position::from_row(first), records: u64::try_from(records).unwrap_or(0) })
            })
            .optional()
    }
}

/// Reads the batch that is on its way, nothing where all records have a receipt.
pub(super) fn read(connection: &Connection, numbering: &Numbering) -> Result<Option<Dispatch>, rusqlite::Error> {
    let Some(batch) = Batch::on_its_way(connection)? else { return Ok(None) };
    let mut statement = connection
        .prepare_cached("SELECT position, commitment FROM record WHERE position BETWEEN ?1 AND ?2 ORDER BY position")?;
    let mut commitments = Vec::new();
    let mut rows = statement.query([batch.first.row(), batch.last().row()])?;
    let mut expected = batch.first;
    while let Some(row) = rows.next()? {
        if Position::from_row(row.get(0)?) != expected {
            break;
        }
        commitments.push(Commitment::new(row.get(1)?));
        expected = expected.plus(1);
    }
    if commitments.len() as u64 != batch.records {
        // A record that was acknowledged is gone.
        return Err(rusqlite::Error::QueryReturnedNoRows);
    }
    let place = numbering.place(batch.first);
    Ok(Some(Dispatch { batch, source: place.source, epoch: place.epoch, first: place.sequence, commitments }))
}

/// The newest receipt.
pub(super) fn last_receipt(connection: &Connection) -> Result<Option<Receipt>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT first_position, records, first_index, size, checkpoint FROM receipt
             ORDER BY first_position DESC LIMIT 1",
        )?
        .query_row([], |row| {
            let numbers: [i64; 4] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
            let [first, records, first_index, size] = numbers.map(|number| u64::try_from(number).unwrap_or(0));
            Ok(Receipt {
                batch: Batch { first: Position(first), records },
                first_index: LeafIndex::new(first_index),
                size: TreeSize::new(size),
                checkpoint: row.get(4)?,
            })
        })
        .optional()
}
