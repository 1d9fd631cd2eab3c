//! Row 2: google/fhir-gateway, the FHIR gateway that people use today, before the same FHIR server and with a token of its own kind.

use std::time::Duration;

use anyhow::{Context, Result};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::data;
use super::stub::{Reply, Stub, fhir};
use crate::harness::process::{Part, Running, free_port};
use crate::harness::{clock, fhir as http};

use super::Bench;

/// The running gateway.
pub struct Google {
    /// Its name and version.
    pub name: String,
    /// Its FHIR base.
    pub base: String,
    /// A token that it takes.
    pub token: String,
    /// Its process.
    pub process: Running,
    /// Where it fetches its key.
    _issuer: Stub,
}

impl Google {
    /// Starts it before `upstream`, with the access checker that compares the token's patient with the one asked for.
    ///
    /// # Errors
    /// When it cannot be had or does not start.
    pub async fn start(bench: &Bench, upstream: &str) -> Result<Self> {
        let program = bench.tools.google_gateway().await?;
        let keys = Keys::generate()?;
        let issuer = Stub::start(vec![("issuer", keys.document()?)], None)?;
        let name = format!("{}/issuer", issuer.base);
        let token = keys.token(&name)?;
        let port = free_port()?;
        let mut process = Part::new("bench-google", program.java)
            .args(program.arguments)
            .env("TOKEN_ISSUER", &name)
            .env("PROXY_TO", upstream)
            .env("BACKEND_TYPE", "HAPI")
            .env("ACCESS_CHECKER", "patient")
            .env("SERVER_PORT", port.to_string())
            .start()?;
        let base = format!("http://127.0.0.1:{port}/fhir");
        let (client, probe) = (http::client()?, format!("{base}/Patient/{}", data::PATIENT));
        process
            .ready(Duration::from_secs(180), async |_: &str| {
                client.get(&probe).bearer_auth(&token).send().await.ok()?.status().is_success().then_some(())
            })
            .await?;
        Ok(Self { name: "google/fhir-gateway 0.4.0".to_owned(), base, token, process, _issuer: issuer })
    }
}

/// Its issuer publishes one key, as Keycloak does at a realm's address.
struct Keys {
    public: String,
    private: String,
}

impl Keys {
    fn generate() -> Result<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048).context("no RSA key")?;
        let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).context("no form of an RSA key")?;
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).context("no form of an RSA key")?;
        let private = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines(private.as_ref()));
        Ok(Self { public: STANDARD.encode(public.as_ref()), private })
    }

    fn document(&self) -> Result<Reply> {
        Ok(fhir(&serde_json::to_vec(&json!({ "public_key": self.public }))?, ""))
    }

    fn token(&self, issuer: &str) -> Result<String> {
        let claims = json!({
            "iss": issuer,
            "sub": "okafor",
            "exp": clock::unix_seconds().saturating_add(3_600),
            "patient_id": data::PATIENT,
            "scope": "openid patient/*.read",
        });
        let key = EncodingKey::from_rsa_pem(self.private.as_bytes())?;
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key)?)
    }
}

/// Base64 in lines of 64 (RFC 7468).
fn lines(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut broken = String::new();
    for (at, character) in text.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            broken.push('\n');
        }
        broken.push(character);
    }
    broken
}
