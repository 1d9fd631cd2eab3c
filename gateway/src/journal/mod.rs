//! The durable record of accesses: one SQLite file in which one write makes an event durable and queued for the log.
//!
//! ```text
//! record(batch) → prepare (caller's task: secret, canonical form, commitment)
//!               → writer (one thread: sequence, seal, insert; all that is queued in ONE transaction, one sync)
//!               → Durable
//! ```
//!
//! [`Durable`] is the proof that the pipeline needs before a byte leaves (ARCHITECTURE, invariant 1). Sequence numbers are
//! gapless per source and epoch; a record is never changed. What the log has acknowledged is a prefix of the records,
//! and the batch after it, planned durably, is on its way ([`Dispatch`]).

mod archive;
mod copy;
mod dispatch;
mod entry;
mod error;
mod grants;
mod ledger;
mod openings;
mod place;
mod recovery;
mod schema;
mod state;
mod writer;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use evidence::ids::{Commitment, Epoch, EventId, SourceId, TenantId};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

pub use archive::Archive;
pub use copy::{CopyError, NewEpoch, back_up, new_epoch, restore};
pub use dispatch::{Batch, Dispatch, MAX_DISPATCH, Receipt};
pub use entry::{Entry, MAX_BATCH};
pub use error::{JournalError, Limit, OpenError};
pub use grants::{Altered, GrantReview, NewGrant, StoredGrant, StoredGrants};
pub use openings::{Followed, Opening};
pub use place::{Place, Position};
pub use state::{Backlog, Statistics};

use crate::keys::{BlindIndex, KeyEncryptionKey, SubjectKeys};
use entry::{Prepared, Preparer};
use ledger::{Ledger, Limits};
use place::Numbering;
use state::State;
use writer::{Order, Work, Writer};

/// Keys of patients that were used lately; only the writer puts keys in, after the commit that made them durable.
type KeyCache = moka::sync::Cache<BlindIndex, Arc<SubjectKeys>>;

/// The smallest file that holds the tables and room to close what was opened.
const SMALLEST_BYTES: u64 = 256 * 1024;

/// Where the journal is and how large it may get.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The SQLite file; its directory must exist.
    pub path: PathBuf,
    /// The tenant; part of every commitment.
    pub tenant: TenantId,
    /// Bytes of the file. An eighth of it (at most 16 MiB) is kept for closing events and receipts.
    pub max_bytes: u64,
    /// Records that may wait for the log.
    pub max_backlog: u64,
    /// Batches that may wait for the writer; callers wait beyond it.
    pub queue: usize,
    /// Patients whose keys are kept in memory, about 1 KiB each.
    pub key_cache: u64,
}

/// The journal; a cheap handle to clone.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    orders: mpsc::Sender<Order>,
    state: Arc<State>,
    preparer: Preparer,
    numbering: Numbering,
    limits: Limits,
    reader: Mutex<Connection>,
}

/// What was found when the journal was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenReport {
    /// Whether it was made anew.
    pub made: bool,
    /// The journal's id.
    pub source: SourceId,
    /// The epoch that new records belong to.
    pub epoch: Epoch,
    /// Records in the file, those that closed what was left open included.
    pub records: u64,
    /// Requests that an earlier run left open, now closed as `unknown`.
    pub orphans_closed: u64,
    /// Records without a receipt of the log.
    pub unshipped: u64,
}

/// Proof that a batch is on disk, made by [`Journal::record`] alone.
#[derive(Debug)]
pub struct Durable {
    records: Vec<DurableRecord>,
}

/// What an event became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DurableRecord {
    /// The event.
    pub event: EventId,
    /// Its place in the journal and, later, in the log.
    pub place: Place,
    /// The commitment to it.
    pub commitment: Commitment,
    /// The query as it stands sealed in the event (base64), for `AuditEvent.entity.query`.
    pub query_sealed: Option<String>,
}

impl Settings {
    /// Settings with their defaults: 64 GiB, 1,000,000 waiting records, 1,024 queued batches, 8,192 patients' keys.
    #[must_use]
    pub fn new(path: PathBuf, tenant: TenantId) -> Self {
        Self { path, tenant, max_bytes: 64 << 30, max_backlog: 1_000_000, queue: 1_024, key_cache: 8_192 }
    }
}

impl Durable {
    /// The records, in the order of the batch.
    #[must_use]
    pub fn records(&self) -> &[DurableRecord] {
        &self.records
    }
}

impl Journal {
    /// Opens the journal or makes a new one, closes what an earlier run left open, and starts the writer. Blocks.
    ///
    /// # Errors
    /// Another process has it open, the key or tenant is another, it is damaged, or it cannot be written.
    pub fn open(settings: Settings, kek: KeyEncryptionKey) -> Result<(Self, OpenReport), OpenError> {
        let Settings { path, tenant, max_bytes, max_backlog, queue, key_cache } = settings;
        if max_bytes < SMALLEST_BYTES {
            return Err(OpenError::Setting { key: "journal.max_bytes" });
        }
        if max_backlog == 0 || queue == 0 {
            return Err(OpenError::Setting { key: "journal.max_backlog" });
        }
        let opened = schema::open(&path, &tenant, &kek, max_bytes)?;
        let reader = schema::reader(&path)?;
        let limits = Limits {
            soft_bytes: max_bytes - (max_bytes / 8).min(16 << 20),
            backlog: max_backlog,
            page_bytes: opened.page_bytes,
        };
        let numbering = opened.numbering;
        let preparer = Preparer { tenant: tenant.clone(), kek: kek.clone(), cache: KeyCache::new(key_cache) };
        let cache = preparer.cache.clone();
        let ledger = Ledger::load(&opened.connection, numbering.clone(), tenant, kek, cache, limits)?;
        let state = Arc::new(State::default());
        state.moved(ledger.moved());
        let mut writer =
            Writer { connection: opened.connection, ledger, state: Arc::clone(&state), pages: 0, lock: opened.lock };
        let orphans_closed = recovery::close_orphans(&mut writer, &preparer).map_err(OpenError::Recovery)?;
        let (orders, queued) = mpsc::channel(queue);
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer::run(writer, queued))
            .map_err(OpenError::Thread)?;
        let statistics = state.statistics();
        let report = OpenReport {
            made: opened.made,
            source: numbering.source(),
            epoch: numbering.current(),
            records: statistics.records,
            orphans_closed,
            unshipped: statistics.records - statistics.shipped,
        };
        let shared = Shared { orders, state, preparer, numbering, limits, reader: Mutex::new(reader) };
        Ok((Self { shared: Arc::new(shared) }, report))
    }

    /// Records a batch, all of it or nothing; on `Ok` it is on disk and queued for the log.
    ///
    /// A caller that goes away while it waits may find the batch recorded; it has released nothing by then.
    ///
    /// # Errors
    /// [`JournalError::Full`] may pass; after [`JournalError::Failed`] nothing is recorded until a restart. Both are
    /// 503 to the client.
    pub async fn record(&self, batch: Vec<Entry>) -> Result<Durable, JournalError> {
        let records = self.order(Work::Record(self.prepared(batch)?)).await?;
        Ok(Durable { records })
    }

    /// Records the events of a claim and stores its break-glass grant, all of it or nothing. The grant is stored before it works.
    ///
    /// # Errors
    /// As [`Journal::record`].
    pub async fn grant(&self, batch: Vec<Entry>, grant: NewGrant) -> Result<Durable, JournalError> {
        let grant = self.shared.preparer.prepare_grant(grant);
        let records = self.order(Work::Grant(self.prepared(batch)?, grant)).await?;
        Ok(Durable { records })
    }

    /// Records the events of a review and closes its break-glass grant, all of it or nothing.
    ///
    /// # Errors
    /// [`JournalError::Grant`] where there is none that waits for a review; else as [`Journal::record`].
    pub async fn review(&self, batch: Vec<Entry>, closing: GrantReview) -> Result<Durable, JournalError> {
        let records = self.order(Work::Review(self.prepared(batch)?, closing)).await?;
        Ok(Durable { records })
    }

    /// The stored break-glass grants. Blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn grants(&self) -> Result<StoredGrants, JournalError> {
        self.read(|reader| grants::read(reader, &self.shared.preparer).map_err(JournalError::Read))
    }

    fn prepared(&self, batch: Vec<Entry>) -> Result<Vec<Prepared>, JournalError> {
        if batch.is_empty() {
            return Err(JournalError::EmptyBatch);
        }
        if batch.len() > MAX_BATCH {
            return Err(JournalError::BatchTooLarge);
        }
        batch.into_iter().map(|entry| self.shared.preparer.prepare(entry)).collect()
    }

    /// What has been recorded but has no receipt of the log yet.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        self.shared.state.backlog(crate::clock::now())
    }

    /// Whether the journal takes records now: it has not failed, is not closed and is under its limits.
    #[must_use]
    pub fn writable(&self) -> bool {
        let state = &self.shared.state;
        let statistics = state.statistics();
        !state.has_failed()
            && !state.is_closed()
            && statistics.file_bytes < self.shared.limits.soft_bytes
            && statistics.records - statistics.shipped < self.shared.limits.backlog
    }

    /// Counters for metrics.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.shared.state.statistics()
    }

    /// The tenant of this journal.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.shared.preparer.tenant
    }

    /// The journal's id in the log.
    #[must_use]
    pub fn source(&self) -> SourceId {
        self.shared.numbering.source()
    }

    /// The epoch that new records belong to.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.shared.numbering.current()
    }

    /// The request event and everything that refers to it, decrypted, in order; none for an unknown id. Blocks.
    ///
    /// # Errors
    /// [`JournalError::Altered`]: a record is not what was recorded, NOT verified.
    pub fn openings(&self, request: EventId) -> Result<Vec<Opening>, JournalError> {
        self.read(|reader| openings::of_request(reader, &self.shared.numbering, &self.shared.preparer, request))
    }

    /// At most `most` records after a position (0: from the first), decrypted, in order. Blocks.
    ///
    /// # Errors
    /// As [`Journal::openings`].
    pub fn follow(&self, after: u64, most: u32) -> Result<Vec<Followed>, JournalError> {
        self.read(|reader| {
            openings::after(reader, &self.shared.numbering, &self.shared.preparer, Position(after), most)
        })
    }

    /// The event of a request itself; nothing for an unknown id or an erased key. Blocks.
    ///
    /// # Errors
    /// As [`Journal::openings`].
    pub fn request_event(&self, request: EventId) -> Result<Option<Opening>, JournalError> {
        self.read(|reader| openings::request_event(reader, &self.shared.numbering, &self.shared.preparer, request))
    }

    /// The batch that is on its way to the log; nothing where every record has a receipt. Blocks.
    ///
    /// # Errors
    /// The file cannot be read, or a record is missing.
    pub fn dispatch(&self) -> Result<Option<Dispatch>, JournalError> {
        self.read(|reader| dispatch::read(reader, &self.shared.numbering).map_err(JournalError::Read))
    }

    /// The newest receipt of the log. Blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn last_receipt(&self) -> Result<Option<Receipt>, JournalError> {
        self.read(|reader| dispatch::last_receipt(reader).map_err(JournalError::Read))
    }

    /// Keeps the receipt of the batch that is on its way; the next batch is planned in the same transaction.
    ///
    /// # Errors
    /// [`JournalError::Receipt`] where another batch is on its way; else as [`Journal::record`].
    pub async fn keep(&self, receipt: Receipt) -> Result<(), JournalError> {
        self.order(Work::Receipt(receipt)).await.map(drop)
    }

    /// Lets the batch that is on its way end after `records` of its records.
    ///
    /// # Errors
    /// [`JournalError::Receipt`] where it has fewer; else as [`Journal::record`].
    pub async fn shorten(&self, records: u64) -> Result<(), JournalError> {
        self.order(Work::Shorten(records)).await.map(drop)
    }

    /// Waits until a record may be waiting for the log.
    pub async fn waiting(&self) {
        self.shared.state.waiting.notified().await;
    }

    /// Writes what was queued, and ends the writer; later calls read [`JournalError::Closed`].
    ///
    /// # Errors
    /// [`JournalError::Failed`] where the writer had failed before.
    pub async fn close(&self) -> Result<(), JournalError> {
        match self.order(Work::Close).await {
            Ok(_) | Err(JournalError::Closed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn order(&self, work: Work) -> Result<Vec<DurableRecord>, JournalError> {
        let (reply, answer) = oneshot::channel();
        let state = &self.shared.state;
        let gone = || if state.is_closed() { JournalError::Closed } else { JournalError::Failed };
        self.shared.orders.send(Order { work, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let reader = self.shared.reader.lock().unwrap_or_else(PoisonError::into_inner);
        read(&reader)
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Journal").field("source", &self.source()).finish_non_exhaustive()
    }
}
