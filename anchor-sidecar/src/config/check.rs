//! From the file to [`Config`]: every fault is collected, none hides another.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use serde::de::DeserializeOwned;
use toml::{Table, Value};
use url::Url;

use super::{
    AnchorConfig, Config, FINALITY, IngestConfig, IngestListener, Limits, LogConfig, LogFormat, PublicConfig,
    TelemetryConfig,
    raw::{RawAnchor, RawConfig, RawIngest, RawLimits, RawLog, RawPublic, RawTelemetry},
};

/// What is wrong with one key, and the cure.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The key, for example `log.origin`; the file's name where the whole file is at fault.
    pub key: String,
    /// One sentence: what is wrong and what to write instead.
    pub message: String,
}

/// Every fault of a configuration, sorted by key; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} fault(s):", self.0.len())?;
        for Fault { key, message } in &self.0 {
            write!(f, "\n  {key}: {message}")?;
        }
        Ok(())
    }
}

/// Reads the file and the environment's overrides, and checks both as a whole.
///
/// # Errors
/// [`Faults`] with every fault found.
#[expect(clippy::disallowed_methods, reason = "the environment is read here, once")]
pub fn load(path: &std::path::Path) -> Result<Config, Faults> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot be read ({error}); give the path of a readable TOML file");
        Faults(vec![Fault { key: path.display().to_string(), message }])
    })?;
    from_text(&text, std::env::vars())
}

/// As [`load`], from the text of a file and a list of environment variables.
///
/// # Errors
/// [`Faults`] with every fault found.
pub fn from_text(text: &str, environment: impl IntoIterator<Item = (String, String)>) -> Result<Config, Faults> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        Faults(vec![Fault { key: "file".into(), message: format!("is not TOML: {}", error.to_string().trim_end()) }])
    })?;
    let mut check = Check::default();
    let overrides = check.overrides(environment);
    let raw = check.read(table, &overrides);
    let config = check.typed(raw);
    match (config, check.0.is_empty()) {
        (Some(config), true) => Ok(config),
        _ => {
            check.0.sort();
            check.0.dedup();
            Err(Faults(check.0))
        }
    }
}

/// Values of the environment, by section and key.
type Overrides = BTreeMap<(String, String), String>;

/// The faults found so far.
#[derive(Default)]
struct Check(Vec<Fault>);

impl Check {
    fn fault(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault { key: key.into(), message: message.into() });
    }

    fn overrides(&mut self, environment: impl IntoIterator<Item = (String, String)>) -> Overrides {
        let mut overrides = Overrides::new();
        for (name, value) in environment {
            let Some(rest) = name.strip_prefix("SEALGATE__") else { continue };
            let mut parts = rest.split("__");
            match (parts.next(), parts.next(), parts.next()) {
                (Some(section), Some(key), None) if !section.is_empty() && !key.is_empty() => {
                    overrides.insert((section.to_ascii_lowercase(), key.to_ascii_lowercase()), value);
                }
                _ => self.fault(name, "is not of the form SEALGATE__SECTION__KEY; rename or unset it"),
            }
        }
        overrides
    }

    /// Reads each key by itself, so that a fault in one hides no other.
    fn read(&mut self, mut table: Table, overrides: &Overrides) -> RawConfig {
        let sections = ["log", "ingest", "public", "anchor", "telemetry", "limits"];
        for (section, key) in overrides.keys() {
            if !sections.contains(&section.as_str()) {
                self.fault(
                    format!("SEALGATE__{}__{}", section.to_uppercase(), key.to_uppercase()),
                    format!("names no section; the sections are {}", sections.join(", ")),
                );
            }
        }
        let has_anchor = table.contains_key("anchor") || overrides.keys().any(|(section, _)| section == "anchor");
        let raw = RawConfig {
            log: self.section::<RawLog>(&mut table, overrides, "log"),
            ingest: self.section::<RawIngest>(&mut table, overrides, "ingest"),
            public: self.section::<RawPublic>(&mut table, overrides, "public"),
            anchor: has_anchor.then(|| self.section::<RawAnchor>(&mut table, overrides, "anchor")),
            telemetry: self.section::<RawTelemetry>(&mut table, overrides, "telemetry"),
            limits: self.section::<RawLimits>(&mut table, overrides, "limits"),
        };
        for key in table.keys() {
            self.fault(key, format!("is not a section of this file; the sections are {}", sections.join(", ")));
        }
        raw
    }

    fn section<S: DeserializeOwned + Default>(&mut self, table: &mut Table, overrides: &Overrides, section: &str) -> S {
        let written = match table.remove(section) {
            None => Table::new(),
            Some(Value::Table(written)) => written,
            Some(_) => {
                self.fault(section, format!("must be a section: write [{section}] and its keys below"));
                Table::new()
            }
        };
        let mut good = Table::new();
        for (key, value) in written {
            let overridden = overrides.contains_key(&(section.to_owned(), key.clone()));
            match alone::<S>(&key, &value) {
                Ok(()) => {
                    good.insert(key, value);
                }
                Err(_) if overridden => {}
                Err(message) => self.fault(format!("{section}.{key}"), message),
            }
        }
        for ((_, key), text) in overrides.iter().filter(|((of, _), _)| of == section) {
            let candidates = [
                format!("v = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("v")),
                Some(Value::String(text.clone())),
            ];
            let mut last = String::new();
            let fitting = candidates.into_iter().flatten().find(|value| match alone::<S>(key, value) {
                Ok(()) => true,
                Err(message) => {
                    last = message;
                    false
                }
            });
            match fitting {
                Some(value) => {
                    good.insert(key.clone(), value);
                }
                None => {
                    self.fault(format!("SEALGATE__{}__{}", section.to_uppercase(), key.to_uppercase()), last);
                }
            }
        }
        S::deserialize(good).unwrap_or_else(|error: toml::de::Error| {
            self.fault(section, error.message());
            S::default()
        })
    }

    fn typed(&mut self, raw: RawConfig) -> Option<Config> {
        let log = self.log(raw.log);
        let ingest = self.ingest(raw.ingest);
        let public = self.public(raw.public);
        let anchor = raw.anchor.map(|anchor| self.anchor(anchor));
        let telemetry = self.telemetry(raw.telemetry);
        let limits = self.limits(&raw.limits);
        Some(Config {
            log: log?,
            ingest: ingest?,
            public: public?,
            anchor: match anchor {
                None => None,
                Some(anchor) => Some(anchor?),
            },
            telemetry: telemetry?,
            limits,
        })
    }

    fn log(&mut self, raw: RawLog) -> Option<LogConfig> {
        let origin = self.required("log.origin", raw.origin, "the log's name, such as log.example.org/north");
        let origin =
            origin.and_then(|text| self.parsed("log.origin", &text, "a schema-less URL without spaces or '+'"));
        let dir = self.required("log.dir", raw.dir, "the log's directory");
        let key_file = self.required("log.key_file", raw.key_file, "the file that `anchor-sidecar keygen log` made");
        let tenant = raw.tenant.and_then(|text| self.parsed("log.tenant", &text, "a tenant id"));
        Some(LogConfig {
            origin: origin?,
            dir: dir?.into(),
            key_file: key_file?.into(),
            tenant,
            danger_network_file_system: raw.danger_network_file_system,
        })
    }

    fn ingest(&mut self, raw: RawIngest) -> Option<IngestConfig> {
        let allowed_sources = raw
            .allowed_sources
            .iter()
            .filter_map(|text| self.parsed("ingest.allowed_sources", text, "32 hex digits"))
            .collect();
        let tls = [("tls_cert", &raw.tls_cert), ("tls_key", &raw.tls_key), ("client_ca", &raw.client_ca)];
        let listener = match (raw.socket, raw.listen) {
            (None, None) => {
                self.fault(
                    "ingest.socket",
                    "is missing; write the path of a Unix socket, or ingest.listen with TLS keys",
                );
                None
            }
            (Some(_), Some(_)) => {
                self.fault("ingest.listen", "contradicts ingest.socket; keep one of them");
                None
            }
            (Some(path), None) => {
                for (key, _) in tls.iter().filter(|(_, value)| value.is_some()) {
                    self.fault(
                        format!("ingest.{key}"),
                        "belongs to ingest.listen; remove it or write listen for socket",
                    );
                }
                Some(IngestListener::Socket { path: path.into(), allowed_uids: raw.allowed_uids })
            }
            (None, Some(listen)) => {
                if !raw.allowed_uids.is_empty() {
                    self.fault("ingest.allowed_uids", "belongs to ingest.socket; remove it");
                }
                let listen = self.parsed::<SocketAddr>("ingest.listen", &listen, "an address such as 0.0.0.0:8443");
                let cert = self.required("ingest.tls_cert", raw.tls_cert, "a PEM file with the certificate chain");
                let key = self.required("ingest.tls_key", raw.tls_key, "a PEM file with the key");
                let ca = self.required("ingest.client_ca", raw.client_ca, "a PEM file; sources must show certificates");
                match (listen, cert, key, ca) {
                    (Some(listen), Some(cert), Some(key), Some(client_ca)) => Some(IngestListener::MutualTls {
                        listen,
                        cert: cert.into(),
                        key: key.into(),
                        client_ca: client_ca.into(),
                    }),
                    _ => None,
                }
            }
        };
        Some(IngestConfig { listener: listener?, allowed_sources })
    }

    fn public(&mut self, raw: RawPublic) -> Option<PublicConfig> {
        let text = raw.listen.unwrap_or_else(|| "127.0.0.1:8091".into());
        let listen = self.parsed("public.listen", &text, "an address such as 127.0.0.1:8091");
        Some(PublicConfig { listen: listen? })
    }

    fn anchor(&mut self, raw: RawAnchor) -> Option<AnchorConfig> {
        let before = self.0.len();
        let rpc: Vec<Url> = raw.rpc.iter().filter_map(|text| self.http_url("anchor.rpc", text)).collect();
        if raw.rpc.is_empty() {
            self.fault("anchor.rpc", "is missing; write a list of two JSON-RPC URLs of independent operators");
        } else if raw.rpc.len() < 2 && !raw.danger_single_rpc {
            self.fault("anchor.rpc", "needs two end points that must agree; danger_single_rpc = true allows one");
        }
        let chain_id = self.required("anchor.chain_id", raw.chain_id, "the chain's id, such as 11155111");
        let contract = self.required("anchor.contract", raw.contract, "the address that `deploy` printed");
        let contract = contract.and_then(|text| self.parsed("anchor.contract", &text, "0x and 40 hex digits"));
        let log_id = self.required("anchor.log_id", raw.log_id, "the id that `register` printed");
        let log_id = log_id.and_then(|text| self.hex32("anchor.log_id", &text));
        let code_hash = raw.code_hash.and_then(|text| self.hex32("anchor.code_hash", &text));
        let key = self.required("anchor.publisher_key_file", raw.publisher_key_file, "the publisher's key file");
        let cadence = raw.cadence_seconds.unwrap_or(600);
        if cadence == 0 {
            self.fault("anchor.cadence_seconds", "must be at least 1");
        }
        let overdue = raw.overdue_seconds.unwrap_or(cadence.saturating_mul(2).saturating_add(FINALITY.as_secs()));
        if overdue <= cadence {
            self.fault("anchor.overdue_seconds", "must be more than anchor.cadence_seconds: each anchor would be late");
        }
        let max_fee_per_gas = u128::from(raw.max_fee_gwei.unwrap_or(200)).saturating_mul(1_000_000_000);
        if max_fee_per_gas == 0 {
            self.fault("anchor.max_fee_gwei", "must be at least 1");
        }
        if self.0.len() > before {
            return None;
        }
        Some(AnchorConfig {
            rpc,
            chain_id: evidence::ids::ChainId::new(chain_id?),
            contract: contract?,
            log_id: evidence::ids::LogId::new(log_id?),
            code_hash: code_hash.map(evidence::ids::Hash::new),
            publisher_key_file: key?.into(),
            publisher_password_file: raw.publisher_password_file.map(PathBuf::from),
            cadence: Duration::from_secs(cadence),
            overdue_after: Duration::from_secs(overdue),
            max_fee_per_gas,
            finality_depth: raw.finality_depth,
        })
    }

    fn telemetry(&mut self, raw: RawTelemetry) -> Option<TelemetryConfig> {
        let level = raw.log_level.as_deref().unwrap_or("info");
        let log_level = self.parsed("telemetry.log_level", level, "error, warn, info, debug or trace");
        let otlp_endpoint = match raw.otlp_endpoint {
            None => None,
            Some(text) => Some(self.http_url("telemetry.otlp_endpoint", &text)?),
        };
        Some(TelemetryConfig {
            log_level: log_level?,
            otlp_endpoint,
            service_name: raw.service_name.unwrap_or_else(|| "anchor-sidecar".into()),
            log_format: raw.log_format.unwrap_or(LogFormat::Json),
        })
    }

    fn limits(&mut self, raw: &RawLimits) -> Limits {
        let mut bound = |key: &str, value: Option<u32>, default: u32, low: u32, high: u32| {
            let value = value.unwrap_or(default);
            if value < low || value > high {
                self.fault(format!("limits.{key}"), format!("is {value}; it must lie between {low} and {high}"));
            }
            value
        };
        let queue = bound("queue", raw.queue, 1024, 1, 1 << 20);
        let batch = bound("batch", raw.batch, 1024, 1, 1024);
        let group = bound("group", raw.group, 65_536, 1024, 1 << 20);
        let body = bound("body", raw.body, 262_144, 1024, 16 << 20);
        let reorder_leaves = bound("reorder_leaves", raw.reorder_leaves, 8192, 0, 1 << 20);
        let reorder_wait = bound("reorder_wait_ms", raw.reorder_wait_ms, 250, 0, 10_000);
        let unintegrated = bound("unintegrated", raw.unintegrated, 4 << 20, 1 << 16, 1 << 26);
        let integrate_every = bound("integrate_every_ms", raw.integrate_every_ms, 1000, 1000, 60_000);
        let drain = bound("drain_seconds", raw.drain_seconds, 10, 0, 600);
        let size = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
        Limits {
            queue: size(queue),
            batch: size(batch),
            group: size(group),
            body: size(body),
            reorder_leaves: size(reorder_leaves),
            reorder_wait: Duration::from_millis(reorder_wait.into()),
            unintegrated: unintegrated.into(),
            integrate_every: Duration::from_millis(integrate_every.into()),
            drain: Duration::from_secs(drain.into()),
        }
    }

    fn required<T>(&mut self, key: &str, value: Option<T>, what: &str) -> Option<T> {
        if value.is_none() {
            self.fault(key, format!("is missing; write {what}"));
        }
        value
    }

    fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, key: &str, text: &str, form: &str) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(key, format!("{error}; write {form}"));
                None
            }
        }
    }

    fn hex32(&mut self, key: &str, text: &str) -> Option<[u8; 32]> {
        let mut bytes = [0; 32];
        match hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes) {
            Ok(()) => Some(bytes),
            Err(_) => {
                self.fault(key, "is not a 32-byte value; write 64 hex digits");
                None
            }
        }
    }

    fn http_url(&mut self, key: &str, text: &str) -> Option<Url> {
        // The text itself is not repeated: an RPC URL may carry its operator's API key.
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
            Ok(_) | Err(_) => {
                self.fault(key, "holds something that is not an http or https URL; write it in full");
                None
            }
        }
    }
}

/// Whether one key with one value is a right section by itself.
fn alone<S: DeserializeOwned>(key: &str, value: &Value) -> Result<(), String> {
    let mut table = Table::new();
    table.insert(key.to_owned(), value.clone());
    match S::deserialize(table) {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.message() {
            message if message.starts_with("unknown field") => {
                format!("is not a key of this section ({}); remove it or correct its spelling", message)
            }
            message => format!("has the wrong type: {message}"),
        }),
    }
}
