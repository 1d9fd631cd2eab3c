//! The gate: everything that a request needs on its way, made once and shared.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use bytes::Bytes;
use gateway_core::interaction::KnownParams;
use gateway_core::json::Doc;
use gateway_core::reference::Bases;
use tokio::sync::Semaphore;

use crate::auth::Authenticator;
use crate::capability::{self, Issuer};
use crate::config::Limits;
use crate::cursor::Cursors;
use crate::filter::Bounds;
use crate::forward::Upstream;
use crate::gather::Facts;
use crate::glass::Glass;
use crate::problem::Problem;
use crate::record::Recorder;
use crate::rules::InForce;
use crate::shadow::Shadow;
use crate::telemetry::Metrics;
use crate::turns::Turns;

/// What one worker answers with.
pub struct Gate {
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// This worker's client of the upstream's data path (ADR 0014: one client a worker).
    pub upstream: Upstream,
}

/// What all workers share.
pub struct Shared {
    /// Checks tokens.
    pub authenticator: Arc<Authenticator>,
    /// Everything that decides, as it is now.
    pub rules: InForce,
    /// Emergency access that is in force.
    pub glass: Arc<Glass>,
    /// Sources of facts.
    pub facts: Arc<Facts>,
    /// Writes events.
    pub recorder: Recorder,
    /// Seals and opens paging cursors; to be taken under the digest of a request's rules.
    pub cursors: Cursors,
    /// What the upstream can do.
    pub capabilities: CapabilityCache,
    /// The authorization server's endpoints, once its discovery document was read.
    pub issuer: OnceLock<Issuer>,
    /// Limits of requests and answers.
    pub limits: Limits,
    /// Most entries of one search that is read to the end.
    pub most_entries: u64,
    /// The two names of the upstream.
    pub bases: Bases,
    /// Allowed CORS origins.
    pub cors_origins: Vec<String>,
    /// The header by which a client narrows its purposes.
    pub purpose_header: String,
    /// Requests at work, at most.
    pub at_work: Arc<Semaphore>,
    /// What is counted and timed.
    pub metrics: Arc<Metrics>,
    /// Decides by the shadow policy, apart from every request.
    pub shadow: Shadow,
    /// Conditional writes wait here for one another.
    pub turns: Turns,
}

impl Shared {
    /// What bounds an answer of many entries.
    pub fn bounds(&self) -> Bounds {
        Bounds { most_entries: self.most_entries, window: (self.limits.window, self.limits.window_entries) }
    }
}

/// The upstream's capabilities, once they have been read.
#[derive(Default)]
pub struct CapabilityCache {
    known: RwLock<Option<Arc<Capability>>>,
}

/// What was made of the upstream's CapabilityStatement.
pub struct Capability {
    /// The search parameters that it knows.
    pub params: KnownParams,
    /// The statement that clients get.
    pub statement: Bytes,
}

impl CapabilityCache {
    /// What the upstream can do.
    ///
    /// # Errors
    /// [`Problem::NoFacts`] while it has not been read: which parameters are known decides what is forwarded.
    pub fn known(&self) -> Result<Arc<Capability>, Problem> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone().ok_or(Problem::NoFacts("capabilities-unavailable"))
    }

    /// Reads the upstream's statement anew. What was known stays where that fails.
    pub async fn refresh(&self, upstream: &Upstream, bases: &Bases, date: &str) -> Result<(), Problem> {
        const UNAVAILABLE: Problem = Problem::NoFacts("capabilities-unavailable");
        let answer = upstream.facts("metadata").await?;
        if answer.status != 200 {
            return Err(UNAVAILABLE);
        }
        let body = answer.into_json_bytes(32 << 20).await?;
        let doc = Doc::parse(&body).map_err(|_| UNAVAILABLE)?;
        let params = KnownParams::from_capability_statement(doc.root());
        let value = serde_json::from_slice(&body).map_err(|_| UNAVAILABLE)?;
        let own = capability::capabilities(&value, bases.public.as_str(), date).map_err(|error| {
            tracing::error!(%error, "the upstream's capabilities cannot be used");
            UNAVAILABLE
        })?;
        let capability = Capability { params, statement: own.to_string().into() };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(capability));
        Ok(())
    }
}
