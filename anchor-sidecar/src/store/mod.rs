//! The record store: one SQLite file, one transaction with one sync for each group of leaves.
//!
//! The record is the commit point and the fence of the log: what it holds is acknowledged and signed, everything else
//! (runs, tiles, checkpoints on disk) is derived from it and can be rebuilt.

mod reader;
mod record;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use evidence::ids::{Hash, Origin};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior, params};

pub use reader::{Holding, Reader};
pub use record::{Record, Run, Tip};

/// File of the record store inside the log's directory.
pub const FILE: &str = "log.db";

/// Version of the tables.
const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS log (
        one       INTEGER PRIMARY KEY CHECK (one = 1),
        origin    TEXT NOT NULL,
        key       TEXT NOT NULL,
        lease     INTEGER NOT NULL
    ) STRICT;
    -- One row a group; the key is the size of the tree after it, so the group that holds leaf i is the first with size > i.
    CREATE TABLE IF NOT EXISTS records (
        size       INTEGER PRIMARY KEY,
        first      INTEGER NOT NULL,
        lease      INTEGER NOT NULL,
        root       BLOB NOT NULL,
        range      BLOB NOT NULL,
        checkpoint TEXT NOT NULL,
        previous   BLOB NOT NULL,
        digest     BLOB NOT NULL,
        leaves     BLOB NOT NULL
    ) STRICT;
    -- Where a source's sequence numbers lie; derived from the leaves of the records.
    CREATE TABLE IF NOT EXISTS runs (
        source     BLOB NOT NULL,
        epoch      INTEGER NOT NULL,
        first      INTEGER NOT NULL,
        leaf_index INTEGER NOT NULL,
        count      INTEGER NOT NULL,
        PRIMARY KEY (source, epoch, first)
    ) STRICT, WITHOUT ROWID;
";

/// Why the store cannot go on; none of these is to be retried within the process.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite or the disk failed.
    #[error("record store: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// Another process has taken the log over.
    #[error("another sidecar has taken over this log (lease {found}, ours is {ours}); this one stops")]
    Fenced {
        /// Our lease epoch.
        ours: u64,
        /// The one found.
        found: u64,
    },
    /// The store belongs to another log.
    #[error("the store in {dir} belongs to log {found}; correct log.{key} or choose another directory")]
    OtherLog {
        /// The directory.
        dir: String,
        /// What the store holds.
        found: String,
        /// The key of the configuration that differs.
        key: &'static str,
    },
    /// The tables are of another version.
    #[error("the store has tables of version {found}; this program knows version {SCHEMA_VERSION}")]
    Version {
        /// The version found.
        found: i64,
    },
    /// What was read is not what was written.
    #[error("record of size {size} is damaged: {what}; run `anchor-sidecar fsck`")]
    Damaged {
        /// The record's key.
        size: u64,
        /// What differs.
        what: &'static str,
    },
    /// A number that SQLite cannot hold.
    #[error("{what} exceeds 2^63-1")]
    TooLarge {
        /// Which number.
        what: &'static str,
    },
    /// There is no store.
    #[error("{path} does not exist; is log.dir right?")]
    Absent {
        /// The file.
        path: String,
    },
}

/// The writing end. INVARIANT: one a process, made while the [`crate::volume::Volume`] is held.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    lease: u64,
}

impl Store {
    /// Opens or makes the store of the log `origin` signed by `key` (C2SP verifier key), and takes a new lease epoch.
    ///
    /// # Errors
    /// [`StoreError`]; the store is then unchanged but for the lease.
    pub fn open(dir: &Path, origin: &Origin, key: &str) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let mut connection = Connection::open(&path)?;
        // CRASH: with WAL and FULL a commit returns after its frames are synced; a torn tail is dropped by checksum.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cell_size_check", "ON")?;
        connection.pragma_update(None, "trusted_schema", "OFF")?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version != 0 && version != SCHEMA_VERSION {
            return Err(StoreError::Version { found: version });
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.execute(
            "INSERT INTO log (one, origin, key, lease) VALUES (1, ?1, ?2, 0) ON CONFLICT DO NOTHING",
            params![origin.as_str(), key],
        )?;
        let (stored_origin, stored_key, lease): (String, String, i64) =
            transaction.query_row("UPDATE log SET lease = lease + 1 RETURNING origin, key, lease", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        for (found, ours, name) in [(stored_origin, origin.as_str(), "origin"), (stored_key, key, "key_file")] {
            if found != ours {
                return Err(StoreError::OtherLog { dir: dir.display().to_string(), found, key: name });
            }
        }
        transaction.commit()?;
        Ok(Self { connection, path, lease: lease.unsigned_abs() })
    }

    /// The lease epoch that this process writes under.
    pub fn lease(&self) -> u64 {
        self.lease
    }

    /// Another connection for reading, usable beside the writer.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.path)
    }

    /// Writes one record and its runs: the commit point.
    ///
    /// INVARIANT: the record must follow the stored tip exactly (`first` and `previous`), under our lease; otherwise
    /// nothing is written. CRASH: on `Ok` it is durable; on `Err` it may or may not be, so the process must end and
    /// the next start finds out.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when another writer took over, [`StoreError::Damaged`] when the tip is not the expected
    /// one, [`StoreError::Sqlite`].
    pub fn append(&mut self, record: &Record, digest: Hash) -> Result<(), StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: i64 = transaction.prepare_cached("SELECT lease FROM log")?.query_row([], |row| row.get(0))?;
        if found.unsigned_abs() != self.lease {
            return Err(StoreError::Fenced { ours: self.lease, found: found.unsigned_abs() });
        }
        let tip: Option<(i64, [u8; 32])> = transaction
            .prepare_cached("SELECT size, digest FROM records ORDER BY size DESC LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (tip_size, tip_digest) = tip.unwrap_or((0, [0; 32]));
        if tip_size != integer(record.first.get(), "leaf index")? || tip_digest != *record.previous.as_bytes() {
            return Err(StoreError::Damaged { size: record.size.get(), what: "it does not follow the stored tip" });
        }
        let range: Vec<u8> = record.range.iter().flat_map(|hash| *hash.as_bytes()).collect();
        transaction
            .prepare_cached(
                "INSERT INTO records (size, first, lease, root, range, checkpoint, previous, digest, leaves)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                integer(record.size.get(), "tree size")?,
                integer(record.first.get(), "leaf index")?,
                integer(record.lease, "lease")?,
                record.root.as_bytes(),
                range,
                record.checkpoint,
                record.previous.as_bytes(),
                digest.as_bytes(),
                record.leaves,
            ])?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO runs (source, epoch, first, leaf_index, count) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for run in record.runs() {
                insert.execute(params![
                    run.source.as_bytes(),
                    run.epoch.get(),
                    integer(run.first.get(), "sequence")?,
                    integer(run.index.get(), "leaf index")?,
                    integer(run.count, "count")?,
                ])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

/// A number as SQLite holds it.
fn integer(value: u64, what: &'static str) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::TooLarge { what })
}

/// Opens a file of SQLite for reading only.
fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Absent { path: path.display().to_string() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "cell_size_check", "ON")?;
    Ok(connection)
}
