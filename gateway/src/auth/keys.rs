//! The keys of one issuer: fetched, kept, fetched again.
//!
//! Older than `max_age` → fetched before use. Cannot be fetched → used `stale_if_error` longer, then not at all. A token with
//! an unknown key id asks for a fetch too (rotation), but never sooner than `min_interval` after the last try, so that
//! nobody can make the gateway hammer its issuer.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use reqwest::Client;
use reqwest::header::ACCEPT;
use serde::Deserialize;
use url::Url;

use super::jwks::{Key, KeySet, KeySetFault};
use crate::config::{IssuerConfig, JwksConfig, KeyLocation, SignatureAlgorithm, may_call};

/// With no keys at all there is nothing to spare the issuer from: tries may follow each other this fast.
const EMPTY_INTERVAL: Duration = Duration::from_secs(1);

/// The keys of one issuer.
pub(super) struct IssuerKeys {
    issuer: String,
    location: KeyLocation,
    danger_plain_http: bool,
    limits: JwksConfig,
    http: Client,
    held: RwLock<Option<Held>>,
    /// Held while a fetch is under way: whoever waits for it finds its result and does not fetch again.
    last_try: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Clone)]
struct Held {
    set: Arc<KeySet>,
    fetched: Instant,
}

/// Why there is no key for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The issuer's keys are known, and none fits.
    Unknown,
    /// No keys are held, or those that are held are too old.
    Unavailable,
}

/// Why a fetch failed; for the log, so it holds no body and no URL query.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the request failed ({0})")]
    Request(&'static str),
    #[error("the answer has status {0}")]
    Status(u16),
    #[error("the answer is larger than jwks_max_size")]
    TooLarge,
    #[error("the discovery document cannot be used: {0}")]
    Discovery(&'static str),
    #[error(transparent)]
    KeySet(#[from] KeySetFault),
}

impl IssuerKeys {
    pub(super) fn new(config: &IssuerConfig, limits: &JwksConfig, http: Client) -> Self {
        Self {
            issuer: config.issuer.clone(),
            location: config.keys.clone(),
            danger_plain_http: config.danger_plain_http,
            limits: limits.clone(),
            http,
            held: RwLock::new(None),
            last_try: tokio::sync::Mutex::new(None),
        }
    }

    /// The keys that a token with this header may have been signed with; at least one.
    pub(super) async fn find(&self, id: Option<&str>, algorithm: SignatureAlgorithm) -> Result<Vec<Arc<Key>>, NoKey> {
        if let Some(set) = self.fresh() {
            let found = set.candidates(id, algorithm);
            if !found.is_empty() {
                return Ok(found);
            }
        }
        self.refresh().await;
        let set = self.usable().ok_or(NoKey::Unavailable)?;
        let found = set.candidates(id, algorithm);
        if found.is_empty() { Err(NoKey::Unknown) } else { Ok(found) }
    }

    /// Whether the issuer's set, as fresh as `max_age` asks, still holds this key.
    pub(super) fn vouches(&self, fingerprint: &[u8; 32]) -> bool {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().is_some_and(|held| held.fetched.elapsed() <= self.limits.max_age && held.set.holds(fingerprint))
    }

    /// The name of the issuer, for readiness and log.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether tokens of this issuer can be checked now.
    pub(super) fn is_usable(&self) -> bool {
        self.usable().is_some()
    }

    /// How long the background refresh sleeps: half the age while all is well, else the retry interval.
    pub(super) fn next_refresh(&self) -> Duration {
        if self.fresh().is_some() { self.limits.max_age / 2 } else { self.retry_interval() }
    }

    /// Fetches the set unless that was tried a moment ago. A failure is logged and leaves what is held.
    pub(super) async fn refresh(&self) {
        let asked = Instant::now();
        let mut last_try = self.last_try.lock().await;
        let too_soon = last_try.is_some_and(|tried| tried >= asked || tried.elapsed() < self.retry_interval());
        if too_soon {
            return;
        }
        // Noted before and after: a request that goes away during the fetch must not make the next one fetch at once.
        *last_try = Some(Instant::now());
        let result = self.fetch().await;
        *last_try = Some(Instant::now());
        match result {
            Ok(set) => {
                let held = Held { set: Arc::new(set), fetched: Instant::now() };
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
            }
            Err(error) => {
                tracing::warn!(issuer = %self.issuer, %error, "the issuer's keys cannot be fetched");
            }
        }
    }

    fn retry_interval(&self) -> Duration {
        if self.is_usable() { self.limits.min_interval } else { self.limits.min_interval.min(EMPTY_INTERVAL) }
    }

    fn fresh(&self) -> Option<Arc<KeySet>> {
        self.not_older_than(self.limits.max_age)
    }

    fn usable(&self) -> Option<Arc<KeySet>> {
        self.not_older_than(self.limits.max_age.saturating_add(self.limits.stale_if_error))
    }

    fn not_older_than(&self, age: Duration) -> Option<Arc<KeySet>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().filter(|held| held.fetched.elapsed() <= age).map(|held| Arc::clone(&held.set))
    }

    async fn fetch(&self) -> Result<KeySet, FetchError> {
        let address = match &self.location {
            KeyLocation::Jwks(url) => url.clone(),
            KeyLocation::Discovery(url) => self.discover(url).await?,
        };
        Ok(KeySet::parse(&self.document(address).await?)?)
    }

    /// OpenID Connect Discovery 1.0, 4.3: the document must be the issuer's own.
    async fn discover(&self, url: &Url) -> Result<Url, FetchError> {
        let document = self.document(url.clone()).await?;
        let metadata: Metadata =
            serde_json::from_slice(&document).map_err(|_| FetchError::Discovery("it is not the JSON it should be"))?;
        if metadata.issuer != self.issuer {
            return Err(FetchError::Discovery("it names another issuer"));
        }
        let keys = Url::parse(&metadata.jwks_uri).map_err(|_| FetchError::Discovery("jwks_uri is not a URL"))?;
        if may_call(&keys, self.danger_plain_http) {
            Ok(keys)
        } else {
            Err(FetchError::Discovery("jwks_uri is not https"))
        }
    }

    async fn document(&self, url: Url) -> Result<Vec<u8>, FetchError> {
        let request = self.http.get(url).header(ACCEPT, "application/json").timeout(self.limits.timeout);
        let mut response = request.send().await.map_err(|error| FetchError::Request(kind(&error)))?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let mut document = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| FetchError::Request(kind(&error)))? {
            if document.len() + chunk.len() > self.limits.max_size {
                return Err(FetchError::TooLarge);
            }
            document.extend_from_slice(&chunk);
        }
        Ok(document)
    }
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// reqwest's own text quotes the URL, which may carry a key in its query; the kind is enough.
fn kind(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "no connection"
    } else {
        "broken off"
    }
}
