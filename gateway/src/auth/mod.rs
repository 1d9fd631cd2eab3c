//! Bearer token → [`Caller`], or the reason why not.
//!
//! The path of [`Authenticator::authenticate`]: header → token → remembered? → form → issuer → key → signature → lifetime,
//! audience → claims and client table → remembered → narrowed.

mod clients;
mod error;
mod identify;
mod jwks;
mod keys;
mod token;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use gateway_core::caller::Caller;
use moka::sync::Cache;
use reqwest::Client;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

pub use clients::ClientTable;
pub use error::{AuthError, TokenFault};
use keys::{IssuerKeys, NoKey};
use token::{Lifetime, Unverified};

use crate::config::{AuthConfig, IssuerConfig};

/// Remembered tokens are verified again after this time, however long they live.
const REMEMBERED: Duration = Duration::from_secs(3_600);

/// Checks tokens. One for the process; share it by `Arc`.
pub struct Authenticator {
    issuers: Vec<Issuer>,
    skew: f64,
    max_token: usize,
    /// SHA-256 of the client table and the token → what it proved under that table. INVARIANT: only tokens that passed every check are put in.
    remembered: Cache<[u8; 32], Arc<Verified>>,
}

struct Issuer {
    config: IssuerConfig,
    keys: IssuerKeys,
}

/// What a token proved when it was checked.
struct Verified {
    caller: Arc<Caller>,
    lifetime: Lifetime,
    issuer: usize,
    key: [u8; 32],
}

/// Whether tokens can be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Keys of every issuer are at hand.
    Ready,
    /// The keys of these issuers are not.
    Waiting(Vec<String>),
}

/// An HTTP client as keys are to be fetched with: no redirects, no proxy of the environment, no referrer.
pub fn key_client() -> Result<Client, reqwest::Error> {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(Duration::from_secs(2))
        .pool_max_idle_per_host(1)
        .build()
}

impl Authenticator {
    /// Makes it; nothing is fetched until [`Self::warm`], [`Self::keep_fresh`] or the first token.
    /// `http` is what [`key_client`] makes: a client that follows redirects would fetch keys from where it is sent.
    pub fn new(config: &AuthConfig, http: Client) -> Self {
        let https = std::iter::repeat_n(http, config.issuers.len());
        let issuers = config
            .issuers
            .iter()
            .zip(https)
            .map(|(issuer, http)| Issuer { keys: IssuerKeys::new(issuer, &config.jwks, http), config: issuer.clone() });
        Self {
            issuers: issuers.collect(),
            skew: config.clock_skew.as_secs_f64(),
            max_token: config.max_token,
            remembered: Cache::builder().max_capacity(config.token_cache).time_to_live(REMEMBERED).build(),
        }
    }

    /// Establishes the caller, as `clients` has it. `authorization` is the one header of that name, `narrow` the purpose
    /// header.
    pub async fn authenticate(
        &self,
        clients: &ClientTable,
        authorization: Option<&str>,
        narrow: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<Arc<Caller>, AuthError> {
        let token = bearer(authorization.ok_or(AuthError::NoToken)?)?;
        if token.len() > self.max_token {
            return Err(TokenFault::TooLong.into());
        }
        let digest: [u8; 32] = Sha256::new().chain_update(clients.digest()).chain_update(token).finalize().into();
        let verified = match self.recall(&digest) {
            Some(verified) => verified,
            None => {
                let verified = Arc::new(self.verify(clients, token, now).await?);
                self.remembered.insert(digest, Arc::clone(&verified));
                verified
            }
        };
        verified.lifetime.check(now, self.skew)?;
        match narrow {
            None => Ok(Arc::clone(&verified.caller)),
            Some(header) => identify::narrow(Caller::clone(&verified.caller), header).map(Arc::new),
        }
    }

    /// Fetches the keys of all issuers once; failures are logged and show in [`Self::ready`].
    pub async fn warm(&self) {
        future::join_all(self.issuers.iter().map(|issuer| issuer.keys.refresh())).await;
    }

    /// Fetches keys before they are old, for ever; to be spawned, so that requests need not wait for a fetch.
    pub async fn keep_fresh(&self) {
        loop {
            self.warm().await;
            let pause = self.issuers.iter().map(|issuer| issuer.keys.next_refresh()).min();
            tokio::time::sleep(pause.unwrap_or(REMEMBERED)).await;
        }
    }

    /// Whether the keys of every issuer are at hand.
    pub fn ready(&self) -> Readiness {
        let waiting: Vec<String> = self
            .issuers
            .iter()
            .filter(|issuer| !issuer.keys.is_usable())
            .map(|issuer| issuer.keys.issuer().to_owned())
            .collect();
        if waiting.is_empty() { Readiness::Ready } else { Readiness::Waiting(waiting) }
    }

    /// A remembered token counts only while its issuer still publishes the key that signed it.
    fn recall(&self, digest: &[u8; 32]) -> Option<Arc<Verified>> {
        let verified = self.remembered.get(digest)?;
        let issuer = self.issuers.get(verified.issuer)?;
        issuer.keys.vouches(&verified.key).then_some(verified)
    }

    async fn verify(&self, clients: &ClientTable, token: &str, now: OffsetDateTime) -> Result<Verified, AuthError> {
        let unverified = Unverified::parse(token)?;
        let (index, issuer) = self.issuer(unverified.claimed_issuer()).ok_or(TokenFault::Issuer)?;
        if !issuer.config.algorithms.contains(&unverified.algorithm) {
            return Err(TokenFault::Algorithm.into());
        }
        let keys =
            issuer.keys.find(unverified.key_id.as_deref(), unverified.algorithm).await.map_err(
                |no_key| match no_key {
                    NoKey::Unknown => AuthError::from(TokenFault::UnknownKey),
                    NoKey::Unavailable => AuthError::KeysUnavailable,
                },
            )?;
        let (claims, key) = unverified.verify(&keys)?;
        let lifetime = Lifetime::of(&claims)?;
        lifetime.check(now, self.skew)?;
        token::check_audience(&claims, &issuer.config.audience)?;
        let caller = Arc::new(identify::caller(&claims, &issuer.config, clients.rows())?);
        Ok(Verified { caller, lifetime, issuer: index, key })
    }

    /// RFC 7519, 4.1.1: exact, case-sensitive.
    fn issuer(&self, name: Option<&str>) -> Option<(usize, &Issuer)> {
        let name = name?;
        self.issuers.iter().enumerate().find(|(_, issuer)| issuer.config.issuer == name)
    }
}

/// RFC 6750, 2.1: the scheme is case-insensitive (RFC 9110, 11.1), one token follows.
fn bearer(header: &str) -> Result<&str, AuthError> {
    let (scheme, token) = header.split_once(' ').ok_or(AuthError::NotBearer)?;
    let token = token.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains([' ', ',']) {
        Ok(token)
    } else {
        Err(AuthError::NotBearer)
    }
}

#[cfg(test)]
mod tests;
