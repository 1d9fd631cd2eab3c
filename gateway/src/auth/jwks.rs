//! A published key set (RFC 7517) → the keys that may verify, and nothing else.
//!
//! INVARIANT: every key here is an RSA or EC public key with the algorithms that its type and curve allow; symmetric
//! keys are never read, so no public key can be mistaken for a MAC secret.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::config::SignatureAlgorithm;

/// Most keys of one set; more is no key set.
const MAX_KEYS: usize = 100;
/// Shortest RSA modulus in bytes (RFC 7518, 3.3: 2048 bits).
const MIN_MODULUS: usize = 256;

/// A key that may verify.
#[derive(Debug)]
pub(super) struct Key {
    id: Option<String>,
    algorithms: Vec<SignatureAlgorithm>,
    pub(super) material: DecodingKey,
    /// SHA-256 over type, curve and public numbers: the same key in a later set has the same.
    pub(super) fingerprint: [u8; 32],
}

/// The usable keys of one issuer.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    keys: Vec<Arc<Key>>,
    by_fingerprint: HashMap<[u8; 32], Arc<Key>>,
}

/// A document that is no key set, or holds no key that may verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeySetFault {
    /// Not JSON of the form of RFC 7517, 5.
    #[error("not a key set")]
    NotAKeySet,
    /// More keys than anybody needs.
    #[error("more than 100 keys")]
    TooMany,
    /// Only keys that cannot verify a token here.
    #[error("no key that can be used")]
    NoneUsable,
}

impl KeySet {
    /// Reads a set; members that cannot verify are left out (RFC 7517, 5: unknown ones are to be ignored).
    pub(super) fn parse(document: &[u8]) -> Result<Self, KeySetFault> {
        let set: Published = serde_json::from_slice(document).map_err(|_| KeySetFault::NotAKeySet)?;
        if set.keys.len() > MAX_KEYS {
            return Err(KeySetFault::TooMany);
        }
        let keys: Vec<Arc<Key>> = set.keys.into_iter().filter_map(Key::read).map(Arc::new).collect();
        if keys.is_empty() {
            return Err(KeySetFault::NoneUsable);
        }
        let by_fingerprint = keys.iter().map(|key| (key.fingerprint, Arc::clone(key))).collect();
        Ok(Self { keys, by_fingerprint })
    }

    /// The keys that a token may mean: those with its key id, or, where it names none, the only one that fits.
    pub(super) fn candidates(&self, id: Option<&str>, algorithm: SignatureAlgorithm) -> Vec<Arc<Key>> {
        let fitting = self.keys.iter().filter(|key| key.algorithms.contains(&algorithm));
        match id {
            Some(id) => fitting.filter(|key| key.id.as_deref() == Some(id)).cloned().collect(),
            None => {
                let all: Vec<_> = fitting.cloned().collect();
                if all.len() == 1 { all } else { Vec::new() }
            }
        }
    }

    /// Whether the issuer still publishes this key.
    pub(super) fn holds(&self, fingerprint: &[u8; 32]) -> bool {
        self.by_fingerprint.contains_key(fingerprint)
    }
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

/// RFC 7517, 4, and RFC 7518, 6.2 and 6.3, as far as a public signature key needs it.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// Only a private key has it: published, it is everybody's, and nothing that it signed means anything.
    d: Option<Value>,
}

impl Key {
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let signs = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
            && jwk.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|name| name == "verify"))
            && jwk.d.is_none();
        if !signs {
            return None;
        }
        let (mut algorithms, material, numbers) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", None) => rsa(&jwk)?,
            ("EC", Some("P-256")) => ec(&jwk, 32, SignatureAlgorithm::Es256)?,
            ("EC", Some("P-384")) => ec(&jwk, 48, SignatureAlgorithm::Es384)?,
            _ => return None,
        };
        if let Some(stated) = &jwk.alg {
            let stated = SignatureAlgorithm::of(stated)?;
            algorithms.retain(|algorithm| *algorithm == stated);
        }
        let fingerprint = Sha256::digest(&numbers).into();
        (!algorithms.is_empty()).then_some(Self { id: jwk.kid, algorithms, material, fingerprint })
    }
}

type Parts = (Vec<SignatureAlgorithm>, DecodingKey, Vec<u8>);

fn rsa(jwk: &Jwk) -> Option<Parts> {
    let modulus = number(jwk.n.as_deref()?)?;
    let exponent = number(jwk.e.as_deref()?)?;
    let significant = modulus.iter().skip_while(|byte| **byte == 0).count();
    if significant < MIN_MODULUS {
        return None;
    }
    let numbers = [b"RSA", modulus.as_slice(), b"|", exponent.as_slice()].concat();
    let key = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
    Some((vec![SignatureAlgorithm::Rs256, SignatureAlgorithm::Rs384], key, numbers))
}

/// Coordinates have the full length of the curve (RFC 7518, 6.2.1.2).
fn ec(jwk: &Jwk, length: usize, algorithm: SignatureAlgorithm) -> Option<Parts> {
    let (x, y) = (jwk.x.as_deref()?, jwk.y.as_deref()?);
    let (x_number, y_number) = (number(x)?, number(y)?);
    if x_number.len() != length || y_number.len() != length {
        return None;
    }
    let numbers = [b"EC", x_number.as_slice(), y_number.as_slice()].concat();
    Some((vec![algorithm], DecodingKey::from_ec_components(x, y).ok()?, numbers))
}

fn number(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
