#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use actix_web::{App, HttpResponse, HttpServer, web};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use super::*;
use crate::ship::wire::HelloAnswer;

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

/// Writes `NAME.pem` and `NAME.key` of a new certificate.
fn certify(directory: &Path, name: &str, authority: &CertifiedIssuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = parameters.signed_by(&key, authority).unwrap();
    std::fs::write(directory.join(format!("{name}.pem")), certificate.pem()).unwrap();
    std::fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

/// A log that takes clients of `authority.pem` only.
fn serve(directory: &Path) -> SocketAddr {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(directory.join("authority.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_file(directory.join("server.pem")).unwrap()],
            PrivateKeyDer::from_pem_file(directory.join("server.key")).unwrap(),
        )
        .unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let hello = || async { HttpResponse::Ok().body(r#"{"origin":"log.example/h","size":"7"}"#) };
            let moved = || async { HttpResponse::Found().insert_header(("location", "/v1/hello")).finish() };
            let large = || async { HttpResponse::Ok().body(vec![b' '; ANSWER_LIMIT + 1]) };
            let server = HttpServer::new(move || {
                App::new()
                    .route("/v1/hello", web::post().to(hello))
                    .route("/moved", web::post().to(moved))
                    .route("/large", web::post().to(large))
            })
            .workers(1)
            .bind_rustls_0_23(("127.0.0.1", 0), config)
            .unwrap();
            tell.send(server.addrs()[0]).unwrap();
            server.run().await.unwrap();
        });
    });
    told.recv().unwrap()
}

#[tokio::test]
async fn both_sides_show_certificates_that_the_other_trusts() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let (ours, other) = (authority(), authority());
    std::fs::write(directory.join("authority.pem"), ours.as_ref().pem()).unwrap();
    std::fs::write(directory.join("other.pem"), other.as_ref().pem()).unwrap();
    certify(directory, "server", &ours);
    certify(directory, "gateway", &ours);
    certify(directory, "stranger", &other);
    let address = serve(directory);
    let client = |authority: &str, name: &str| {
        let target = Target::Https {
            url: format!("https://localhost:{}/", address.port()).parse().unwrap(),
            authorities: directory.join(authority),
            certificate: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
        };
        Client::new(&target, Duration::from_secs(10)).unwrap()
    };

    let good = client("authority.pem", "gateway");
    let answer: HelloAnswer = good.post("v1/hello", &()).await.unwrap();
    assert_eq!(answer.size.get(), 7);
    let moved = good.post::<_, HelloAnswer>("moved", &()).await.unwrap_err();
    assert!(matches!(moved, Unanswered::Refused { status: StatusCode::FOUND, .. }), "redirects are not followed");
    let large = good.post::<_, HelloAnswer>("large", &()).await.unwrap_err();
    assert!(matches!(large, Unanswered::Transport("answer-too-large")));

    let refused = async |authority: &str, name: &str| match client(authority, name)
        .post::<_, HelloAnswer>("v1/hello", &())
        .await
        .unwrap_err()
    {
        Unanswered::Transport(why) => why,
        refused @ Unanswered::Refused { .. } => panic!("{refused:?}"),
    };
    assert_eq!(refused("other.pem", "gateway").await, "log-certificate-issuer");
    // The server closes after its alert: a client that is still writing may learn of that first.
    let why = refused("authority.pem", "stranger").await;
    assert!(["own-certificate-refused", "broken-connection"].contains(&why), "{why}");
}

#[test]
fn a_client_that_would_not_authenticate_is_refused() {
    let target = |url: &str| Target::Https {
        url: url.parse().unwrap(),
        authorities: "/nowhere/authority.pem".into(),
        certificate: "/nowhere/gateway.pem".into(),
        key: "/nowhere/gateway.key".into(),
    };
    let made = |url| Client::new(&target(url), Duration::from_secs(1));
    assert!(matches!(made("http://log.example/"), Err(ClientError::Url)));
    assert!(matches!(made("https://log.example/"), Err(ClientError::File { .. })));
}
