//! The sidecar's configuration: one TOML file, checked as a whole before anything binds.
//!
//! [`raw`] is the file as written (every key documented there, exported as a JSON Schema); this module holds what the
//! program works with. [`load`] reports every fault at once, each with its key and the cure.

mod check;
pub mod raw;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use evidence::ids::{Address, ChainId, Hash, LogId, Origin, SourceId, TenantId};
use tracing_subscriber::filter::LevelFilter;
use url::Url;

pub use check::{Fault, Faults, from_text, load};

/// Time from a block to its finality on Ethereum when all is well, doubled.
pub const FINALITY: Duration = Duration::from_secs(2 * 64 * 12);

/// The whole configuration, parsed and checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The log: its name, where it lies, the key that signs it.
    pub log: LogConfig,
    /// The write side.
    pub ingest: IngestConfig,
    /// The read side.
    pub public: PublicConfig,
    /// The chain; absent when this log is not anchored.
    pub anchor: Option<AnchorConfig>,
    /// Logs, metrics and traces.
    pub telemetry: TelemetryConfig,
    /// Every bound of the program.
    pub limits: Limits,
}

/// The log: its name, where it lies, the key that signs it.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// C2SP origin line of every checkpoint.
    pub origin: Origin,
    /// Directory that holds the record store, the tiles and the anchors.
    pub dir: PathBuf,
    /// File with the Ed25519 signing key in C2SP text form.
    pub key_file: PathBuf,
    /// Tenant whose commitments the log holds; printed, never hashed here.
    pub tenant: Option<TenantId>,
    /// Allows a directory on a network file system, where locks and syncs may lie.
    pub danger_network_file_system: bool,
}

/// The write side: who may add leaves, and over what.
#[derive(Debug, Clone)]
pub struct IngestConfig {
    /// Unix socket or mutual TLS.
    pub listener: IngestListener,
    /// Sources that may write; empty means every authenticated peer's source.
    pub allowed_sources: Vec<SourceId>,
}

/// How sources reach the write side.
#[derive(Debug, Clone)]
pub enum IngestListener {
    /// A Unix socket whose peers are known by their user id.
    Socket {
        /// Path of the socket.
        path: PathBuf,
        /// User ids that may write; empty means the user that the sidecar runs as.
        allowed_uids: Vec<u32>,
    },
    /// HTTPS where the client shows a certificate of `client_ca`.
    MutualTls {
        /// Address to bind.
        listen: SocketAddr,
        /// PEM file with the server's certificate chain.
        cert: PathBuf,
        /// PEM file with the server's key.
        key: PathBuf,
        /// PEM file with the authorities that sign client certificates.
        client_ca: PathBuf,
    },
}

/// The read side.
#[derive(Debug, Clone)]
pub struct PublicConfig {
    /// Address of the plain HTTP server with checkpoint, tiles, proofs, status and metrics.
    pub listen: SocketAddr,
}

/// The chain that the log is anchored on.
#[derive(Debug, Clone)]
pub struct AnchorConfig {
    /// JSON-RPC end points; two that must agree, one only with the dangerous switch.
    pub rpc: Vec<Url>,
    /// Chain that every end point must be on.
    pub chain_id: ChainId,
    /// Address of the AnchorRegistry.
    pub contract: Address,
    /// The log's id in that contract.
    pub log_id: LogId,
    /// Keccak-256 of the contract's deployed code; checked at start when given.
    pub code_hash: Option<Hash>,
    /// File with the publisher's secp256k1 key.
    pub publisher_key_file: PathBuf,
    /// File with the password of the publisher's key file, where that is encrypted.
    pub publisher_password_file: Option<PathBuf>,
    /// Time between two anchors, also of an idle log.
    pub cadence: Duration,
    /// Age of the oldest leaf without a final anchor from which on the alarm is raised.
    pub overdue_after: Duration,
    /// Highest fee per gas, in wei, that the sender may offer.
    pub max_fee_per_gas: u128,
    /// Depth at which a block counts as final on chains without the `finalized` tag.
    pub finality_depth: Option<u64>,
}

/// Logs, metrics and traces.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// Least level of the log lines.
    pub log_level: LevelFilter,
    /// Base of the OTLP end point (HTTP with protobuf) for traces; absent means no traces.
    pub otlp_endpoint: Option<Url>,
    /// Name of this service in traces.
    pub service_name: String,
    /// How log lines look.
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Plain text for a terminal.
    Text,
}

/// Every bound of the program.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Requests that may wait for the sequencer; one more is answered 503 `busy`.
    pub queue: usize,
    /// Commitments in one request.
    pub batch: usize,
    /// Leaves in one record.
    pub group: usize,
    /// Bytes in one request body.
    pub body: usize,
    /// Leaves that may wait for an earlier sequence number.
    pub reorder_leaves: usize,
    /// Longest wait for an earlier sequence number.
    pub reorder_wait: Duration,
    /// Leaves that may be recorded but not yet in tiles; one more is answered 503 `busy`.
    pub unintegrated: u64,
    /// Time between two runs that write tiles and move the checkpoint inside.
    pub integrate_every: Duration,
    /// Time given to open requests when the program is asked to stop.
    pub drain: Duration,
}
