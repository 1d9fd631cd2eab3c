//! The gateway's clients of other FHIR servers: how each is made, and the gateway's own credential there.
//!
//! No redirects, no environment proxies: both would carry the gateway's credential and patients' ids elsewhere.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use reqwest::{Certificate, ClientBuilder, Identity, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::{PeerConfig, SecretError, SecretSource, TlsFiles};

/// Why a client of a FHIR server cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PeerSetup {
    /// A certificate or key file cannot be read.
    #[error("{} cannot be read", .0.display())]
    File(PathBuf),
    /// The bearer token cannot be read.
    #[error(transparent)]
    Credential(#[from] SecretError),
    /// The certificates or the key are not acceptable.
    #[error("the client of the FHIR server cannot be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// A client for the server that `peer` names, with the gateway's certificate there; time limits are for the caller to add.
///
/// # Errors
/// [`PeerSetup`]
pub fn client(peer: &PeerConfig, connect: Duration) -> Result<ClientBuilder, PeerSetup> {
    let mut client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(connect)
        .tcp_nodelay(true)
        .pool_idle_timeout(Duration::from_secs(20));
    if let Some(authorities) = &peer.ca_file {
        client = client.tls_certs_only(Certificate::from_pem_bundle(&read(authorities)?)?);
    }
    if let Some(files) = &peer.client_certificate {
        client = client.identity(identity(files)?);
    }
    Ok(client)
}

fn identity(files: &TlsFiles) -> Result<Identity, PeerSetup> {
    let mut pem = zeroize::Zeroizing::new(read(&files.certificate)?);
    pem.push(b'\n');
    pem.extend_from_slice(&zeroize::Zeroizing::new(read(&files.key)?));
    Ok(Identity::from_pem(&pem)?)
}

fn read(path: &Path) -> Result<Vec<u8>, PeerSetup> {
    std::fs::read(path).map_err(|_| PeerSetup::File(path.to_owned()))
}

/// The gateway's bearer token at a server. Cheap to clone; all clones show the same token.
#[derive(Clone)]
pub struct Credential(Arc<Held>);

struct Held {
    source: SecretSource,
    token: RwLock<Token>,
}

struct Token {
    text: SecretString,
    /// The file that it was read from, as it was then.
    file: Option<Stamp>,
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl Credential {
    /// Reads the token.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn new(source: SecretSource) -> Result<Self, SecretError> {
        let token = Token::read(&source)?;
        Ok(Self(Arc::new(Held { source, token: RwLock::new(token) })))
    }

    /// Shows it with a request.
    pub fn show(&self, request: RequestBuilder) -> RequestBuilder {
        let token = self.0.token.read().unwrap_or_else(PoisonError::into_inner);
        request.bearer_auth(token.text.expose_secret())
    }

    /// Reads it again where its file has changed. Blocks for a moment.
    pub fn look(&self) {
        let held = self.0.token.read().unwrap_or_else(PoisonError::into_inner).file;
        if Stamp::of(&self.0.source) != held {
            self.read_again();
        }
    }

    /// Reads it again, as after a 401; true where it is another one now. Where it cannot be read the old one stays.
    /// Blocks for a moment.
    pub fn read_again(&self) -> bool {
        let read = match Token::read(&self.0.source) {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(%error, "a bearer token cannot be read again; the old one stays");
                return false;
            }
        };
        let mut token = self.0.token.write().unwrap_or_else(PoisonError::into_inner);
        let another = token.text.expose_secret() != read.text.expose_secret();
        *token = read;
        another
    }
}

impl Token {
    /// CRASH: the stamp is taken first, so that a change while reading is seen by the next look.
    fn read(source: &SecretSource) -> Result<Self, SecretError> {
        let file = Stamp::of(source);
        Ok(Self { text: source.read()?, file })
    }
}

impl Stamp {
    fn of(source: &SecretSource) -> Option<Self> {
        let SecretSource::File(path) = source else { return None };
        let found = std::fs::metadata(path).ok()?;
        Some(Self { inode: found.ino(), length: found.len(), modified: found.modified().ok() })
    }
}

#[cfg(test)]
mod tests;
