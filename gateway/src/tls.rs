//! TLS of the FHIR surface: a certificate and key from PEM files, read again when they change.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::TlsFiles;

/// Why a certificate cannot be used; names the file and never its content.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// The file cannot be read.
    #[error("{file} cannot be read ({kind})")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        kind: std::io::ErrorKind,
    },
    /// The file holds no PEM of the right kind.
    #[error("{file} holds no {what} in PEM")]
    NotPem {
        /// The file.
        file: String,
        /// What was looked for.
        what: &'static str,
    },
    /// The key is of a kind that cannot sign, or is not that of the certificate.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(rustls::Error),
}

/// The certificate in use; hand it to [`server_config`] and keep it fresh.
pub struct Certificates {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: RwLock<Current>,
}

struct Current {
    key: Arc<CertifiedKey>,
    seen: Stamp,
}

/// When and how long both files were; a change of either is a change.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Certificates {
    /// Reads both files.
    pub fn load(files: &TlsFiles) -> Result<Arc<Self>, TlsFault> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let seen = stamp(files);
        let key = Arc::new(read(files, &provider)?);
        Ok(Arc::new(Self { files: files.clone(), provider, current: RwLock::new(Current { key, seen }) }))
    }

    /// Reads the files again if one of them changed, and says whether a new certificate is in use. A fault leaves the old
    /// one in use; it is reported again only after the next change.
    pub fn reload_if_changed(&self) -> Result<bool, TlsFault> {
        let now = stamp(&self.files);
        if self.current.read().unwrap_or_else(PoisonError::into_inner).seen == now {
            return Ok(false);
        }
        let read = read(&self.files, &self.provider);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.seen = now;
        current.key = Arc::new(read?);
        Ok(true)
    }

    /// Looks for changes for ever; to be spawned.
    pub async fn keep_fresh(self: Arc<Self>, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            let own = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || own.reload_if_changed()).await {
                Ok(Ok(true)) => tracing::info!("a new certificate is in use"),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::error!(%error, "the changed certificate cannot be used; the old one stays"),
                Err(_) => return, // the runtime is stopping
            }
        }
    }
}

/// TLS 1.2 and 1.3 with the certificate that is current at each handshake; ALPN is the server's to add.
pub fn server_config(certificates: Arc<Certificates>) -> Result<ServerConfig, TlsFault> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(&certificates.provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsFault::Unusable)?;
    Ok(builder.with_no_client_auth().with_cert_resolver(certificates))
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.key))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("files", &self.files).finish_non_exhaustive()
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    [&files.certificate, &files.key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsFault> {
    let not_pem = |path: &Path, what| TlsFault::NotPem { file: path.display().to_string(), what };
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(&bytes(&files.certificate)?).collect();
    let chain = chain.map_err(|_| not_pem(&files.certificate, "certificate"))?;
    if chain.is_empty() {
        return Err(not_pem(&files.certificate, "certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(&bytes(&files.key)?).map_err(|_| not_pem(&files.key, "private key"))?;
    // Checks that the key is the certificate's.
    CertifiedKey::from_der(chain, key, provider).map_err(TlsFault::Unusable)
}

fn bytes(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, TlsFault> {
    let unreadable =
        |error: std::io::Error| TlsFault::Unreadable { file: path.display().to_string(), kind: error.kind() };
    Ok(zeroize::Zeroizing::new(std::fs::read(path).map_err(unreadable)?))
}

#[cfg(test)]
mod tests;
