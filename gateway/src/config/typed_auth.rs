//! `[auth]` and `[[client]]`: which issuers are trusted, and what their clients stand for.

use std::time::Duration;

use gateway_core::caller::ActorRef;
use gateway_core::coding::Coding;

use super::raw::{RawAlgorithm, RawAuth, RawClaims, RawClient, RawIssuer};
use super::section::{Fault, Section, not_empty};
use super::typed::repeated;
use super::{
    AuthConfig, ClaimPath, ClaimPlaces, ClientConfig, IssuerConfig, JwksConfig, KeyLocation, SignatureAlgorithm,
};

/// The code system of a bare purpose code (HL7 v3 ActReason, which holds PurposeOfUse).
pub const PURPOSE_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

const MAX_CLOCK_SKEW: Duration = Duration::from_secs(300);

/// Types `[auth]` together with the client table, whose issuers must be among the trusted ones.
pub(super) fn auth(raw: RawAuth, clients: Vec<RawClient>, root: &mut Section<'_>) -> Option<AuthConfig> {
    let section = &mut root.below("auth");
    let issuers = issuers(raw.issuers, section);
    let skew = section.duration("clock_skew", raw.clock_skew.as_deref(), Duration::from_secs(30));
    if skew.is_some_and(|skew| skew > MAX_CLOCK_SKEW) {
        section.fault("clock_skew", "more than 5m would revive expired tokens", "write at most 5m and set the clocks");
    }
    let purpose_header = section.optional("purpose_header", raw.purpose_header.as_deref(), header_name);
    let max_token = section.memory("max_token", raw.max_token.as_deref(), 16 << 10);
    let max_age = section.duration("jwks_max_age", raw.jwks_max_age.as_deref(), Duration::from_secs(600));
    let stale = section.duration("jwks_stale_if_error", raw.jwks_stale_if_error.as_deref(), Duration::from_secs(3_600));
    let interval = section.duration("jwks_min_interval", raw.jwks_min_interval.as_deref(), Duration::from_secs(10));
    let timeout = section.duration("jwks_timeout", raw.jwks_timeout.as_deref(), Duration::from_secs(5));
    let max_size = section.memory("jwks_max_size", raw.jwks_max_size.as_deref(), 256 << 10);
    let clients = client_table(clients, issuers.as_deref(), root);
    Some(AuthConfig {
        issuers: issuers?,
        clients: clients?,
        clock_skew: skew?,
        purpose_header: purpose_header?.unwrap_or_else(|| "x-purpose-of-use".to_owned()),
        max_token: max_token?,
        token_cache: u64::from(raw.token_cache.unwrap_or(10_000)),
        jwks: JwksConfig {
            max_age: max_age?,
            stale_if_error: stale?,
            min_interval: interval?,
            timeout: timeout?,
            max_size: max_size?,
        },
    })
}

fn issuers(raw: Option<Vec<RawIssuer>>, section: &mut Section<'_>) -> Option<Vec<IssuerConfig>> {
    let raw = section.present("issuers", raw)?;
    if raw.is_empty() {
        section.fault(
            "issuers",
            "no issuer is trusted, so nobody could come in",
            "write at least one [[auth.issuers]]",
        );
        return None;
    }
    let typed: Vec<_> = raw
        .into_iter()
        .enumerate()
        .map(|(index, raw)| issuer(raw, &mut section.below(&format!("issuers[{index}]"))))
        .collect();
    let issuers: Vec<IssuerConfig> = typed.into_iter().collect::<Option<_>>()?;
    let twice = repeated(issuers.iter().map(|issuer| issuer.issuer.as_str()));
    for index in &twice {
        section.below(&format!("issuers[{index}]")).fault("issuer", "this issuer is there twice", "merge the two");
    }
    twice.is_empty().then_some(issuers)
}

fn issuer(raw: RawIssuer, section: &mut Section<'_>) -> Option<IssuerConfig> {
    let plain = raw.danger_plain_http.unwrap_or(false);
    let issuer = section.required("issuer", raw.issuer.as_deref(), not_empty);
    let keys = match &raw.jwks_url {
        Some(url) => jwks_url(url, plain, section),
        None => issuer.as_deref().and_then(|issuer| discovery_url(issuer, plain, section)),
    };
    let audience = section.present("audience", raw.audience);
    if audience.as_ref().is_some_and(|names| names.is_empty() || names.iter().any(|name| name.trim().is_empty())) {
        section.fault("audience", "no audience, or an empty one", "write our name as the issuer puts it into `aud`");
    }
    let algorithms = match raw.algorithms {
        Some(list) if list.is_empty() => {
            section.fault("algorithms", "no algorithm is accepted", "remove the key to accept all four");
            None
        }
        Some(list) => Some(list.into_iter().map(algorithm).collect()),
        None => Some(SignatureAlgorithm::ALL.to_vec()),
    };
    let claims = claim_places(raw.claims.unwrap_or_default(), &mut section.below("claims"));
    Some(IssuerConfig {
        issuer: issuer?,
        keys: keys?,
        audience: audience?,
        algorithms: algorithms?,
        danger_plain_http: plain,
        claims: claims?,
    })
}

/// A key set's address may carry a query, as some vendors' do.
fn jwks_url(text: &str, plain: bool, section: &mut Section<'_>) -> Option<KeyLocation> {
    let (address, query) = match text.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (text, None),
    };
    let mut url = section.callable("jwks_url", address, plain)?;
    url.set_query(query);
    Some(KeyLocation::Jwks(url))
}

/// OpenID Connect Discovery 1.0, section 4: the path is appended to the issuer as it is written.
fn discovery_url(issuer: &str, plain: bool, section: &mut Section<'_>) -> Option<KeyLocation> {
    let mut url = section.callable("issuer", issuer, plain)?;
    let path = format!("{}/.well-known/openid-configuration", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Some(KeyLocation::Discovery(url))
}

fn algorithm(raw: RawAlgorithm) -> SignatureAlgorithm {
    match raw {
        RawAlgorithm::RS256 => SignatureAlgorithm::Rs256,
        RawAlgorithm::RS384 => SignatureAlgorithm::Rs384,
        RawAlgorithm::ES256 => SignatureAlgorithm::Es256,
        RawAlgorithm::ES384 => SignatureAlgorithm::Es384,
    }
}

impl SignatureAlgorithm {
    /// Every algorithm that can be allowed.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Rs384, Self::Es256, Self::Es384];
}

fn header_name(text: &str) -> Result<String, Fault> {
    let name = text.to_ascii_lowercase();
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        Ok(name)
    } else {
        Err(("not a header name", "write it as x-purpose-of-use"))
    }
}

fn claim_places(raw: RawClaims, section: &mut Section<'_>) -> Option<ClaimPlaces> {
    let purpose = places("purpose", raw.purpose, &["extensions.ihe_iua.purpose_of_use", "purpose_of_use"], section);
    let organization = places(
        "organization",
        raw.organization,
        &["extensions.ihe_iua.subject_organization_id", "organization"],
        section,
    );
    let roles = places("roles", raw.roles, &["extensions.ihe_iua.subject_role", "roles"], section);
    let patient = places("patient", raw.patient, &["patient", "launch_response.patient"], section);
    let fhir_user = places("fhir_user", raw.fhir_user, &["fhirUser"], section);
    let client = places("client", raw.client, &["client_id", "azp"], section);
    let scope = places("scope", raw.scope, &["scope", "scp"], section);
    Some(ClaimPlaces {
        purpose: purpose?,
        organization: organization?,
        roles: roles?,
        patient: patient?,
        fhir_user: fhir_user?,
        client: client?,
        scope: scope?,
    })
}

fn places(
    name: &str,
    written: Option<Vec<String>>,
    default: &[&str],
    section: &mut Section<'_>,
) -> Option<Vec<ClaimPath>> {
    let texts = written.unwrap_or_else(|| default.iter().map(|text| (*text).to_owned()).collect());
    let paths: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| section.parsed(&format!("{name}[{index}]"), text, ClaimPath::parse))
        .collect();
    paths.into_iter().collect()
}

impl ClaimPath {
    /// Reads `a.b` or the JSON Pointer `/a/b` (RFC 6901, where `~1` is a slash and `~0` a tilde).
    fn parse(text: &str) -> Result<Self, Fault> {
        let names: Vec<String> = match text.strip_prefix('/') {
            Some(pointer) => pointer.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect(),
            None => text.split('.').map(str::to_owned).collect(),
        };
        if names.iter().any(String::is_empty) {
            return Err(("not a claim path", "write it as a.b.c, or as a JSON Pointer /a/b/c"));
        }
        Ok(Self(names))
    }

    /// Member names from the outside in, at least one.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

fn client_table(
    raw: Vec<RawClient>,
    issuers: Option<&[IssuerConfig]>,
    root: &mut Section<'_>,
) -> Option<Vec<ClientConfig>> {
    let typed: Vec<_> = raw
        .into_iter()
        .enumerate()
        .map(|(index, raw)| client(raw, issuers, &mut root.below(&format!("client[{index}]"))))
        .collect();
    let clients: Vec<ClientConfig> = typed.into_iter().collect::<Option<_>>()?;
    let twice = repeated(clients.iter().map(|row| (&row.issuer, &row.client, &row.role)));
    for index in &twice {
        root.below(&format!("client[{index}]")).fault(
            "client",
            "this issuer, client and role are there twice",
            "merge the two",
        );
    }
    twice.is_empty().then_some(clients)
}

fn client(raw: RawClient, issuers: Option<&[IssuerConfig]>, section: &mut Section<'_>) -> Option<ClientConfig> {
    let issuer = section.required("issuer", raw.issuer.as_deref(), not_empty);
    if let (Some(issuer), Some(issuers)) = (&issuer, issuers)
        && !issuers.iter().any(|trusted| trusted.issuer == *issuer)
    {
        section.fault("issuer", "no trusted issuer has this name", "write the exact `issuer` of an [[auth.issuers]]");
    }
    let client = section.required("client", raw.client.as_deref(), not_empty);
    let role = section.optional("role", raw.role.as_deref(), not_empty);
    let purposes: Vec<_> = raw
        .purpose
        .unwrap_or_default()
        .iter()
        .enumerate()
        .map(|(index, text)| section.parsed(&format!("purpose[{index}]"), text, purpose))
        .collect();
    let organization = section.optional("organization", raw.organization.as_deref(), actor);
    Some(ClientConfig {
        issuer: issuer?,
        client: client?,
        role: role?,
        purposes: purposes.into_iter().collect::<Option<_>>()?,
        organization: organization?,
        roles: raw.roles.unwrap_or_default(),
    })
}

fn actor(text: &str) -> Result<ActorRef, Fault> {
    text.parse().map_err(|_| ("not an actor", "write it as Organization/x or as system|value"))
}

/// `system|code`, or a bare code of v3-ActReason.
pub(super) fn purpose(text: &str) -> Result<Coding, Fault> {
    let (system, code) = text.split_once('|').unwrap_or((PURPOSE_SYSTEM, text));
    if system.is_empty() || code.is_empty() {
        return Err(("not a purpose", "write it as TREAT or as system|code"));
    }
    Ok(Coding::new(system, code))
}
