//! The journal's events as FHIR AuditEvents, for those who read audits in their FHIR server.
//!
//! ```text
//! follow(journal after the cursor) → records(event) → AuditEvent (fhir-profiles) → PUT or conditional create → cursor
//! ```
//!
//! The journal stays the record; this is a copy that runs behind it and never delays a request. Each AuditEvent is
//! delivered at least once, under an id that follows from its event, so that a repetition changes nothing.

mod cursor;
mod endpoint;
mod map;
mod map_operation;
mod state;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evidence::event::{EventBody, Request};
use evidence::ids::{EventId, Origin};
use fhir_profiles::audit_event::{AuditRecord, Gateway, audit_event_r4};
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::watch;
use url::Url;

pub use cursor::CursorError;
pub use map::{Context, Pointing, Unmapped, records};
pub use state::{FeedState, Standing};

use crate::config::PeerConfig;
use crate::journal::{Followed, Journal, JournalError};
use crate::peer::PeerSetup;
use cursor::{Cursor, Fed, SetAside};
use endpoint::{Delivery, Endpoint};

/// Records that are read at once.
const BATCH: u32 = 64;
/// Deliveries at once.
const AT_ONCE: usize = 8;
/// How often an idle feed looks at the journal's counter.
const POLL: Duration = Duration::from_millis(250);
/// The first wait after a setback; doubles.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait between tries.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How often a feed that has stopped tries, and says so.
const STOPPED: Duration = Duration::from_secs(60);
/// More records than this refused in a row are no fault of theirs: the endpoint refuses everything, and is waited for.
const REFUSED_IN_A_ROW: u32 = 16;
/// Request events that are kept for the events that refer to them.
const REQUESTS_KEPT: u64 = 512;

/// Where AuditEvents go, and what they say of the gateway.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The FHIR server.
    pub endpoint: PeerConfig,
    /// The file that holds how far the feed is.
    pub cursor: PathBuf,
    /// The gateway's public base URL.
    pub public_base: String,
    /// The origin of the log that holds the commitments.
    pub log_origin: Origin,
    /// How resources are pointed at first.
    pub pointing: Pointing,
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time for one delivery.
    pub timeout: Duration,
}

/// Why a feed cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The client.
    #[error(transparent)]
    Endpoint(#[from] PeerSetup),
    /// The cursor.
    #[error(transparent)]
    Cursor(#[from] CursorError),
}

/// Feeds one journal to one FHIR server.
pub struct Feed {
    journal: Journal,
    endpoint: Endpoint,
    cursor: Arc<Cursor>,
    context: Context,
    requests: moka::sync::Cache<EventId, Arc<Request>>,
    state: watch::Sender<FeedState>,
    /// How far it is; read from the cursor and compared with the journal in the first round.
    position: Option<u64>,
    refused_in_a_row: u32,
}

/// Why a round did not end.
enum Setback {
    Retry(String),
    Stop(String),
}

/// What became of one record of the journal.
#[derive(Default)]
struct Done {
    delivered: u64,
    set_aside: Vec<SetAside>,
    /// The endpoint takes logical references where it refuses literal ones.
    logical: bool,
}

impl Settings {
    /// The settings that follow from the gateway's configuration: the cursor lies beside the journal, and references are
    /// chosen by whether the endpoint is the upstream.
    #[must_use]
    pub fn new(endpoint: PeerConfig, journal: &Path, public_base: &Url, upstream: &Url, log_origin: Origin) -> Self {
        let mut cursor = journal.as_os_str().to_owned();
        cursor.push(".audit-event");
        let base = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
        let pointing = if base(&endpoint.base) == base(upstream) { Pointing::SameServer } else { Pointing::Elsewhere };
        Self {
            cursor: PathBuf::from(cursor),
            public_base: base(public_base),
            log_origin,
            pointing,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            endpoint,
        }
    }
}

impl Feed {
    /// Makes the client and opens the cursor, which blocks for a moment. Nothing is sent before [`Feed::run`].
    ///
    /// # Errors
    /// A certificate, a token or the cursor's file cannot be used.
    pub fn new(settings: Settings, journal: Journal) -> Result<Self, FeedError> {
        let endpoint = Endpoint::new(&settings.endpoint, settings.connect_timeout, settings.timeout)?;
        let cursor = Arc::new(Cursor::open(&settings.cursor, journal.source())?);
        let context = Context {
            gateway: Gateway { base: settings.public_base, site: journal.tenant().to_string() },
            log_origin: settings.log_origin.to_string(),
            pointing: settings.pointing,
        };
        let requests = moka::sync::Cache::new(REQUESTS_KEPT);
        let (state, _) = watch::channel(FeedState::default());
        Ok(Self { journal, endpoint, cursor, context, requests, state, position: None, refused_in_a_row: 0 })
    }

    /// How it stands, for readiness and metrics.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<FeedState> {
        self.state.subscribe()
    }

    /// Feeds for ever; dropped at any point, nothing is lost.
    pub async fn run(mut self) {
        let mut wait = FIRST_WAIT;
        loop {
            match self.round().await {
                Ok(fed) => {
                    wait = FIRST_WAIT;
                    self.stands(Standing::Feeding);
                    if !fed {
                        self.idle().await;
                    }
                }
                Err(Setback::Retry(why)) => {
                    tracing::warn!(why, "AuditEvents are not delivered; they wait in the journal");
                    self.stands(Standing::Retrying { why });
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                Err(Setback::Stop(why)) => {
                    tracing::error!(why, "the feed of AuditEvents has stopped; the journal is unharmed");
                    self.stands(Standing::Stopped { why });
                    self.position = None;
                    tokio::time::sleep(STOPPED).await;
                }
            }
        }
    }

    /// Waits until the journal holds more than was fed.
    async fn idle(&self) {
        let fed = self.position.unwrap_or(0);
        while self.journal.statistics().records <= fed {
            tokio::time::sleep(POLL).await;
        }
    }

    /// Delivers the next records in the journal's order; false where there are none.
    ///
    /// CRASH: the cursor moves after the deliveries. What was delivered and not noted is delivered again under its id.
    async fn round(&mut self) -> Result<bool, Setback> {
        let position = self.start().await?;
        let followed = self.read(move |journal| journal.follow(position, BATCH)).await?;
        self.waits_since(&followed);
        if followed.is_empty() {
            return Ok(false);
        }
        if let Some(credential) = self.endpoint.credential() {
            let look = move || {
                credential.look();
                Ok(())
            };
            self.blocking(look).await?;
        }
        self.endpoint.learn().await.map_err(Setback::Retry)?;
        let mut fed = None;
        let mut set_aside = Vec::new();
        let mut setback = None;
        let mut delivered = 0;
        let mut logical = false;
        let mut in_a_row = self.refused_in_a_row;
        {
            let feed = &*self;
            let mut deliveries = stream::iter(&followed).map(|record| feed.deliver(record)).buffered(AT_ONCE);
            for record in &followed {
                match deliveries.next().await {
                    Some(Ok(done)) => {
                        in_a_row = match (done.set_aside.is_empty(), done.delivered) {
                            (false, _) => in_a_row + 1,
                            (true, 0) => in_a_row,
                            (true, _) => 0,
                        };
                        if in_a_row > REFUSED_IN_A_ROW {
                            setback = Some(Setback::Retry("refuses-everything".to_owned()));
                            break;
                        }
                        delivered += done.delivered;
                        logical |= done.logical;
                        set_aside.extend(done.set_aside);
                        fed =
                            Some(Fed { position: record.position, event: record.opening.as_ref().map(|o| o.event.id) });
                    }
                    Some(Err(why)) => {
                        setback = Some(why);
                        break;
                    }
                    None => break,
                }
            }
        }
        self.refused_in_a_row = in_a_row.min(REFUSED_IN_A_ROW);
        if logical && self.context.pointing == Pointing::Elsewhere {
            self.context.pointing = Pointing::Logical;
        }
        if let Some(fed) = fed {
            self.keep(fed, set_aside, delivered).await?;
        }
        setback.map_or(Ok(true), Err)
    }

    /// Notes since when the first of these waits.
    fn waits_since(&self, followed: &[Followed]) {
        let oldest = followed.iter().find_map(|record| record.opening.as_ref()).map(|opening| opening.event.at);
        self.state.send_modify(|state| state.oldest = oldest);
    }

    async fn keep(&mut self, fed: Fed, set_aside: Vec<SetAside>, delivered: u64) -> Result<(), Setback> {
        for record in &set_aside {
            tracing::error!(
                record = record.record,
                why = record.why,
                "no AuditEvent was taken for a record; it is set aside"
            );
        }
        let aside = set_aside.len() as u64;
        let cursor = Arc::clone(&self.cursor);
        self.blocking(move || cursor.keep(&fed, &set_aside).map_err(|error| Setback::Stop(error.to_string()))).await?;
        self.position = Some(fed.position);
        self.state.send_modify(|state| state.fed(fed.position, delivered, aside));
        Ok(())
    }

    /// Where to go on. A cursor that does not fit the journal, because an older copy was restored, begins anew: ids follow
    /// from events, so that nothing is doubled.
    async fn start(&mut self) -> Result<u64, Setback> {
        if let Some(position) = self.position {
            return Ok(position);
        }
        let cursor = Arc::clone(&self.cursor);
        let fed = self.blocking(move || cursor.read().map_err(|error| Setback::Stop(error.to_string()))).await?;
        let position = match fed {
            None => 0,
            Some(Fed { position, event }) => {
                let found = self.read(move |journal| journal.follow(position.saturating_sub(1), 1)).await?;
                let same = |followed: &Followed| {
                    let there = followed.opening.as_ref().map(|opening| opening.event.id);
                    followed.position == position && (there == event || there.is_none())
                };
                if found.first().is_some_and(same) { position } else { 0 }
            }
        };
        self.position = Some(position);
        self.state.send_modify(|state| state.position = position);
        Ok(position)
    }

    async fn deliver(&self, followed: &Followed) -> Result<Done, Setback> {
        let mut done = Done::default();
        let Some(opening) = &followed.opening else { return Ok(done) };
        let request = self.request_of(opening.event.request(), &opening.event.body).await?;
        let mapped = |context: &Context| records(&opening.event, &opening.commitment, request.as_deref(), context);
        let aside = |record: String, why: String| SetAside { position: followed.position, record, why };
        let planned = match mapped(&self.context) {
            Ok(planned) => planned,
            Err(unmapped) => {
                done.set_aside.push(aside(opening.event.id.to_string(), unmapped.to_string()));
                return Ok(done);
            }
        };
        for (index, record) in planned.iter().enumerate() {
            match self.send(record).await? {
                Ok(()) => done.delivered += 1,
                Err(why) if self.context.pointing == Pointing::Logical => {
                    done.set_aside.push(aside(record.id.clone(), why));
                }
                // A server that resolves references refuses those to what it does not have, or not any more.
                Err(_) => {
                    let logical = Context { pointing: Pointing::Logical, ..self.context.clone() };
                    let again = mapped(&logical).ok().and_then(|records| records.into_iter().nth(index));
                    match self.send(again.as_ref().unwrap_or(record)).await? {
                        Ok(()) => {
                            done.delivered += 1;
                            done.logical = true;
                        }
                        Err(why) => done.set_aside.push(aside(record.id.clone(), why)),
                    }
                }
            }
        }
        Ok(done)
    }

    /// Sends one; the inner error says why it will never be taken.
    async fn send(&self, record: &AuditRecord) -> Result<Result<(), String>, Setback> {
        let body = match audit_event_r4(record) {
            Ok(body) => body,
            Err(error) => return Ok(Err(error.to_string())),
        };
        match self.endpoint.deliver(&record.id, body).await {
            Delivery::Taken => Ok(Ok(())),
            Delivery::Refused(status) => Ok(Err(format!("refused with status {status}"))),
            Delivery::Away(why) => Err(Setback::Retry(why)),
        }
    }

    /// The request that an event belongs to: the event's own, or the one that it refers to.
    async fn request_of(&self, id: Option<EventId>, body: &EventBody) -> Result<Option<Arc<Request>>, Setback> {
        let Some(id) = id else { return Ok(None) };
        if let EventBody::Request(request) = body {
            let request = Arc::new(Request::clone(request));
            self.requests.insert(id, Arc::clone(&request));
            return Ok(Some(request));
        }
        if let Some(known) = self.requests.get(&id) {
            return Ok(Some(known));
        }
        let opening = self.read(move |journal| journal.request_event(id)).await?;
        let request = opening.and_then(|opening| {
            let EventBody::Request(request) = opening.event.body else { return None };
            Some(Arc::<Request>::from(request))
        });
        if let Some(request) = &request {
            self.requests.insert(id, Arc::clone(request));
        }
        Ok(request)
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Journal) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, Setback> {
        let journal = self.journal.clone();
        self.blocking(move || read(&journal).map_err(|error| Setback::Stop(error.to_string()))).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Setback> + Send + 'static,
    ) -> Result<T, Setback> {
        let ended = |_| Setback::Stop("a thread ended".to_owned());
        tokio::task::spawn_blocking(work).await.map_err(ended)?
    }

    fn stands(&self, standing: Standing) {
        self.state.send_if_modified(|state| {
            let changed = state.standing != standing;
            state.standing = standing;
            changed
        });
    }
}

#[cfg(test)]
mod tests;
