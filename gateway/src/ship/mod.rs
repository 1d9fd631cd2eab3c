//! Shipping commitments to the log, at least once and in order.
//!
//! ```text
//! hello(last receipt) → the batch on its way → POST /v1/leaves → check the receipt → keep it, plan the next
//! ```
//!
//! Only commitments leave (ARCHITECTURE, invariant 5). The log being away is no failure: the journal takes records until its
//! own limit, and shipping catches up later. What contradicts a receipt is an alarm: shipping stops until somebody
//! has looked and started the gateway again; nothing is dropped.

mod check;
mod client;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use evidence::ids::{Origin, Sequence};
use evidence::note::NoteVerifier;
use reqwest::StatusCode;
use tokio::sync::watch;
use tracing::Instrument as _;

pub use check::BadReceipt;
pub use client::{ClientError, Target};

use crate::journal::{Dispatch, Journal, JournalError, Receipt};
use crate::telemetry::Traced;
use check::Known;
use client::{Client, Unanswered};
use wire::{Hello, HelloAnswer, HelloReceipt, Leaves, LeavesAnswer, Refusal};

/// The first wait after a setback; doubles without jitter, since one source has no herd.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest wait between tries.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How often an idle shipper greets the log, so that one that has restarted can compare, and one that is away is seen.
const GREETING: Duration = Duration::from_secs(10);

/// Which log, and how to reach it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where its write side is.
    pub target: Target,
    /// The key that signs its checkpoints; its name is the log's origin.
    pub log_key: NoteVerifier,
    /// How long one call may take.
    pub timeout: Duration,
}

/// Why a shipper cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The name of the log's key is no origin.
    #[error("the name of the log's key is no origin: {0}")]
    Origin(#[from] evidence::ids::IdError),
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// How shipping stands; readiness is false in [`ShipState::Alarmed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShipState {
    /// The log has not answered yet.
    Starting,
    /// The last call was answered.
    Shipping,
    /// The last call failed and is tried again; a short code says how.
    Retrying {
        /// A code of the log or of the transport.
        why: String,
    },
    /// Shipping has stopped.
    Alarmed(Alarm),
    /// The journal was closed or has failed.
    Ended,
}

/// Why shipping stopped for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    /// The log holds another commitment for a record.
    #[error("the log holds another commitment for a record of this journal")]
    CommitmentDiffers {
        /// Which, where the log says it.
        sequence: Option<Sequence>,
    },
    /// The log lacks leaves that it gave a receipt for.
    #[error("the log lacks leaves that it gave a receipt for")]
    LogBehind,
    /// The log holds records that this journal does not: the journal is an old copy.
    #[error("the log holds records of this journal that it does not have")]
    JournalBehind,
    /// The log refuses the receipt that it gave, or says that it was forked.
    #[error("the log contradicts the receipt that it gave: {code}")]
    Contradiction {
        /// The log's code.
        code: String,
    },
    /// The log answered with something that is no receipt.
    #[error("the log's receipt is not acceptable: {0}")]
    BadReceipt(#[from] BadReceipt),
    /// It is another log than the configured one.
    #[error("the log is {found}")]
    OtherLog {
        /// The origin that it names.
        found: Origin,
    },
    /// The journal cannot be read, or records in it are missing.
    #[error("the journal cannot be read for shipping")]
    Journal,
}

/// Ships one journal to one log.
pub struct Shipper {
    journal: Journal,
    client: Client,
    log_key: NoteVerifier,
    origin: Origin,
    state: watch::Sender<ShipState>,
    traced: Arc<Traced>,
    /// The newest receipt; nothing was read yet while it is absent on the outside.
    known: Option<Option<Known>>,
    greeted: bool,
}

/// Why a round did not ship.
enum Setback {
    /// Try again after a while.
    Retry { why: String, at_least: Duration },
    /// Stop, and say so.
    Alarm(Alarm),
    /// The journal is gone.
    Ended,
}

/// What a round did.
enum Round {
    /// A batch has its receipt.
    Shipped,
    /// Every record has a receipt.
    Idle,
}

impl Shipper {
    /// Makes a shipper; the receiver tells how it stands.
    ///
    /// # Errors
    /// The log's key, the URL or the files are not acceptable.
    pub fn new(settings: Settings, journal: Journal) -> Result<(Self, watch::Receiver<ShipState>), ShipError> {
        let Settings { target, log_key, timeout } = settings;
        let origin = Origin::new(log_key.name())?;
        let client = Client::new(&target, timeout)?;
        let (state, stands) = watch::channel(ShipState::Starting);
        let traced = Arc::default();
        Ok((Self { journal, client, log_key, origin, state, traced, known: None, greeted: false }, stands))
    }

    /// The same shipper, whose calls stand in the traces of what they ship.
    #[must_use]
    pub fn traced(self, traced: Arc<Traced>) -> Self {
        Self { traced, ..self }
    }

    /// Ships until an alarm or the end of the journal; dropped at any point, nothing is lost or doubled.
    pub async fn run(mut self) {
        let mut wait = FIRST_WAIT;
        loop {
            match self.round().await {
                Ok(Round::Shipped) => {
                    wait = FIRST_WAIT;
                    self.stands(ShipState::Shipping);
                }
                Ok(Round::Idle) => {
                    wait = FIRST_WAIT;
                    self.stands(ShipState::Shipping);
                    if tokio::time::timeout(GREETING, self.journal.waiting()).await.is_err() {
                        self.greeted = false;
                    }
                }
                Err(Setback::Retry { why, at_least }) => {
                    self.greeted = false;
                    self.stands(ShipState::Retrying { why });
                    tokio::time::sleep(wait.max(at_least).min(LONGEST_WAIT)).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                Err(Setback::Alarm(alarm)) => {
                    tracing::error!(%alarm, "shipping to the log has stopped; records are kept");
                    self.stands(ShipState::Alarmed(alarm));
                    return;
                }
                Err(Setback::Ended) => {
                    self.stands(ShipState::Ended);
                    return;
                }
            }
        }
    }

    /// Greets where that is due, sends the batch that is on its way, checks and keeps its receipt.
    async fn round(&mut self) -> Result<Round, Setback> {
        let known = self.newest_receipt().await?;
        if !self.greeted {
            self.greet(known.as_ref()).await?;
            self.greeted = true;
        }
        let Some(dispatch) = self.on_its_way().await? else { return Ok(Round::Idle) };
        let body = Leaves {
            source: dispatch.source,
            epoch: dispatch.epoch,
            first: dispatch.first,
            commitments: &dispatch.commitments,
        };
        let span = self.traced.shipping(dispatch.epoch, dispatch.first, dispatch.commitments.len());
        let answer: LeavesAnswer = match self.client.post("v1/leaves", &body).instrument(span).await {
            Ok(answer) => answer,
            Err(unanswered) => return Err(self.refused(&dispatch, unanswered).await),
        };
        let (receipt, known) = check::receipt(&dispatch, answer, &self.origin, &self.log_key, known.as_ref())
            .map_err(|bad| Setback::Alarm(Alarm::BadReceipt(bad)))?;
        self.keep(receipt).await?;
        self.known = Some(Some(known));
        Ok(Round::Shipped)
    }

    /// Says what the last receipt was, so that a log that lost leaves finds out (EVIDENCE.md 3, start-up).
    async fn greet(&self, known: Option<&Known>) -> Result<(), Setback> {
        let hello = Hello {
            source: self.journal.source(),
            epoch: self.journal.epoch(),
            last_receipt: known.map(|known| HelloReceipt { index: known.last_index(), checkpoint: &known.note }),
        };
        let answer: HelloAnswer = match self.client.post("v1/hello", &hello).await {
            Ok(answer) => answer,
            Err(Unanswered::Transport(why)) => return Err(retry(why)),
            Err(Unanswered::Refused { status, refusal, retry_after }) => {
                return Err(match (status, refusal.error.as_str()) {
                    (StatusCode::CONFLICT, "log-behind") => Setback::Alarm(Alarm::LogBehind),
                    (StatusCode::CONFLICT, _) | (_, "receipt-not-ours") => {
                        Setback::Alarm(Alarm::Contradiction { code: refusal.error })
                    }
                    _ => refusal_retry(status, &refusal, retry_after),
                });
            }
        };
        if answer.origin != self.origin {
            return Err(Setback::Alarm(Alarm::OtherLog { found: answer.origin }));
        }
        if known.is_some_and(|known| answer.size < known.head.size) {
            return Err(Setback::Alarm(Alarm::LogBehind));
        }
        Ok(())
    }

    /// What follows from a batch that has no receipt.
    async fn refused(&self, dispatch: &Dispatch, unanswered: Unanswered) -> Setback {
        let (status, refusal, retry_after) = match unanswered {
            Unanswered::Transport(why) => return retry(why),
            Unanswered::Refused { status, refusal, retry_after } => (status, refusal, retry_after),
        };
        let resend = match (status, refusal.error.as_str()) {
            (StatusCode::CONFLICT, "commitment-differs") => {
                return Setback::Alarm(Alarm::CommitmentDiffers { sequence: refusal.sequence });
            }
            (StatusCode::CONFLICT, _) => {
                return Setback::Alarm(Alarm::Contradiction { code: refusal.error });
            }
            (StatusCode::UNPROCESSABLE_ENTITY, _) => match resend_from(dispatch, refusal.expected) {
                Ok(records) => records,
                Err(alarm) => return Setback::Alarm(alarm),
            },
            // The log takes smaller batches than we send.
            (StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE, _) => (dispatch.batch.records() / 2).max(1),
            _ => dispatch.batch.records(),
        };
        if resend < dispatch.batch.records()
            && let Err(error) = self.journal.shorten(resend).await
        {
            return journal_setback(&error);
        }
        refusal_retry(status, &refusal, retry_after)
    }

    async fn keep(&self, receipt: Receipt) -> Result<(), Setback> {
        self.journal.keep(receipt).await.map_err(|error| journal_setback(&error))
    }

    async fn newest_receipt(&mut self) -> Result<Option<Known>, Setback> {
        if let Some(known) = &self.known {
            return Ok(known.clone());
        }
        let receipt = self.read(Journal::last_receipt).await?;
        let known = receipt
            .map(|receipt| Known::from_receipt(&receipt, &self.origin, &self.log_key))
            .transpose()
            .map_err(|bad| Setback::Alarm(Alarm::BadReceipt(bad)))?;
        self.known = Some(known.clone());
        Ok(known)
    }

    async fn on_its_way(&self) -> Result<Option<Dispatch>, Setback> {
        self.read(Journal::dispatch).await
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Journal) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, Setback> {
        let journal = self.journal.clone();
        match tokio::task::spawn_blocking(move || read(&journal)).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(journal_setback(&error)),
            Err(_) => Err(Setback::Ended),
        }
    }

    fn stands(&self, now: ShipState) {
        self.state.send_if_modified(|state| {
            let changed = *state != now;
            if changed {
                if let ShipState::Retrying { why } = &now {
                    tracing::warn!(why, "the log is not reached; records wait in the journal");
                }
                *state = now;
            }
            changed
        });
    }
}

/// How many records of a batch to send when the log says which sequence it wants next.
///
/// | expected | what it means | what follows |
/// |---|---|---|
/// | the batch's first | a passing state of the log | the same again |
/// | inside the batch, or just after it | the log has the records before it | those first: their receipt is repeated |
/// | before the batch | the log lacks what it gave a receipt for | alarm |
/// | beyond the batch | the log knows records that this journal never made | alarm |
fn resend_from(dispatch: &Dispatch, expected: Option<Sequence>) -> Result<u64, Alarm> {
    let sent = dispatch.batch.records();
    let Some(expected) = expected else { return Ok(sent) };
    match expected.get().checked_sub(dispatch.first.get()) {
        None => Err(Alarm::LogBehind),
        Some(0) => Ok(sent),
        Some(known) if known <= sent => Ok(known),
        Some(_) => Err(Alarm::JournalBehind),
    }
}

fn retry(why: &str) -> Setback {
    Setback::Retry { why: why.to_owned(), at_least: Duration::ZERO }
}

fn refusal_retry(status: StatusCode, refusal: &Refusal, retry_after: Option<Duration>) -> Setback {
    let why = if refusal.error.is_empty() { status.as_u16().to_string() } else { refusal.error.clone() };
    Setback::Retry { why, at_least: retry_after.unwrap_or_default() }
}

fn journal_setback(error: &JournalError) -> Setback {
    match error {
        JournalError::Closed | JournalError::Failed => Setback::Ended,
        JournalError::Full(_) => retry("journal-full"),
        JournalError::Read(_)
        | JournalError::Grant { .. }
        | JournalError::Receipt { .. }
        | JournalError::EmptyBatch
        | JournalError::BatchTooLarge
        | JournalError::QueryNotHeld { .. }
        | JournalError::Event(_)
        | JournalError::Key(_)
        | JournalError::Altered { .. }
        | JournalError::KeyMissing { .. }
        | JournalError::Clock => {
            tracing::error!(%error, "the journal cannot be read for shipping");
            Setback::Alarm(Alarm::Journal)
        }
    }
}

#[cfg(test)]
mod tests;
