//! HTTP to the log's write side: a Unix socket (the log sees our user id), or HTTPS with certificates on both sides.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Certificate, Identity, StatusCode, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use tracing::Span;

use super::wire::Refusal;
use crate::telemetry::outgoing;

/// The largest answer that is read; a checkpoint with many witnesses fits many times.
const ANSWER_LIMIT: usize = 512 * 1024;

/// Where the log's write side is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A Unix socket.
    Socket(PathBuf),
    /// HTTPS; all files in PEM.
    Https {
        /// The base, `https://…/`.
        url: Url,
        /// The authorities that may have signed the log's certificate; no others are trusted.
        authorities: PathBuf,
        /// Our certificate chain.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A file cannot be read.
    #[error("{path} cannot be read: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The URL is not `https`, or cannot be a base.
    #[error("the log's write side needs an https url or a socket")]
    Url,
    /// The certificates or key are not acceptable.
    #[error("the client for the log cannot be made: {0}")]
    Build(#[from] reqwest::Error),
}

/// A client of one log.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
}

/// How a call ended without an answer of the kind that was asked for.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// No connection, a broken one, a time-out, an answer that is malformed or too large.
    Transport(&'static str),
    /// The log said no.
    Refused { status: StatusCode, refusal: Refusal, retry_after: Option<Duration> },
}

impl Client {
    pub(super) fn new(target: &Target, timeout: Duration) -> Result<Self, ClientError> {
        let builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(timeout)
            .timeout(timeout)
            .pool_max_idle_per_host(1)
            // One call at a time; and HTTP/2 keeps to itself which alert of TLS has ended a connection.
            .http1_only();
        match target {
            Target::Socket(path) => {
                let base = Url::parse("http://sidecar/").map_err(|_| ClientError::Url)?;
                Ok(Self { http: builder.unix_socket(path.as_path()).build()?, base })
            }
            Target::Https { url, authorities, certificate, key } => {
                if url.scheme() != "https" || url.cannot_be_a_base() {
                    return Err(ClientError::Url);
                }
                let authorities = Certificate::from_pem_bundle(&read(authorities)?)?;
                let mut identity = zeroize::Zeroizing::new(read(certificate)?);
                identity.push(b'\n');
                identity.extend_from_slice(&zeroize::Zeroizing::new(read(key)?));
                let identity = Identity::from_pem(&identity)?;
                let http = builder.https_only(true).tls_certs_only(authorities).identity(identity).build()?;
                Ok(Self { http, base: url.clone() })
            }
        }
    }

    /// Posts JSON and reads the answer of a 200.
    pub(super) async fn post<Q: Serialize, A: DeserializeOwned>(
        &self,
        path: &'static str,
        body: &Q,
    ) -> Result<A, Unanswered> {
        let url = self.base.join(path).map_err(|_| Unanswered::Transport("url"))?;
        let mut request = self.http.post(url).json(body);
        if let Some(traceparent) = outgoing(&Span::current(), None) {
            request = request.header("traceparent", traceparent.to_string());
        }
        let sent = request.send().await;
        let response = sent.map_err(|error| Unanswered::Transport(failure(&error)))?;
        let status = response.status();
        let retry_after = response
            .headers()
            .get(reqwest::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let answer = bounded(response).await?;
        if status == StatusCode::OK {
            return serde_json::from_slice(&answer).map_err(|_| Unanswered::Transport("malformed-answer"));
        }
        // A refusal without a readable body is still one; its status decides.
        let refusal = serde_json::from_slice(&answer).unwrap_or_default();
        Err(Unanswered::Refused { status, refusal, retry_after })
    }
}

async fn bounded(mut response: reqwest::Response) -> Result<Vec<u8>, Unanswered> {
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Unanswered::Transport(failure(&error)))? {
        if answer.len() + chunk.len() > ANSWER_LIMIT {
            return Err(Unanswered::Transport("answer-too-large"));
        }
        answer.extend_from_slice(&chunk);
    }
    Ok(answer)
}

/// How a call failed, as a code that [`crate::standing`] puts into words.
fn failure(error: &reqwest::Error) -> &'static str {
    if let Some(tls) = tls_below(error) {
        certificates(tls)
    } else if error.is_timeout() {
        "time-out"
    } else if error.is_connect() {
        "no-connection"
    } else {
        "broken-connection"
    }
}

/// The failure of TLS that lies below, where one does.
fn tls_below<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        // An I/O error passes over the error that it holds when it is asked for its source.
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

fn certificates(error: &rustls::Error) -> &'static str {
    use rustls::{AlertDescription as Alert, CertificateError as Wrong, Error};
    if let Error::AlertReceived(alert) = error {
        return if *alert == Alert::CertificateExpired {
            "own-certificate-expired"
        } else if matches!(
            alert,
            Alert::UnknownCA
                | Alert::BadCertificate
                | Alert::CertificateUnknown
                | Alert::CertificateRequired
                | Alert::CertificateRevoked
                | Alert::UnsupportedCertificate
                | Alert::DecryptError
                | Alert::AccessDenied
        ) {
            "own-certificate-refused"
        } else {
            "tls"
        };
    }
    let Error::InvalidCertificate(wrong) = error else { return "tls" };
    // Another authority under the same name is found out by its signature.
    if matches!(wrong, Wrong::UnknownIssuer | Wrong::BadSignature) {
        "log-certificate-issuer"
    } else if matches!(wrong, Wrong::NotValidForName | Wrong::NotValidForNameContext { .. }) {
        "log-certificate-name"
    } else if matches!(
        wrong,
        Wrong::Expired | Wrong::ExpiredContext { .. } | Wrong::NotValidYet | Wrong::NotValidYetContext { .. }
    ) {
        "log-certificate-time"
    } else {
        "log-certificate"
    }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path).map_err(|source| ClientError::File { path: path.clone(), source })
}

#[cfg(test)]
mod tests;
