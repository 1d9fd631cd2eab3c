//! The one writer: takes all that is queued, writes it in one transaction with one sync, then acknowledges all.
//!
//! No timer: the next group forms while the disk is busy. The commit is the commit point of every record in it.
//!
//! INVARIANT: an I/O error ends the writer for good. After a failed sync the kernel may report success for pages that
//! never reached the disk, so nothing is tried again in this process; the next start copies and syncs what can be read.

use std::sync::Arc;
use std::time::Instant;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::DurableRecord;
use super::dispatch::Receipt;
use super::entry::Prepared;
use super::error::{JournalError, Limit};
use super::grants::{GrantReview, PreparedGrant};
use super::ledger::Ledger;
use super::schema::{self, Lock};
use super::state::State;

/// The most records of one transaction, give or take a batch.
const GROUP_RECORDS: usize = 8_192;
/// Pages in SQLite's write-ahead log, as estimated below, at which they are copied into the file.
const CHECKPOINT_PAGES: u64 = 2_000;
/// Pages that a transaction writes besides its payloads.
const PAGES_PER_COMMIT: u64 = 4;
/// Payload bytes that fill a page, with index and slack.
const BYTES_PER_PAGE: u64 = 2_048;

/// What the writer is asked to do, and where its answer goes: what it recorded, nothing for other work.
pub(super) struct Order {
    pub(super) work: Work,
    pub(super) reply: oneshot::Sender<Result<Vec<DurableRecord>, JournalError>>,
}

/// What the writer is asked to do.
pub(super) enum Work {
    /// Record these events, all or none.
    Record(Vec<Prepared>),
    /// Record these events and store the grant that they tell of, all or none.
    Grant(Vec<Prepared>, PreparedGrant),
    /// Record these events and close the grant that they tell of, all or none.
    Review(Vec<Prepared>, GrantReview),
    /// Keep the receipt of the batch that is on its way, and plan the next.
    Receipt(Receipt),
    /// Let the batch on its way end after so many records.
    Shorten(u64),
    /// Write what was queued before this, and end.
    Close,
}

/// The writer's own: the connection, and everything that only it may touch.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) ledger: Ledger,
    pub(super) state: Arc<State>,
    /// Estimated pages in SQLite's write-ahead log.
    pub(super) pages: u64,
    /// Goes last.
    pub(super) lock: Lock,
}

/// The writer cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("the journal cannot be written: {0}")]
pub(super) struct Fatal(#[from] pub(super) rusqlite::Error);

/// Runs until it is closed, all handles are gone, or it cannot write.
pub(super) fn run(mut writer: Writer, mut orders: mpsc::Receiver<Order>) {
    let ending = Ending(Arc::clone(&writer.state));
    let closing = match serve(&mut writer, &mut orders) {
        Ok(closing) => closing,
        Err(fatal) => {
            // Orders still queued are dropped unacknowledged; their callers read `Failed`.
            tracing::error!(error = %fatal, "the journal has failed; nothing is recorded until a restart");
            return;
        }
    };
    writer.state.close();
    let Writer { connection, lock, .. } = writer;
    if let Err(error) = schema::checkpoint(&connection) {
        tracing::warn!(%error, "the journal's log was not copied at its end; the next start does it");
    }
    drop(connection);
    drop(lock);
    drop(orders);
    drop(ending);
    if let Some(reply) = closing {
        let _ = reply.send(Ok(Vec::new()));
    }
}

/// Marks the journal failed when the writer ends in any way but by being closed, a panic included.
struct Ending(Arc<State>);

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.0.is_closed() {
            self.0.fail();
        }
    }
}

type Closing = Option<oneshot::Sender<Result<Vec<DurableRecord>, JournalError>>>;

fn serve(writer: &mut Writer, orders: &mut mpsc::Receiver<Order>) -> Result<Closing, Fatal> {
    while let Some(first) = orders.blocking_recv() {
        let (group, closing) = gather(first, orders);
        if !group.is_empty() {
            writer.commit(group)?;
        }
        if closing.is_some() {
            return Ok(closing);
        }
        writer.checkpoint_when_due()?;
    }
    Ok(None)
}

/// Takes what is queued, up to the limit of a group or an order to close.
fn gather(first: Order, orders: &mut mpsc::Receiver<Order>) -> (Vec<Order>, Closing) {
    let mut group = Vec::new();
    let mut records = 0;
    let mut next = Some(first);
    while let Some(order) = next {
        match &order.work {
            Work::Close => return (group, Some(order.reply)),
            Work::Record(batch) | Work::Grant(batch, _) | Work::Review(batch, _) => records += batch.len(),
            Work::Receipt(_) | Work::Shorten(_) => {}
        }
        group.push(order);
        next = if records < GROUP_RECORDS { orders.try_recv().ok() } else { None };
    }
    (group, None)
}

impl Writer {
    /// Writes a group in one transaction and acknowledges it after the commit.
    pub(super) fn commit(&mut self, group: Vec<Order>) -> Result<(), Fatal> {
        let started = Instant::now();
        let (works, replies): (Vec<_>, Vec<_>) = group.into_iter().map(|order| (order.work, order.reply)).unzip();
        match self.write(works) {
            Ok(results) => {
                self.state.committed(started.elapsed());
                for (reply, result) in replies.into_iter().zip(results) {
                    // A caller that has gone away needs no answer.
                    let _ = reply.send(result);
                }
                Ok(())
            }
            Err(Unwritten::NoPage) if self.connection.is_autocommit() => {
                for reply in replies {
                    let _ = reply.send(Err(JournalError::Full(Limit::Bytes)));
                }
                Ok(())
            }
            Err(Unwritten::NoPage) => {
                self.state.fail();
                Err(Fatal(rusqlite::Error::InvalidQuery))
            }
            Err(Unwritten::Failed(error)) => {
                // Before the answers are dropped: who reads `Failed` finds the journal not writable.
                self.state.fail();
                Err(Fatal(error))
            }
        }
    }

    fn write(&mut self, works: Vec<Work>) -> Result<Vec<Result<Vec<DurableRecord>, JournalError>>, Unwritten> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(Unwritten::Failed)?;
        let mut step = self.ledger.begin(&transaction)?;
        let mut results = Vec::with_capacity(works.len());
        for work in works {
            results.push(match work {
                Work::Record(batch) => self.ledger.record(&mut step, &transaction, batch)?,
                Work::Grant(batch, grant) => self.ledger.grant(&mut step, &transaction, batch, &grant)?,
                Work::Review(batch, closing) => self.ledger.review(&mut step, &transaction, batch, &closing)?,
                Work::Receipt(receipt) => self.ledger.receipt(&mut step, &transaction, &receipt)?,
                Work::Shorten(records) => self.ledger.shorten(&mut step, &transaction, records)?,
                Work::Close => Err(JournalError::Closed),
            });
        }
        self.ledger.plan(&mut step, &transaction)?;
        // CRASH: the commit point. Before it nothing of the group exists, after it everything does. An error of the
        // commit itself, a full disk included, is never tried again: part of it may have reached the disk.
        transaction.commit().map_err(Unwritten::Failed)?;
        self.pages += PAGES_PER_COMMIT + step.payload_bytes() / BYTES_PER_PAGE;
        self.state.moved(self.ledger.committed(step));
        Ok(results)
    }

    /// Copies SQLite's write-ahead log into the file when it has grown; the group was acknowledged before.
    ///
    /// CRASH: until the file is synced the log keeps every frame; an error here ends the writer.
    fn checkpoint_when_due(&mut self) -> Result<(), Fatal> {
        if self.pages >= CHECKPOINT_PAGES {
            self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
            self.pages = 0;
        }
        Ok(())
    }
}

/// Why a group was not written.
enum Unwritten {
    /// A statement found no free page; nothing was written, the transaction is taken back.
    NoPage,
    /// Anything else.
    Failed(rusqlite::Error),
}

/// For errors of statements, not of the commit.
impl From<rusqlite::Error> for Unwritten {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::NoPage,
            Some(_) | None => Self::Failed(error),
        }
    }
}
