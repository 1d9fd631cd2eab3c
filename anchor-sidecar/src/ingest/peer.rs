//! Who is at the other end of the write side: a user of this machine, or the holder of a certificate.

use std::{
    any::Any,
    future::{Ready, ready},
    os::unix::{fs::FileTypeExt as _, fs::MetadataExt as _, fs::PermissionsExt as _, net::UnixListener},
    path::Path,
    sync::Arc,
};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, dev::Extensions, dev::Payload, http::StatusCode, rt::net::UnixStream, web,
};
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use super::wire::ErrorAnswer;
use crate::volume::VolumeError;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A process of this user on this machine (SO_PEERCRED).
    Uid(u32),
    /// The holder of a certificate that the TLS handshake has accepted.
    Certificate,
}

/// Who may write.
#[derive(Debug, Clone)]
pub enum Peers {
    /// These users of this machine.
    Uids(Arc<Vec<u32>>),
    /// Everybody whose certificate the TLS handshake accepts.
    Certified,
}

/// Notes the user at the other end when the Unix socket accepts a connection.
pub fn on_socket_connect(io: &dyn Any, data: &mut Extensions) {
    let credentials = io.downcast_ref::<UnixStream>().and_then(|stream| stream.peer_cred().ok());
    if let Some(credentials) = credentials {
        data.insert(Peer::Uid(credentials.uid()));
    }
}

/// Notes that the peer holds a certificate.
///
/// INVARIANT: only for the listener of [`mutual_tls`], which accepts no connection without one.
pub fn on_tls_connect(_io: &dyn Any, data: &mut Extensions) {
    data.insert(Peer::Certificate);
}

/// A peer that may write; a handler that takes one cannot be reached by others.
#[derive(Debug, Clone, Copy)]
pub struct Source(());

/// The peer may not write.
#[derive(Debug, thiserror::Error)]
#[error("this peer may not write to this log; add its user id to ingest.allowed_uids")]
pub struct PeerRefused;

impl actix_web::ResponseError for PeerRefused {
    fn status_code(&self) -> StatusCode {
        StatusCode::FORBIDDEN
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::Forbidden().json(ErrorAnswer {
            error: "peer-not-allowed",
            message: self.to_string(),
            sequence: None,
            expected: None,
        })
    }
}

impl FromRequest for Source {
    type Error = PeerRefused;
    type Future = Ready<Result<Self, PeerRefused>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let allowed = match (request.app_data::<web::Data<Peers>>().map(|peers| &***peers), request.conn_data::<Peer>())
        {
            (Some(Peers::Uids(uids)), Some(Peer::Uid(uid))) => uids.contains(uid),
            (Some(Peers::Certified), Some(Peer::Certificate)) => true,
            _ => false,
        };
        ready(if allowed { Ok(Self(())) } else { Err(PeerRefused) })
    }
}

/// Binds the Unix socket, for its owner and group only, and gives the user id of its owner.
///
/// A socket file that nobody listens on is a leftover and is replaced.
///
/// # Errors
/// [`VolumeError::Io`]; `AddrInUse` when another process listens on it, or it is no socket.
pub fn bind_socket(path: &Path) -> Result<(UnixListener, u32), VolumeError> {
    let failed = |error| VolumeError::io(path, error);
    if let Ok(found) = std::fs::symlink_metadata(path) {
        let in_use = !found.file_type().is_socket() || std::os::unix::net::UnixStream::connect(path).is_ok();
        if in_use {
            return Err(failed(std::io::ErrorKind::AddrInUse.into()));
        }
        std::fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(failed)?;
    let owner = std::fs::metadata(path).map_err(failed)?.uid();
    Ok((listener, owner))
}

/// Why the TLS side cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file cannot be read.
    #[error("{path}: {source}")]
    Pem {
        /// The file.
        path: String,
        /// What is wrong.
        source: rustls_pki_types::pem::Error,
    },
    /// The certificates do not fit together.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
    /// The client authorities cannot be used.
    #[error("ingest.client_ca: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// TLS where the client must show a certificate that `client_ca` has signed.
///
/// # Errors
/// [`TlsError`].
pub fn mutual_tls(cert: &Path, key: &Path, client_ca: &Path) -> Result<ServerConfig, TlsError> {
    let failed = |path: &Path, source| TlsError::Pem { path: path.display().to_string(), source };
    let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
        read.map_err(|source| failed(path, source))
    };
    let mut roots = RootCertStore::empty();
    for authority in certificates(client_ca)? {
        roots.add(authority)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
    let key_file = PrivateKeyDer::from_pem_file(key).map_err(|source| failed(key, source))?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(cert)?, key_file)?;
    Ok(config)
}
