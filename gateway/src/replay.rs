//! Replay: every recorded access is decided again, by the rules of the configuration and by others, and the differences
//! are told (docs/operations/replay.md).
//!
//! The journal says who asked for what, and what was disclosed or withheld. Resources and Consents are those of today, so
//! the rules of the configuration are asked first: only where they give again what is on record, a difference is one of
//! the other rules and of nothing else. What cannot be replayed is counted with the reason.

mod again;
pub mod command;
mod recorded;
mod row;

use std::sync::Arc;

use evidence::ids::Timestamp;

use crate::filter::Judge;
use crate::gather::Facts;
use crate::journal::{Archive, JournalError, Opening};
use crate::organisation::OrganisationPolicy;
use gateway_core::policy::Policy;
pub(crate) use recorded::Recorded;
pub use row::Summary;

/// Records that are read at a time.
const STRIDE: u32 = 256;

/// Rules that decide again.
pub struct Deciding {
    /// What Consents are decided under.
    pub policy: Arc<Policy>,
    /// What the organisation allows.
    pub organisation: Arc<OrganisationPolicy>,
}

/// A replay.
pub struct Replay {
    /// The rules of the configuration.
    pub present: Deciding,
    /// The others.
    pub other: Deciding,
    /// Where resources and Consents are found.
    pub facts: Arc<Facts>,
    /// The first moment of what is replayed.
    pub since: Option<Timestamp>,
    /// The moment at which it ends.
    pub until: Option<Timestamp>,
}

/// Why a replay ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The journal cannot be read, or was altered.
    #[error("the journal: {0}")]
    Journal(#[from] JournalError),
    /// Nobody takes the lines.
    #[error("the lines cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

/// What becomes of the lines and of the progress.
pub trait Telling {
    /// A recorded access, as one line of JSON.
    fn line(&mut self, line: &str) -> std::io::Result<()>;
    /// So many records of so many are done.
    fn progress(&mut self, done: u64, all: u64);
}

impl Replay {
    /// Replays the records that the journal holds now. `every`: tells of accesses without a difference too.
    ///
    /// # Errors
    /// [`Stopped`]; what was told before holds.
    pub async fn run(&self, archive: &Archive, every: bool, telling: &mut dyn Telling) -> Result<Summary, Stopped> {
        let (all, mut done) = (archive.records()?, 0);
        let mut summary = Summary::default();
        while done < all {
            let records = archive.follow(done, STRIDE)?;
            let Some(last) = records.last() else { break };
            let next = last.position;
            for record in records.into_iter().filter(|record| record.position <= all) {
                match record.opening {
                    None => summary.erased_records += 1,
                    Some(opening) => self.access(archive, &opening, every, &mut summary, telling).await?,
                }
            }
            done = next;
            telling.progress(done.min(all), all);
        }
        Ok(summary)
    }

    /// One record, where it is a request.
    async fn access(
        &self,
        archive: &Archive,
        opening: &Opening,
        every: bool,
        summary: &mut Summary,
        telling: &mut dyn Telling,
    ) -> Result<(), Stopped> {
        if !self.is_within(opening.event.at) {
            return Ok(());
        }
        let Some(recorded) = Recorded::of(opening, || archive.of_request(opening.event.id))? else { return Ok(()) };
        let row = Box::pin(self.again(&recorded)).await;
        summary.count(&row);
        if every || row.differs() {
            telling.line(&row.line())?;
        }
        Ok(())
    }

    fn is_within(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }

    fn judges(&self, caller: &Arc<gateway_core::caller::Caller>, now: time::OffsetDateTime) -> [Judge; 2] {
        [&self.present, &self.other]
            .map(|rules| Judge::new(Arc::clone(&self.facts), Arc::clone(&rules.policy), Arc::clone(caller), now))
    }
}
