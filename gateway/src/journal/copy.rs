//! Copies of a journal: taking one while the gateway runs, and going on from one.
//!
//! A copy is a prefix of the journal's history, and the log may have seen more. Whoever goes on from it must not give
//! sequence numbers away a second time, so a restore begins the next epoch (docs/spec/log.md, 2). Records of the copy
//! that had no receipt yet are sent again at their old places, where the log knows them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use evidence::event::{AccessEvent, EpochClosed, EventBody};
use evidence::ids::{Epoch, SourceId, Timestamp};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::entry::Entry;
use super::error::{JournalError, OpenError};
use super::place::Numbering;
use super::{Journal, Settings, grants, schema, state};
use crate::clock;
use crate::keys::KeyEncryptionKey;

/// Pages copied between two reports, 16 MiB of the usual 4 KiB pages.
const STRIDE: i32 = 4096;
/// How long the end of a writer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries at a page that is locked.
const PAUSE: Duration = Duration::from_millis(50);

/// Why a copy was not taken or not put in place. What was there before is untouched.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The journal or copy that is read from is not there.
    #[error("{what} is not there")]
    Missing {
        /// Which of the two files.
        what: &'static str,
    },
    /// The file to be written is there already.
    #[error("{what} is there already; move it away first, nothing is overwritten")]
    Exists {
        /// Which of the two files.
        what: &'static str,
    },
    /// A file cannot be made, synced or renamed.
    #[error("the copy cannot be written: {0}")]
    Write(std::io::Error),
    /// SQLite cannot read the one or write the other.
    #[error("the copy failed: {0}")]
    Database(#[from] rusqlite::Error),
    /// The copy is not what was read.
    #[error("the copy is not what was read, and was removed: {0}")]
    Damaged(String),
    /// The file is no journal of this tenant and key, or is in use.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The first event of the new epoch could not be recorded.
    #[error("the new epoch could not be begun: {0}")]
    Record(#[from] JournalError),
}

/// Copies the journal at `path` to the new file `to`, also while a gateway writes it; gives the number of its records.
/// `progress` is told the pages copied and all pages.
///
/// The copy holds what the journal holds, encrypted as it is there: without the key-encryption key it says nothing.
///
/// # Errors
/// `to` is there, or one of the two cannot be read or written; an unfinished `to` is removed.
pub fn back_up(path: &Path, to: &Path, progress: impl FnMut(u64, u64)) -> Result<u64, CopyError> {
    copied(path, to, "the journal", "the file to copy to", progress)
}

/// Puts the copy `from` in the place that `settings` names and begins the next epoch on it.
///
/// CRASH: the epoch is begun beside the place and the finished file renamed into it: a copy that would give numbers
/// away a second time is never where a gateway starts from it.
///
/// # Errors
/// The place is taken, or the copy is no journal of this tenant and key.
pub fn restore(settings: Settings, kek: KeyEncryptionKey, from: &Path) -> Result<NewEpoch, CopyError> {
    let place = settings.path.clone();
    // SQLite would apply a forgotten write-ahead log to whatever file it finds beside it.
    if place.exists() || schema::beside(&place, "-wal").exists() {
        return Err(CopyError::Exists { what: "the journal, or its -wal file," });
    }
    let beside = schema::beside(&place, ".restoring");
    for leftover in ["", "-wal", "-shm", ".lock"].map(|suffix| schema::beside(&beside, suffix)) {
        gone(&leftover)?;
    }
    copied(from, &beside, "the copy", "the file that is restored to", |_, _| {})?;
    let begun = new_epoch(Settings { path: beside.clone(), ..settings }, kek)?;
    // Nothing of it may stay in SQLite's write-ahead log, which keeps its old name.
    let connection = Connection::open_with_flags(&beside, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(PATIENCE)?;
    schema::checkpoint(&connection)?.then_some(()).ok_or(OpenError::InUse)?;
    drop(connection);
    File::open(&beside).and_then(|file| file.sync_all()).map_err(CopyError::Write)?;
    std::fs::rename(&beside, &place).map_err(CopyError::Write)?;
    schema::sync_directory(&place).map_err(CopyError::Write)?;
    gone(&schema::beside(&beside, ".lock"))?;
    Ok(begun)
}

/// What an epoch was begun with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewEpoch {
    /// The journal's id.
    pub source: SourceId,
    /// The epoch that new records belong to.
    pub epoch: Epoch,
    /// Records that the journal holds, the first of the new epoch included.
    pub records: u64,
}

/// Begins the next epoch of the journal itself, which must be an old copy that somebody put in its place, such as a
/// snapshot of its volume. No gateway may run on it.
///
/// # Errors
/// As [`Journal::open`]; a record cannot be written.
pub fn new_epoch(settings: Settings, kek: KeyEncryptionKey) -> Result<NewEpoch, CopyError> {
    if !settings.path.exists() {
        return Err(CopyError::Missing { what: "the journal" });
    }
    let opened = schema::open(&settings.path, &settings.tenant, &kek, settings.max_bytes)?;
    let closed = close(&opened.connection, &opened.numbering)?;
    drop(opened);
    let (journal, report) = Journal::open(settings, kek)?;
    let recorded = recorded(&journal, closed);
    recorded.map(|()| NewEpoch { source: report.source, epoch: report.epoch, records: report.records + 1 })
}

/// Lets the epoch end where the records end; new ones belong to the next.
fn close(connection: &Connection, numbering: &Numbering) -> Result<EpochClosed, rusqlite::Error> {
    let old = numbering.current();
    let records: i64 = connection.query_row("SELECT coalesce(max(position), 0) FROM record", [], |row| row.get(0))?;
    let began: i64 =
        connection.query_row("SELECT first_position FROM epoch WHERE epoch = ?1", [old.get()], |row| row.get(0))?;
    let next = (old.get() + 1, records.saturating_add(1));
    if next.1 == began {
        // The log may hold records of an epoch of which this copy has none.
        connection.execute("UPDATE epoch SET epoch = ?1 WHERE first_position = ?2", next)?;
    } else {
        connection.execute("INSERT INTO epoch (epoch, first_position) VALUES (?1, ?2)", next)?;
    }
    grants::end_all(connection, state::milliseconds(clock::now()))?;
    let events = u64::try_from(records + 1 - began).unwrap_or(0);
    Ok(EpochClosed { source: numbering.source(), epoch: old, events })
}

/// Records the closing event, durably, and closes the journal.
fn recorded(journal: &Journal, closed: EpochClosed) -> Result<(), CopyError> {
    let at = Timestamp::from_date(clock::now()).map_err(|_| JournalError::Clock)?;
    let event = AccessEvent { id: clock::event_id(), at, body: EventBody::EpochClosed(closed) };
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(CopyError::Write)?;
    runtime.block_on(async {
        journal.record(vec![Entry::from(event)]).await?;
        journal.close().await
    })?;
    Ok(())
}

/// A page-by-page copy of one state of the file, checked and synced; the number of its records.
fn copied(
    from: &Path,
    to: &Path,
    source: &'static str,
    target: &'static str,
    mut progress: impl FnMut(u64, u64),
) -> Result<u64, CopyError> {
    if !from.exists() {
        return Err(CopyError::Missing { what: source });
    }
    match OpenOptions::new().create_new(true).write(true).mode(0o600).open(to) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(CopyError::Exists { what: target });
        }
        Err(error) => return Err(CopyError::Write(error)),
    }
    let done = copy(from, to, &mut progress);
    if done.is_err() {
        drop(std::fs::remove_file(to));
    }
    let records = done?;
    File::open(to).and_then(|file| file.sync_all()).map_err(CopyError::Write)?;
    schema::sync_directory(to).map_err(CopyError::Write)?;
    Ok(records)
}

fn copy(from: &Path, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<u64, CopyError> {
    let source = schema::reader(from)?;
    // One read transaction over all steps: SQLite begins a copy anew where its source moved on between two steps.
    source.execute_batch("BEGIN")?;
    let records = source.query_row("SELECT count(*) FROM record", [], |row| row.get::<_, i64>(0))?;
    let mut target = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    {
        let backup = Backup::new(&source, &mut target)?;
        loop {
            let step = backup.step(STRIDE)?;
            let pages = backup.progress();
            let all = u64::try_from(pages.pagecount).unwrap_or(0);
            progress(all.saturating_sub(u64::try_from(pages.remaining).unwrap_or(0)), all);
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                StepResult::Busy | StepResult::Locked | _ => std::thread::sleep(PAUSE),
            }
        }
    }
    let found: String = target.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    let copied = target.query_row("SELECT count(*) FROM record", [], |row| row.get::<_, i64>(0))?;
    if found != "ok" {
        return Err(CopyError::Damaged(found));
    }
    if copied != records {
        return Err(CopyError::Damaged("it has not all records".to_owned()));
    }
    Ok(u64::try_from(records).unwrap_or(0))
}

fn gone(path: &Path) -> Result<(), CopyError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(CopyError::Write(error)),
        _ => Ok(()),
    }
}
