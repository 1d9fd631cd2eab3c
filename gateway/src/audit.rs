//! The admin port's view of the journal: openings, each look on record first.

use evidence::event::{AccessEvent, AuditRead, EventBody};
use evidence::ids::{EventId, Timestamp};
use futures_util::future::BoxFuture;
use serde_json::value::{RawValue, to_raw_value};

use crate::admin::{Audit, AuditFault, Look};
use crate::clock;
use crate::journal::{Entry, Journal, JournalError};

/// The journal, as the admin port needs it.
pub struct JournalAudit {
    journal: Journal,
}

impl JournalAudit {
    /// A view of `journal`.
    pub fn new(journal: Journal) -> Self {
        Self { journal }
    }
}

impl Audit for JournalAudit {
    fn tenant(&self) -> String {
        self.journal.tenant().to_string()
    }

    fn record(&self, look: Look) -> BoxFuture<'_, Result<(), AuditFault>> {
        Box::pin(async move {
            let at = Timestamp::from_date(clock::now()).map_err(|_| AuditFault::Unavailable)?;
            let read = AuditRead { by: look.by.to_owned(), what: look.what.to_owned(), request: look.request };
            let event = AccessEvent { id: clock::event_id(), at, body: EventBody::AuditRead(read) };
            self.journal.record(vec![Entry::from(event)]).await.map(drop).map_err(|error| {
                tracing::error!(%error, "a look at the audit was not recorded, so it was refused");
                AuditFault::Unavailable
            })
        })
    }

    fn openings(&self, request: EventId) -> BoxFuture<'_, Result<Vec<Box<RawValue>>, AuditFault>> {
        Box::pin(async move {
            let journal = self.journal.clone();
            let openings = tokio::task::spawn_blocking(move || journal.openings(request)).await;
            let openings = openings.map_err(|_| AuditFault::Unavailable)?.map_err(|error| {
                tracing::error!(%error, "openings cannot be read");
                if let JournalError::Altered { sequence, what } = error {
                    AuditFault::Altered { sequence, what }
                } else {
                    AuditFault::Unavailable
                }
            })?;
            openings.iter().map(|opening| to_raw_value(opening).map_err(|_| AuditFault::Unavailable)).collect()
        })
    }
}
