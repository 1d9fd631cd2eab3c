//! HAPI FHIR JPA (R4 on H2), the reference upstream.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::process::{Part, Running};
use super::tools::Tools;

/// How HAPI is started; the default suits a test: any port, in memory, nothing reused.
#[derive(Debug, Clone, Default)]
pub struct HapiOptions {
    /// Port on 127.0.0.1; a free one when absent.
    pub port: Option<u16>,
    /// H2 file (without its ending), which outlives the server; in memory when absent.
    pub database: Option<PathBuf>,
    /// Base of every link and `Location`; the real address when absent.
    pub public_base: Option<String>,
    /// Refuses references to resources that do not exist.
    pub referential_integrity: bool,
    /// For how long an equal search gets an earlier result; HAPI's own default is 60 s, ours is never.
    pub reuse_search: Option<Duration>,
}

/// A running HAPI.
#[derive(Debug)]
pub struct Hapi {
    /// Its FHIR base, without a slash at the end.
    pub base: String,
    /// Its process.
    pub process: Running,
}

impl Hapi {
    /// Builds HAPI when needed, starts it and waits until it answers. `name` is its log's.
    ///
    /// # Errors
    /// When it cannot be built, or is not ready within four minutes.
    pub async fn start(tools: &Tools, name: &str, options: &HapiOptions) -> Result<Self> {
        let program = tools.hapi().await?;
        let mut part = Part::new(name, &program.java)
            .args(&program.arguments)
            .args(["--port", &options.port.unwrap_or(0).to_string()])
            .args(["--referential-integrity", if options.referential_integrity { "true" } else { "false" }]);
        if let Some(database) = &options.database {
            part = part.arg("--database").arg(database);
        }
        if let Some(base) = &options.public_base {
            part = part.args(["--base", base]);
        }
        if let Some(reuse) = options.reuse_search {
            part = part.args(["--reuse-search-ms", &reuse.as_millis().to_string()]);
        }
        let mut process = part.start()?;
        let base = process
            .ready(Duration::from_secs(240), async |output: &str| {
                output.lines().find_map(|line| line.strip_prefix("ready ")).map(str::to_owned)
            })
            .await?;
        Ok(Self { base, process })
    }
}
