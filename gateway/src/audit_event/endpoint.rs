//! The client of the FHIR server that takes AuditEvents. No redirects, no environment proxies: both would carry the
//! gateway's credential and patients' ids elsewhere.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use fhir_profiles::audit_event::RECORD_TAG_SYSTEM;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Certificate, Identity, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::config::{PeerConfig, SecretError, SecretSource};

/// Most bytes of a CapabilityStatement.
const STATEMENT_LIMIT: usize = 32 << 20;

/// Why the client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EndpointSetup {
    /// A certificate or key file cannot be read.
    #[error("{} cannot be read", .0.display())]
    File(PathBuf),
    /// The bearer token cannot be read.
    #[error(transparent)]
    Credential(#[from] SecretError),
    /// The certificates or the key are not acceptable.
    #[error("the client of the AuditEvent endpoint cannot be made: {0}")]
    Client(#[from] reqwest::Error),
}

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
    credential: Option<SecretString>,
    way: OnceLock<Way>,
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
    pub(super) fn new(peer: &PeerConfig, connect: Duration, timeout: Duration) -> Result<Self, EndpointSetup> {
        let mut client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(connect)
            .timeout(timeout)
            .tcp_nodelay(true)
            .pool_idle_timeout(Duration::from_secs(20));
        let read = |path: &Path| std::fs::read(path).map_err(|_| EndpointSetup::File(path.to_owned()));
        if let Some(authorities) = &peer.ca_file {
            client = client.tls_certs_only(Certificate::from_pem_bundle(&read(authorities)?)?);
        }
        if let Some(files) = &peer.client_certificate {
            let mut identity = zeroize::Zeroizing::new(read(&files.certificate)?);
            identity.push(b'\n');
            identity.extend_from_slice(&zeroize::Zeroizing::new(read(&files.key)?));
            client = client.identity(Identity::from_pem(&identity)?);
        }
        let credential = peer.bearer_token.as_ref().map(SecretSource::read).transpose()?;
        let base = peer.base.as_str().trim_end_matches('/').to_owned();
        Ok(Self { client: client.build()?, base, credential, way: OnceLock::new() })
    }

    /// Learns once which way the server offers. One that offers neither gets the PUT, and says by its status what it
    /// makes of it (FHIR R4, RESTful API, "Update as Create", "Conditional create").
    pub(super) async fn learn(&self) -> Result<(), String> {
        if self.way.get().is_some() {
            return Ok(());
        }
        let request = self.with_credential(self.client.get(format!("{}/metadata", self.base)));
        let mut answer = request.send().await.map_err(|error| transport(&error))?;
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
        let way = match offered.find(|resource| resource.resource_type == "AuditEvent") {
            Some(Capability { update_create: Some(true), .. }) => Way::Put,
            Some(Capability { conditional_create: Some(true), .. }) => Way::ConditionalCreate,
            Some(_) | None => Way::Put,
        };
        self.way.get_or_init(|| way);
        Ok(())
    }

    /// Delivers one AuditEvent.
    pub(super) async fn deliver(&self, id: &str, body: String) -> Delivery {
        let request = match self.way.get() {
            Some(Way::ConditionalCreate) => {
                let tag = format!("{RECORD_TAG_SYSTEM}|{id}");
                let criteria = format!("_tag={}", utf8_percent_encode(&tag, NON_ALPHANUMERIC));
                self.client.post(format!("{}/AuditEvent", self.base)).header("if-none-exist", criteria)
            }
            Some(Way::Put) | None => self.client.put(format!("{}/AuditEvent/{id}", self.base)),
        };
        let request = self
            .with_credential(request)
            .header("content-type", "application/fhir+json; charset=utf-8")
            .header("prefer", "return=minimal")
            .body(body);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Delivery::Away(transport(&error)),
        };
        match answer.status().as_u16() {
            200..=299 => Delivery::Taken,
            status @ (400 | 410 | 413 | 422) => Delivery::Refused(status),
            status => Delivery::Away(status.to_string()),
        }
    }

    fn with_credential(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.header("accept", "application/fhir+json").header("accept-encoding", "identity");
        match &self.credential {
            Some(credential) => request.bearer_auth(credential.expose_secret()),
            None => request,
        }
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
