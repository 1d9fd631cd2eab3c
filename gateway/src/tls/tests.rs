#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::path::PathBuf;

use actix_web::{App, HttpServer, web};
use rcgen::{CertifiedKey as Generated, KeyPair};

use super::*;

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn names(&self) -> TlsFiles {
        TlsFiles { certificate: self.path("tls.crt"), key: self.path("tls.key") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a fresh pair and gives its certificate, to be trusted by a client.
    fn issue(&self) -> reqwest::Certificate {
        let Generated { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(self.path("tls.crt"), cert.pem()).unwrap();
        std::fs::write(self.path("tls.key"), signing_key.serialize_pem()).unwrap();
        reqwest::Certificate::from_pem(cert.pem().as_bytes()).unwrap()
    }
}

/// Asks over a connection of its own, trusting only that certificate.
async fn asks(port: u16, trusted: &reqwest::Certificate) -> Result<u16, reqwest::Error> {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([trusted.clone()]).build()?;
    Ok(client.get(format!("https://localhost:{port}/")).send().await?.status().as_u16())
}

#[actix_web::test]
async fn a_changed_certificate_is_used_without_a_restart() {
    let files = Files::new();
    let first = files.issue();
    let certificates = Certificates::load(&files.names()).unwrap();
    let config = server_config(Arc::clone(&certificates)).unwrap();
    let server = HttpServer::new(|| App::new().default_service(web::to(|| async { "here" })))
        .workers(1)
        .bind_rustls_0_23("127.0.0.1:0", config)
        .unwrap();
    let port = server.addrs().first().unwrap().port();
    let running = server.disable_signals().run();
    let handle = running.handle();
    actix_web::rt::spawn(running);

    assert_eq!(asks(port, &first).await.unwrap(), 200);
    assert!(!certificates.reload_if_changed().unwrap());

    std::thread::sleep(Duration::from_millis(20)); // a file system's clock may be coarse
    let second = files.issue();
    assert!(certificates.reload_if_changed().unwrap());
    assert!(!certificates.reload_if_changed().unwrap());
    assert_eq!(asks(port, &second).await.unwrap(), 200);
    assert!(asks(port, &first).await.is_err(), "the old certificate is gone");

    // Half of a change: the new key is not there yet. The last good pair stays.
    std::thread::sleep(Duration::from_millis(20));
    std::fs::write(files.path("tls.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(matches!(certificates.reload_if_changed(), Err(TlsFault::Unusable(_))));
    assert_eq!(asks(port, &second).await.unwrap(), 200);
    handle.stop(false).await;
}

#[test]
fn files_that_cannot_serve_are_refused_by_name() {
    let files = Files::new();
    files.issue();
    let names = files.names();
    let fault = |names: &TlsFiles| Certificates::load(names).expect_err("it cannot serve").to_string();
    let absent = TlsFiles { key: files.path("absent"), ..names.clone() };
    assert!(fault(&absent).contains("absent cannot be read (entity not found)"));
    let swapped = TlsFiles { certificate: names.key.clone(), key: names.certificate.clone() };
    assert!(fault(&swapped).contains("tls.key holds no certificate"));
    let twice = TlsFiles { certificate: names.certificate.clone(), key: names.certificate.clone() };
    assert!(fault(&twice).contains("tls.crt holds no private key"));
    std::fs::write(files.path("other.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let other = TlsFiles { key: files.path("other.key"), ..names };
    assert!(matches!(Certificates::load(&other), Err(TlsFault::Unusable(_))));
}
