//! Self-test: asks a gateway that runs, from outside, what an installation must be able to show (OPERATIONS.md, "Chart", `helm test`).
//!
//! Ready; without a token 401; with one, what Consent hides stays hidden and what it permits comes, with the id of its event. That id goes
//! into a file, from which `anchor-sidecar prove` and `verify` go on.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use evidence::ids::EventId;
use reqwest::blocking::{Client, Response};
use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{Certificate, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::config::{SecretError, SecretSource};

/// Time for one answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two looks at readiness.
const AGAIN: Duration = Duration::from_secs(1);

/// What is asked, and of whom.
#[derive(Debug, Args)]
pub struct Arguments {
    /// FHIR base of the gateway, as this caller reaches it.
    #[arg(long)]
    base: Url,
    /// Base of its admin port.
    #[arg(long)]
    admin: Url,
    /// PEM file with the only authorities to trust for the FHIR base; default: those of the system.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Seconds to wait until it is ready.
    #[arg(long, default_value_t = 120)]
    wait_seconds: u64,
    /// File with a token that the gateway accepts; without it only readiness and the refusal are tried.
    #[arg(long, value_name = "FILE", requires_all = ["allowed", "denied", "request_file"])]
    token_file: Option<PathBuf>,
    /// A resource that the token's holder may read, as `Patient/open`.
    #[arg(long, value_name = "TYPE/ID", value_parser = address, requires = "token_file")]
    allowed: Option<String>,
    /// A resource that Consent keeps from the token's holder, as `Patient/closed`.
    #[arg(long, value_name = "TYPE/ID", value_parser = address, requires = "token_file")]
    denied: Option<String>,
    /// File to write: the id of the allowed request, for `anchor-sidecar prove --request-file`.
    #[arg(long, value_name = "FILE", requires = "token_file")]
    request_file: Option<PathBuf>,
}

fn address(text: &str) -> Result<String, String> {
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    match text.split_once('/') {
        Some((kind, id)) if plain(kind) && plain(id) => Ok(text.to_owned()),
        _ => Err("write it as Patient/open".to_owned()),
    }
}

/// Why the gateway did not pass; names the step and never what was answered.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestFault {
    /// A file of the command line.
    #[error("{file} cannot be used ({kind})")]
    File {
        /// Which.
        file: PathBuf,
        /// What the system said.
        kind: std::io::ErrorKind,
    },
    /// The token.
    #[error("the token cannot be had: {0}")]
    Token(#[from] SecretError),
    /// The client cannot be made, most often for its authorities.
    #[error("the client cannot be made: {0}")]
    Client(#[from] reqwest::Error),
    /// Nobody answers.
    #[error("{step}: no answer: {cause}; is the address right, and does a network policy let this caller through?")]
    Silent {
        /// What was tried.
        step: &'static str,
        /// What the client said, without the address.
        cause: reqwest::Error,
    },
    /// It did not become ready.
    #[error("the gateway was not ready after {seconds} s:\n{conditions}")]
    NotReady {
        /// How long was waited.
        seconds: u64,
        /// The conditions that fail, as `/readyz?verbose` lists them.
        conditions: String,
    },
    /// Another answer than the one that must come.
    #[error("{step}: expected {expected}, answered {status}")]
    Answered {
        /// What was tried.
        step: &'static str,
        /// What should have come.
        expected: &'static str,
        /// What came.
        status: u16,
    },
    /// The answer lacks something.
    #[error("{step}: the answer has no {what}")]
    Lacks {
        /// What was tried.
        step: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// The lines cannot be written.
    #[error("standard output is closed")]
    Closed,
}

/// Asks, and writes one line for each thing that was as it must be.
///
/// # Errors
/// [`SelfTestFault`] with the first thing that was not.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), SelfTestFault> {
    let mut passed = |line: &str| writeln!(out, "ok: {line}").map_err(|_| SelfTestFault::Closed);
    let client = client(arguments.ca_file.as_deref())?;
    ready(&client, arguments)?;
    passed("ready")?;
    no_token(&client, &arguments.base)?;
    passed("without a token 401")?;
    let (Some(token), Some(allowed), Some(denied), Some(request_file)) =
        (&arguments.token_file, &arguments.allowed, &arguments.denied, &arguments.request_file)
    else {
        return passed("no token was given, so nothing else was tried");
    };
    let token = SecretSource::File(token.clone()).read()?;
    hidden(&client, &below(&arguments.base, denied), &token)?;
    passed("what Consent hides was refused")?;
    let request = permitted(&client, &below(&arguments.base, allowed), &token)?;
    std::fs::write(request_file, format!("{request}\n"))
        .map_err(|error| SelfTestFault::File { file: request_file.clone(), kind: error.kind() })?;
    passed(&format!("what Consent permits was answered; its event is {request}"))
}

/// As every client of the gateway: no redirects, no proxy of the environment.
fn client(authorities: Option<&Path>) -> Result<Client, SelfTestFault> {
    let client =
        Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().referer(false).timeout(PATIENCE);
    let Some(file) = authorities else { return Ok(client.build()?) };
    let pem = std::fs::read(file).map_err(|error| SelfTestFault::File { file: file.to_owned(), kind: error.kind() })?;
    Ok(client.tls_certs_only(Certificate::from_pem_bundle(&pem)?).build()?)
}

/// The first answer may take a while: an installation that has just begun fetches keys and capabilities.
fn ready(client: &Client, arguments: &Arguments) -> Result<(), SelfTestFault> {
    let url = below(&arguments.admin, "readyz?verbose");
    let (seconds, begun) = (arguments.wait_seconds, Instant::now());
    loop {
        let looked = client.get(&url).send().map_err(|cause| silent("readiness", cause));
        let waited = begun.elapsed() >= Duration::from_secs(seconds);
        match looked {
            Ok(answer) if answer.status() == StatusCode::OK => return Ok(()),
            Ok(answer) if waited => {
                let list = answer.text().map_err(|cause| silent("readiness", cause))?;
                let failing: Vec<_> = list.lines().filter(|line| line.starts_with("[-]")).collect();
                return Err(SelfTestFault::NotReady { seconds, conditions: failing.join("\n") });
            }
            Err(fault) if waited => return Err(fault),
            Ok(_) | Err(_) => std::thread::sleep(AGAIN),
        }
    }
}

fn no_token(client: &Client, base: &Url) -> Result<(), SelfTestFault> {
    let step = "a read without a token";
    let answer = client.get(below(base, "Patient/selftest")).send().map_err(|cause| silent(step, cause))?;
    expect(step, &answer, &[StatusCode::UNAUTHORIZED], "401")?;
    answer.headers().get(WWW_AUTHENTICATE).ok_or(SelfTestFault::Lacks { step, what: "WWW-Authenticate" })?;
    Ok(())
}

/// Hidden is as absent (ADR 0001), or refused by name where the operator chose that.
fn hidden(client: &Client, url: &str, token: &SecretString) -> Result<(), SelfTestFault> {
    let step = "a read of what Consent hides";
    let answer = client.get(url).bearer_auth(token.expose_secret()).send().map_err(|cause| silent(step, cause))?;
    expect(step, &answer, &[StatusCode::NOT_FOUND, StatusCode::FORBIDDEN], "404 or 403")?;
    request_id(step, &answer).map(drop)
}

fn permitted(client: &Client, url: &str, token: &SecretString) -> Result<EventId, SelfTestFault> {
    let step = "a read of what Consent permits";
    let answer = client.get(url).bearer_auth(token.expose_secret()).send().map_err(|cause| silent(step, cause))?;
    expect(step, &answer, &[StatusCode::OK], "200")?;
    request_id(step, &answer)
}

fn expect(
    step: &'static str,
    answer: &Response,
    statuses: &[StatusCode],
    expected: &'static str,
) -> Result<(), SelfTestFault> {
    let status = answer.status();
    if statuses.contains(&status) {
        return Ok(());
    }
    Err(SelfTestFault::Answered { step, expected, status: status.as_u16() })
}

fn request_id(step: &'static str, answer: &Response) -> Result<EventId, SelfTestFault> {
    let header = answer.headers().get("x-request-id").and_then(|value| value.to_str().ok());
    header.and_then(|text| text.parse().ok()).ok_or(SelfTestFault::Lacks { step, what: "X-Request-Id" })
}

fn silent(step: &'static str, cause: reqwest::Error) -> SelfTestFault {
    SelfTestFault::Silent { step, cause: cause.without_url() }
}

fn below(base: &Url, path: &str) -> String {
    format!("{}/{path}", base.as_str().trim_end_matches('/'))
}

#[cfg(test)]
mod tests;
