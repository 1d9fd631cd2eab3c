//! The file as it is written: every key with its documentation, from which `config schema` is generated.
//!
//! Every field is optional here, so that a missing key is one of many findings and not the end of the reading;
//! `#[schemars(required)]` marks what must be there.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{glass, settings};

/// Configuration of `fhir-gateway`. Durations are written `500ms`, `30s`, `5m`, `12h`, `7d`; sizes `512 B`, `16 KiB`, `4 MiB`, `1 GiB`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    /// The FHIR surface that clients see.
    #[schemars(required)]
    pub(super) server: Option<RawServer>,
    /// The FHIR server that the gateway protects; it must accept no other identity than the gateway's.
    #[schemars(required)]
    pub(super) upstream: Option<RawUpstream>,
    /// Where Consents are gathered from; without it: the upstream, with the upstream's credential.
    pub(super) consent_source: Option<RawConsentSource>,
    /// How Consents are evaluated; what is not set has the safe default. Changes take effect at once, as those of
    /// `redaction`, `roles`, `break_glass`, `client` and `policy`; of all other sections at the next start.
    #[schemars(with = "Option<settings::ConsentKeys>")]
    pub(super) consent: Option<Map<String, Value>>,
    /// Elements that are removed from what leaves.
    pub(super) redaction: Option<Vec<settings::RawRedaction>>,
    /// Who may see and write what decisions are made from.
    pub(super) roles: Option<settings::RawRoles>,
    /// Emergency access against a patient's Consent: who may claim it, for how long, and what is told of hidden records.
    pub(super) break_glass: Option<glass::RawBreakGlass>,
    /// Who may issue tokens, and how they are checked.
    #[schemars(required)]
    pub(super) auth: Option<RawAuth>,
    /// The operator's table: what a verified client stands for when its token does not say.
    pub(super) client: Option<Vec<RawClient>>,
    /// Organisational policy, asked before any Consent.
    pub(super) policy: Option<RawPolicy>,
    /// A second policy that decides beside the one in force, without an effect: what it would decide differently is counted
    /// and logged. Changes take effect at once.
    pub(super) shadow: Option<RawShadow>,
    /// The durable record of every access.
    #[schemars(required)]
    pub(super) journal: Option<RawJournal>,
    /// The audit sidecar that takes the commitments.
    #[schemars(required)]
    pub(super) sidecar: Option<RawSidecar>,
    /// Where AuditEvents go.
    pub(super) audit_event: Option<RawAuditEvent>,
    /// Health, metrics and openings, on a port of their own.
    #[schemars(required)]
    pub(super) admin: Option<RawAdmin>,
    /// Logs, traces and metrics.
    pub(super) telemetry: Option<RawTelemetry>,
}

/// `[server]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawServer {
    /// Address and port to listen on, such as `0.0.0.0:8443`.
    #[schemars(required)]
    pub(super) listen: Option<String>,
    /// The base URL that clients use, without a trailing slash; links and references are rewritten to it.
    #[schemars(required)]
    pub(super) public_base: Option<String>,
    /// Worker threads; default: one for each core.
    #[schemars(range(min = 1))]
    pub(super) workers: Option<u32>,
    /// Origins of browser applications that may call (CORS), such as `https://app.example.org`; default: none.
    pub(super) cors_origins: Option<Vec<String>>,
    /// Certificate and key; without it the gateway speaks plain HTTP and TLS must end before it.
    pub(super) tls: Option<RawTls>,
    /// Limits; at each of them the request is refused by name.
    pub(super) limits: Option<RawLimits>,
}

/// `[server.tls]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    /// PEM file with the certificate chain, leaf first; read again when it changes.
    #[schemars(required)]
    pub(super) certificate_file: Option<String>,
    /// PEM file with the private key; read again when it changes.
    #[schemars(required)]
    pub(super) key_file: Option<String>,
}

/// `[server.limits]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    /// Largest request body; default `4 MiB`.
    pub(super) body: Option<String>,
    /// Largest headers of a request, names and values together; default `32 KiB`, at most `64 KiB`.
    pub(super) header: Option<String>,
    /// Longest query of a URL; default and most `32 KiB`. Our own paging links pass whatever stands here.
    pub(super) query: Option<String>,
    /// Largest single resource in an answer; default `8 MiB`.
    pub(super) entry: Option<String>,
    /// A window of an answer is released when it holds this much; default `256 KiB`.
    pub(super) window: Option<String>,
    /// A window of an answer is released when it holds this many entries; default 256.
    #[schemars(range(min = 1))]
    pub(super) window_entries: Option<u32>,
    /// References of one written body that are resolved before it is forwarded; default 256.
    #[schemars(range(min = 1))]
    pub(super) references: Option<u32>,
    /// Entries of one batch or transaction; default 200.
    #[schemars(range(min = 1))]
    pub(super) batch_entries: Option<u32>,
    /// What the answers to a batch or transaction may hold together; default `16 MiB`.
    pub(super) batch_answer: Option<String>,
    /// Operations of one JSON Patch; default 64.
    #[schemars(range(min = 1))]
    pub(super) patch_operations: Option<u32>,
    /// Steps of one chained parameter or `_has`; default 3, 0 refuses all.
    pub(super) chain_steps: Option<u32>,
    /// Resources that one step of a chain may find; default 500.
    #[schemars(range(min = 1))]
    pub(super) chain_results: Option<u32>,
    /// Requests at work at the same time; default 1024.
    #[schemars(range(min = 1))]
    pub(super) concurrent_requests: Option<u32>,
    /// Time for a client to send its head; default `10s`.
    pub(super) header_timeout: Option<String>,
    /// Time for a whole request, answer included; default `120s`.
    pub(super) request_timeout: Option<String>,
    /// How long an idle connection is kept; default `75s`.
    pub(super) keep_alive: Option<String>,
    /// Time for requests at work to finish after SIGTERM; default `30s`.
    pub(super) drain_timeout: Option<String>,
}

/// `[upstream]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUpstream {
    /// Base URL of the FHIR server.
    #[schemars(required)]
    pub(super) base: Option<String>,
    /// FHIR version that it speaks; default `R4`.
    pub(super) fhir_version: Option<RawFhirVersion>,
    /// The gateway's own credential and trust towards it.
    #[serde(flatten)]
    #[schemars(flatten)]
    pub(super) peer: RawPeer,
    /// Time to connect; default `2s`.
    pub(super) connect_timeout: Option<String>,
    /// Longest silence while it answers; default `30s`.
    pub(super) read_timeout: Option<String>,
    /// Most entries of one search that are read to the end; beyond it the answer is too-costly; default 10000.
    #[schemars(range(min = 1))]
    pub(super) max_response_entries: Option<u32>,
}

/// FHIR versions of an upstream.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(super) enum RawFhirVersion {
    /// 4.0.1.
    R4,
}

/// A peer that is called with the gateway's own identity.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct RawPeer {
    /// File that holds a bearer token for it.
    pub(super) bearer_token_file: Option<String>,
    /// Environment variable that holds a bearer token for it.
    pub(super) bearer_token_env: Option<String>,
    /// PEM file with the gateway's client certificate chain.
    pub(super) client_certificate_file: Option<String>,
    /// PEM file with the client certificate's key.
    pub(super) client_key_file: Option<String>,
    /// PEM file with the only authorities to trust for it; default: those of the system.
    pub(super) ca_file: Option<String>,
    /// Allows `http://` to another host than this one: tokens and records would travel in clear. Default false.
    pub(super) danger_plain_http: Option<bool>,
}

/// `[consent_source]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConsentSource {
    /// Base URL of the Consent server; default: the upstream's, with the upstream's credential.
    pub(super) base: Option<String>,
    /// The gateway's own credential and trust towards it.
    #[serde(flatten)]
    #[schemars(flatten)]
    pub(super) peer: RawPeer,
    /// Consent facts older than this are fetched again, and where that fails the request is refused; default `30s`.
    pub(super) max_staleness: Option<String>,
    /// How often this server is asked which Consents were changed past the gateway, so that they take effect before
    /// `max_staleness`; default `5s`, `off` for never.
    pub(super) poll: Option<String>,
    /// File with the token by which a FHIR Subscription says on the admin port (`POST /consent-changed`) that a Consent was
    /// changed; without it (and `notify_token_env`) such notifications are refused.
    pub(super) notify_token_file: Option<String>,
    /// Environment variable with that token.
    pub(super) notify_token_env: Option<String>,
    /// Patients whose Consent facts are kept; default 10000.
    #[schemars(range(min = 1))]
    pub(super) cache_patients: Option<u32>,
    /// Time to connect; default `2s`.
    pub(super) connect_timeout: Option<String>,
    /// Time for one query, answer included; default `5s`.
    pub(super) timeout: Option<String>,
}

/// `[auth]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuth {
    /// The authorization servers whose tokens are accepted.
    #[schemars(required, length(min = 1))]
    pub(super) issuers: Option<Vec<RawIssuer>>,
    /// Difference between clocks that is forgiven; default `30s`, at most `5m`.
    pub(super) clock_skew: Option<String>,
    /// Request header by which a caller may narrow its purposes, never widen them; default `x-purpose-of-use`.
    pub(super) purpose_header: Option<String>,
    /// Longest token; default `16 KiB`.
    pub(super) max_token: Option<String>,
    /// Verified tokens that are remembered until they expire; default 10000.
    #[schemars(range(min = 1))]
    pub(super) token_cache: Option<u32>,
    /// Keys older than this are fetched again; default `10m`.
    pub(super) jwks_max_age: Option<String>,
    /// How much longer keys are used when they cannot be fetched; default `1h`.
    pub(super) jwks_stale_if_error: Option<String>,
    /// Least time between two fetches, whatever key ids tokens name; default `10s`.
    pub(super) jwks_min_interval: Option<String>,
    /// Time for one fetch; default `5s`.
    pub(super) jwks_timeout: Option<String>,
    /// Largest key set or discovery document; default `256 KiB`.
    pub(super) jwks_max_size: Option<String>,
}

/// `[[auth.issuers]]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIssuer {
    /// The exact `iss` of its tokens.
    #[schemars(required)]
    pub(super) issuer: Option<String>,
    /// Where its keys are; default: what `<issuer>/.well-known/openid-configuration` says.
    pub(super) jwks_url: Option<String>,
    /// Our names; a token must carry one of them in `aud`.
    #[schemars(required, length(min = 1))]
    pub(super) audience: Option<Vec<String>>,
    /// Signature algorithms that are accepted; default: all four.
    pub(super) algorithms: Option<Vec<RawAlgorithm>>,
    /// Allows `http://` to another host than this one: keys could be replaced on the way. Default false.
    pub(super) danger_plain_http: Option<bool>,
    /// Where in its tokens the claims are; the defaults are SMART's and IHE IUA's places.
    pub(super) claims: Option<RawClaims>,
}

/// Signature algorithms (RFC 7518). `none` and the `HS` family cannot be allowed.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(super) enum RawAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
}

/// `[auth.issuers.claims]`: each a list of places, of which the first that a token has is taken; a place is a path with
/// dots (`extensions.ihe_iua.purpose_of_use`) or, beginning with a slash, a JSON Pointer (`/https:~1~1example.org~1role`).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawClaims {
    /// Purposes of use: codings, `system|code` or bare codes of v3-ActReason.
    pub(super) purpose: Option<Vec<String>>,
    /// The organisation that the caller acts for: a reference, an identifier `system|value`, or a URI.
    pub(super) organization: Option<Vec<String>>,
    /// Roles: words or codings.
    pub(super) roles: Option<Vec<String>>,
    /// The launch patient.
    pub(super) patient: Option<Vec<String>>,
    /// The FHIR resource of the user.
    pub(super) fhir_user: Option<Vec<String>>,
    /// The OAuth client.
    pub(super) client: Option<Vec<String>>,
    /// The scopes: a string or a list.
    pub(super) scope: Option<Vec<String>>,
}

/// `[[client]]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawClient {
    /// The issuer that vouches for the client: one of `auth.issuers`.
    #[schemars(required)]
    pub(super) issuer: Option<String>,
    /// The client's id at that issuer.
    #[schemars(required)]
    pub(super) client: Option<String>,
    /// Only for callers whose token carries this role; such rows come before those without.
    pub(super) role: Option<String>,
    /// Purposes when the token states none: `system|code`, or a bare code of v3-ActReason.
    pub(super) purpose: Option<Vec<String>>,
    /// Organisation when the token states none: `Organization/x` or `system|value`.
    pub(super) organization: Option<String>,
    /// Roles when the token states none.
    pub(super) roles: Option<Vec<String>>,
}

/// `[policy]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPolicy {
    /// Folder with `*.cedar` policies that are added to the shipped ones; a `default.cedar` in it replaces those. Read again
    /// when they change.
    pub(super) cedar_dir: Option<String>,
    /// JSON file of label sets: which clinical codes carry which sensitivity. Read again when it changes.
    pub(super) label_sets_file: Option<String>,
}

/// `[shadow]`: one key at least.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawShadow {
    /// File with the `[consent]`, `[[redaction]]`, `[roles]` and `label_sets` of the second policy, as `decide --policy` takes
    /// it; without it: those in force. Read again when it changes.
    pub(super) policy_file: Option<String>,
    /// Folder of the second policy's organisational policies, as `policy.cedar_dir`; without it: those in force. Read again
    /// when they change.
    pub(super) cedar_dir: Option<String>,
}

/// `[journal]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawJournal {
    /// The journal's SQLite file.
    #[schemars(required)]
    pub(super) path: Option<String>,
    /// File with the key that wraps the patients' keys (32 bytes, hex or base64), readable by the gateway only.
    #[schemars(required)]
    pub(super) kek_file: Option<String>,
    /// Name of the tenant that every commitment carries.
    #[schemars(required)]
    pub(super) tenant: Option<String>,
    /// The journal stops taking events at this size, and answers are 503; default `64 GiB`.
    pub(super) max_size: Option<String>,
    /// The journal stops taking events when this many wait for the sidecar; default 1000000.
    #[schemars(range(min = 1))]
    pub(super) max_backlog: Option<u64>,
}

/// `[sidecar]`: either `socket`, or `url` with certificate, key and authority.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSidecar {
    /// Unix socket of the sidecar.
    pub(super) socket: Option<String>,
    /// HTTPS address of the sidecar.
    pub(super) url: Option<String>,
    /// PEM file with the gateway's client certificate chain.
    pub(super) client_certificate_file: Option<String>,
    /// PEM file with its key.
    pub(super) client_key_file: Option<String>,
    /// PEM file with the authority of the sidecar's certificate.
    pub(super) ca_file: Option<String>,
    /// The log's public key as a C2SP verifier key, `<origin>+<hash>+<base64>`: its checkpoints must be signed by it.
    #[schemars(required)]
    pub(super) log_key: Option<String>,
}

/// `[audit_event]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuditEvent {
    /// `journal` (default) keeps them in the journal; `fhir` also creates them on a FHIR server.
    pub(super) mode: Option<RawAuditEventMode>,
    /// Base URL of that FHIR server; default: the upstream's, with the upstream's credential.
    pub(super) base: Option<String>,
    /// How long an event may wait for that server before the gateway is not ready; default: for ever, since a slow or
    /// absent audit repository must not stop care. Readiness and metrics tell of it either way.
    pub(super) max_delay: Option<String>,
    /// The gateway's own credential and trust towards it.
    #[serde(flatten)]
    #[schemars(flatten)]
    pub(super) peer: RawPeer,
}

/// Where AuditEvents go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawAuditEventMode {
    /// Kept in the journal only.
    Journal,
    /// Also created on a FHIR server.
    Fhir,
}

/// `[admin]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAdmin {
    /// Address and port, such as `127.0.0.1:9090`.
    #[schemars(required)]
    pub(super) listen: Option<String>,
    /// File with the token that opens events; without it (and `token_env`) openings are refused.
    pub(super) token_file: Option<String>,
    /// Environment variable with that token.
    pub(super) token_env: Option<String>,
}

/// `[telemetry]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTelemetry {
    /// Base URL of an OTLP/HTTP collector, such as `http://127.0.0.1:4318`; without it nothing is exported.
    pub(super) otlp_endpoint: Option<String>,
    /// `service.name`; default `fhir-gateway`.
    pub(super) service_name: Option<String>,
    /// `json` (default) or `text`.
    pub(super) log_format: Option<RawLogFormat>,
    /// Filter of log lines, such as `info` or `info,fhir_gateway=debug`; default `info`.
    pub(super) log_level: Option<String>,
}

/// Forms of a log line.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawLogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}
