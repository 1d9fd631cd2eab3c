//! Reading records back: what a request's events say, with the salts that open their commitments.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use evidence::commitment::{commit, salt};
use evidence::event::{AccessEvent, EventBody};
use evidence::ids::{Commitment, Epoch, EventId, Salt, Sequence, SourceId};
use rusqlite::{Connection, OptionalExtension as _, Row};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::value::RawValue;

use super::entry::Preparer;
use super::error::JournalError;
use super::place::{Numbering, Place, Position};
use crate::keys::{BlindIndex, Context, Secret};

/// A recorded event with all that opens its commitment; serialises as the admin API gives it.
#[derive(Debug, Clone, Serialize)]
pub struct Opening {
    /// The canonical JSON of the event, byte for byte what was committed to.
    #[serde(rename = "event")]
    pub canonical: Box<RawValue>,
    /// The salt of its commitment.
    pub salt: Salt,
    /// The journal.
    pub source: SourceId,
    /// Its epoch.
    pub epoch: Epoch,
    /// The place in that epoch.
    pub sequence: Sequence,
    /// The event, parsed.
    #[serde(skip)]
    pub event: AccessEvent,
    /// The commitment, recomputed and equal to the stored one.
    #[serde(skip)]
    pub commitment: Commitment,
    /// The query in the clear, for request events that have one. It is no part of the evidence.
    #[serde(skip)]
    pub query: Option<SecretString>,
}

/// A record as whoever follows the journal in order gets it.
#[derive(Debug, Clone)]
pub struct Followed {
    /// Its place in the file, from 1, without gaps; following goes on after it.
    pub position: u64,
    /// The record; nothing where its key was erased.
    pub opening: Option<Opening>,
}

/// A row of `record` as it is stored.
struct Stored {
    position: Position,
    event: EventId,
    patient: Option<BlindIndex>,
    wrapped: Option<Vec<u8>>,
    commitment: Commitment,
    payload: Vec<u8>,
}

/// Opens all records of a request, in order; an unknown request has none.
pub(super) fn of_request(
    connection: &Connection,
    numbering: &Numbering,
    keys: &Preparer,
    request: EventId,
) -> Result<Vec<Opening>, JournalError> {
    each_of_request(connection, numbering, keys, request).map(|opened| opened.into_iter().collect())?
}

/// The same, with nothing in the place of a record whose key was erased.
pub(super) fn left_of_request(
    connection: &Connection,
    numbering: &Numbering,
    keys: &Preparer,
    request: EventId,
) -> Result<Vec<Option<Opening>>, JournalError> {
    each_of_request(connection, numbering, keys, request)?.into_iter().map(unless_erased).collect()
}

fn each_of_request(
    connection: &Connection,
    numbering: &Numbering,
    keys: &Preparer,
    request: EventId,
) -> Result<Vec<Result<Opening, JournalError>>, JournalError> {
    let stored = connection
        .prepare_cached(
            "SELECT position, event, patient, wrapped, commitment, payload FROM record
             WHERE request = ?1 ORDER BY position",
        )
        .and_then(|mut statement| statement.query_map([request.as_bytes()], Stored::from_row)?.collect())
        .map_err(JournalError::Read)?;
    let stored: Vec<Stored> = stored;
    let opened = |stored: &Stored| {
        let place = numbering.place(stored.position);
        let opening = open(connection, keys, place, stored)?;
        if opening.event.request() == Some(request) {
            Ok(opening)
        } else {
            Err(JournalError::Altered { sequence: place.sequence, what: "its request" })
        }
    };
    Ok(stored.iter().map(opened).collect())
}

/// Opens at most `most` records after `position`, in order.
pub(super) fn after(
    connection: &Connection,
    numbering: &Numbering,
    keys: &Preparer,
    position: Position,
    most: u32,
) -> Result<Vec<Followed>, JournalError> {
    let stored = connection
        .prepare_cached(
            "SELECT position, event, patient, wrapped, commitment, payload FROM record
             WHERE position > ?1 ORDER BY position LIMIT ?2",
        )
        .and_then(|mut statement| statement.query_map((position.row(), most), Stored::from_row)?.collect())
        .map_err(JournalError::Read)?;
    let stored: Vec<Stored> = stored;
    stored
        .into_iter()
        .map(|stored| {
            let position = stored.position.get();
            Ok(Followed {
                position,
                opening: unless_erased(open(connection, keys, numbering.place(stored.position), &stored))?,
            })
        })
        .collect()
}

/// Opens the event of a request itself, which is the first record of it.
pub(super) fn request_event(
    connection: &Connection,
    numbering: &Numbering,
    keys: &Preparer,
    request: EventId,
) -> Result<Option<Opening>, JournalError> {
    let stored = connection
        .prepare_cached(
            "SELECT position, event, patient, wrapped, commitment, payload FROM record
             WHERE request = ?1 ORDER BY position LIMIT 1",
        )
        .and_then(|mut statement| statement.query_row([request.as_bytes()], Stored::from_row).optional())
        .map_err(JournalError::Read)?;
    let Some(stored) = stored.filter(|stored| stored.event == request) else { return Ok(None) };
    unless_erased(open(connection, keys, numbering.place(stored.position), &stored))
}

fn unless_erased(opened: Result<Opening, JournalError>) -> Result<Option<Opening>, JournalError> {
    match opened {
        Ok(opening) => Ok(Some(opening)),
        Err(JournalError::KeyMissing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens one record and checks all that can be checked without the log.
fn open(connection: &Connection, keys: &Preparer, place: Place, stored: &Stored) -> Result<Opening, JournalError> {
    let altered = |what| JournalError::Altered { sequence: place.sequence, what };
    let secret = secret(connection, keys, place, stored)?;
    let subject = secret.keys()?;
    let payload = subject
        .open_payload(&stored.payload, &place.associated(&stored.commitment))
        .map_err(|_| altered("its payload fails authentication"))?;
    let event = AccessEvent::from_canonical(&payload).map_err(|_| altered("its payload is no canonical event"))?;
    if event.id != stored.event {
        return Err(altered("its event id"));
    }
    let salt = salt(subject.salt_key().as_bytes(), event.id);
    if commit(&keys.tenant, &salt, &payload) != stored.commitment {
        return Err(altered("its commitment"));
    }
    let text = std::str::from_utf8(&payload).map_err(|_| altered("its payload is no text"))?;
    let canonical = RawValue::from_string(text.to_owned()).map_err(|_| altered("its payload is no json"))?;
    let query = open_query(&secret, &event).map_err(|()| altered("its query fails authentication"))?;
    Ok(Opening {
        canonical,
        salt,
        source: place.source,
        epoch: place.epoch,
        sequence: place.sequence,
        commitment: stored.commitment,
        event,
        query,
    })
}

/// The secret that a record is under.
fn secret(connection: &Connection, keys: &Preparer, place: Place, stored: &Stored) -> Result<Secret, JournalError> {
    let altered = |_| JournalError::Altered { sequence: place.sequence, what: "its key fails authentication" };
    match (&stored.patient, &stored.wrapped) {
        (Some(index), _) => {
            let wrapped: Option<Vec<u8>> = connection
                .prepare_cached("SELECT wrapped FROM subject_key WHERE patient = ?1")
                .and_then(|mut statement| statement.query_row([index.as_bytes()], |row| row.get(0)).optional())
                .map_err(JournalError::Read)?;
            let wrapped = wrapped.ok_or(JournalError::KeyMissing { sequence: place.sequence })?;
            keys.kek.unwrap(&keys.tenant, Context::Patient(index), &wrapped).map_err(altered)
        }
        (None, Some(wrapped)) => keys.kek.unwrap(&keys.tenant, Context::Event(&stored.event), wrapped).map_err(altered),
        (None, None) => Err(JournalError::KeyMissing { sequence: place.sequence }),
    }
}

fn open_query(secret: &Secret, event: &AccessEvent) -> Result<Option<SecretString>, ()> {
    let EventBody::Request(request) = &event.body else { return Ok(None) };
    let Some(sealed) = &request.query_sealed else { return Ok(None) };
    let sealed = BASE64.decode(sealed).map_err(|_| ())?;
    let query = secret.open_query(&sealed, event.id.as_bytes()).map_err(|_| ())?;
    Ok(Some(SecretString::from(query.as_str())))
}

impl Stored {
    fn from_row(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            position: Position::from_row(row.get(0)?),
            event: EventId::new(row.get(1)?),
            patient: row.get::<_, Option<[u8; 32]>>(2)?.map(BlindIndex::new),
            wrapped: row.get(3)?,
            commitment: Commitment::new(row.get(4)?),
            payload: row.get(5)?,
        })
    }
}
