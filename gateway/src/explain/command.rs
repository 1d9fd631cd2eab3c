//! `fhir-gateway explain`: asks the gateway that runs by the same configuration, and prints what its stages say
//! (docs/operations/explain.md).

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::blocking::{Client, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use zeroize::Zeroizing;

use super::Ask;
use crate::config::{Config, Problems, SecretError, SecretSource};

/// Most bytes of a token.
const MAX_TOKEN: u64 = 1 << 20;

/// What is to be explained.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration file (TOML) of the gateway that runs on this host.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// File with the token, as the client sends it; default: standard input.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The HTTP method.
    #[arg(long, default_value = "GET")]
    method: String,
    /// The purposes that the client narrows itself to by header.
    #[arg(long)]
    purpose: Option<String>,
    /// Print one JSON object instead of lines for people.
    #[arg(long)]
    json: bool,
    /// The URL: under the public base, or what comes after it, as `Observation/x` or `Observation?patient=y`.
    url: String,
}

/// Why nothing is explained.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The configuration.
    #[error("{0}")]
    Config(#[from] Problems),
    /// No admin token is configured.
    #[error("admin.token_file: nobody may ask this gateway, since it has no admin token; write the key")]
    NoAdminToken,
    /// A secret.
    #[error("the admin token cannot be had: {0}")]
    AdminToken(SecretError),
    /// The token to be explained.
    #[error("the token cannot be read ({0}); name a file with --token-file, or pipe it in")]
    Token(std::io::ErrorKind),
    /// The client cannot be made.
    #[error("the client cannot be made: {0}")]
    Client(reqwest::Error),
    /// Nobody answers.
    #[error("the gateway does not answer at its admin port: {0}; does it run on this host?")]
    Silent(reqwest::Error),
    /// It answers otherwise.
    #[error("the gateway's admin port answered {status}: {message}")]
    Answered {
        /// The status.
        status: u16,
        /// Its sentence.
        message: String,
    },
}

impl Fault {
    /// Whether the fault is in what was given, and not in what was met.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Config(_) | Self::NoAdminToken | Self::AdminToken(_) | Self::Token(_) => true,
            Self::Client(_) | Self::Silent(_) | Self::Answered { .. } => false,
        }
    }
}

/// Asks, and gives the text to print.
///
/// # Errors
/// [`Fault`]
pub fn explain(arguments: &Arguments) -> Result<String, Fault> {
    let config = Config::load(&arguments.config)?;
    let token = token(arguments.token_file.as_deref())?;
    let (method, url, purpose) = (arguments.method.clone(), arguments.url.clone(), arguments.purpose.clone());
    let ask = Ask { token, method, url, purpose };
    let answer = AdminPort::of(&config)?.post("v1/explain", Some(&ask))?;
    let told: Value = answer.json().map_err(Fault::Silent)?;
    Ok(if arguments.json { format!("{told}\n") } else { super::say::lines(&told) })
}

/// The token, from a file or standard input: an argument would stand in the list of processes.
fn token(file: Option<&std::path::Path>) -> Result<SecretString, Fault> {
    let unreadable = |error: std::io::Error| Fault::Token(error.kind());
    let mut text = Zeroizing::new(String::new());
    match file {
        Some(file) => std::fs::File::open(file).map_err(unreadable)?.take(MAX_TOKEN).read_to_string(&mut text),
        None => std::io::stdin().lock().take(MAX_TOKEN).read_to_string(&mut text),
    }
    .map_err(unreadable)?;
    let token = text.trim();
    let token = token.strip_prefix("Bearer ").unwrap_or(token);
    if token.is_empty() { Err(Fault::Token(std::io::ErrorKind::InvalidData)) } else { Ok(token.to_owned().into()) }
}

/// The admin port of the gateway on this host. It is plain HTTP, so that it is asked over the loopback only.
pub(crate) struct AdminPort {
    client: Client,
    address: SocketAddr,
    token: SecretString,
}

impl AdminPort {
    /// Of the gateway that runs by this configuration.
    ///
    /// # Errors
    /// There is no admin token, or no client can be made.
    pub(crate) fn of(config: &Config) -> Result<Self, Fault> {
        let token = config.admin.token.as_ref().ok_or(Fault::NoAdminToken)?;
        let token = SecretSource::read(token).map_err(Fault::AdminToken)?;
        let patience = config.server.limits.request_timeout + Duration::from_secs(10);
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().referer(false);
        let client = client.timeout(patience).build().map_err(Fault::Client)?;
        Ok(Self { client, address: here(config.admin.listen), token })
    }

    /// Posts a value as JSON.
    ///
    /// # Errors
    /// Nobody answers, or not as asked.
    pub(crate) fn post(&self, path: &str, body: Option<&Ask>) -> Result<Response, Fault> {
        let url = format!("http://{}/{path}", self.address);
        let mut request = self.client.post(url).bearer_auth(self.token.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().map_err(|error| Fault::Silent(error.without_url()))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let told: Value = answer.json().unwrap_or_default();
        let message = told.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        Err(Fault::Answered { status: status.as_u16(), message })
    }
}

/// Where a port that listens everywhere is found on this host.
fn here(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listen.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), listen.port()),
        IpAddr::V4(_) | IpAddr::V6(_) => listen,
    }
}
