//! The review: what the compliance office sees of the grants, and how it closes them. Every look and every review is an
//! event, durable before anything is shown or closed.

use std::sync::Arc;

use evidence::event::{AuditRead, EventBody, Review};
use evidence::ids::{EventId, Timestamp};
use serde::{Deserialize, Serialize};

use super::grant::{at_millis, millis};
use super::{Claim, Glass, Moment};
use crate::gate::Shared;
use crate::journal::{GrantReview, Journal, JournalError, StoredGrant};
use crate::server::event;

/// What came of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReviewOutcome {
    /// The access was called for.
    Justified,
    /// It was not. A grant that is in force ends.
    NotJustified,
    /// It cannot be told.
    Inconclusive,
}

impl ReviewOutcome {
    /// Its kebab-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Justified => "justified",
            Self::NotJustified => "not-justified",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// A grant as the compliance office sees it.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// Its id, also that of the claim's event.
    pub grant: EventId,
    /// When it was given.
    pub granted: Timestamp,
    /// When it ends or ended.
    pub until: Timestamp,
    /// Whether it counts now.
    pub in_force: bool,
    /// When its review is due.
    pub due: Timestamp,
    /// Whether that is past, and it is not reviewed.
    pub overdue: bool,
    /// Who claimed it for whom and why; absent where it cannot be read any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Why there is no claim: `erased` or `altered`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<&'static str>,
    /// Its review, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<Reviewed>,
}

/// A review that was made.
#[derive(Debug, Serialize)]
pub struct Reviewed {
    /// When.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: String,
    /// Who made it.
    pub by: String,
}

/// Why nothing is shown, or nothing closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewFault {
    /// The journal cannot be written or read now.
    #[error("the grants are not available")]
    Unavailable,
    /// There is no such grant.
    #[error("there is no such grant")]
    Unknown,
    /// It was reviewed before.
    #[error("it was reviewed already")]
    Twice,
    /// It is in force: only a review that ends it is possible.
    #[error("it is in force")]
    InForce,
    /// Whoever holds a grant does not review it.
    #[error("the reviewer holds the grant")]
    Own,
}

/// The grants, for the admin port.
#[derive(Clone)]
pub struct Reviews {
    shared: Arc<Shared>,
}

impl Reviews {
    /// Of this gateway, by the rules that are in force when asked.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn glass(&self) -> &Glass {
        &self.shared.glass
    }

    fn journal(&self) -> &Journal {
        self.shared.recorder.journal()
    }

    /// The grants that wait for their review, or all that are stored. The look is on record first.
    ///
    /// # Errors
    /// [`ReviewFault::Unavailable`]
    pub async fn list(&self, by: &str, reviewed_too: bool) -> Result<Vec<Listed>, ReviewFault> {
        let look = EventBody::AuditRead(AuditRead { by: by.to_owned(), what: "break-glass".to_owned(), request: None });
        let entry = event(look).ok_or(ReviewFault::Unavailable)?;
        self.journal().record(vec![entry]).await.map_err(|error| unavailable(&error))?;
        let grants = self.stored().await?;
        let shown = grants.iter().filter(|row| reviewed_too || row.review.is_none());
        shown.map(|row| self.listed(row)).collect()
    }

    /// Closes a grant with the outcome of its review; one that is in force only where that ends it.
    ///
    /// # Errors
    /// [`ReviewFault`]
    pub async fn review(&self, id: EventId, by: &str, outcome: ReviewOutcome) -> Result<(), ReviewFault> {
        let _turn = self.glass().turn().await;
        let at = Moment::now();
        let grants = self.stored().await?;
        let row = grants.iter().find(|row| row.id == id).ok_or(ReviewFault::Unknown)?;
        let duration = self.shared.rules.now().glass.duration;
        if row.review.is_some() {
            // What is reviewed is closed, whatever became of whoever closed it.
            self.glass().close(id);
            return Err(ReviewFault::Twice);
        }
        if outcome != ReviewOutcome::NotJustified && self.glass().in_force(id, at, duration).is_some() {
            return Err(ReviewFault::InForce);
        }
        if claim_of(row).is_ok_and(|claim| claim.is_some_and(|claim| claim.holder.subject.eq_ignore_ascii_case(by))) {
            return Err(ReviewFault::Own);
        }
        let review = Review {
            by: format!("{by} (admin-token)"),
            from: timestamp(row.granted)?,
            to: timestamp(row.until)?,
            finding: format!("break-glass {id} {}", outcome.as_str()),
        };
        let entry = event(EventBody::Review(review)).ok_or(ReviewFault::Unavailable)?;
        let closing = GrantReview { id, at: millis(at.wall), outcome: outcome.as_str(), by: by.to_owned() };
        self.journal().review(vec![entry], closing).await.map_err(|error| unavailable(&error))?;
        self.glass().close(id);
        self.shared.metrics.events("review", 1);
        tracing::info!(grant = %id, outcome = outcome.as_str(), "a break-glass grant was reviewed");
        Ok(())
    }

    async fn stored(&self) -> Result<Vec<StoredGrant>, ReviewFault> {
        let journal = self.journal().clone();
        let stored = tokio::task::spawn_blocking(move || journal.grants()).await;
        let stored = stored.map_err(|_| ReviewFault::Unavailable)?.map_err(|error| unavailable(&error))?;
        Ok(stored.grants)
    }

    fn listed(&self, row: &StoredGrant) -> Result<Listed, ReviewFault> {
        let rules = self.shared.rules.now();
        let at = Moment::now();
        let due = timestamp(row.granted)?.saturating_add(rules.glass.review_within);
        let (claim, unreadable) = match claim_of(row) {
            Ok(Some(claim)) => (Some(claim), None),
            Ok(None) => (None, Some("erased")),
            Err(()) => (None, Some("altered")),
        };
        let review = row.review.as_ref().map(|(at, outcome, by)| {
            timestamp(*at).map(|at| Reviewed { at, outcome: outcome.clone(), by: by.clone() })
        });
        Ok(Listed {
            grant: row.id,
            granted: timestamp(row.granted)?,
            until: timestamp(row.ended.unwrap_or(row.until).min(row.until))?,
            in_force: self.glass().in_force(row.id, at, rules.glass.duration).is_some(),
            due,
            overdue: row.review.is_none() && due.unix_millis() < millis(at.wall),
            claim,
            unreadable,
            review: review.transpose()?,
        })
    }
}

fn claim_of(row: &StoredGrant) -> Result<Option<Claim>, ()> {
    let Some(claim) = row.claim.as_ref().map_err(|_| ())? else { return Ok(None) };
    serde_json::from_slice(claim).map(Some).map_err(|_| ())
}

fn timestamp(millis: u64) -> Result<Timestamp, ReviewFault> {
    Timestamp::from_date(at_millis(millis)).map_err(|_| ReviewFault::Unavailable)
}

fn unavailable(error: &JournalError) -> ReviewFault {
    tracing::error!(%error, "the break-glass grants are not available");
    ReviewFault::Unavailable
}
