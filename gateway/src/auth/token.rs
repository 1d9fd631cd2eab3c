//! A compact JWS (RFC 7515, 7.1) with JWT claims (RFC 7519), taken apart before anything in it is believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::error::TokenFault;
use super::jwks::Key;
use crate::config::SignatureAlgorithm;

/// The claims of a token, by name.
pub(super) type Claims = Map<String, Value>;

/// A token that has the right form; nothing of it is verified yet.
pub(super) struct Unverified<'t> {
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) key_id: Option<String>,
    signed: &'t str,
    signature: &'t str,
    claims: Claims,
}

/// RFC 7515, 4.1. `jku`, `jwk`, `x5u` and `x5c` are not read: a token does not say where its own keys are.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<IgnoredAny>,
}

impl<'t> Unverified<'t> {
    pub(super) fn parse(token: &'t str) -> Result<Self, TokenFault> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenFault::Malformed)?;
        if claims.contains('.') {
            return Err(TokenFault::Malformed);
        }
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenFault::Malformed)?;
        let algorithm = SignatureAlgorithm::of(&header.alg).ok_or(TokenFault::Algorithm)?;
        if header.crit.is_some() || !header.typ.as_deref().is_none_or(is_access_token) {
            return Err(TokenFault::Header);
        }
        let claims = serde_json::from_slice(&decode(claims)?).map_err(|_| TokenFault::Malformed)?;
        Ok(Self { algorithm, key_id: header.kid, signed, signature, claims })
    }

    /// Whom to ask for keys; the issuer is proven only by [`Self::verify`] with a key of that issuer.
    pub(super) fn claimed_issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// The claims, once one of the keys has verified the signature; and that key's fingerprint.
    pub(super) fn verify(self, keys: &[impl AsRef<Key>]) -> Result<(Claims, [u8; 32]), TokenFault> {
        let algorithm = match self.algorithm {
            SignatureAlgorithm::Rs256 => Algorithm::RS256,
            SignatureAlgorithm::Rs384 => Algorithm::RS384,
            SignatureAlgorithm::Es256 => Algorithm::ES256,
            SignatureAlgorithm::Es384 => Algorithm::ES384,
        };
        let verifies = |key: &Key| {
            jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), &key.material, algorithm)
                .unwrap_or(false)
        };
        match keys.iter().map(AsRef::as_ref).find(|key| verifies(key)) {
            Some(key) => Ok((self.claims, key.fingerprint)),
            None => Err(TokenFault::Signature),
        }
    }
}

/// When a token counts, in Unix seconds, clock skew not included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetime {
    not_before: Option<f64>,
    expires: f64,
}

impl Lifetime {
    /// RFC 7519, 4.1.4 and 4.1.5: `exp` is required here; both may have fractions.
    pub(super) fn of(claims: &Claims) -> Result<Self, TokenFault> {
        let expires = claims.get("exp").and_then(Value::as_f64).ok_or(TokenFault::Claim("exp"))?;
        let not_before = match claims.get("nbf") {
            None => None,
            Some(value) => Some(value.as_f64().ok_or(TokenFault::Claim("nbf"))?),
        };
        Ok(Self { not_before, expires })
    }

    pub(super) fn check(&self, now: OffsetDateTime, skew: f64) -> Result<(), TokenFault> {
        let now = now.unix_timestamp_nanos() as f64 / 1e9;
        if now >= self.expires + skew {
            Err(TokenFault::Expired)
        } else if self.not_before.is_some_and(|start| now + skew < start) {
            Err(TokenFault::NotYet)
        } else {
            Ok(())
        }
    }
}

/// `aud` is one name or a list of names (RFC 7519, 4.1.3); one of ours must be among them.
pub(super) fn check_audience(claims: &Claims, ours: &[String]) -> Result<(), TokenFault> {
    let is_ours = |value: &Value| value.as_str().is_some_and(|name| ours.iter().any(|our| our == name));
    let meant = match claims.get("aud") {
        Some(Value::Array(names)) => names.iter().any(is_ours),
        Some(name) => is_ours(name),
        None => false,
    };
    if meant { Ok(()) } else { Err(TokenFault::Audience) }
}

/// RFC 8725, 3.11: a typed token must be typed as what it is used for; many issuers write `JWT` or nothing.
fn is_access_token(typ: &str) -> bool {
    let name = typ.strip_prefix("application/").unwrap_or(typ);
    name.eq_ignore_ascii_case("jwt") || name.eq_ignore_ascii_case("at+jwt")
}

fn decode(part: &str) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Malformed)
}

impl SignatureAlgorithm {
    /// The algorithm of that exact name (RFC 7518, 3.1), if it is one of ours.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "RS384" => Some(Self::Rs384),
            "ES256" => Some(Self::Es256),
            "ES384" => Some(Self::Es384),
            _ => None,
        }
    }
}
