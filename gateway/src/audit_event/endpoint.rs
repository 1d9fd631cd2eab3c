//! The client of the FHIR server that takes AuditEvents.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fhir_profiles::audit_event::RECORD_TAG_SYSTEM;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;

use crate::config::PeerConfig;
use crate::peer::{self, Credential, PeerSetup};

/// Most bytes of a CapabilityStatement.
const STATEMENT_LIMIT: usize = 32 << 20;

/// What became of a delivery.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The server has it.
    Taken,
    /// The server does not take this one, with this status.
    Refused(u16),
    /// The server does not take anything now; a short code says how.
    Away(String),
}

/// How a repetition stays without effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// `PUT AuditEvent/<id>`.
    Put,
    /// `POST AuditEvent` with `If-None-Exist`, by the tag that holds the id.
    ConditionalCreate,
}

pub(super) struct Endpoint {
    client: reqwest::Client,
    base: String,
    credential: Option<Credential>,
    /// Whether it offers conditional creates; absent until it was asked.
    offers_conditional: OnceLock<bool>,
    /// Whether they are used: it refuses ids of ours.
    conditional: AtomicBool,
}

#[derive(Deserialize)]
struct Statement {
    #[serde(default)]
    rest: Vec<Rest>,
}

#[derive(Deserialize)]
struct Rest {
    #[serde(default)]
    resource: Vec<Capability>,
}

#[derive(Deserialize)]
struct Capability {
    #[serde(rename = "type")]
    resource_type: String,
    #[serde(rename = "updateCreate")]
    update_create: Option<bool>,
    #[serde(rename = "conditionalCreate")]
    conditional_create: Option<bool>,
}

impl Endpoint {
    pub(super) fn new(peer: &PeerConfig, connect: Duration, timeout: Duration) -> Result<Self, PeerSetup> {
        Ok(Self {
            client: peer::client(peer, connect)?.timeout(timeout).build()?,
            base: peer.base.as_str().trim_end_matches('/').to_owned(),
            credential: peer.bearer_token.clone().map(Credential::new).transpose()?,
            offers_conditional: OnceLock::new(),
            conditional: AtomicBool::new(false),
        })
    }

    /// The token that it shows.
    pub(super) fn credential(&self) -> Option<Credential> {
        self.credential.clone()
    }

    /// Learns once which way the server offers (FHIR R4, RESTful API, "Update as Create", "Conditional create"). Many that
    /// take ids of ours do not say so: they get the PUT unless they say that they do not take it.
    pub(super) async fn learn(&self) -> Result<(), String> {
        if self.offers_conditional.get().is_some() {
            return Ok(());
        }
        let metadata = || self.client.get(format!("{}/metadata", self.base));
        let mut answer = self.ask(metadata).await.map_err(|error| transport(&error))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("capabilities-{}", answer.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| transport(&error))? {
            if body.len() + chunk.len() > STATEMENT_LIMIT {
                return Err("capabilities-too-large".to_owned());
            }
            body.extend_from_slice(&chunk);
        }
        let statement: Statement = serde_json::from_slice(&body).map_err(|_| "capabilities-unreadable".to_owned())?;
        let mut offered = statement.rest.iter().flat_map(|rest| &rest.resource);
        let audit_event = offered.find(|resource| resource.resource_type == "AuditEvent");
        let offers_conditional = audit_event.is_some_and(|offer| offer.conditional_create == Some(true));
        let takes_no_ids = audit_event.is_some_and(|offer| offer.update_create == Some(false));
        self.conditional.store(offers_conditional && takes_no_ids, Ordering::Relaxed);
        self.offers_conditional.get_or_init(|| offers_conditional);
        Ok(())
    }

    /// Delivers one AuditEvent.
    pub(super) async fn deliver(&self, id: &str, body: String) -> Delivery {
        let body = Bytes::from(body);
        if self.conditional.load(Ordering::Relaxed) {
            return self.send(Way::ConditionalCreate, id, body).await;
        }
        let delivery = self.send(Way::Put, id, body.clone()).await;
        let takes_no_ids = matches!(&delivery, Delivery::Away(why) if matches!(why.as_str(), "404" | "405" | "501"));
        if !takes_no_ids || self.offers_conditional.get() != Some(&true) {
            return delivery;
        }
        let delivery = self.send(Way::ConditionalCreate, id, body).await;
        if delivery == Delivery::Taken {
            self.conditional.store(true, Ordering::Relaxed);
        }
        delivery
    }

    async fn send(&self, way: Way, id: &str, body: Bytes) -> Delivery {
        let request = || {
            let request = match way {
                Way::Put => self.client.put(format!("{}/AuditEvent/{id}", self.base)),
                Way::ConditionalCreate => {
                    let tag = format!("{RECORD_TAG_SYSTEM}|{id}");
                    let criteria = format!("_tag={}", utf8_percent_encode(&tag, NON_ALPHANUMERIC));
                    self.client.post(format!("{}/AuditEvent", self.base)).header("if-none-exist", criteria)
                }
            };
            request
                .header("content-type", "application/fhir+json; charset=utf-8")
                .header("prefer", "return=minimal")
                .body(body.clone())
        };
        let answer = match self.ask(request).await {
            Ok(answer) => answer,
            Err(error) => return Delivery::Away(transport(&error)),
        };
        match answer.status().as_u16() {
            200..=299 => Delivery::Taken,
            status @ (400 | 410 | 413 | 422) => Delivery::Refused(status),
            status => Delivery::Away(status.to_string()),
        }
    }

    /// Asks with the gateway's credential; once more where that is refused and another one is there.
    async fn ask(&self, request: impl Fn() -> RequestBuilder) -> Result<Response, reqwest::Error> {
        let sent = async || {
            let request = request().header("accept", "application/fhir+json").header("accept-encoding", "identity");
            match &self.credential {
                Some(credential) => credential.show(request).send().await,
                None => request.send().await,
            }
        };
        let answer = sent().await?;
        let refused = answer.status() == StatusCode::UNAUTHORIZED;
        if refused && self.credential.as_ref().is_some_and(Credential::read_again) { sent().await } else { Ok(answer) }
    }
}

fn transport(error: &reqwest::Error) -> String {
    let why = if error.is_timeout() {
        "time-out"
    } else if error.is_connect() {
        "no-connection"
    } else {
        "broken-connection"
    };
    why.to_owned()
}
