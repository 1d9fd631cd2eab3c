//! rotel, a real OpenTelemetry collector that prints what it receives.

use std::time::Duration;

use anyhow::Result;

use super::process::{Part, Running, free_port};
use super::tools::Tools;

/// A running collector.
#[derive(Debug)]
pub struct Collector {
    /// Where OTLP over HTTP is taken: append `/v1/traces`, `/v1/metrics` or `/v1/logs`.
    pub otlp: String,
    /// Its process; its log holds what it received.
    pub process: Running,
}

impl Collector {
    /// Installs rotel when needed, starts it and waits until it listens. `name` is its log's.
    ///
    /// # Errors
    /// When it cannot be installed, or does not listen within a minute.
    pub async fn start(tools: &Tools, name: &str) -> Result<Self> {
        let program = tools.rotel().await?;
        let http = free_port()?;
        let grpc = free_port()?;
        let mut process = Part::new(name, program)
            .args(["start", "--debug-log", "traces", "--debug-log", "metrics", "--debug-log", "logs"])
            .args(["--debug-log-verbosity", "detailed"])
            .args(["--exporter", "blackhole"])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
            .start()?;
        process
            .ready(Duration::from_secs(60), async |_: &str| {
                tokio::net::TcpStream::connect(("127.0.0.1", http)).await.ok()
            })
            .await?;
        Ok(Self { otlp: format!("http://127.0.0.1:{http}"), process })
    }
}
