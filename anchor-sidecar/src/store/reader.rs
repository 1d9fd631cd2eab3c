//! Reading the record store: the tip, the records, and where a source's leaves lie.

use std::path::Path;

use evidence::{
    ids::{Epoch, Hash, LeafIndex, Sequence, SourceId, TreeSize},
    leaf::{LEAF_BYTES, Leaf},
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Record, Run, StoreError, Tip, integer, open_read_only};

/// The record that holds a leaf, as far as receipts need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Size of the tree after the record.
    pub size: TreeSize,
    /// Root of the tree after the record.
    pub root: Hash,
    /// The record's signed checkpoint: the receipt of all its leaves, always the same bytes.
    pub checkpoint: String,
}

/// A connection that only reads; any number may exist beside the writer.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
}

impl Reader {
    /// Opens the store's file.
    ///
    /// # Errors
    /// [`StoreError::Absent`] or [`StoreError::Sqlite`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: open_read_only(path)? })
    }

    /// Origin and verifier key of the log that the store belongs to.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn log(&self) -> Result<(String, String), StoreError> {
        Ok(self.connection.query_row("SELECT origin, key FROM log", [], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    /// The state after the newest record, its digest recomputed; `None` on a new log.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the newest record does not have its digest.
    pub fn tip(&self) -> Result<Option<Tip>, StoreError> {
        let newest: Option<i64> = self.connection.query_row("SELECT max(size) FROM records", [], |row| row.get(0))?;
        let Some(newest) = newest else { return Ok(None) };
        let Some((record, stored)) = self.record(TreeSize::new(newest.unsigned_abs()))? else { return Ok(None) };
        let digest = record.digest();
        if digest != stored {
            return Err(StoreError::Damaged { size: record.size.get(), what: "its checksum differs" });
        }
        Ok(Some(Tip {
            size: record.size,
            root: record.root,
            range: record.range,
            checkpoint: record.checkpoint,
            digest,
        }))
    }

    /// The record with exactly this size after it, and its stored digest.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn record(&self, size: TreeSize) -> Result<Option<(Record, Hash)>, StoreError> {
        let mut statement = self.connection.prepare_cached(&select("WHERE size = ?1"))?;
        let found = statement.query_row([integer(size.get(), "tree size")?], |row| Ok(parse(row))).optional()?;
        found.transpose()
    }

    /// The first record after a size, and its stored digest.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn record_after(&self, size: TreeSize) -> Result<Option<(Record, Hash)>, StoreError> {
        let mut statement = self.connection.prepare_cached(&select("WHERE size > ?1 ORDER BY size LIMIT 1"))?;
        let found = statement.query_row([integer(size.get(), "tree size")?], |row| Ok(parse(row))).optional()?;
        found.transpose()
    }

    /// The record that holds a leaf.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn holding(&self, index: LeafIndex) -> Result<Option<Holding>, StoreError> {
        self.head("WHERE size > ?1 ORDER BY size LIMIT 1", index.get())
    }

    /// The state of the log after the record with exactly this size.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn at(&self, size: TreeSize) -> Result<Option<Holding>, StoreError> {
        self.head("WHERE size = ?1", size.get())
    }

    fn head(&self, condition: &str, key: u64) -> Result<Option<Holding>, StoreError> {
        let sql = format!("SELECT size, root, checkpoint FROM records {condition}");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let found = statement
            .query_row([integer(key, "leaf index")?], |row| {
                Ok(Holding {
                    size: TreeSize::new(row.get::<_, i64>(0)?.unsigned_abs()),
                    root: Hash::new(row.get(1)?),
                    checkpoint: row.get(2)?,
                })
            })
            .optional()?;
        Ok(found)
    }

    /// The leaves from `from` up to but without `to`, as far as they are recorded, one after the other.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn leaves(&self, from: LeafIndex, to: TreeSize) -> Result<Vec<u8>, StoreError> {
        let (from, to) = (from.get(), to.get());
        let mut statement = self
            .connection
            .prepare_cached("SELECT first, size, leaves FROM records WHERE size > ?1 AND first < ?2 ORDER BY size")?;
        let mut rows = statement.query(params![integer(from, "leaf index")?, integer(to, "tree size")?])?;
        let mut leaves = Vec::new();
        while let Some(row) = rows.next()? {
            let first = row.get::<_, i64>(0)?.unsigned_abs();
            let size = row.get::<_, i64>(1)?.unsigned_abs();
            let blob = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
            let skip = bytes_of(from.saturating_sub(first));
            let end = bytes_of(to.min(size).saturating_sub(first));
            let part = blob.get(skip..end);
            leaves.extend_from_slice(part.ok_or(StoreError::Damaged { size, what: "it lacks leaves" })?);
        }
        Ok(leaves)
    }

    /// The run that holds a sequence number of a source.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn run(&self, source: SourceId, epoch: Epoch, sequence: Sequence) -> Result<Option<Run>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT source, epoch, first, leaf_index, count FROM runs
             WHERE source = ?1 AND epoch = ?2 AND first <= ?3 ORDER BY first DESC LIMIT 1",
        )?;
        let key = params![source.as_bytes(), epoch.get(), integer(sequence.get(), "sequence")?];
        let run = statement.query_row(key, run).optional()?;
        Ok(run.filter(|run| run.offset_of(sequence).is_some()))
    }

    /// One recorded leaf.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn leaf(&self, index: LeafIndex) -> Result<Option<Leaf>, StoreError> {
        let Some(end) = index.get().checked_add(1) else { return Ok(None) };
        let bytes = self.leaves(index, TreeSize::new(end))?;
        if bytes.is_empty() {
            return Ok(None);
        }
        Leaf::from_bytes(&bytes).map(Some).map_err(|_| StoreError::Damaged { size: end, what: "its leaf is no leaf" })
    }

    /// Every source and epoch with the sequence number that it needs next.
    ///
    /// It walks the index from one source to the next, so its time grows with sources, not with leaves.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn streams(&self) -> Result<Vec<(SourceId, Epoch, Sequence)>, StoreError> {
        let mut next = self.connection.prepare(
            "SELECT source, epoch FROM runs WHERE (source, epoch) > (?1, ?2) ORDER BY source, epoch LIMIT 1",
        )?;
        let mut last = self.connection.prepare(
            "SELECT source, epoch, first, leaf_index, count FROM runs
             WHERE source = ?1 AND epoch = ?2 ORDER BY first DESC LIMIT 1",
        )?;
        let mut streams = Vec::new();
        let mut at: (Vec<u8>, i64) = (Vec::new(), -1);
        while let Some((source, epoch)) = next
            .query_row(params![at.0, at.1], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?)))
            .optional()?
        {
            let run = last.query_row(params![source, epoch], run)?;
            streams.push((run.source, run.epoch, Sequence::new(run.first.get().saturating_add(run.count))));
            at = (source, epoch);
        }
        Ok(streams)
    }

    /// Every run, in order of index; for [`crate::fsck`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn each_run(&self, mut visit: impl FnMut(Run)) -> Result<(), StoreError> {
        let mut statement =
            self.connection.prepare("SELECT source, epoch, first, leaf_index, count FROM runs ORDER BY leaf_index")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            visit(run(row)?);
        }
        Ok(())
    }

    /// What SQLite itself finds wrong with the file; empty when nothing is.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn integrity(&self) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare("PRAGMA integrity_check(100)")?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        let mut found = rows.collect::<Result<Vec<_>, _>>()?;
        found.retain(|line| line != "ok");
        Ok(found)
    }
}

fn select(condition: &str) -> String {
    format!("SELECT size, first, lease, root, range, checkpoint, previous, digest, leaves FROM records {condition}")
}

fn parse(row: &Row<'_>) -> Result<(Record, Hash), StoreError> {
    let size = row.get::<_, i64>(0)?.unsigned_abs();
    let range: Vec<u8> = row.get(4)?;
    let range: Result<Vec<Hash>, _> = range.chunks(Hash::LENGTH).map(Hash::try_from).collect();
    let record = Record {
        lease: row.get::<_, i64>(2)?.unsigned_abs(),
        first: LeafIndex::new(row.get::<_, i64>(1)?.unsigned_abs()),
        leaves: row.get(8)?,
        size: TreeSize::new(size),
        root: Hash::new(row.get(3)?),
        range: range.map_err(|_| StoreError::Damaged { size, what: "its compact range is no list of hashes" })?,
        checkpoint: row.get(5)?,
        previous: Hash::new(row.get(6)?),
    };
    Ok((record, Hash::new(row.get(7)?)))
}

fn run(row: &Row<'_>) -> rusqlite::Result<Run> {
    Ok(Run {
        source: SourceId::new(row.get(0)?),
        epoch: Epoch::new(row.get(1)?),
        first: Sequence::new(row.get::<_, i64>(2)?.unsigned_abs()),
        index: LeafIndex::new(row.get::<_, i64>(3)?.unsigned_abs()),
        count: row.get::<_, i64>(4)?.unsigned_abs(),
    })
}

fn bytes_of(leaves: u64) -> usize {
    usize::try_from(leaves).unwrap_or(usize::MAX).saturating_mul(LEAF_BYTES)
}
