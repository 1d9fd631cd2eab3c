//! Forward: the data path to the upstream FHIR server.
//!
//! One file holds the client, so that it can be changed for another one without the pipeline noticing (ADR 0014).
//! Nothing here reads the body of an answer that has data: it is a stream that only [`crate::filter`] consumes. Of refusals
//! the reasons go to the log as far as they may.

mod reasons;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use gateway_core::decide::Permit;
use reqwest::StatusCode;
use tracing::Span;

use crate::config::PeerConfig;
use crate::peer::{self, Credential, PeerSetup};
use crate::telemetry::{Metrics, Peer, outgoing};
use reasons::issue_codes;

/// Why the upstream gave no usable answer. No variant holds a body, a query or a header value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// No connection: nothing was sent.
    #[error("the upstream FHIR server cannot be reached")]
    Unreachable,
    /// The connection broke after it was made and before the head of an answer, or what came is no HTTP.
    #[error("the upstream FHIR server gave no answer")]
    NoAnswer,
    /// It did not answer within `upstream.timeout_ms`.
    #[error("the upstream FHIR server did not answer in time")]
    Timeout,
    /// The body ended early or the connection broke within it.
    #[error("the upstream FHIR server broke off its answer")]
    BrokenOff,
    /// Another media type than FHIR JSON.
    #[error("the upstream FHIR server answered with something that is not FHIR JSON")]
    NotFhirJson,
    /// Compressed although `identity` was asked for.
    #[error("the upstream FHIR server answered with a content coding that was not asked for")]
    Encoded,
    /// More bytes than the configured limit.
    #[error("the upstream FHIR server's answer is larger than the configured limit")]
    TooLarge,
    /// A paging link that leads somewhere else.
    #[error("the upstream FHIR server sent a paging link that is not under its own base")]
    ForeignLink,
}

impl UpstreamError {
    /// Whether the server may have received the request, and so may have carried it out.
    pub fn may_have_arrived(self) -> bool {
        match self {
            Self::Unreachable => false,
            Self::NoAnswer
            | Self::Timeout
            | Self::BrokenOff
            | Self::NotFhirJson
            | Self::Encoded
            | Self::TooLarge
            | Self::ForeignLink => true,
        }
    }
}

/// The methods that the data path uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
}

/// One request to the upstream.
#[derive(Debug)]
pub struct UpstreamRequest {
    /// HTTP method.
    pub method: Method,
    /// Path and query below the base, without a leading slash: `Patient/x`, `Observation?code=…`, percent-encoded.
    pub target: String,
    /// Body of a write, FHIR JSON.
    pub body: Option<Bytes>,
    /// `If-Match` of a write, the version that was decided on.
    pub if_match: Option<String>,
    /// W3C trace context to pass on.
    pub traceparent: Option<String>,
}

impl UpstreamRequest {
    /// A GET of `target`.
    pub fn get(target: impl Into<String>) -> Self {
        Self { method: Method::Get, target: target.into(), body: None, if_match: None, traceparent: None }
    }
}

/// A stream of body bytes.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, UpstreamError>> + Send>>;

/// The head of an upstream answer, allow-listed, and its body unread.
pub struct UpstreamAnswer {
    /// HTTP status.
    pub status: u16,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
    /// `Location`, as sent.
    pub location: Option<String>,
    json: bool,
    encoded: bool,
    body: ByteStream,
}

impl UpstreamAnswer {
    /// The body as a stream, once its head says that it is FHIR JSON in no content coding.
    pub fn into_json(self) -> Result<ByteStream, UpstreamError> {
        if self.encoded {
            return Err(UpstreamError::Encoded);
        }
        if !self.json {
            return Err(UpstreamError::NotFhirJson);
        }
        Ok(self.body)
    }

    /// The answer; of a refusal the codes are in the log.
    async fn told(self) -> Self {
        match self.status {
            404 | 410 => self,
            400.. => self.with_its_reasons_logged().await,
            _ => self,
        }
    }

    /// A refusal, whose body is read for the codes that say why and then dropped: nobody is told more.
    async fn with_its_reasons_logged(self) -> Self {
        let (status, json, encoded) = (self.status, self.json, self.encoded);
        let read = collect(self.body, REFUSAL_LIMIT);
        let body = if json && !encoded { tokio::time::timeout(REFUSAL_PATIENCE, read).await.ok() } else { None };
        let codes = body.and_then(Result::ok).map(|body| issue_codes(&body)).unwrap_or_default();
        tracing::warn!(status, codes = codes.join(" "), "the FHIR server refused");
        Self { body: Box::pin(futures_util::stream::empty()), ..self }
    }

    /// The whole body, at most `limit` bytes.
    pub async fn into_json_bytes(self, limit: usize) -> Result<Bytes, UpstreamError> {
        collect(self.into_json()?, limit).await
    }
}

/// Bytes of a refusal that are read, and how long for.
const REFUSAL_LIMIT: usize = 64 << 10;
const REFUSAL_PATIENCE: Duration = Duration::from_secs(2);

async fn collect(mut body: ByteStream, limit: usize) -> Result<Bytes, UpstreamError> {
    let mut whole = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        if whole.len() + chunk.len() > limit {
            return Err(UpstreamError::TooLarge);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.into())
}

/// How long to wait, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// To connect.
    pub connect: Duration,
    /// For the head, and between two reads of the body.
    pub read: Duration,
}

/// A client of one FHIR server: the data path's, or the one that facts are gathered with. Cheap to clone.
#[derive(Clone)]
pub struct Upstream {
    client: reqwest::Client,
    base: String,
    credential: Option<Credential>,
    measured: Option<(Arc<Metrics>, Peer)>,
}

impl Upstream {
    /// A client for the server that `peer` names, with the gateway's own identity there.
    pub fn new(peer: &PeerConfig, patience: Patience) -> Result<Self, PeerSetup> {
        let client = peer::client(peer, patience.connect)?.read_timeout(patience.read).build()?;
        let credential = peer.bearer_token.clone().map(Credential::new).transpose()?;
        let base = peer.base.as_str().trim_end_matches('/').to_owned();
        Ok(Self { client, base, credential, measured: None })
    }

    /// The same client, whose calls are counted and timed as those to `peer`.
    #[must_use]
    pub fn measured(mut self, metrics: Arc<Metrics>, peer: Peer) -> Self {
        self.measured = Some((metrics, peer));
        self
    }

    /// The base that links of this server start with.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a caller's request. The [`Permit`] is what makes it a permitted one.
    pub async fn forward(&self, _permit: &Permit, request: UpstreamRequest) -> Result<UpstreamAnswer, UpstreamError> {
        Ok(self.send(request, false).await?.told().await)
    }

    /// The same, by an answer that the server makes now: not out of its cache of search results.
    pub async fn forward_fresh(
        &self,
        _permit: &Permit,
        request: UpstreamRequest,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        Ok(self.send(request, true).await?.told().await)
    }

    /// Asks for facts with the gateway's own credential: what a decision needs, never what a caller receives.
    /// The server is told not to answer from its own cache of search results.
    pub async fn facts(&self, target: &str) -> Result<UpstreamAnswer, UpstreamError> {
        let traceparent = outgoing(&Span::current(), None).map(|parent| parent.to_string());
        self.send(UpstreamRequest { traceparent, ..UpstreamRequest::get(target) }, true).await
    }

    /// The path and query below the base of an absolute link of this server, or of a relative one.
    pub fn target_of_link<'a>(&self, link: &'a str) -> Result<&'a str, UpstreamError> {
        match link.strip_prefix(self.base.as_str()) {
            Some(rest) if rest.starts_with('?') => Ok(rest),
            Some(rest) => rest.strip_prefix('/').ok_or(UpstreamError::ForeignLink),
            None if link.contains("://") || link.starts_with('/') => Err(UpstreamError::ForeignLink),
            None => Ok(link),
        }
    }

    async fn send(&self, request: UpstreamRequest, fresh: bool) -> Result<UpstreamAnswer, UpstreamError> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let separator = if request.target.starts_with('?') || request.target.is_empty() { "" } else { "/" };
        let mut sending = self
            .client
            .request(method, format!("{}{separator}{}", self.base, request.target))
            .header("accept", "application/fhir+json")
            .header("accept-encoding", "identity");
        if fresh {
            sending = sending.header("cache-control", "no-cache");
        }
        if let Some(credential) = &self.credential {
            sending = credential.show(sending);
        }
        if let Some(version) = request.if_match {
            sending = sending.header("if-match", version);
        }
        if let Some(traceparent) = request.traceparent {
            sending = sending.header("traceparent", traceparent);
        }
        if let Some(body) = request.body {
            sending = sending
                .header("content-type", "application/fhir+json; charset=utf-8")
                .header("prefer", "return=representation")
                .body(body);
        }
        let begun = Instant::now();
        let sent = sending.send().await;
        if let Some((metrics, peer)) = &self.measured {
            metrics.call(*peer, sent.as_ref().ok().map(|answer| answer.status().as_u16()), begun.elapsed());
        }
        let answer = sent.map_err(|e| classify_head(&e))?;
        if let Some(credential) = self.credential.as_ref().filter(|_| answer.status() == StatusCode::UNAUTHORIZED) {
            // A rotated token: the next request shows the new one.
            credential.read_again();
        }
        let header = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok()).map(ToOwned::to_owned);
        let encoded = header("content-encoding").is_some_and(|c| !c.eq_ignore_ascii_case("identity"));
        let json = header("content-type").is_some_and(|t| is_fhir_json(&t));
        Ok(UpstreamAnswer {
            status: answer.status().as_u16(),
            etag: header("etag"),
            last_modified: header("last-modified"),
            location: header("location"),
            json,
            encoded,
            body: Box::pin(answer.bytes_stream().map(|chunk| chunk.map_err(|e| classify_body(&e)))),
        })
    }
}

fn is_fhir_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    let utf8 = parts.all(|p| match p.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        Some(_) | None => true,
    });
    utf8 && matches!(media.as_str(), "application/fhir+json" | "application/json")
}

fn classify_head(error: &reqwest::Error) -> UpstreamError {
    // A connection that is not made in time is a timeout too, but nothing was sent on it.
    if error.is_connect() || error.is_builder() {
        UpstreamError::Unreachable
    } else if error.is_timeout() {
        UpstreamError::Timeout
    } else {
        UpstreamError::NoAnswer
    }
}

fn classify_body(error: &reqwest::Error) -> UpstreamError {
    if error.is_timeout() { UpstreamError::Timeout } else { UpstreamError::BrokenOff }
}

#[cfg(test)]
mod tests;
