//! Why nobody could be established as the caller, and what RFC 6750 says to answer.

/// No caller. The text of a variant goes to the log; what the client is told is [`AuthError::sentence`].
///
/// INVARIANT: no variant holds any part of a token, of a key or of a claim's value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No `Authorization` header.
    #[error("no token")]
    NoToken,
    /// The header is not `Bearer <token>`.
    #[error("the authorization header is not a bearer token")]
    NotBearer,
    /// The token is not one that this gateway accepts.
    #[error("invalid token: {0}")]
    Invalid(#[from] TokenFault),
    /// The purpose header names a purpose that the verified caller does not have, or cannot be read.
    #[error("the purpose header asks for more than the token")]
    Widened,
    /// The token carries a residual obligation of the authorization server that is not understood (IHE PCF: forbid).
    #[error("the token carries a residual rule that is not understood")]
    Residual,
    /// The issuer's keys cannot be had, so the token can be neither accepted nor refused.
    #[error("the issuer's keys cannot be had")]
    KeysUnavailable,
}

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Longer than the limit.
    #[error("too long")]
    TooLong,
    /// Not a compact JWS with JSON inside (RFC 7515, 7.1).
    #[error("malformed")]
    Malformed,
    /// The header names an algorithm that is not accepted: `none`, a MAC, or one outside the issuer's list.
    #[error("algorithm not accepted")]
    Algorithm,
    /// The header has `crit`, or a `typ` that is no access token's.
    #[error("header not understood")]
    Header,
    /// `iss` is missing or not trusted.
    #[error("issuer not trusted")]
    Issuer,
    /// No key of the issuer fits.
    #[error("unknown key")]
    UnknownKey,
    /// The signature does not match.
    #[error("bad signature")]
    Signature,
    /// `exp` is past.
    #[error("expired")]
    Expired,
    /// `nbf` is to come.
    #[error("not valid yet")]
    NotYet,
    /// `aud` does not name us.
    #[error("wrong audience")]
    Audience,
    /// The token is bound to a key of its client (`cnf`), whose proof is not checked here; as a mere bearer it is refused.
    #[error("bound to a key")]
    Bound,
    /// A claim is missing or malformed; its name.
    #[error("claim {0} is missing or malformed")]
    Claim(&'static str),
}

impl AuthError {
    /// HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::NoToken | Self::Invalid(_) => 401,
            Self::NotBearer | Self::Widened => 400,
            Self::Residual => 403,
            Self::KeysUnavailable => 503,
        }
    }

    /// Stable name of the reason, kebab-case, for events, metrics and the client.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::NoToken => "no-token",
            Self::NotBearer => "not-bearer",
            Self::Invalid(fault) => fault.rule(),
            Self::Widened => "purpose-widened",
            Self::Residual => "residual-not-understood",
            Self::KeysUnavailable => "keys-unavailable",
        }
    }

    /// A sentence for the client.
    pub fn sentence(&self) -> &'static str {
        match self {
            Self::NoToken => "A bearer token is needed; get one from the authorization server.",
            Self::NotBearer => "The Authorization header must be `Bearer` and one token.",
            Self::Invalid(TokenFault::Expired) => "The token has expired; get a new one.",
            Self::Invalid(TokenFault::NotYet) => "The token is not valid yet; check the clocks.",
            Self::Invalid(TokenFault::Audience) => "The token is not meant for this server; ask for our audience.",
            Self::Invalid(_) => "The token is not accepted; get a new one from the authorization server.",
            Self::Widened => "The purpose header may only name purposes that the token carries.",
            Self::Residual => "The token carries a rule that this server does not understand, so it is not accepted.",
            Self::KeysUnavailable => "The token cannot be checked at present; try again later.",
        }
    }

    /// The `WWW-Authenticate` header (RFC 6750, section 3): no error code where no credential was sent (3.1).
    pub fn challenge(&self) -> Option<String> {
        let error = match self {
            Self::NoToken => return Some("Bearer realm=\"sealgate\"".to_owned()),
            Self::NotBearer | Self::Widened => "invalid_request",
            Self::Invalid(_) => "invalid_token",
            Self::Residual => "insufficient_scope",
            Self::KeysUnavailable => return None,
        };
        // The sentences hold no quote and no backslash, so they are quoted-strings as they stand.
        Some(format!("Bearer realm=\"sealgate\", error=\"{error}\", error_description=\"{}\"", self.sentence()))
    }
}

impl TokenFault {
    fn rule(self) -> &'static str {
        match self {
            Self::TooLong => "token-too-long",
            Self::Malformed => "token-malformed",
            Self::Algorithm => "token-algorithm",
            Self::Header => "token-header",
            Self::Issuer => "token-issuer",
            Self::UnknownKey => "token-unknown-key",
            Self::Signature => "token-signature",
            Self::Expired => "token-expired",
            Self::NotYet => "token-not-yet",
            Self::Audience => "token-audience",
            Self::Bound => "token-bound",
            Self::Claim(_) => "token-claim",
        }
    }
}
