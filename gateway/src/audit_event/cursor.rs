//! How far the feed is, on disk: a small SQLite file beside the journal.
//!
//! It may be lost: the feed then begins anew, and every AuditEvent arrives again under the id that it has.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use evidence::ids::{EventId, SourceId};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS fed (
  source BLOB PRIMARY KEY CHECK (length(source) = 16),
  position INTEGER NOT NULL CHECK (position >= 1),
  event BLOB CHECK (length(event) = 16)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS set_aside (
  source BLOB NOT NULL CHECK (length(source) = 16),
  position INTEGER NOT NULL,
  record TEXT NOT NULL,
  why TEXT NOT NULL,
  PRIMARY KEY (source, position, record)
) STRICT, WITHOUT ROWID;
";

/// The cursor's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// It cannot be made.
    #[error("the cursor of the AuditEvent feed cannot be made: {0}")]
    File(#[from] std::io::Error),
    /// SQLite cannot read or write it.
    #[error("the cursor of the AuditEvent feed cannot be used: {0}")]
    Database(#[from] rusqlite::Error),
}

/// Up to where a journal was fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fed {
    pub(super) position: u64,
    /// The event there; nothing where its key was erased.
    pub(super) event: Option<EventId>,
}

/// A record for which no AuditEvent is there, and why. It holds ids and codes only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SetAside {
    pub(super) position: u64,
    pub(super) record: String,
    pub(super) why: String,
}

/// The cursor of one journal.
pub(super) struct Cursor {
    connection: Mutex<Connection>,
    source: SourceId,
}

impl Cursor {
    /// Opens the file or makes it, readable by its owner only.
    pub(super) fn open(path: &Path, source: SourceId) -> Result<Self, CursorError> {
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(TABLES)?;
        Ok(Self { connection: Mutex::new(connection), source })
    }

    /// How far the journal was fed, nothing where it never was.
    pub(super) fn read(&self) -> Result<Option<Fed>, CursorError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let fed = connection
            .query_row("SELECT position, event FROM fed WHERE source = ?1", [self.source.as_bytes()], |row| {
                let position = u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
                Ok(Fed { position, event: row.get::<_, Option<[u8; 16]>>(1)?.map(EventId::new) })
            })
            .optional()?;
        Ok(fed)
    }

    /// Moves on, and keeps what was set aside on the way, in one transaction with one sync.
    pub(super) fn keep(&self, fed: &Fed, set_aside: &[SetAside]) -> Result<(), CursorError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let row = |position: u64| i64::try_from(position).unwrap_or(i64::MAX);
        for aside in set_aside {
            transaction.execute(
                "INSERT OR REPLACE INTO set_aside (source, position, record, why) VALUES (?1, ?2, ?3, ?4)",
                params![self.source.as_bytes(), row(aside.position), aside.record, aside.why],
            )?;
        }
        transaction.execute(
            "INSERT INTO fed (source, position, event) VALUES (?1, ?2, ?3)
             ON CONFLICT (source) DO UPDATE SET position = excluded.position, event = excluded.event",
            params![self.source.as_bytes(), row(fed.position), fed.event.as_ref().map(EventId::as_bytes)],
        )?;
        transaction.commit()?;
        Ok(())
    }
}
