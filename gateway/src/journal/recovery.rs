//! Closing what an earlier run left open, through the same code that records everything else.

use evidence::event::{AccessEvent, Counts, End, EventBody, Outcome};
use evidence::ids::{EventId, Timestamp};
use tokio::sync::oneshot;

use super::entry::{Entry, MAX_BATCH, Preparer};
use super::error::JournalError;
use super::writer::{Order, Work, Writer};
use crate::clock;

/// Records an outcome `unknown` for every request that was opened or intended and has none; says how many.
///
/// `windows` is the number of windows whose disclosures are on disk: at most so many were released (EVIDENCE.md 1).
///
/// CRASH: an outcome and its removal from the list are one transaction, so none is closed twice.
pub(super) fn close_orphans(writer: &mut Writer, preparer: &Preparer) -> Result<u64, JournalError> {
    let orphans = orphans(writer).map_err(JournalError::Read)?;
    for chunk in orphans.chunks(MAX_BATCH) {
        let batch = chunk
            .iter()
            .map(|(request, windows)| preparer.prepare(Entry::from(outcome(*request, *windows)?)))
            .collect::<Result<Vec<_>, _>>()?;
        let (reply, mut answer) = oneshot::channel();
        writer.commit(vec![Order { work: Work::Record(batch), reply }]).map_err(|fatal| JournalError::Read(fatal.0))?;
        answer.try_recv().map_err(|_| JournalError::Failed)??;
    }
    Ok(orphans.len() as u64)
}

fn orphans(writer: &Writer) -> Result<Vec<(EventId, u32)>, rusqlite::Error> {
    let mut statement = writer.connection.prepare("SELECT request, windows FROM unfinished ORDER BY request")?;
    statement.query_map([], |row| Ok((EventId::new(row.get(0)?), row.get(1)?)))?.collect()
}

fn outcome(request: EventId, windows: u32) -> Result<AccessEvent, JournalError> {
    let at = Timestamp::from_date(clock::now()).map_err(|_| JournalError::Clock)?;
    let body = Outcome { request, end: End::Unknown, status: None, windows, counts: Counts::default() };
    Ok(AccessEvent { id: clock::event_id(), at, body: EventBody::Outcome(body) })
}
