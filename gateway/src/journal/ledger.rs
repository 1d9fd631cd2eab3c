//! What one transaction of the writer does to the tables, and what the writer remembers of them.
//!
//! INVARIANT: what is remembered changes only after a commit ([`Ledger::committed`]); a transaction that is taken back
//! leaves no trace in memory, neither a sequence number nor a key.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use evidence::ids::{EventId, TenantId};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::dispatch::{Batch, MAX_DISPATCH, Receipt};
use super::entry::{Course, Prepared, Subject};
use super::error::{JournalError, Limit};
use super::place::{Numbering, Position};
use super::state::Moved;
use super::{DurableRecord, KeyCache, schema};
use crate::keys::{BlindIndex, Context, KeyEncryptionKey, KeyError, Secret, SubjectKeys};

/// What the writer keeps over transactions.
pub(super) struct Ledger {
    pub(super) numbering: Numbering,
    pub(super) tenant: TenantId,
    pub(super) kek: KeyEncryptionKey,
    pub(super) cache: KeyCache,
    pub(super) limits: Limits,
    tally: Tally,
    unfinished: HashSet<EventId>,
}

/// The limits of `[journal]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of the file beyond which only closing events, receipts and plans are written.
    pub(super) soft_bytes: u64,
    /// Records without a receipt beyond which only closing events are recorded.
    pub(super) backlog: u64,
    /// Bytes of a page.
    pub(super) page_bytes: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    head: u64,
    shipped: u64,
    waiting_bytes: u64,
    oldest_waiting: u64,
    file_bytes: u64,
    on_its_way: Option<Batch>,
}

/// One transaction's changes, before they are committed.
pub(super) struct Step {
    tally: Tally,
    fresh_keys: HashMap<BlindIndex, Arc<SubjectKeys>>,
    begun: Vec<EventId>,
    ended: Vec<EventId>,
    payload_bytes: u64,
}

/// A database error outside, a refusal of this one order inside.
pub(super) type Written = Result<Result<Vec<DurableRecord>, JournalError>, rusqlite::Error>;

impl Step {
    pub(super) fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }
}

impl Ledger {
    /// Reads what must be remembered from an opened journal.
    pub(super) fn load(
        connection: &Connection,
        numbering: Numbering,
        tenant: TenantId,
        kek: KeyEncryptionKey,
        cache: KeyCache,
        limits: Limits,
    ) -> Result<Self, rusqlite::Error> {
        let shipped = schema::shipped(connection)?;
        let (head, waiting_bytes): (i64, i64) = connection.query_row(
            "SELECT coalesce((SELECT max(position) FROM record), 0),
                    coalesce((SELECT sum(length(payload)) FROM record WHERE position > ?1), 0)",
            [shipped],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let mut statement = connection.prepare("SELECT request FROM unfinished")?;
        let unfinished = statement
            .query_map([], |row| row.get(0).map(EventId::new))?
            .collect::<Result<HashSet<_>, rusqlite::Error>>()?;
        let mut tally = Tally {
            head: unsigned(head),
            shipped: unsigned(shipped),
            waiting_bytes: unsigned(waiting_bytes),
            on_its_way: Batch::on_its_way(connection)?,
            ..Tally::default()
        };
        tally.oldest_waiting = waiting_since(connection, &tally)?;
        tally.file_bytes = file_bytes(connection, limits)?;
        Ok(Self { numbering, tenant, kek, cache, limits, tally, unfinished })
    }

    /// The counters as they are on disk.
    pub(super) fn moved(&self) -> Moved {
        Moved {
            head: self.tally.head,
            shipped: self.tally.shipped,
            waiting_bytes: self.tally.waiting_bytes,
            oldest_waiting: self.tally.oldest_waiting,
            file_bytes: self.tally.file_bytes,
        }
    }

    /// Begins to write.
    pub(super) fn begin(&self, transaction: &Transaction<'_>) -> Result<Step, rusqlite::Error> {
        let file_bytes = file_bytes(transaction, self.limits)?;
        Ok(Step {
            tally: Tally { file_bytes, ..self.tally },
            fresh_keys: HashMap::new(),
            begun: Vec::new(),
            ended: Vec::new(),
            payload_bytes: 0,
        })
    }

    /// Takes over what was committed.
    pub(super) fn committed(&mut self, step: Step) -> Moved {
        self.tally = step.tally;
        for (index, keys) in step.fresh_keys {
            self.cache.insert(index, keys);
        }
        self.unfinished.extend(step.begun);
        for request in &step.ended {
            self.unfinished.remove(request);
        }
        self.moved()
    }

    /// Records a batch: keys of its patients, then a row for each event under the next sequence number.
    ///
    /// All or nothing: limits, keys and sealed payloads are settled before the first row.
    pub(super) fn record(&self, step: &mut Step, transaction: &Transaction<'_>, batch: Vec<Prepared>) -> Written {
        if let Err(full) = self.admit(step, &batch) {
            return Ok(Err(full));
        }
        let mut sealed = Vec::with_capacity(batch.len());
        for (offset, prepared) in (1_u64..).zip(batch) {
            let keys = match self.keys(step, transaction, &prepared.subject)? {
                Ok(keys) => keys,
                Err(error) => return Ok(Err(JournalError::Key(error))),
            };
            let place = self.numbering.place(Position(step.tally.head).plus(offset));
            let commitment = prepared.commitment(&self.tenant, &keys);
            match keys.seal_payload(&prepared.canonical, &place.associated(&commitment)) {
                Ok(payload) => sealed.push((prepared, place, commitment, payload)),
                Err(error) => return Ok(Err(JournalError::Key(error))),
            }
        }
        let mut records = Vec::with_capacity(sealed.len());
        for (prepared, place, commitment, payload) in sealed {
            self.insert(step, transaction, &prepared, commitment.as_bytes(), &payload)?;
            self.follow(step, transaction, &prepared)?;
            records.push(DurableRecord { event: prepared.id, place, commitment, query_sealed: prepared.query_sealed });
        }
        Ok(Ok(records))
    }

    /// Keeps the receipt of the batch that is on its way, or of its first records; the others are planned anew.
    pub(super) fn receipt(&self, step: &mut Step, transaction: &Transaction<'_>, receipt: &Receipt) -> Written {
        let Some(batch) = step.tally.on_its_way else {
            return Ok(Err(JournalError::Receipt { what: "no batch is on its way" }));
        };
        if batch.prefix(receipt.batch.records) != Some(receipt.batch) {
            return Ok(Err(JournalError::Receipt { what: "another batch is on its way" }));
        }
        let batch = receipt.batch;
        let (Ok(first_index), Ok(size)) = (i64::try_from(receipt.first_index.get()), i64::try_from(receipt.size.get()))
        else {
            return Ok(Err(JournalError::Receipt { what: "an index over 2^63" }));
        };
        transaction
            .prepare_cached(
                "INSERT INTO receipt (first_position, records, first_index, size, checkpoint)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![batch.first.row(), signed(batch.records), first_index, size, receipt.checkpoint])?;
        transaction.prepare_cached("DELETE FROM dispatch")?.execute([])?;
        let gone: i64 = transaction
            .prepare_cached("SELECT coalesce(sum(length(payload)), 0) FROM record WHERE position BETWEEN ?1 AND ?2")?
            .query_row(params![batch.first.row(), batch.last().row()], |row| row.get(0))?;
        step.tally.on_its_way = None;
        step.tally.shipped = batch.last().get();
        step.tally.waiting_bytes = step.tally.waiting_bytes.saturating_sub(unsigned(gone));
        step.tally.oldest_waiting = waiting_since(transaction, &step.tally)?;
        Ok(Ok(Vec::new()))
    }

    /// Lets the batch on its way end after `records` records: the log has those already, or takes no more at once.
    pub(super) fn shorten(&self, step: &mut Step, transaction: &Transaction<'_>, records: u64) -> Written {
        let Some(shorter) = step.tally.on_its_way.and_then(|batch| batch.prefix(records)) else {
            return Ok(Err(JournalError::Receipt { what: "no batch of that length is on its way" }));
        };
        transaction.execute("UPDATE dispatch SET records = ?1", [signed(records)])?;
        step.tally.on_its_way = Some(shorter);
        Ok(Ok(Vec::new()))
    }

    /// Plans the next batch for the log where none is on its way.
    ///
    /// CRASH: the plan is durable before the batch is first sent (it is part of the transaction that gave cause for
    /// it), so a repetition after any crash has the same bounds, and the log can answer it with the same receipt.
    pub(super) fn plan(&self, step: &mut Step, transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
        let waiting = step.tally.head.saturating_sub(step.tally.shipped);
        if step.tally.on_its_way.is_some() || waiting == 0 {
            return Ok(());
        }
        let first = Position(step.tally.shipped).plus(1);
        let records = self.numbering.within_epoch(first, waiting.min(MAX_DISPATCH));
        transaction
            .prepare_cached("INSERT INTO dispatch (only_row, first_position, records) VALUES (1, ?1, ?2)")?
            .execute(params![first.row(), signed(records)])?;
        step.tally.on_its_way = Some(Batch { first, records });
        Ok(())
    }

    /// Refuses what is over a limit. Closing events pass, and what stands in one batch with them: they let a request that
    /// began be ended, and a write that was carried out be told with its patients.
    pub(super) fn admit(&self, step: &Step, batch: &[Prepared]) -> Result<(), JournalError> {
        if batch.iter().any(Prepared::closes) {
            return Ok(());
        }
        let waiting = step.tally.head.saturating_sub(step.tally.shipped);
        if waiting.saturating_add(batch.len() as u64) > self.limits.backlog {
            return Err(JournalError::Full(Limit::Backlog));
        }
        let bytes: u64 = batch.iter().map(Prepared::bytes).sum();
        if step.tally.file_bytes.saturating_add(step.payload_bytes).saturating_add(bytes) > self.limits.soft_bytes {
            return Err(JournalError::Full(Limit::Bytes));
        }
        Ok(())
    }

    /// The keys of an event: its own, or its patient's: remembered, or read, or made here and now.
    pub(super) fn keys(
        &self,
        step: &mut Step,
        transaction: &Transaction<'_>,
        subject: &Subject,
    ) -> Result<Result<Arc<SubjectKeys>, KeyError>, rusqlite::Error> {
        let index = match subject {
            Subject::Event { keys, .. } => return Ok(Ok(Arc::clone(keys))),
            Subject::Patient { index } => index,
        };
        if let Some(keys) = self.cache.get(index).or_else(|| step.fresh_keys.get(index).cloned()) {
            return Ok(Ok(keys));
        }
        let stored: Option<Vec<u8>> = transaction
            .prepare_cached("SELECT wrapped FROM subject_key WHERE patient = ?1")?
            .query_row([index.as_bytes()], |row| row.get(0))
            .optional()?;
        let context = Context::Patient(index);
        let secret = match stored {
            Some(wrapped) => self.kek.unwrap(&self.tenant, context, &wrapped),
            None => match Secret::random()
                .and_then(|secret| self.kek.wrap(&self.tenant, context, &secret).map(|wrapped| (secret, wrapped)))
            {
                Ok((secret, wrapped)) => {
                    transaction
                        .prepare_cached("INSERT INTO subject_key (patient, wrapped) VALUES (?1, ?2)")?
                        .execute(params![index.as_bytes(), wrapped.as_bytes()])?;
                    Ok(secret)
                }
                Err(error) => Err(error),
            },
        };
        Ok(secret.and_then(|secret| secret.keys()).map(|keys| {
            let keys = Arc::new(keys);
            step.fresh_keys.insert(*index, Arc::clone(&keys));
            keys
        }))
    }

    fn insert(
        &self,
        step: &mut Step,
        transaction: &Transaction<'_>,
        prepared: &Prepared,
        commitment: &[u8; 32],
        payload: &[u8],
    ) -> Result<(), rusqlite::Error> {
        let (patient, wrapped) = match &prepared.subject {
            Subject::Patient { index } => (Some(index.as_bytes()), None),
            Subject::Event { wrapped, .. } => (None, Some(wrapped.as_bytes())),
        };
        let position = Position(step.tally.head).plus(1);
        transaction
            .prepare_cached(
                "INSERT INTO record (position, at, kind, event, request, patient, wrapped, commitment, payload)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                position.row(),
                signed(prepared.at),
                prepared.kind,
                prepared.id.as_bytes(),
                prepared.request.as_ref().map(EventId::as_bytes),
                patient,
                wrapped,
                commitment,
                payload,
            ])?;
        if step.tally.head == step.tally.shipped {
            step.tally.oldest_waiting = prepared.at;
        }
        step.tally.head = position.get();
        step.tally.waiting_bytes += payload.len() as u64;
        step.payload_bytes += payload.len() as u64;
        Ok(())
    }

    /// Keeps the list of requests that were opened and not yet closed.
    fn follow(
        &self,
        step: &mut Step,
        transaction: &Transaction<'_>,
        prepared: &Prepared,
    ) -> Result<(), rusqlite::Error> {
        let Some(request) = prepared.request else { return Ok(()) };
        match prepared.course {
            Course::Begins => {
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO unfinished (request, windows) VALUES (?1, 0)")?
                    .execute([request.as_bytes()])?;
                step.begun.push(request);
            }
            Course::Window(window) if self.unfinished.contains(&request) || step.begun.contains(&request) => {
                transaction
                    .prepare_cached("UPDATE unfinished SET windows = max(windows, ?2) WHERE request = ?1")?
                    .execute(params![request.as_bytes(), i64::from(window) + 1])?;
            }
            Course::Ends => {
                transaction
                    .prepare_cached("DELETE FROM unfinished WHERE request = ?1")?
                    .execute([request.as_bytes()])?;
                step.ended.push(request);
            }
            Course::Window(_) | Course::Apart => {}
        }
        Ok(())
    }
}

/// When the oldest record without a receipt was made, in milliseconds since 1970; 0 where none waits.
fn waiting_since(connection: &Connection, tally: &Tally) -> Result<u64, rusqlite::Error> {
    let at: Option<i64> = connection
        .prepare_cached("SELECT at FROM record WHERE position = ?1")?
        .query_row([Position(tally.shipped).plus(1).row()], |row| row.get(0))
        .optional()?;
    Ok(at.map_or(0, unsigned))
}

fn file_bytes(connection: &Connection, limits: Limits) -> Result<u64, rusqlite::Error> {
    let pages: i64 = connection.prepare_cached("PRAGMA page_count")?.query_row([], |row| row.get(0))?;
    Ok(unsigned(pages).saturating_mul(limits.page_bytes))
}

/// Counters are below 2^63 in this process's life; SQLite has no unsigned integers.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
