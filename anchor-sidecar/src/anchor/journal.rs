//! The sender's journal: what was decided and signed, written before anything leaves this machine.
//!
//! One SQLite file (`anchor.db`; WAL, `synchronous=FULL`, exclusive lock). Each method that changes something is one
//! transaction with one sync; when it returns, the change survives a crash.
//!
//! CRASH: a flight whose last row says `signed` may or may not have reached a node; the same bytes are sent again, and a
//! node that has them answers `already known`.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::{Address, B256, Bytes};
use evidence::ids::{Hash, LogId, TreeSize};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::{
    Head,
    flight::{Book, DropReason, Flight, FlightId, Inclusion, Phase, Variant},
};

/// Why the journal cannot be used. The sender stops on it.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// SQLite.
    #[error("anchor.db: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row is not what this program writes.
    #[error("anchor.db: {0} is damaged")]
    Damaged(&'static str),
    /// The file belongs to another log, contract or chain.
    #[error(
        "anchor.db belongs to chain {chain_id}, contract {contract}, log {log_id}; the configuration names another"
    )]
    Foreign {
        /// Its chain.
        chain_id: u64,
        /// Its contract.
        contract: String,
        /// Its log.
        log_id: String,
    },
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS binding (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        version INTEGER NOT NULL, chain_id INTEGER NOT NULL, contract TEXT NOT NULL, log_id TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS flight (
        id INTEGER PRIMARY KEY, nonce INTEGER, expected_seq INTEGER NOT NULL, phase TEXT NOT NULL, reason TEXT,
        inclusion TEXT, mined_before BLOB
    ) STRICT;
    CREATE INDEX IF NOT EXISTS flight_by_phase ON flight (phase, expected_seq);
    CREATE TABLE IF NOT EXISTS variant (
        id INTEGER PRIMARY KEY, flight INTEGER NOT NULL REFERENCES flight (id), hash BLOB NOT NULL UNIQUE,
        raw BLOB NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, fees TEXT NOT NULL, gas_limit INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS variant_by_flight ON variant (flight, id);
    CREATE TABLE IF NOT EXISTS capture (
        flight INTEGER PRIMARY KEY REFERENCES flight (id), block_hash BLOB NOT NULL, evidence TEXT NOT NULL
    ) STRICT;";

/// The journal.
#[derive(Debug)]
pub struct Journal(Mutex<Connection>);

impl Journal {
    /// Opens or makes the journal of one log on one contract.
    ///
    /// # Errors
    /// [`JournalError`]; also when another process holds the file.
    pub fn open(path: &Path, chain_id: u64, contract: Address, log_id: LogId) -> Result<Self, JournalError> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        let (contract, log_id) = (contract.to_string(), log_id.to_string());
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(SCHEMA)?;
        transaction.execute(
            "INSERT OR IGNORE INTO binding VALUES (1, 1, ?1, ?2, ?3)",
            params![integer(chain_id)?, contract, log_id],
        )?;
        let bound: (i64, String, String) =
            transaction.query_row("SELECT chain_id, contract, log_id FROM binding WHERE version = 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        transaction.commit()?;
        if bound != (integer(chain_id)?, contract, log_id) {
            let (chain_id, contract, log_id) = bound;
            return Err(JournalError::Foreign { chain_id: natural(chain_id)?, contract, log_id });
        }
        Ok(Self(Mutex::new(connection)))
    }

    /// What matters for the next step.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn book(&self) -> Result<Book, JournalError> {
        let connection = self.lock();
        let mut flights = Vec::new();
        let mut statement = connection.prepare_cached(
            "SELECT id, nonce, expected_seq, phase, inclusion, mined_before FROM flight
             WHERE phase NOT IN ('final', 'dropped') ORDER BY expected_seq, id",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let id = FlightId(row.get(0)?);
            let inclusion: Option<String> = row.get(4)?;
            flights.push(Flight {
                id,
                nonce: row.get::<_, Option<i64>>(1)?.map(natural).transpose()?,
                expected_seq: natural(row.get(2)?)?,
                variants: variants(&connection, id)?,
                phase: phase(&row.get::<_, String>(3)?, inclusion.as_deref())?,
                mined_before: row.get::<_, Option<Vec<u8>>>(5)?.map(|hash| word(&hash)).transpose()?,
            });
        }
        let last: Option<i64> =
            connection.query_row("SELECT max(expected_seq) FROM flight WHERE phase = 'final'", [], |row| row.get(0))?;
        let final_seq = last.map(natural).transpose()?.map_or(0, |expected| expected.saturating_add(1));
        Ok(Book { flights, final_seq })
    }

    /// The final anchor of a `seq`: where it was mined.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn final_inclusion(&self, seq: u64) -> Result<Option<Inclusion>, JournalError> {
        let Some(expected) = seq.checked_sub(1) else { return Ok(None) };
        let inclusion: Option<Option<String>> = self
            .lock()
            .query_row(
                "SELECT inclusion FROM flight WHERE phase = 'final' AND expected_seq = ?1 ORDER BY id DESC LIMIT 1",
                [integer(expected)?],
                |row| row.get(0),
            )
            .optional()?;
        inclusion.flatten().map(|text| read_inclusion(Some(&text))).transpose()
    }

    /// PLAN → PREPARED.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn prepare(&self, nonce: u64, expected_seq: u64) -> Result<FlightId, JournalError> {
        self.change(|transaction| {
            transaction.execute(
                "INSERT INTO flight (nonce, expected_seq, phase) VALUES (?1, ?2, 'prepared')",
                [integer(nonce)?, integer(expected_seq)?],
            )?;
            Ok(FlightId(transaction.last_insert_rowid()))
        })
    }

    /// PREPARED or BUMP → SIGNED: the bytes, before they are sent.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn sign(&self, flight: FlightId, variant: &Variant) -> Result<(), JournalError> {
        let fees = serde_json::to_string(&variant.fees).map_err(|_| JournalError::Damaged("fees"))?;
        self.change(|transaction| {
            transaction.execute(
                "INSERT INTO variant (flight, hash, raw, size, root, fees, gas_limit) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    flight.0,
                    variant.hash.as_slice(),
                    variant.raw.as_ref(),
                    integer(variant.head.size.get())?,
                    variant.head.root.as_bytes(),
                    fees,
                    integer(variant.gas_limit)?
                ],
            )?;
            set_phase(transaction, flight, "signed", None, None)
        })
    }

    /// SIGNED → IN_POOL.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn accepted(&self, flight: FlightId) -> Result<(), JournalError> {
        self.change(|transaction| set_phase(transaction, flight, "in-pool", None, None))
    }

    /// SIGNED → BUMP.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn underpriced(&self, flight: FlightId) -> Result<(), JournalError> {
        self.change(|transaction| set_phase(transaction, flight, "bump", None, None))
    }

    /// → MINED.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn mined(&self, flight: FlightId, inclusion: &Inclusion) -> Result<(), JournalError> {
        self.change(|transaction| {
            let hash = inclusion.transaction.as_ref().map(B256::as_slice);
            transaction.execute("UPDATE flight SET mined_before = ?2 WHERE id = ?1", params![flight.0, hash])?;
            set_phase(transaction, flight, "mined", Some(inclusion), None)
        })
    }

    /// MINED or SAFE → IN_POOL, by a reorganisation.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn excluded(&self, flight: FlightId) -> Result<(), JournalError> {
        self.change(|transaction| set_phase(transaction, flight, "in-pool", None, None))
    }

    /// MINED → SAFE.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn safe(&self, flight: FlightId, inclusion: &Inclusion) -> Result<(), JournalError> {
        self.change(|transaction| set_phase(transaction, flight, "safe", Some(inclusion), None))
    }

    /// SAFE → FINAL.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn finished(&self, flight: FlightId, inclusion: &Inclusion) -> Result<(), JournalError> {
        self.change(|transaction| set_phase(transaction, flight, "final", Some(inclusion), None))
    }

    /// → dropped.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn dropped(&self, flight: FlightId, reason: DropReason) -> Result<(), JournalError> {
        self.change(|transaction| set_phase(transaction, flight, "dropped", None, Some(reason)))
    }

    /// CATCH_UP: a head that others brought to the chain, as MINED.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn adopt(&self, expected_seq: u64, inclusion: &Inclusion) -> Result<FlightId, JournalError> {
        self.change(|transaction| {
            transaction.execute(
                "INSERT INTO flight (nonce, expected_seq, phase) VALUES (NULL, ?1, 'mined')",
                [integer(expected_seq)?],
            )?;
            let flight = FlightId(transaction.last_insert_rowid());
            set_phase(transaction, flight, "mined", Some(inclusion), None)?;
            Ok(flight)
        })
    }

    /// Forgets the finals above `seq`; returns their sequence numbers.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn undo(&self, seq: u64) -> Result<Vec<u64>, JournalError> {
        let reason = reason_text(DropReason::FinalUndone)?;
        self.change(|transaction| {
            let mut statement = transaction.prepare(
                "UPDATE flight SET phase = 'dropped', reason = ?2 WHERE phase = 'final' AND expected_seq >= ?1
                 RETURNING expected_seq",
            )?;
            let rows = statement.query_map(params![integer(seq)?, reason], |row| row.get::<_, i64>(0))?;
            rows.map(|expected| Ok(natural(expected?)?.saturating_add(1))).collect()
        })
    }

    /// Keeps the evidence captured for a flight at a block.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn capture(&self, flight: FlightId, block_hash: B256, evidence: &str) -> Result<(), JournalError> {
        self.change(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO capture (flight, block_hash, evidence) VALUES (?1, ?2, ?3)",
                params![flight.0, block_hash.as_slice(), evidence],
            )?;
            Ok(())
        })
    }

    /// The evidence captured for a flight at that very block.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn captured(&self, flight: FlightId, block_hash: B256) -> Result<Option<String>, JournalError> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT evidence FROM capture WHERE flight = ?1 AND block_hash = ?2")?;
        Ok(statement.query_row(params![flight.0, block_hash.as_slice()], |row| row.get(0)).optional()?)
    }

    fn change<T>(&self, act: impl FnOnce(&Transaction<'_>) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = act(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic inside a transaction has rolled it back.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn set_phase(
    transaction: &Transaction<'_>,
    flight: FlightId,
    phase: &str,
    inclusion: Option<&Inclusion>,
    reason: Option<DropReason>,
) -> Result<(), JournalError> {
    let inclusion = inclusion.map(serde_json::to_string).transpose().map_err(|_| JournalError::Damaged("inclusion"))?;
    let reason = reason.map(reason_text).transpose()?;
    let changed = transaction.execute(
        "UPDATE flight SET phase = ?2, inclusion = ?3, reason = ?4 WHERE id = ?1",
        params![flight.0, phase, inclusion, reason],
    )?;
    if changed == 1 { Ok(()) } else { Err(JournalError::Damaged("flight")) }
}

fn variants(connection: &Connection, flight: FlightId) -> Result<Vec<Variant>, JournalError> {
    let mut statement = connection
        .prepare_cached("SELECT hash, raw, size, root, fees, gas_limit FROM variant WHERE flight = ?1 ORDER BY id")?;
    let mut rows = statement.query([flight.0])?;
    let mut variants = Vec::new();
    while let Some(row) = rows.next()? {
        let root = word(&row.get::<_, Vec<u8>>(3)?)?;
        variants.push(Variant {
            hash: word(&row.get::<_, Vec<u8>>(0)?)?,
            raw: Bytes::from(row.get::<_, Vec<u8>>(1)?),
            head: Head { size: TreeSize::new(natural(row.get(2)?)?), root: Hash::new(root.0) },
            fees: serde_json::from_str(&row.get::<_, String>(4)?).map_err(|_| JournalError::Damaged("fees"))?,
            gas_limit: natural(row.get(5)?)?,
        });
    }
    Ok(variants)
}

fn phase(name: &str, inclusion: Option<&str>) -> Result<Phase, JournalError> {
    Ok(match name {
        "prepared" => Phase::Prepared,
        "signed" => Phase::Signed,
        "bump" => Phase::Bump,
        "in-pool" => Phase::InPool,
        "mined" => Phase::Mined(read_inclusion(inclusion)?),
        "safe" => Phase::Safe(read_inclusion(inclusion)?),
        _ => return Err(JournalError::Damaged("phase")),
    })
}

fn read_inclusion(text: Option<&str>) -> Result<Inclusion, JournalError> {
    let text = text.ok_or(JournalError::Damaged("inclusion"))?;
    serde_json::from_str(text).map_err(|_| JournalError::Damaged("inclusion"))
}

fn reason_text(reason: DropReason) -> Result<String, JournalError> {
    serde_json::to_string(&reason).map_err(|_| JournalError::Damaged("reason"))
}

fn word(bytes: &[u8]) -> Result<B256, JournalError> {
    B256::try_from(bytes).map_err(|_| JournalError::Damaged("hash"))
}

/// SQLite's integers have a sign.
fn integer(value: u64) -> Result<i64, JournalError> {
    i64::try_from(value).map_err(|_| JournalError::Damaged("integer"))
}

fn natural(value: i64) -> Result<u64, JournalError> {
    u64::try_from(value).map_err(|_| JournalError::Damaged("integer"))
}

#[cfg(test)]
mod tests;
