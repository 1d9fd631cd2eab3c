//! `[auth]` and `[[client]]`: whom the gateway believes, and where in a token it looks for what.

use std::time::Duration;

use gateway_core::caller::ActorRef;
use gateway_core::coding::Coding;
use url::Url;

/// `[auth]` and `[[client]]`
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// Trusted issuers, at least one, each `iss` once.
    pub issuers: Vec<IssuerConfig>,
    /// The operator's client table; keys (issuer, client, role) are unique.
    pub clients: Vec<ClientConfig>,
    /// Forgiven difference between clocks.
    pub clock_skew: Duration,
    /// Header by which purposes are narrowed, lower case.
    pub purpose_header: String,
    /// Longest token in bytes.
    pub max_token: usize,
    /// Verified tokens remembered.
    pub token_cache: u64,
    /// How key sets are fetched and kept.
    pub jwks: JwksConfig,
}

/// How key sets are fetched and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksConfig {
    /// Older keys are fetched again.
    pub max_age: Duration,
    /// Beyond `max_age`, keys that cannot be fetched are used this much longer.
    pub stale_if_error: Duration,
    /// Least time between fetches.
    pub min_interval: Duration,
    /// Time for one fetch.
    pub timeout: Duration,
    /// Largest document in bytes.
    pub max_size: usize,
}

/// `[[auth.issuers]]`
#[derive(Debug, Clone)]
pub struct IssuerConfig {
    /// The exact `iss`.
    pub issuer: String,
    /// Where the keys are.
    pub keys: KeyLocation,
    /// Accepted values of `aud`.
    pub audience: Vec<String>,
    /// Accepted algorithms, at least one.
    pub algorithms: Vec<SignatureAlgorithm>,
    /// Whether discovery may lead to plain http on another host.
    pub danger_plain_http: bool,
    /// Where claims are.
    pub claims: ClaimPlaces,
}

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyLocation {
    /// The key set itself.
    Jwks(Url),
    /// OpenID Connect Discovery 1.0, section 4: a document that names the key set and must name the same issuer.
    Discovery(Url),
}

/// The signature algorithms that exist here (RFC 7518, 3.1); there is no `none` and no MAC to confuse a key with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5, SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5, SHA-384.
    Rs384,
    /// ECDSA, P-256, SHA-256.
    Es256,
    /// ECDSA, P-384, SHA-384.
    Es384,
}

/// For each thing, the places to look for it, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPlaces {
    /// Purposes of use.
    pub purpose: Vec<ClaimPath>,
    /// Organisation.
    pub organization: Vec<ClaimPath>,
    /// Roles.
    pub roles: Vec<ClaimPath>,
    /// Launch patient.
    pub patient: Vec<ClaimPath>,
    /// FHIR resource of the user.
    pub fhir_user: Vec<ClaimPath>,
    /// OAuth client.
    pub client: Vec<ClaimPath>,
    /// Scopes.
    pub scope: Vec<ClaimPath>,
}

/// Member names from the outside in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(pub(super) Vec<String>);

/// `[[client]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// The issuer that vouches.
    pub issuer: String,
    /// The client's id.
    pub client: String,
    /// Only for callers with this role.
    pub role: Option<String>,
    /// Purposes.
    pub purposes: Vec<Coding>,
    /// Organisation.
    pub organization: Option<ActorRef>,
    /// Roles.
    pub roles: Vec<String>,
}
