//! Break-glass grants: what of them has to outlive the process (docs/adr/0052).
//!
//! A grant is stored in the transaction of the event that tells of it, and closed in that of its review: neither is
//! ever there without the other. Who holds it for whom and why is sealed under the keys of its patient and bound to id and time
//! box, so that erasing the patient's secret erases it and no other end can be written beside it.

use evidence::ids::EventId;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use zeroize::Zeroizing;

use super::entry::{Prepared, Preparer, Subject};
use super::error::JournalError;
use super::ledger::{Ledger, Step, Written, signed, unsigned};
use crate::keys::{BlindIndex, Context};

/// Made where it is missing: a journal that an earlier version made gets it too, and an earlier version passes it over.
pub(super) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS break_glass (
  id BLOB PRIMARY KEY CHECK (length(id) = 16),
  granted INTEGER NOT NULL,
  until INTEGER NOT NULL CHECK (until > granted),
  patient BLOB NOT NULL CHECK (length(patient) = 32),
  claim BLOB NOT NULL,
  ended INTEGER,
  reviewed INTEGER,
  outcome TEXT,
  reviewer TEXT,
  CHECK ((reviewed IS NULL) = (outcome IS NULL) AND (reviewed IS NULL) = (reviewer IS NULL))
) STRICT, WITHOUT ROWID;
";

/// Reviewed grants that stay listed; their events stay for ever.
const REVIEWED_KEPT: i64 = 1_000;
/// Records whose times tell how late it has been, whatever the clock says now.
const LATEST: i64 = 1_000;

/// A grant to store. Times are milliseconds since 1970.
#[derive(Debug)]
pub struct NewGrant {
    /// Its id: that of the event of the claim.
    pub id: EventId,
    /// `Patient/x`.
    pub patient: String,
    /// When it was granted.
    pub granted: u64,
    /// When it ends.
    pub until: u64,
    /// Who holds it for whom and why, as its owner reads it back; sealed here.
    pub claim: Zeroizing<Vec<u8>>,
}

/// The review that closes a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantReview {
    /// The grant.
    pub id: EventId,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What came of it.
    pub outcome: &'static str,
    /// Who reviewed it.
    pub by: String,
}

/// A stored grant.
#[derive(Debug)]
pub struct StoredGrant {
    /// Its id.
    pub id: EventId,
    /// When it was granted.
    pub granted: u64,
    /// When it ends by itself.
    pub until: u64,
    /// When it was ended before, by a restore.
    pub ended: Option<u64>,
    /// Who holds it for whom and why; `Err` where that was altered, `None` where the patient's key was erased.
    pub claim: Result<Option<Zeroizing<Vec<u8>>>, Altered>,
    /// When it was reviewed, with what outcome and by whom.
    pub review: Option<(u64, String, String)>,
}

/// A grant that is not what was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a break-glass grant was altered")]
pub struct Altered;

/// All grants that are stored, the oldest first.
#[derive(Debug)]
pub struct StoredGrants {
    /// The grants.
    pub grants: Vec<StoredGrant>,
    /// The latest time of the newest records: it is not earlier than that now.
    pub latest: u64,
}

/// A grant and whose keys it is under.
pub(super) struct PreparedGrant {
    pub(super) grant: NewGrant,
    pub(super) subject: BlindIndex,
}

impl Preparer {
    pub(super) fn prepare_grant(&self, grant: NewGrant) -> PreparedGrant {
        let subject = self.kek.blind_index(&self.tenant, &grant.patient);
        PreparedGrant { grant, subject }
    }
}

impl Ledger {
    /// Records the event of a claim and stores its grant, or neither.
    pub(super) fn grant(
        &self,
        step: &mut Step,
        transaction: &Transaction<'_>,
        batch: Vec<Prepared>,
        prepared: &PreparedGrant,
    ) -> Written {
        if let Err(full) = self.admit(step, &batch) {
            return Ok(Err(full));
        }
        let PreparedGrant { grant, subject } = prepared;
        // Sealed before the first row, so that no refusal comes after one.
        let keys = match self.keys(step, transaction, &Subject::Patient { index: *subject })? {
            Ok(keys) => keys,
            Err(error) => return Ok(Err(JournalError::Key(error))),
        };
        let bound = bound(grant.id, grant.granted, grant.until);
        let claim = match keys.seal_payload(&grant.claim, &bound) {
            Ok(claim) => claim,
            Err(error) => return Ok(Err(JournalError::Key(error))),
        };
        let recorded = match self.record(step, transaction, batch)? {
            Ok(recorded) => recorded,
            Err(error) => return Ok(Err(error)),
        };
        transaction
            .prepare_cached("INSERT INTO break_glass (id, granted, until, patient, claim) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                grant.id.as_bytes(),
                signed(grant.granted),
                signed(grant.until),
                subject.as_bytes(),
                claim
            ])?;
        Ok(Ok(recorded))
    }

    /// Records the event of a review and closes the grant, or neither. A grant is reviewed once.
    pub(super) fn review(
        &self,
        step: &mut Step,
        transaction: &Transaction<'_>,
        batch: Vec<Prepared>,
        closing: &GrantReview,
    ) -> Written {
        let reviewed: Option<bool> = transaction
            .prepare_cached("SELECT reviewed IS NOT NULL FROM break_glass WHERE id = ?1")?
            .query_row([closing.id.as_bytes()], |row| row.get(0))
            .optional()?;
        match reviewed {
            None => return Ok(Err(JournalError::Grant { what: "there is no such grant" })),
            Some(true) => return Ok(Err(JournalError::Grant { what: "it was reviewed already" })),
            Some(false) => {}
        }
        let recorded = match self.record(step, transaction, batch)? {
            Ok(recorded) => recorded,
            Err(error) => return Ok(Err(error)),
        };
        transaction
            .prepare_cached("UPDATE break_glass SET reviewed = ?2, outcome = ?3, reviewer = ?4 WHERE id = ?1")?
            .execute(params![closing.id.as_bytes(), signed(closing.at), closing.outcome, closing.by])?;
        transaction
            .prepare_cached(
                "DELETE FROM break_glass WHERE reviewed IS NOT NULL AND id NOT IN
                 (SELECT id FROM break_glass WHERE reviewed IS NOT NULL ORDER BY reviewed DESC LIMIT ?1)",
            )?
            .execute([REVIEWED_KEPT])?;
        Ok(Ok(recorded))
    }
}

/// Ends every grant: a copy of a journal does not know what was ended after it was taken.
pub(super) fn end_all(connection: &Connection, at: u64) -> Result<(), rusqlite::Error> {
    connection.execute("UPDATE break_glass SET ended = ?1 WHERE ended IS NULL", [signed(at)]).map(drop)
}

/// Reads all of them.
pub(super) fn read(connection: &Connection, keys: &Preparer) -> Result<StoredGrants, rusqlite::Error> {
    let latest: Option<i64> = connection.query_row(
        "SELECT max(at) FROM (SELECT at FROM record ORDER BY position DESC LIMIT ?1)",
        [LATEST],
        |row| row.get(0),
    )?;
    let mut statement = connection.prepare_cached(
        "SELECT id, granted, until, ended, break_glass.patient, claim, reviewed, outcome, reviewer, wrapped
         FROM break_glass LEFT JOIN subject_key USING (patient) ORDER BY granted, id",
    )?;
    let grants = statement.query_map([], |row| {
        let id = EventId::new(row.get(0)?);
        let (granted, until) = (unsigned(row.get(1)?), unsigned(row.get(2)?));
        let patient = BlindIndex::new(row.get(4)?);
        let (claim, wrapped): (Vec<u8>, Option<Vec<u8>>) = (row.get(5)?, row.get(9)?);
        let opened = |wrapped: Vec<u8>| {
            let secret = keys.kek.unwrap(&keys.tenant, Context::Patient(&patient), &wrapped)?;
            secret.keys()?.open_payload(&claim, &bound(id, granted, until))
        };
        let review: Option<i64> = row.get(6)?;
        let review = match review {
            Some(at) => Some((unsigned(at), row.get(7)?, row.get(8)?)),
            None => None,
        };
        Ok(StoredGrant {
            id,
            granted,
            until,
            ended: row.get::<_, Option<i64>>(3)?.map(unsigned),
            claim: wrapped.map(opened).transpose().map_err(|_| Altered),
            review,
        })
    })?;
    Ok(StoredGrants { grants: grants.collect::<Result<_, _>>()?, latest: latest.map_or(0, unsigned) })
}

/// What a sealed claim is bound to: the grant's id and its time box.
fn bound(id: EventId, granted: u64, until: u64) -> Vec<u8> {
    let mut bytes = b"sealgate/break-glass/v1\0".to_vec();
    bytes.extend_from_slice(id.as_bytes());
    bytes.extend_from_slice(&granted.to_be_bytes());
    bytes.extend_from_slice(&until.to_be_bytes());
    bytes
}
