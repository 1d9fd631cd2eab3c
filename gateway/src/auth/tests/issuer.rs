//! An authorization server for tests: real keys, a real key set over HTTP on the loopback interface.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::config::{AuthConfig, Config};

/// A key pair with its id.
pub(super) struct Signer {
    pub(super) id: &'static str,
    pub(super) algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    pub(super) fn new(id: &'static str, algorithm: Algorithm) -> Self {
        let key = if matches!(algorithm, Algorithm::RS256 | Algorithm::RS384) {
            let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
            EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap()
        } else if algorithm == Algorithm::ES256 {
            ec(&rcgen::PKCS_ECDSA_P256_SHA256)
        } else {
            assert_eq!(algorithm, Algorithm::ES384, "no other key is made here");
            ec(&rcgen::PKCS_ECDSA_P384_SHA384)
        };
        Self { id, algorithm, key }
    }

    pub(super) fn jwk(&self) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap()).unwrap();
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.to_owned());
        self.sign_with(&header, claims)
    }

    pub(super) fn sign_with(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.key).unwrap()
    }

    /// Signs whatever header text is given, even one that no library would write.
    pub(super) fn sign_raw(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", part(header), part(claims));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

fn ec(algorithm: &'static rcgen::SignatureAlgorithm) -> EncodingKey {
    EncodingKey::from_ec_pem(rcgen::KeyPair::generate_for(algorithm).unwrap().serialize_pem().as_bytes()).unwrap()
}

/// One part of a compact JWS.
pub(super) fn part(value: &Value) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A tiny HTTP server whose documents can be changed while it runs; it counts what it is asked.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    documents: Arc<Mutex<HashMap<String, (u16, String)>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { address: listener.local_addr().unwrap(), documents: Arc::default(), asked: Arc::default() };
        let own = server.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => request.push(byte),
                        Err(_) => break,
                    }
                }
                let path = String::from_utf8_lossy(&request).split(' ').nth(1).unwrap_or_default().to_owned();
                own.asked.lock().unwrap().push(path.clone());
                let found = own.documents.lock().unwrap().get(&path).cloned();
                let (status, body) = found.unwrap_or((404, String::new()));
                let head = format!(
                    "HTTP/1.1 {status} X\r\nlocation: /jwks\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        server
    }

    pub(super) fn serve(&self, path: &str, status: u16, body: impl Into<String>) {
        self.documents.lock().unwrap().insert(path.to_owned(), (status, body.into()));
    }

    pub(super) fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
        self.serve("/jwks", 200, json!({ "keys": keys }).to_string());
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// The `[auth]` of an installation that trusts this issuer; `more` is added to the file.
    pub(super) fn config(&self, more: &str) -> AuthConfig {
        config(&format!("http://{}", self.address), &format!("jwks_url = \"http://{}/jwks\"", self.address), more)
    }

    pub(super) fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Claims of a token that is accepted.
    pub(super) fn claims(&self, now: OffsetDateTime) -> Value {
        json!({
            "iss": self.issuer(),
            "sub": "alice",
            "aud": "https://fhir.example.org",
            "exp": now.unix_timestamp() + 300,
            "nbf": now.unix_timestamp() - 10,
            "jti": "token-1",
            "client_id": "app",
            "scope": "user/*.rs launch/patient",
            "patient": "p1",
            "fhirUser": "Practitioner/alice",
        })
    }
}

pub(super) fn config(issuer: &str, issuer_keys: &str, more: &str) -> AuthConfig {
    let text = format!(
        r#"
        [server]
        listen = "127.0.0.1:8080"
        public_base = "http://127.0.0.1:8080/fhir"
        [upstream]
        base = "http://127.0.0.1:8090/fhir"
        [journal]
        path = "/tmp/journal.db"
        kek_file = "/tmp/kek"
        tenant = "t"
        [sidecar]
        socket = "/tmp/sidecar.sock"
        log_key = "log+0123abcd+AAAA"
        [admin]
        listen = "127.0.0.1:9090"
        [[auth.issuers]]
        issuer = "{issuer}"
        audience = ["https://fhir.example.org", "sealgate"]
        {issuer_keys}
        {more}
        "#
    );
    Config::parse(&text, []).unwrap_or_else(|problems| panic!("{problems}")).auth
}
