//! A second, different FHIR server: the program that `SEALGATE_HFS` names, called with a port and a database file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::fhir;
use super::process::{Part, Running, free_port};
use super::workspace;

/// The running second server.
#[derive(Debug)]
pub struct Hfs {
    /// Its FHIR base, without a slash at the end.
    pub base: String,
    /// Its process.
    pub process: Running,
}

/// The program, where the environment names one.
#[must_use]
pub fn program() -> Option<PathBuf> {
    workspace::environment("SEALGATE_HFS").map(PathBuf::from)
}

impl Hfs {
    /// Starts it on this database file and waits until it answers.
    ///
    /// # Errors
    /// Without `SEALGATE_HFS`, or when it is not ready within two minutes.
    pub async fn start(name: &str, database: &Path) -> Result<Self> {
        let program = program().context(
            "SEALGATE_HFS is not set: name the program that starts the second FHIR server (called with a port and a database file)",
        )?;
        let port = free_port()?;
        let base = format!("http://127.0.0.1:{port}");
        let mut process = Part::new(name, program).arg(port.to_string()).arg(database).start()?;
        let client = fhir::client()?;
        let probe = format!("{base}/metadata");
        process
            .ready(Duration::from_secs(120), async |_: &str| {
                let answer = client.get(&probe).send().await.ok()?;
                answer.status().is_success().then_some(())
            })
            .await?;
        Ok(Self { base, process })
    }
}
