//! What fits the schema → what makes sense.
//!
//! Each function takes one table apart. It returns `None` only after it has noted a fault, and it looks at every key before
//! it returns, so that all faults are found in one run.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use gateway_core::interaction::MAX_QUERY;
use gateway_core::policy::ConsentSettings;
use serde_json::Value;
use url::Url;

use super::problem::Findings;
use super::raw::{
    Raw, RawAdmin, RawAuditEvent, RawAuditEventMode, RawConsentSource, RawFhirVersion, RawJournal, RawLimits,
    RawLogFormat, RawPeer, RawServer, RawShadow, RawSidecar, RawTelemetry, RawTls, RawUpstream,
};
use super::section::{Fault, Section, above_zero, base_url, file_path, interval_or_off, not_empty, socket_address};
use super::{
    AdminConfig, AuditEventMode, Config, ConsentSourceConfig, FhirVersion, JournalConfig, Limits, LogFormat,
    OrganisationConfig, PeerConfig, ServerConfig, ShadowConfig, SidecarAddress, SidecarConfig, TelemetryConfig,
    TlsFiles, UpstreamConfig, glass, settings, typed_auth,
};

const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;
const GIB: u64 = 1 << 30;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Types the whole file.
pub(super) fn config(value: Value, digest: [u8; 32], findings: &mut Findings) -> Option<Config> {
    let raw: Raw = match serde_json::from_value(value) {
        Ok(raw) => raw,
        Err(error) => {
            // The value was fitted to the schema of this very type; a fault here is one that the walk does not know.
            findings.fault("", format!("does not fit the schema ({:?})", error.classify()), "see config.example.toml");
            return None;
        }
    };
    let mut root = Section::new("", findings);

    let server = root.present("server", raw.server).and_then(|raw| server(raw, &mut root.below("server")));
    let upstream = root.present("upstream", raw.upstream).and_then(|raw| upstream(raw, &mut root.below("upstream")));
    let upstream_peer = upstream.as_ref().map(|upstream| &upstream.peer);
    let consent_source =
        consent_source(&raw.consent_source.unwrap_or_default(), upstream_peer, &mut root.below("consent_source"));
    let public_base = server.as_ref().map(|server| &server.public_base);
    let audit_event =
        audit_event(&raw.audit_event.unwrap_or_default(), upstream_peer, public_base, &mut root.below("audit_event"));
    let consent = settings::consent(raw.consent.unwrap_or_default(), &mut root.below("consent"));
    let redactions: Vec<_> = raw
        .redaction
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .map(|(index, rule)| settings::redaction(rule, &mut root.below(&format!("redaction[{index}]"))))
        .collect();
    let clients = raw.client.unwrap_or_default();
    let auth = root.present("auth", raw.auth).and_then(|raw| typed_auth::auth(raw, clients, &mut root));
    let policy = raw.policy.unwrap_or_default();
    let dir = root.below("policy").optional("cedar_dir", policy.cedar_dir.as_deref(), file_path);
    let label_sets = root.below("policy").optional("label_sets_file", policy.label_sets_file.as_deref(), file_path);
    let shadow = raw.shadow.map(|raw| shadow(&raw, &mut root.below("shadow")));
    let journal = root.present("journal", raw.journal).and_then(|raw| journal(&raw, &mut root.below("journal")));
    let sidecar = root.present("sidecar", raw.sidecar).and_then(|raw| sidecar(&raw, &mut root.below("sidecar")));
    let admin = root.present("admin", raw.admin).and_then(|raw| admin(&raw, &mut root.below("admin")));
    let telemetry = telemetry(&raw.telemetry.unwrap_or_default(), &mut root.below("telemetry"));

    let roles = settings::roles(raw.roles.unwrap_or_default());
    let glass = glass::glass(raw.break_glass.unwrap_or_default(), &mut root.below("break_glass"));

    let (server, upstream) = (server?, upstream?);
    let consent = ConsentSettings {
        public_base: Some(server.public_base.as_str().trim_end_matches('/').to_owned()),
        upstream_base: Some(upstream.peer.base.as_str().trim_end_matches('/').to_owned()),
        ..consent?
    };
    Some(Config {
        server,
        upstream,
        consent_source: consent_source?,
        consent,
        roles,
        redactions: redactions.into_iter().collect::<Option<_>>()?,
        glass: glass?,
        auth: auth?,
        organisation: OrganisationConfig { dir: dir?, label_sets: label_sets? },
        shadow: match shadow {
            None => None,
            Some(shadow) => Some(shadow?),
        },
        journal: journal?,
        sidecar: sidecar?,
        audit_event: audit_event?,
        admin: admin?,
        telemetry: telemetry?,
        digest,
        sections: BTreeMap::new(),
        file: None,
    })
}

fn server(raw: RawServer, section: &mut Section<'_>) -> Option<ServerConfig> {
    let listen = section.required("listen", raw.listen.as_deref(), socket_address);
    let public_base = section.required("public_base", raw.public_base.as_deref(), base_url);
    let origins: Vec<_> = raw
        .cors_origins
        .unwrap_or_default()
        .iter()
        .enumerate()
        .map(|(index, text)| section.parsed(&format!("cors_origins[{index}]"), text, origin))
        .collect();
    let tls = raw.tls.map(|tls| server_tls(&tls, &mut section.below("tls")));
    let limits = limits(&raw.limits.unwrap_or_default(), &mut section.below("limits"));
    Some(ServerConfig {
        listen: listen?,
        public_base: public_base?,
        workers: raw.workers.and_then(|count| NonZeroUsize::new(index(count))),
        cors_origins: origins.into_iter().collect::<Option<_>>()?,
        tls: match tls {
            None => None,
            Some(tls) => Some(tls?),
        },
        limits: limits?,
    })
}

fn server_tls(raw: &RawTls, section: &mut Section<'_>) -> Option<TlsFiles> {
    let certificate = section.required("certificate_file", raw.certificate_file.as_deref(), file_path);
    let key = section.required("key_file", raw.key_file.as_deref(), file_path);
    Some(TlsFiles { certificate: certificate?, key: key? })
}

/// An origin is a scheme, a host and perhaps a port (RFC 6454, 6.2); `*` would let any page read with a stolen token.
fn origin(text: &str) -> Result<String, Fault> {
    let cure = "write it as https://app.example.org";
    let url = base_url(text)?;
    if url.path() != "/" {
        return Err(("not an origin: it has a path", cure));
    }
    Ok(url.origin().ascii_serialization())
}

fn limits(raw: &RawLimits, section: &mut Section<'_>) -> Option<Limits> {
    let body = section.memory("body", raw.body.as_deref(), 4 * MIB);
    let header = section.memory("header", raw.header.as_deref(), 32 * KIB);
    let header = section.at_most("header", header, 64 << 10, "write at most 64 KiB: more is not read from the network");
    let query = section.memory("query", raw.query.as_deref(), 32 * KIB);
    let query = section.at_most("query", query, MAX_QUERY, "write at most 32 KiB, and let clients search by POST");
    let entry = section.memory("entry", raw.entry.as_deref(), 8 * MIB);
    let window = section.memory("window", raw.window.as_deref(), 256 << 10);
    let batch_answer = section.memory("batch_answer", raw.batch_answer.as_deref(), 16 * MIB);
    let header_timeout = section.duration("header_timeout", raw.header_timeout.as_deref(), seconds(10));
    let request_timeout = section.duration("request_timeout", raw.request_timeout.as_deref(), seconds(120));
    let keep_alive = section.duration("keep_alive", raw.keep_alive.as_deref(), seconds(75));
    let drain_timeout = section.duration("drain_timeout", raw.drain_timeout.as_deref(), seconds(30));
    Some(Limits {
        body: body?,
        header: header?,
        query: query?,
        entry: entry?,
        window: window?,
        window_entries: raw.window_entries.map_or(256, index),
        references: raw.references.map_or(256, index),
        batch_entries: raw.batch_entries.map_or(200, index),
        batch_answer: batch_answer?,
        patch_operations: raw.patch_operations.map_or(64, index),
        chain_steps: raw.chain_steps.map_or(3, index),
        chain_results: raw.chain_results.map_or(500, index),
        concurrent_requests: raw.concurrent_requests.map_or(1024, index),
        header_timeout: header_timeout?,
        request_timeout: request_timeout?,
        keep_alive: keep_alive?,
        drain_timeout: drain_timeout?,
    })
}

fn upstream(raw: RawUpstream, section: &mut Section<'_>) -> Option<UpstreamConfig> {
    let base = section.present("base", raw.base);
    let peer = base.and_then(|base| peer(&base, &raw.peer, section));
    let connect_timeout = section.duration("connect_timeout", raw.connect_timeout.as_deref(), seconds(2));
    let read_timeout = section.duration("read_timeout", raw.read_timeout.as_deref(), seconds(30));
    Some(UpstreamConfig {
        peer: peer?,
        fhir_version: match raw.fhir_version {
            None | Some(RawFhirVersion::R4) => FhirVersion::R4,
        },
        connect_timeout: connect_timeout?,
        read_timeout: read_timeout?,
        max_response_entries: raw.max_response_entries.map_or(10_000, index),
    })
}

fn peer(base: &str, raw: &RawPeer, section: &mut Section<'_>) -> Option<PeerConfig> {
    let base = section.callable("base", base, raw.danger_plain_http.unwrap_or(false));
    let bearer_token =
        section.secret("bearer_token", raw.bearer_token_file.as_deref(), raw.bearer_token_env.as_deref());
    let client_certificate = client_certificate(raw, section);
    let ca_file = section.optional("ca_file", raw.ca_file.as_deref(), file_path);
    Some(PeerConfig {
        base: base?,
        bearer_token: bearer_token?,
        client_certificate: client_certificate?,
        ca_file: ca_file?,
    })
}

#[expect(clippy::option_option, reason = "absent and faulty are two things")]
fn client_certificate(raw: &RawPeer, section: &mut Section<'_>) -> Option<Option<TlsFiles>> {
    match (&raw.client_certificate_file, &raw.client_key_file) {
        (None, None) => Some(None),
        (certificate, key) => {
            let certificate = section.required("client_certificate_file", certificate.as_deref(), file_path);
            let key = section.required("client_key_file", key.as_deref(), file_path);
            Some(Some(TlsFiles { certificate: certificate?, key: key? }))
        }
    }
}

/// A peer that is the upstream, credential included, unless it has a base of its own.
fn peer_or_upstream(
    base: Option<&str>,
    raw: &RawPeer,
    upstream: Option<&PeerConfig>,
    section: &mut Section<'_>,
) -> Option<PeerConfig> {
    if let Some(base) = base {
        return peer(base, raw, section);
    }
    let own = [
        ("bearer_token_file", raw.bearer_token_file.is_some()),
        ("bearer_token_env", raw.bearer_token_env.is_some()),
        ("client_certificate_file", raw.client_certificate_file.is_some()),
        ("client_key_file", raw.client_key_file.is_some()),
        ("ca_file", raw.ca_file.is_some()),
        ("danger_plain_http", raw.danger_plain_http.is_some()),
    ];
    let stray: Vec<_> = own.into_iter().filter(|(_, written)| *written).collect();
    for (name, _) in &stray {
        section.fault(name, "without a `base` the upstream's identity is used", "write `base` too, or remove this key");
    }
    if stray.is_empty() { upstream.cloned() } else { None }
}

fn consent_source(
    raw: &RawConsentSource,
    upstream: Option<&PeerConfig>,
    section: &mut Section<'_>,
) -> Option<ConsentSourceConfig> {
    let peer = peer_or_upstream(raw.base.as_deref(), &raw.peer, upstream, section);
    let max_staleness = section.duration("max_staleness", raw.max_staleness.as_deref(), seconds(30));
    let connect_timeout = section.duration("connect_timeout", raw.connect_timeout.as_deref(), seconds(2));
    let timeout = section.duration("timeout", raw.timeout.as_deref(), seconds(5));
    let poll = section.optional("poll", raw.poll.as_deref(), interval_or_off);
    let notify_token =
        section.secret("notify_token", raw.notify_token_file.as_deref(), raw.notify_token_env.as_deref());
    Some(ConsentSourceConfig {
        peer: peer?,
        max_staleness: max_staleness?,
        poll: poll?.unwrap_or(Some(seconds(5))),
        notify_token: notify_token?,
        cache_patients: raw.cache_patients.map_or(10_000, index),
        connect_timeout: connect_timeout?,
        timeout: timeout?,
    })
}

fn audit_event(
    raw: &RawAuditEvent,
    upstream: Option<&PeerConfig>,
    public_base: Option<&Url>,
    section: &mut Section<'_>,
) -> Option<AuditEventMode> {
    let max_delay = section.optional("max_delay", raw.max_delay.as_deref(), above_zero);
    match raw.mode.unwrap_or(RawAuditEventMode::Journal) {
        RawAuditEventMode::Fhir => {
            let peer = peer_or_upstream(raw.base.as_deref(), &raw.peer, upstream, section)?;
            if public_base.is_some_and(|public| *public == peer.base) {
                let cure = "name the FHIR server behind it, or an audit repository";
                section.fault("base", "it is this gateway: each AuditEvent would make further ones", cure);
                return None;
            }
            Some(AuditEventMode::Fhir { peer: Box::new(peer), max_delay: max_delay? })
        }
        RawAuditEventMode::Journal => {
            let stray = [("base", raw.base.is_some()), ("max_delay", raw.max_delay.is_some())];
            let mut stray = stray.into_iter().filter(|(_, written)| *written).peekable();
            let none = stray.peek().is_none();
            for (name, _) in stray {
                section.fault(name, "it is not used in this mode", "write mode = \"fhir\", or remove this key");
            }
            none.then_some(AuditEventMode::Journal)
        }
    }
}

fn shadow(raw: &RawShadow, section: &mut Section<'_>) -> Option<ShadowConfig> {
    let policy_file = section.optional("policy_file", raw.policy_file.as_deref(), file_path);
    let cedar_dir = section.optional("cedar_dir", raw.cedar_dir.as_deref(), file_path);
    if raw.policy_file.is_none() && raw.cedar_dir.is_none() {
        let cure = "write `policy_file` or `cedar_dir`, or remove `[shadow]`";
        section.fault("policy_file", "without a key the shadow is the policy in force", cure);
        return None;
    }
    Some(ShadowConfig { policy_file: policy_file?, cedar_dir: cedar_dir? })
}

fn journal(raw: &RawJournal, section: &mut Section<'_>) -> Option<JournalConfig> {
    let path = section.required("path", raw.path.as_deref(), file_path);
    let kek_file = section.required("kek_file", raw.kek_file.as_deref(), file_path);
    let tenant = section.required("tenant", raw.tenant.as_deref(), not_empty);
    let max_size = section.size("max_size", raw.max_size.as_deref(), 64 * GIB);
    Some(JournalConfig {
        path: path?,
        kek_file: kek_file?,
        tenant: tenant?,
        max_size: max_size?,
        max_backlog: raw.max_backlog.unwrap_or(1_000_000),
    })
}

fn sidecar(raw: &RawSidecar, section: &mut Section<'_>) -> Option<SidecarConfig> {
    let address = sidecar_address(raw, section);
    let log_key = section.required("log_key", raw.log_key.as_deref(), verifier_key);
    Some(SidecarConfig { address: address?, log_key: log_key? })
}

fn sidecar_address(raw: &RawSidecar, section: &mut Section<'_>) -> Option<SidecarAddress> {
    match (&raw.socket, &raw.url) {
        (Some(socket), None) => {
            let stray = [
                ("client_certificate_file", &raw.client_certificate_file),
                ("client_key_file", &raw.client_key_file),
                ("ca_file", &raw.ca_file),
            ];
            for (name, _) in stray.into_iter().filter(|(_, written)| written.is_some()) {
                section.fault(name, "a socket has no TLS", "remove this key, or write `url` instead of `socket`");
            }
            section.parsed("socket", socket, file_path).map(SidecarAddress::Socket)
        }
        (None, Some(url)) => {
            let url = section.callable("url", url, false).and_then(|url| https_only(url, section));
            let certificate =
                section.required("client_certificate_file", raw.client_certificate_file.as_deref(), file_path);
            let key = section.required("client_key_file", raw.client_key_file.as_deref(), file_path);
            let ca_file = section.required("ca_file", raw.ca_file.as_deref(), file_path);
            let identity = TlsFiles { certificate: certificate?, key: key? };
            Some(SidecarAddress::Https { url: url?, identity, ca_file: ca_file? })
        }
        (None, None) => {
            section.present::<PathBuf>("socket", None);
            None
        }
        (Some(_), Some(_)) => {
            section.fault("socket", "the sidecar has two addresses", "keep either `socket` or `url`");
            None
        }
    }
}

fn https_only(url: url::Url, section: &mut Section<'_>) -> Option<url::Url> {
    if url.scheme() == "https" {
        return Some(url);
    }
    section.fault(
        "url",
        "the sidecar takes commitments over HTTPS with mutual TLS only",
        "write https://, or use `socket`",
    );
    None
}

/// The outer form of a C2SP verifier key: `<name>+<8 hex>+<base64>` (c2sp.org/signed-note, "Verifier keys").
fn verifier_key(text: &str) -> Result<String, Fault> {
    let cure = "copy the line that `anchor-sidecar keygen` prints";
    let mut parts = text.splitn(3, '+');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), Some(hash), Some(key))
            if !name.is_empty()
                && !key.is_empty()
                && hash.len() == 8
                && hash.bytes().all(|b| b.is_ascii_hexdigit()) =>
        {
            Ok(text.to_owned())
        }
        _ => Err(("not a verifier key", cure)),
    }
}

fn admin(raw: &RawAdmin, section: &mut Section<'_>) -> Option<AdminConfig> {
    let listen = section.required("listen", raw.listen.as_deref(), socket_address);
    let token = section.secret("token", raw.token_file.as_deref(), raw.token_env.as_deref());
    Some(AdminConfig { listen: listen?, token: token? })
}

fn telemetry(raw: &RawTelemetry, section: &mut Section<'_>) -> Option<TelemetryConfig> {
    let otlp_endpoint = section.optional("otlp_endpoint", raw.otlp_endpoint.as_deref(), base_url);
    let service_name = section.optional("service_name", raw.service_name.as_deref(), not_empty);
    let log_level = section.optional("log_level", raw.log_level.as_deref(), log_filter);
    Some(TelemetryConfig {
        otlp_endpoint: otlp_endpoint?,
        service_name: service_name?.unwrap_or_else(|| "fhir-gateway".to_owned()),
        log_format: match raw.log_format {
            None | Some(RawLogFormat::Json) => LogFormat::Json,
            Some(RawLogFormat::Text) => LogFormat::Text,
        },
        log_level: log_level?.unwrap_or_else(|| "info".to_owned()),
    })
}

fn log_filter(text: &str) -> Result<String, Fault> {
    match text.parse::<tracing_subscriber::filter::Targets>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(("not a log filter", "write it as info or info,fhir_gateway=debug")),
    }
}

/// Counts of the file have 32 bits, and no machine that runs this has fewer.
pub(super) fn index(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Reports the keys that occur twice in `keys`, by their position.
pub(super) fn repeated<K: Ord>(keys: impl IntoIterator<Item = K>) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    keys.into_iter().enumerate().filter_map(|(index, key)| (!seen.insert(key)).then_some(index)).collect()
}
