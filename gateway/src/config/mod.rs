//! One TOML file → a typed configuration, or every fault of it at once.
//!
//! `raw` is the file as written and the source of the JSON Schema; [`Config`] is what the program runs on. Between them
//! `read` reports what does not fit the schema and `typed` what does not make sense, in one run.
//! Overrides: `SEALGATE__SECTION__KEY=value`, case ignored. Secrets are named by file or variable and never held here.

mod auth;
mod files;
mod glass;
mod problem;
mod raw;
mod read;
mod secret;
mod section;
mod settings;
mod typed;
mod typed_auth;
mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway_core::policy::{ConsentSettings, PolicyRoles, RedactionRule};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

pub use auth::{
    AuthConfig, ClaimPath, ClaimPlaces, ClientConfig, IssuerConfig, JwksConfig, KeyLocation, SignatureAlgorithm,
};
pub use glass::{GlassConfig, Hidden, HiddenBy};
use problem::Findings;
pub use problem::{Origin, Problem, Problems};
pub use secret::{SecretError, SecretSource};
pub(crate) use section::may_call;
pub use typed_auth::PURPOSE_SYSTEM;

/// The whole configuration; made only from a file without faults.
#[derive(Debug, Clone)]
pub struct Config {
    /// The FHIR surface.
    pub server: ServerConfig,
    /// The FHIR server behind.
    pub upstream: UpstreamConfig,
    /// Where Consents come from.
    pub consent_source: ConsentSourceConfig,
    /// How Consents are evaluated; its bases are those of `server` and `upstream`.
    pub consent: ConsentSettings,
    /// Elements removed by the operator's rules.
    pub redactions: Vec<RedactionRule>,
    /// Who may see and write what decisions are made from.
    pub roles: PolicyRoles,
    /// Emergency access.
    pub glass: GlassConfig,
    /// Token checks and the client table.
    pub auth: AuthConfig,
    /// Organisational policy.
    pub organisation: OrganisationConfig,
    /// A second policy beside.
    pub shadow: Option<ShadowConfig>,
    /// The durable record.
    pub journal: JournalConfig,
    /// The audit sidecar.
    pub sidecar: SidecarConfig,
    /// Where AuditEvents go.
    pub audit_event: AuditEventMode,
    /// The admin port.
    pub admin: AdminConfig,
    /// Logs, traces, metrics.
    pub telemetry: TelemetryConfig,
    /// SHA-256 of the effective keys and values (secrets are not among them), for the start event.
    pub digest: [u8; 32],
    /// The same of each top-level section.
    sections: BTreeMap<String, [u8; 32]>,
    /// The file that it was loaded from.
    pub file: Option<PathBuf>,
}

/// `[server]`
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What clients call us; no slash at the end.
    pub public_base: Url,
    /// Worker threads; `None`: one a core.
    pub workers: Option<NonZeroUsize>,
    /// Allowed CORS origins.
    pub cors_origins: Vec<String>,
    /// Certificate and key.
    pub tls: Option<TlsFiles>,
    /// Limits.
    pub limits: Limits,
}

/// A certificate chain and its key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Chain, leaf first.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// `[server.limits]`, sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Request body.
    pub body: usize,
    /// Headers of a request, names and values together.
    pub header: usize,
    /// Query of a URL.
    pub query: usize,
    /// One resource of an answer.
    pub entry: usize,
    /// One window of an answer.
    pub window: usize,
    /// Entries of one window.
    pub window_entries: usize,
    /// References of a written body that are resolved.
    pub references: usize,
    /// Entries of a batch or transaction.
    pub batch_entries: usize,
    /// Bytes of the answers to a batch or transaction.
    pub batch_answer: usize,
    /// Operations of one JSON Patch.
    pub patch_operations: usize,
    /// Steps of one chained parameter or `_has`.
    pub chain_steps: usize,
    /// Resources that one step may find.
    pub chain_results: usize,
    /// Requests at work.
    pub concurrent_requests: usize,
    /// For a client's head.
    pub header_timeout: Duration,
    /// For a whole request.
    pub request_timeout: Duration,
    /// For an idle connection.
    pub keep_alive: Duration,
    /// After SIGTERM.
    pub drain_timeout: Duration,
}

/// `[upstream]`
#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    /// Base URL and identity.
    pub peer: PeerConfig,
    /// FHIR version.
    pub fhir_version: FhirVersion,
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Longest silence of an answer.
    pub read_timeout: Duration,
    /// Most entries of one search read to the end.
    pub max_response_entries: usize,
}

/// FHIR versions that the gateway enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FhirVersion {
    /// 4.0.1.
    R4,
}

/// A FHIR server that is called with the gateway's own identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerConfig {
    /// Base URL, no slash at the end.
    pub base: Url,
    /// Bearer token.
    pub bearer_token: Option<SecretSource>,
    /// Client certificate.
    pub client_certificate: Option<TlsFiles>,
    /// The only authorities to trust; `None`: the system's.
    pub ca_file: Option<PathBuf>,
}

/// `[consent_source]`
#[derive(Debug, Clone)]
pub struct ConsentSourceConfig {
    /// Base URL and identity; a copy of the upstream's where the file names none.
    pub peer: PeerConfig,
    /// Greatest age of facts that may be decided on.
    pub max_staleness: Duration,
    /// How often changes are asked for; `None`: never.
    pub poll: Option<Duration>,
    /// The token of those who say that a Consent was changed.
    pub notify_token: Option<SecretSource>,
    /// Patients in the cache.
    pub cache_patients: usize,
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time for a whole query.
    pub timeout: Duration,
}

/// `[policy]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrganisationConfig {
    /// The operator's folder of policies.
    pub dir: Option<PathBuf>,
    /// The operator's label sets.
    pub label_sets: Option<PathBuf>,
}

/// `[shadow]`; one of the two is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowConfig {
    /// Settings, redactions, roles and label sets; `None`: those in force.
    pub policy_file: Option<PathBuf>,
    /// Organisational policies; `None`: those in force.
    pub cedar_dir: Option<PathBuf>,
}

/// `[journal]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalConfig {
    /// SQLite file.
    pub path: PathBuf,
    /// File of the key-encryption key.
    pub kek_file: PathBuf,
    /// Tenant.
    pub tenant: String,
    /// Largest size in bytes.
    pub max_size: u64,
    /// Most events that wait for the sidecar.
    pub max_backlog: u64,
}

/// `[sidecar]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SidecarConfig {
    /// How it is reached.
    pub address: SidecarAddress,
    /// C2SP verifier key of the log, as written; its form is checked, its meaning is `evidence`'s.
    pub log_key: String,
}

/// How the sidecar is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SidecarAddress {
    /// By a Unix socket, peer credentials checked by the sidecar.
    Socket(PathBuf),
    /// By HTTPS with mutual TLS.
    Https {
        /// Base URL, always `https`.
        url: Url,
        /// The gateway's certificate.
        identity: TlsFiles,
        /// The authority of the sidecar's certificate.
        ca_file: PathBuf,
    },
}

/// Where AuditEvents go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditEventMode {
    /// Journal only.
    Journal,
    /// Created on this FHIR server too.
    Fhir {
        /// The server.
        peer: Box<PeerConfig>,
        /// How long an event may wait for it before the gateway is not ready; absent: for ever.
        max_delay: Option<Duration>,
    },
}

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The token that opens events; `None`: nobody may.
    pub token: Option<SecretSource>,
}

/// `[telemetry]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// OTLP/HTTP collector.
    pub otlp_endpoint: Option<Url>,
    /// `service.name`.
    pub service_name: String,
    /// Form of log lines.
    pub log_format: LogFormat,
    /// Filter of log lines.
    pub log_level: String,
}

/// Forms of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Config {
    /// Reads, types and checks a configuration without touching the files that it names.
    pub fn parse(text: &str, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Problems> {
        let mut findings = Findings::default();
        let value = read::read(text, environment, &schema(), &mut findings);
        let digest = Sha256::digest(value.to_string()).into();
        let members = value.as_object().into_iter().flatten();
        let sections = members.map(|(name, section)| (name.clone(), Sha256::digest(section.to_string()).into()));
        let sections = sections.collect();
        let config = typed::config(value, digest, &mut findings).map(|config| Self { sections, ..config });
        findings.conclude(config)
    }

    /// As [`Self::parse`] from a file and the process environment; also checks that every file it names can be read.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Problems(vec![Problem {
                key: String::new(),
                fault: format!("the file cannot be read ({})", error.kind()),
                cure: "name a readable file in UTF-8 with --config".to_owned(),
                origin: None,
            }])
        })?;
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let config = Self::parse(&text, environment)?;
        let mut findings = Findings::default();
        files::check(&config, &mut findings);
        findings.conclude(Some(Self { file: Some(path.to_owned()), ..config }))
    }

    /// The top-level sections that are not the same in `other`.
    pub(crate) fn sections_that_differ<'c>(&'c self, other: &'c Self) -> BTreeSet<&'c str> {
        let names = self.sections.keys().chain(other.sections.keys()).map(String::as_str);
        names.filter(|name| self.sections.get(*name) != other.sections.get(*name)).collect()
    }
}

/// The JSON Schema of the file (`fhir-gateway config schema`).
pub fn schema() -> Value {
    let settings =
        schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<raw::Raw>().to_value()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::LEAST;
