//! The configuration file as written; each key's document comment is the reference manual.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LogFormat;

/// Configuration of the anchor sidecar (TOML).
///
/// Environment variables `SEALGATE__SECTION__KEY` override single keys, for example
/// `SEALGATE__LOG__DIR=/var/lib/sealgate/log`; lists are written as in TOML.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawConfig {
    /// The log: its name, where it lies, the key that signs it.
    pub log: RawLog,
    /// The write side: a Unix socket, or HTTPS with client certificates.
    pub ingest: RawIngest,
    /// The read side: plain HTTP.
    pub public: RawPublic,
    /// The chain that the log is anchored on; leave the section out for a log without anchors.
    pub anchor: Option<RawAnchor>,
    /// Logs, metrics and traces.
    pub telemetry: RawTelemetry,
    /// Every bound of the program.
    pub limits: RawLimits,
}

/// The log: its name, where it lies, the key that signs it.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawLog {
    /// Name of the log for ever: the first line of every checkpoint, a schema-less URL such as `log.example.org/north`.
    pub origin: Option<String>,
    /// Directory of the log; made when absent. A second sidecar on it stops by itself. Network file systems are refused.
    pub dir: Option<String>,
    /// File with the log's Ed25519 signing key (`anchor-sidecar keygen log` makes one).
    pub key_file: Option<String>,
    /// Tenant whose commitments the log holds; printed in the trust file's comment only.
    pub tenant: Option<String>,
    /// Allows `dir` on a network file system. Locks and syncs may lie there, and the log can fork or lose leaves.
    pub danger_network_file_system: bool,
}

/// The write side: a Unix socket (`socket`) or HTTPS with client certificates (`listen`); exactly one of them.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawIngest {
    /// Path of the Unix socket.
    pub socket: Option<String>,
    /// User ids that may write over the socket; default: the user that the sidecar runs as.
    pub allowed_uids: Vec<u32>,
    /// Address of the HTTPS server, for example `0.0.0.0:8443`.
    pub listen: Option<String>,
    /// PEM file with the HTTPS server's certificate chain.
    pub tls_cert: Option<String>,
    /// PEM file with the HTTPS server's key.
    pub tls_key: Option<String>,
    /// PEM file with the authorities that sign the sources' client certificates.
    pub client_ca: Option<String>,
    /// Source ids (32 hex digits) that may write; default: the source of every authenticated peer.
    pub allowed_sources: Vec<String>,
}

/// The read side: plain HTTP. Put authentication before `/v1`, `/metrics` and live tiles when strangers can reach it.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawPublic {
    /// Address to bind; default `127.0.0.1:8091`.
    pub listen: Option<String>,
}

/// The chain that the log is anchored on.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawAnchor {
    /// URLs of JSON-RPC end points of independent operators; at least two, which must agree.
    pub rpc: Vec<String>,
    /// Chain id that every end point must have.
    pub chain_id: Option<u64>,
    /// Address of the AnchorRegistry (`anchor-sidecar deploy` prints one).
    pub contract: Option<String>,
    /// Id of the log in that contract (`anchor-sidecar register` prints it).
    pub log_id: Option<String>,
    /// Keccak-256 of the contract's deployed code; compared at start.
    pub code_hash: Option<String>,
    /// File with the publisher's secp256k1 key: an encrypted key file (keystore v3) or 64 hex digits.
    pub publisher_key_file: Option<String>,
    /// File with the password of an encrypted publisher key.
    pub publisher_password_file: Option<String>,
    /// Seconds between two anchors, also when the log is idle; default 600.
    pub cadence_seconds: Option<u64>,
    /// Seconds that a leaf may wait for a final anchor before the alarm is raised, whatever holds anchoring up; more than the
    /// cadence and the chain's time to finality. Default: twice the cadence and 1536.
    pub overdue_seconds: Option<u64>,
    /// Highest fee per gas, in gwei, that is ever offered; above it the sender holds and alarms. Default 200.
    pub max_fee_gwei: Option<u64>,
    /// Depth in blocks at which a block counts as final, for chains without the `finalized` tag; leave out on others.
    pub finality_depth: Option<u64>,
    /// Allows a single RPC end point. One lying node can then hide a fork of the log or a lost anchor.
    pub danger_single_rpc: bool,
}

/// Logs, metrics and traces.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawTelemetry {
    /// Base of the OTLP end point (HTTP with protobuf) for traces, metrics and log lines, for example `http://127.0.0.1:4318`;
    /// default: nothing is exported.
    pub otlp_endpoint: Option<String>,
    /// Name of this service in traces; default `anchor-sidecar`.
    pub service_name: Option<String>,
    /// Least level of the log lines: `error`, `warn`, `info`, `debug` or `trace`; default `info`.
    pub log_level: Option<String>,
    /// Form of the log lines on standard error; default `json`.
    pub log_format: Option<LogFormat>,
}

/// Every bound of the program; each default suits one busy hospital.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawLimits {
    /// Requests that may wait for the sequencer; one more is answered 503 `busy`. Default 1024.
    pub queue: Option<u32>,
    /// Commitments in one request; one more is refused. Default 1024, at most 1024.
    pub batch: Option<u32>,
    /// Leaves in one record; more wait for the next one. Default 65536.
    pub group: Option<u32>,
    /// Bytes in one request body; one more is refused. Default 262144.
    pub body: Option<u32>,
    /// Leaves that may wait for an earlier sequence number; one more is answered 422. Default 8192.
    pub reorder_leaves: Option<u32>,
    /// Longest wait, in milliseconds, for an earlier sequence number; then 422. Default 250.
    pub reorder_wait_ms: Option<u32>,
    /// Leaves that may be recorded but not yet in tiles; one more is answered 503 `busy`. Default 4194304.
    pub unintegrated: Option<u32>,
    /// Milliseconds between two runs that write tiles and move the checkpoint inside; at least 1000. Default 1000.
    pub integrate_every_ms: Option<u32>,
    /// Seconds given to open requests when the program is asked to stop. Default 10.
    pub drain_seconds: Option<u32>,
}
