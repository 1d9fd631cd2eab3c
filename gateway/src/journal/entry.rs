//! From an access event to what the writer inserts; runs in the caller's task, so that the writer stays short.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use evidence::commitment::{commit, salt};
use evidence::event::{AccessEvent, EventBody, Phase};
use evidence::ids::{Commitment, EventId, TenantId};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::KeyCache;
use super::error::JournalError;
use crate::keys::{BlindIndex, Context, KeyEncryptionKey, Secret, SubjectKeys, Wrapped};

/// The most events of one batch: a window's entries, with room.
pub const MAX_BATCH: usize = 4_096;

/// One event to record, and for a request event the query values that are sealed into it.
#[derive(Debug)]
pub struct Entry {
    /// The event; its `query_sealed` is filled in by the journal and must be absent.
    pub event: AccessEvent,
    /// The query in the clear; sealed under the event's own secret before the event gets its canonical form.
    pub query: Option<SecretString>,
}

/// An event in its canonical form, with whose secret it is under and what it says of its request's course.
pub(super) struct Prepared {
    pub(super) id: EventId,
    /// Milliseconds since 1970.
    pub(super) at: u64,
    pub(super) kind: &'static str,
    pub(super) request: Option<EventId>,
    pub(super) course: Course,
    pub(super) canonical: Zeroizing<Vec<u8>>,
    pub(super) query_sealed: Option<String>,
    pub(super) subject: Subject,
    /// Absent where the keys of the patient are not in memory.
    commitment: Option<Commitment>,
}

/// Whose secret an event is under.
pub(super) enum Subject {
    /// A patient's.
    Patient { index: BlindIndex },
    /// The event's own.
    Event { wrapped: Wrapped, keys: Arc<SubjectKeys> },
}

/// What an event says of the course of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// An answer in windows, or a write, begins.
    Begins,
    /// Data of this window are about to leave, or were withheld from it.
    Window(u32),
    /// The request ended.
    Ends,
    /// Nothing.
    Apart,
}

/// What preparing needs of the journal.
pub(super) struct Preparer {
    pub(super) tenant: TenantId,
    pub(super) kek: KeyEncryptionKey,
    pub(super) cache: KeyCache,
}

impl From<AccessEvent> for Entry {
    fn from(event: AccessEvent) -> Self {
        Self { event, query: None }
    }
}

impl Preparer {
    /// Draws the secret of a patientless event, seals the query, writes the canonical form, commits where it can.
    pub(super) fn prepare(&self, entry: Entry) -> Result<Prepared, JournalError> {
        let Entry { mut event, query } = entry;
        let patient = event.patient().map(|patient| self.kek.blind_index(&self.tenant, patient.as_str()));
        let (subject, keys, query_sealed) = match patient {
            Some(index) => {
                refuse_query(&event, query.as_ref())?;
                (Subject::Patient { index }, self.cache.get(&index), None)
            }
            None => {
                let secret = Secret::random()?;
                let query_sealed = seal_query(&mut event, query.as_ref(), &secret)?;
                let wrapped = self.kek.wrap(&self.tenant, Context::Event(&event.id), &secret)?;
                let keys = Arc::new(secret.keys()?);
                (Subject::Event { wrapped, keys: Arc::clone(&keys) }, Some(keys), query_sealed)
            }
        };
        let canonical = Zeroizing::new(event.canonical_bytes()?);
        let mut prepared = Prepared {
            id: event.id,
            at: event.at.unix_millis(),
            kind: event.kind(),
            request: event.request(),
            course: course(&event.body),
            canonical,
            query_sealed,
            subject,
            commitment: None,
        };
        prepared.commitment = keys.map(|keys| prepared.commitment(&self.tenant, &keys));
        Ok(prepared)
    }
}

impl Prepared {
    /// Bytes that it takes in the file, nearly.
    pub(super) fn bytes(&self) -> u64 {
        self.canonical.len() as u64 + 256
    }

    /// Whether it ends something that began, so that it passes where others are refused for want of room.
    pub(super) fn closes(&self) -> bool {
        matches!(self.course, Course::Ends) || self.kind == "stop"
    }

    /// The commitment under the keys of its subject.
    pub(super) fn commitment(&self, tenant: &TenantId, keys: &SubjectKeys) -> Commitment {
        self.commitment.unwrap_or_else(|| commit(tenant, &salt(keys.salt_key().as_bytes(), self.id), &self.canonical))
    }
}

fn seal_query(
    event: &mut AccessEvent,
    query: Option<&SecretString>,
    secret: &Secret,
) -> Result<Option<String>, JournalError> {
    refuse_query(event, query)?;
    let (Some(query), EventBody::Request(request)) = (query, &mut event.body) else { return Ok(None) };
    let sealed = BASE64.encode(secret.seal_query(query.expose_secret(), event.id.as_bytes())?);
    request.query_sealed = Some(sealed.clone());
    Ok(Some(sealed))
}

/// Query values stand in request events only, sealed by the journal only.
fn refuse_query(event: &AccessEvent, query: Option<&SecretString>) -> Result<(), JournalError> {
    let refused =
        if let EventBody::Request(request) = &event.body { request.query_sealed.is_some() } else { query.is_some() };
    if refused { Err(JournalError::QueryNotHeld { kind: event.kind() }) } else { Ok(()) }
}

fn course(body: &EventBody) -> Course {
    match body {
        EventBody::Request(request) => match request.phase {
            Phase::Whole => Course::Apart,
            Phase::Opened | Phase::Intent => Course::Begins,
        },
        EventBody::Outcome(_) => Course::Ends,
        EventBody::Disclosure(disclosure) => Course::Window(disclosure.window),
        EventBody::Denial(denial) => Course::Window(denial.window),
        EventBody::Universal(universal) => Course::Window(universal.window),
        EventBody::Unauthenticated(_)
        | EventBody::Start(_)
        | EventBody::Stop(_)
        | EventBody::Heartbeat(_)
        | EventBody::PolicyChange(_)
        | EventBody::AuditRead(_)
        | EventBody::Erasure(_)
        | EventBody::Review(_)
        | EventBody::EpochClosed(_) => Course::Apart,
    }
}
