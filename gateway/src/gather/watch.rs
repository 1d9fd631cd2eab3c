//! Watches the Consents on their server, so that what is changed there past the gateway is forgotten here soon.
//!
//! It asks with the gateway's own credential, every `consent_source.poll` and whenever [`Watch::wake`] says that something
//! changed: for the history of all Consents, which tells of deletions too, or, where the server has none, by a search
//! (docs/adr/0055). A poll that fails changes nothing: `consent_source.max_staleness` bounds what is kept.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tokio::sync::Notify;

use super::Facts;
use super::changes::{Boundary, Forget, MOST, Told, Version};
use super::consents::ConsentSource;
use super::resources::{NoFacts, each_entry, percent_encode};
use crate::clock;
use crate::telemetry::WatchReading;

/// Entries of one page.
const PAGE: usize = 100;
/// Time for one poll, all pages.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two polls, however many notifications come.
const BREATH: Duration = Duration::from_millis(100);
/// After a failure, where polls are rarer or off.
const RETRY: Duration = Duration::from_secs(5);
/// How long after the server refused its history it is asked for it again.
const HISTORY_AGAIN: Duration = Duration::from_secs(60);
/// A date may be told in seconds.
const COARSE: Duration = Duration::from_secs(1);
/// FHIR `instant`.
const INSTANT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Why a poll failed; holds no value of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchFault {
    /// No answer, or none of FHIR JSON.
    #[error("the Consent source does not answer")]
    NoAnswer,
    /// Another status than 200.
    #[error("the Consent source refuses with status {0}")]
    Refused(u16),
    /// No Bundle of dated versions of Consents.
    #[error("the answer of the Consent source cannot be read")]
    Unreadable,
    /// It told of versions that are older than was asked for.
    #[error("the Consent source ignores the date from which on it is asked")]
    IgnoresDate,
}

impl WatchFault {
    /// Whether the server does not serve what was asked, so that it may be asked in another way.
    fn unserved(self) -> bool {
        matches!(self, Self::Refused(400 | 403 | 404 | 405 | 410 | 422 | 501) | Self::IgnoresDate)
    }
}

/// The watch over the Consents; one for the process.
pub struct Watch {
    wake: Notify,
    state: Mutex<State>,
}

struct State {
    /// When a poll last succeeded, or the watch began.
    succeeded_at: Instant,
    failing: Option<WatchFault>,
    by: By,
    polls: u64,
    failures: u64,
    changes: u64,
    notifications: u64,
}

/// How the server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// `Consent/_history?_since=`.
    History,
    /// `Consent?_lastUpdated=ge`, which tells of no deletion.
    Search,
}

impl Default for Watch {
    fn default() -> Self {
        let state = State {
            succeeded_at: Instant::now(),
            failing: None,
            by: By::History,
            polls: 0,
            failures: 0,
            changes: 0,
            notifications: 0,
        };
        Self { wake: Notify::new(), state: Mutex::new(state) }
    }
}

impl Watch {
    /// Asks at once: somebody says that a Consent was changed.
    pub fn wake(&self) {
        self.with(|state| state.notifications += 1);
        self.wake.notify_one();
    }

    /// Why the last poll failed, where it did.
    pub fn failing(&self) -> Option<WatchFault> {
        self.with(|state| state.failing)
    }

    /// Whether deletions are seen.
    pub fn sees_deletions(&self) -> bool {
        self.with(|state| state.by == By::History)
    }

    /// The numbers of the watch.
    pub fn reading(&self) -> WatchReading {
        self.with(|state| WatchReading {
            age: state.succeeded_at.elapsed(),
            polls: state.polls,
            failures: state.failures,
            changes: state.changes,
            notifications: state.notifications,
            failing: state.failing.is_some(),
            sees_deletions: state.by == By::History,
        })
    }

    /// Watches until it is aborted: `every` so often, or, where that is `None`, only when it is woken.
    pub async fn keep(self: Arc<Self>, facts: Arc<Facts>, every: Option<Duration>) {
        let mut asking = Asking::default();
        loop {
            let begun = Instant::now();
            let polled = tokio::time::timeout(PATIENCE, asking.poll(&facts.consents)).await;
            let failed = self.note(polled.unwrap_or(Err(WatchFault::NoAnswer)), asking.by);
            tokio::time::sleep(BREATH).await;
            let every = if failed { Some(every.map_or(RETRY, |every| every.min(RETRY))) } else { every };
            let rest = async {
                match every {
                    Some(every) => tokio::time::sleep(every.saturating_sub(begun.elapsed())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = rest => {}
                () = self.wake.notified() => {}
            }
        }
    }

    /// Notes how a poll ended; true where it failed.
    fn note(&self, polled: Result<usize, WatchFault>, by: By) -> bool {
        let (before, turned) = self.with(|state| {
            let before = state.failing;
            let turned = state.by != by;
            state.polls += 1;
            state.failing = polled.err();
            match polled {
                Ok(changes) => {
                    state.succeeded_at = Instant::now();
                    state.changes += changes as u64;
                    state.by = by;
                }
                Err(_) => state.failures += 1,
            }
            (before, turned)
        });
        match (polled, before) {
            (Err(error), None) => tracing::warn!(
                %error,
                "changes of Consents cannot be asked for; what is known is used for consent_source.max_staleness at most"
            ),
            (Ok(_), Some(_)) => tracing::info!("changes of Consents are told again"),
            (Ok(_), None) | (Err(_), Some(_)) => {}
        }
        match (polled, turned, by) {
            (Ok(_), true, By::Search) => tracing::warn!(
                "the Consent source has no history of Consents: one that is DELETED there past the gateway counts until consent_source.max_staleness; set it as short as that may last, or revoke Consents by their status"
            ),
            (Ok(_), true, By::History) => tracing::info!("the Consent source tells of deletions again"),
            (Ok(_), false, _) | (Err(_), _, _) => {}
        }
        polled.is_err()
    }

    fn with<T>(&self, then: impl FnOnce(&mut State) -> T) -> T {
        then(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How far the server was asked, and in which way.
struct Asking {
    by: By,
    /// When the history was refused last.
    refused_at: Option<Instant>,
    /// `None` while no Consent has been seen.
    boundary: Option<Boundary>,
}

impl Default for Asking {
    fn default() -> Self {
        Self { by: By::History, refused_at: None, boundary: None }
    }
}

impl Asking {
    /// Asks once and forgets what changed; gives how many versions were new.
    async fn poll(&mut self, source: &ConsentSource) -> Result<usize, WatchFault> {
        let refused_lately = self.refused_at.is_some_and(|at| at.elapsed() < HISTORY_AGAIN);
        if self.by == By::Search && refused_lately {
            return self.ask(source, By::Search).await;
        }
        match self.ask(source, By::History).await {
            // Where the search is what works, it is not given up for a history that fails in another way.
            Err(fault) if fault.unserved() || self.by == By::Search => {
                let changes = self.ask(source, By::Search).await?;
                (self.by, self.refused_at) = (By::Search, Some(Instant::now()));
                Ok(changes)
            }
            told => {
                if told.is_ok() && self.by == By::Search {
                    // What was deleted meanwhile was not told.
                    source.forget_all();
                    self.by = By::History;
                }
                told
            }
        }
    }

    async fn ask(&mut self, source: &ConsentSource, by: By) -> Result<usize, WatchFault> {
        match &mut self.boundary {
            Some(boundary) => {
                let (changes, forget) = told_since(source, by, boundary).await?;
                match forget {
                    Forget::Nothing => {}
                    Forget::These { consents, patients } => source.forget_changed(&consents, &patients),
                    Forget::All => source.forget_all(),
                }
                Ok(changes)
            }
            None => {
                let Some(newest) = newest(source, by).await? else { return Ok(0) };
                let mut boundary = Boundary::begin(newest, Instant::now(), clock::now());
                told_since(source, by, &mut boundary).await?;
                // Whatever was kept before the watch began may have changed since.
                source.forget_all();
                self.boundary = Some(boundary);
                Ok(0)
            }
        }
    }
}

/// The date of the newest version that has one, by the server's own clock; `None` where there is no Consent.
///
/// HAPI gives deletions no date. An older date than the newest is no harm: more is asked for. Where nothing is dated the
/// gateway's own clock has to do, to which the overlap is added.
async fn newest(source: &ConsentSource, by: By) -> Result<Option<OffsetDateTime>, WatchFault> {
    let target = match by {
        // With a date, because HAPI remembers for a while how long a history is that was asked for without one.
        By::History => format!("Consent/_history?_since=1970-01-01T00%3A00%3A00.000Z&_count={PAGE}"),
        By::Search => "Consent?_sort=-_lastUpdated&_count=1".to_owned(),
    };
    let told = read(source, &target, PAGE).await?;
    let dated = told.versions.iter().filter_map(Version::at).max();
    // More than can be read is not nothing.
    Ok((told.more || !told.versions.is_empty()).then(|| dated.unwrap_or_else(clock::now)))
}

async fn told_since(source: &ConsentSource, by: By, boundary: &mut Boundary) -> Result<(usize, Forget), WatchFault> {
    let since = boundary.since().to_offset(time::UtcOffset::UTC);
    let instant = percent_encode(&since.format(INSTANT).map_err(|_| WatchFault::Unreadable)?);
    let target = match by {
        By::History => format!("Consent/_history?_since={instant}&_count={PAGE}"),
        By::Search => format!("Consent?_lastUpdated=ge{instant}&_count={PAGE}"),
    };
    let asked = Instant::now();
    let told = read(source, &target, MOST).await?;
    if told.versions.iter().filter_map(Version::at).any(|at| at < since - COARSE) {
        return Err(WatchFault::IgnoresDate);
    }
    if told.more {
        tracing::warn!(entries = MOST, "more Consents changed than are read at once; all are fetched again");
    }
    Ok(boundary.take(&told, asked, Instant::now(), clock::now()))
}

/// Reads at most `most` versions.
async fn read(source: &ConsentSource, target: &str, most: usize) -> Result<Told, WatchFault> {
    let (upstream, bases) = source.server();
    let mut told = Told::default();
    let read = each_entry(upstream, target, |entry| {
        if entry.get("search").and_then(|search| search.str_at("mode")).is_some_and(|mode| mode == "outcome") {
            return Ok(());
        }
        if told.versions.len() == most {
            return Err(NoFacts::TooMany);
        }
        told.versions.push(Version::of(entry, upstream.base(), bases).ok_or(NoFacts::Unreadable)?);
        Ok(())
    });
    match read.await {
        Ok(()) => Ok(told),
        Err(NoFacts::TooMany) => Ok(Told { more: true, ..told }),
        Err(NoFacts::Refused(status)) => Err(WatchFault::Refused(status)),
        Err(NoFacts::Unavailable) => Err(WatchFault::NoAnswer),
        Err(NoFacts::Unreadable) => Err(WatchFault::Unreadable),
    }
}
