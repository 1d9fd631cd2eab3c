//! The journal's file: making it, opening it, and what must hold before anything is built on it.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evidence::ids::{Epoch, SourceId, TenantId};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::error::OpenError;
use super::grants;
use super::place::{Numbering, Position};
use crate::keys::{self, KeyEncryptionKey};

/// "SGJ1": tells the file from other SQLite files.
const APPLICATION: i32 = 0x5347_4a31;
/// The version of the tables below.
const VERSION: i32 = 1;
/// How long a connection waits for another one of this process (a checkpoint, never a writer).
const BUSY: Duration = Duration::from_secs(5);

/// `record.position` is gapless; `epoch` says which sequence numbers it stands for. What is shipped is a prefix: its
/// end is that of the last receipt. `dispatch` is the batch that is on its way, planned before it is first sent, so
/// that every repetition has the same bounds. `unfinished` holds requests that were opened and not yet closed.
const TABLES: &str = "
CREATE TABLE identity (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  source BLOB NOT NULL CHECK (length(source) = 16),
  tenant TEXT NOT NULL,
  key_check BLOB NOT NULL CHECK (length(key_check) = 32)
) STRICT;
CREATE TABLE epoch (
  epoch INTEGER PRIMARY KEY,
  first_position INTEGER NOT NULL UNIQUE CHECK (first_position >= 1)
) STRICT;
CREATE TABLE subject_key (
  patient BLOB PRIMARY KEY CHECK (length(patient) = 32),
  wrapped BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE record (
  position INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  event BLOB NOT NULL CHECK (length(event) = 16),
  request BLOB CHECK (length(request) = 16),
  patient BLOB CHECK (length(patient) = 32),
  wrapped BLOB,
  commitment BLOB NOT NULL CHECK (length(commitment) = 32),
  payload BLOB NOT NULL,
  CHECK ((patient IS NULL) = (wrapped IS NOT NULL))
) STRICT;
CREATE INDEX record_by_request ON record (request) WHERE request IS NOT NULL;
CREATE TABLE unfinished (
  request BLOB PRIMARY KEY CHECK (length(request) = 16),
  windows INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE dispatch (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  first_position INTEGER NOT NULL,
  records INTEGER NOT NULL CHECK (records >= 1)
) STRICT;
CREATE TABLE receipt (
  first_position INTEGER PRIMARY KEY,
  records INTEGER NOT NULL CHECK (records >= 1),
  first_index INTEGER NOT NULL,
  size INTEGER NOT NULL,
  checkpoint TEXT NOT NULL
) STRICT;
";

/// The one writer's hold on a journal: dropped, another process may open it.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

/// An opened file that was checked.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) lock: Lock,
    pub(super) numbering: Numbering,
    pub(super) made: bool,
    pub(super) page_bytes: u64,
}

/// Opens the journal at `path` or makes a new one, and checks it.
///
/// CRASH: whatever can be read after this was synced by this process: a record that an earlier process wrote but failed
/// to sync might otherwise be shipped, lost with the power, and its sequence number given to another event.
pub(super) fn open(
    path: &Path,
    tenant: &TenantId,
    kek: &KeyEncryptionKey,
    max_bytes: u64,
) -> Result<Opened, OpenError> {
    let lock = lock(path)?;
    create_private(path)?;
    let mut connection = connect(path)?;
    let made = match version(&connection)? {
        None => {
            make(&mut connection, tenant, kek)?;
            sync_directory(path).map_err(OpenError::Directory)?;
            true
        }
        Some(VERSION) => false,
        Some(_) => return Err(OpenError::Foreign { what: "its version" }),
    };
    connection.execute_batch(grants::TABLE)?;
    checkpoint(&connection)?.then_some(()).ok_or(OpenError::InUse)?;
    let numbering = identify(&connection, tenant, kek)?;
    check_tail(&connection)?;
    let page_bytes = u64::try_from(connection.pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0))?)
        .unwrap_or(4096)
        .max(512);
    connection.pragma_update(None, "max_page_count", i64::try_from(max_bytes / page_bytes).unwrap_or(i64::MAX))?;
    Ok(Opened { connection, lock, numbering, made, page_bytes })
}

/// A connection for reading only.
pub(super) fn reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Copies SQLite's write-ahead log into the file, syncs it, and truncates the log; false where a reader was in the way.
pub(super) fn checkpoint(connection: &Connection) -> Result<bool, rusqlite::Error> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0).map(|busy| busy == 0))
}

fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::InvalidQuery);
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    // SQLite's own checkpoint after a commit hides its I/O errors; the writer runs it and sees them.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// INVARIANT: one writer per journal. The lock goes with the process, whatever way it ends.
fn lock(path: &Path) -> Result<Lock, OpenError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(beside(path, ".lock"))
        .map_err(OpenError::Directory)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse),
        Err(TryLockError::Error(error)) => Err(OpenError::Directory(error)),
    }
}

/// Makes the file readable by its owner only; SQLite gives its log and index the mode of the file.
fn create_private(path: &Path) -> Result<(), OpenError> {
    let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    made.map(drop).map_err(OpenError::Directory)
}

pub(super) fn sync_directory(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The version of a journal, nothing for an empty file.
fn version(connection: &Connection) -> Result<Option<i32>, OpenError> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    match (tables, application) {
        (0, 0) => Ok(None),
        (_, APPLICATION) => Ok(Some(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)),
        _ => Err(OpenError::Foreign { what: "its application id" }),
    }
}

/// CRASH: one transaction makes tables, source id and epoch; a file is a whole journal or still empty.
fn make(connection: &mut Connection, tenant: &TenantId, kek: &KeyEncryptionKey) -> Result<(), OpenError> {
    let mut source = [0_u8; 16];
    keys::fill(&mut source)?;
    let key_check = kek.check_value(&SourceId::new(source))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    transaction.execute(
        "INSERT INTO identity (only_row, source, tenant, key_check) VALUES (1, ?1, ?2, ?3)",
        params![source, tenant.as_str(), key_check],
    )?;
    transaction.execute("INSERT INTO epoch (epoch, first_position) VALUES (1, 1)", [])?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(())
}

pub(super) fn identify(
    connection: &Connection,
    tenant: &TenantId,
    kek: &KeyEncryptionKey,
) -> Result<Numbering, OpenError> {
    let (source, found, key_check): ([u8; 16], String, [u8; 32]) =
        connection.query_row("SELECT source, tenant, key_check FROM identity", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    let source = SourceId::new(source);
    if found != tenant.as_str() {
        return Err(OpenError::Tenant { found });
    }
    if key_check != kek.check_value(&source)? {
        return Err(OpenError::WrongKey);
    }
    let mut statement = connection.prepare("SELECT epoch, first_position FROM epoch ORDER BY epoch")?;
    let epochs = statement
        .query_map([], |row| Ok((Epoch::new(row.get(0)?), Position::from_row(row.get(1)?))))?
        .collect::<Result<Vec<_>, _>>()?;
    Numbering::new(source, epochs).ok_or(OpenError::Damaged { what: "its epochs are not in order" })
}

/// Receipts end where the records that wait begin, and those have no gap.
fn check_tail(connection: &Connection) -> Result<(), OpenError> {
    let shipped = shipped(connection)?;
    let (head, waiting): (Option<i64>, i64) = connection.query_row(
        "SELECT (SELECT max(position) FROM record), (SELECT count(*) FROM record WHERE position > ?1)",
        [shipped],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let head = head.unwrap_or(0);
    if head < shipped {
        return Err(OpenError::Damaged { what: "records that the log has given receipts for are missing" });
    }
    if head - shipped != waiting {
        return Err(OpenError::Damaged { what: "records are missing among those that wait for the log" });
    }
    Ok(())
}

/// The position of the last record with a receipt, 0 where there is none.
pub(super) fn shipped(connection: &Connection) -> Result<i64, rusqlite::Error> {
    let last = connection
        .prepare_cached("SELECT first_position + records - 1 FROM receipt ORDER BY first_position DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(last.unwrap_or(0))
}
