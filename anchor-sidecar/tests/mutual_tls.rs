//! The write side over HTTPS: only who shows a certificate of the configured authority is heard.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

mod sidecar;

use std::net::TcpListener;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use sidecar::{Place, source};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key, as PEM.
fn certificate(name: &str, by: &Authority) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.into()]).unwrap().signed_by(&key, by).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn client(server_ca: &Authority, identity: Option<(String, String)>) -> reqwest::Client {
    let root = reqwest::Certificate::from_pem(server_ca.pem().as_bytes()).unwrap();
    let mut builder = reqwest::Client::builder().no_proxy().tls_certs_only([root]);
    if let Some((certificate, key)) = identity {
        builder = builder.identity(reqwest::Identity::from_pem((certificate + &key).as_bytes()).unwrap());
    }
    builder.build().unwrap()
}

#[tokio::test]
async fn only_certified_sources_are_heard() {
    let place = Place::new("");
    let (servers, sources, strangers) = (authority("servers"), authority("sources"), authority("strangers"));
    let (cert, key) = certificate("localhost", &servers);
    for (name, text) in [("tls.crt", &cert), ("tls.key", &key), ("ca.crt", &sources.pem())] {
        std::fs::write(place.path(name), text).unwrap();
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = std::fs::read_to_string(place.path("config.toml")).unwrap();
    let socket = format!("socket = \"{}\"", place.socket().display());
    let path = |name: &str| place.path(name).display().to_string();
    let tls = format!(
        "listen = \"127.0.0.1:{port}\"\ntls_cert = \"{}\"\ntls_key = \"{}\"\nclient_ca = \"{}\"",
        path("tls.crt"),
        path("tls.key"),
        path("ca.crt"),
    );
    assert!(config.contains(&socket));
    std::fs::write(place.path("config.toml"), config.replace(&socket, &tls)).unwrap();
    let _running = place.start();

    let url = format!("https://localhost:{port}/v1/hello");
    let hello = json!({ "source": source(1), "epoch": 1, "last_receipt": null });
    let good = client(&servers, Some(certificate("source", &sources)));
    assert_eq!(good.post(&url).json(&hello).send().await.unwrap().status(), 200);
    for identity in [None, Some(certificate("source", &strangers))] {
        let refused = client(&servers, identity).post(&url).json(&hello).send().await;
        assert!(refused.is_err(), "{refused:?}");
    }
    // Plain HTTP on the same port is no way in.
    assert!(
        reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .post(url.replace("https", "http"))
            .json(&hello)
            .send()
            .await
            .is_err()
    );
}
