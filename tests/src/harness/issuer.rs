//! An authorization server as the gateway sees one: discovery, keys, tokens with any claims; and every way in which such a server can be broken.

use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context, Result, ensure};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value, json};

use super::{clock, workspace};

/// An algorithm that an issuer signs by (RFC 7518, 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
}

impl Algorithm {
    /// All of them; an issuer has a key for each.
    pub const ALL: [Self; 4] = [Self::RS256, Self::RS384, Self::ES256, Self::ES384];

    /// The same for the token library.
    #[must_use]
    pub const fn jwt(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::RS256 => jsonwebtoken::Algorithm::RS256,
            Self::RS384 => jsonwebtoken::Algorithm::RS384,
            Self::ES256 => jsonwebtoken::Algorithm::ES256,
            Self::ES384 => jsonwebtoken::Algorithm::ES384,
        }
    }
}

/// How the issuer's web server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// It answers.
    Up = 0,
    /// It answers 503.
    Failing = 1,
    /// It takes the request and says nothing for a minute.
    Silent = 2,
    /// It answers with a page of HTML.
    Html = 3,
}

/// The signing keys of an issuer.
#[derive(Clone)]
pub struct Keys {
    generation: u64,
    each: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    algorithm: Algorithm,
    id: String,
    /// PKCS #8, as PEM: the one form that all algorithms share.
    pem: String,
}

impl Keys {
    /// New keys, one for each algorithm.
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn generate(generation: u64) -> Result<Self> {
        let each = Algorithm::ALL
            .into_iter()
            .map(|algorithm| {
                Ok(Key {
                    algorithm,
                    id: format!("{algorithm:?}-{generation}").to_lowercase(),
                    pem: private_key(algorithm)?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { generation, each })
    }

    /// The keys kept in this file, made when absent; readable by its owner only.
    ///
    /// # Errors
    /// When the file cannot be read, written or understood.
    pub fn kept(file: &Path) -> Result<Self> {
        if !file.exists() {
            let keys = Self::generate(1)?;
            let kept: Map<String, Value> =
                keys.each.iter().map(|key| (format!("{:?}", key.algorithm), json!(key.pem))).collect();
            // A named temporary file is made for its owner only.
            workspace::replace(file, &serde_json::to_vec_pretty(&kept)?)?;
            return Ok(keys);
        }
        let kept: Map<String, Value> = serde_json::from_slice(&std::fs::read(file)?)?;
        let each = Algorithm::ALL
            .into_iter()
            .map(|algorithm| {
                let pem = kept
                    .get(&format!("{algorithm:?}"))
                    .and_then(Value::as_str)
                    .with_context(|| format!("{} holds no {algorithm:?} key", file.display()))?;
                Ok(Key { algorithm, id: format!("{algorithm:?}-1").to_lowercase(), pem: pem.to_owned() })
            })
            .collect::<Result<_>>()?;
        Ok(Self { generation: 1, each })
    }

    /// Signs claims by this algorithm.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn sign(&self, algorithm: Algorithm, claims: &Value) -> Result<String> {
        let key =
            self.each.iter().find(|key| key.algorithm == algorithm).with_context(|| format!("no {algorithm:?} key"))?;
        let mut header = Header::new(algorithm.jwt());
        header.kid = Some(key.id.clone());
        Ok(jsonwebtoken::encode(&header, claims, &key.encoding()?)?)
    }

    /// The public keys as a JWK Set (RFC 7517).
    ///
    /// # Errors
    /// When a key has no such form.
    pub fn public(&self) -> Result<Value> {
        let keys = self
            .each
            .iter()
            .map(|key| {
                let mut jwk = Jwk::from_encoding_key(&key.encoding()?, key.algorithm.jwt())?;
                jwk.common.key_id = Some(key.id.clone());
                jwk.common.public_key_use = Some(jsonwebtoken::jwk::PublicKeyUse::Signature);
                Ok(serde_json::to_value(jwk)?)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(json!({ "keys": keys }))
    }
}

impl Key {
    fn encoding(&self) -> Result<EncodingKey> {
        match self.algorithm {
            Algorithm::RS256 | Algorithm::RS384 => Ok(EncodingKey::from_rsa_pem(self.pem.as_bytes())?),
            Algorithm::ES256 | Algorithm::ES384 => Ok(EncodingKey::from_ec_pem(self.pem.as_bytes())?),
        }
    }
}

fn private_key(algorithm: Algorithm) -> Result<String> {
    let curve = match algorithm {
        Algorithm::RS256 | Algorithm::RS384 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).context("no RSA key")?;
            return Ok(pem(pair.as_der().context("no form of an RSA key")?.as_ref()));
        }
        Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        Algorithm::ES384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
    };
    let pair = EcdsaKeyPair::generate(curve).context("no EC key")?;
    Ok(pem(pair.to_pkcs8v1().context("no form of an EC key")?.as_ref()))
}

/// RFC 7468, 10: a PKCS #8 private key.
fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    for (at, character) in text.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str("\n-----END PRIVATE KEY-----\n");
    pem
}

/// A token as it is when nothing is said: claims of the caller's over these.
///
/// A claim that is `null` in `claims` is left out of the token, also where it stands here.
#[must_use]
pub fn with_defaults(issuer: &str, audience: &str, lifetime: Duration, claims: &Value) -> Value {
    let now = clock::unix_seconds();
    let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
    let mut token = Map::from_iter([
        ("iss".to_owned(), json!(issuer)),
        ("aud".to_owned(), json!(audience)),
        ("iat".to_owned(), json!(now)),
        ("exp".to_owned(), json!(now.saturating_add(lifetime))),
        ("jti".to_owned(), json!(uuid::Uuid::from_bytes(random()).to_string())),
    ]);
    if let Some(claims) = claims.as_object() {
        token.extend(claims.clone());
    }
    token.retain(|_, value| !value.is_null());
    Value::Object(token)
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Only a name that should not repeat; without randomness it is all zeros.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

struct Shared {
    url: String,
    keys: Mutex<Keys>,
    mode: AtomicU8,
    key_requests: AtomicU64,
}

/// A running issuer.
pub struct Issuer {
    /// Its name, the exact `iss` of its tokens.
    pub url: String,
    /// The audience that tokens carry when nothing else is said.
    pub audience: String,
    shared: Arc<Shared>,
    server: ServerHandle,
}

impl Issuer {
    /// Starts an issuer with these keys on this port of 127.0.0.1, a free one for 0.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub async fn start(keys: Keys, port: u16, audience: impl Into<String>) -> Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", port))
            .with_context(|| format!("the issuer cannot bind port {port} of 127.0.0.1"))?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            url: url.clone(),
            keys: Mutex::new(keys),
            mode: AtomicU8::new(Mode::Up as u8),
            key_requests: AtomicU64::new(0),
        });
        let state = web::Data::from(Arc::clone(&shared));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(state.clone())
                .route("/.well-known/openid-configuration", web::get().to(discovery))
                .route("/jwks", web::get().to(jwks))
        })
        .workers(1)
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self { url, audience: audience.into(), shared, server: handle })
    }

    /// A token with these claims over the defaults (issuer, audience, an hour), signed by RS256.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token(&self, claims: &Value) -> Result<String> {
        self.token_by(Algorithm::RS256, claims)
    }

    /// The same by another algorithm.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token_by(&self, algorithm: Algorithm, claims: &Value) -> Result<String> {
        ensure!(claims.is_object(), "claims are a JSON object");
        let claims = with_defaults(&self.url, &self.audience, Duration::from_secs(3600), claims);
        self.keys().sign(algorithm, &claims)
    }

    /// A token with any header and claims, exactly as given, under any signature bytes: for forgeries.
    ///
    /// # Errors
    /// When header or claims have no JSON form.
    pub fn raw(header: &Value, claims: &Value, signature: &[u8]) -> Result<String> {
        let part = |value: &Value| -> Result<String> { Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(value)?)) };
        Ok(format!("{}.{}.{}", part(header)?, part(claims)?, URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The keys now.
    #[must_use]
    pub fn keys(&self) -> Keys {
        self.shared.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// New keys under new ids; the old ones are published no more.
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn rotate(&self) -> Result<()> {
        let generation = self.keys().generation.saturating_add(1);
        let fresh = Keys::generate(generation)?;
        *self.shared.keys.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Makes the web server behave like this from now on.
    pub fn behave(&self, mode: Mode) {
        self.shared.mode.store(mode as u8, Ordering::SeqCst);
    }

    /// How often the keys were asked for.
    #[must_use]
    pub fn key_requests(&self) -> u64 {
        self.shared.key_requests.load(Ordering::SeqCst)
    }

    /// Ends the web server: from now on nobody listens on its port.
    pub async fn stop(&self) {
        self.server.stop(false).await;
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        // The future does its work also when nobody waits for it: the message is sent when it is made.
        drop(self.server.stop(false));
    }
}

async fn discovery(shared: web::Data<Shared>) -> HttpResponse {
    let url = &shared.url;
    let document = json!({
        "issuer": url,
        "jwks_uri": format!("{url}/jwks"),
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": Algorithm::ALL.map(|algorithm| format!("{algorithm:?}")),
    });
    answer(&shared, document).await
}

async fn jwks(shared: web::Data<Shared>) -> HttpResponse {
    shared.key_requests.fetch_add(1, Ordering::SeqCst);
    let keys = shared.keys.lock().unwrap_or_else(PoisonError::into_inner).public();
    match keys {
        Ok(keys) => answer(&shared, keys).await,
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

async fn answer(shared: &Shared, document: Value) -> HttpResponse {
    match shared.mode.load(Ordering::SeqCst) {
        mode if mode == Mode::Failing as u8 => HttpResponse::ServiceUnavailable().finish(),
        mode if mode == Mode::Silent as u8 => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            HttpResponse::ServiceUnavailable().finish()
        }
        mode if mode == Mode::Html as u8 => {
            HttpResponse::Ok().content_type("text/html").body("<html><body>sign in</body></html>")
        }
        _ => HttpResponse::Ok().json(document),
    }
}
