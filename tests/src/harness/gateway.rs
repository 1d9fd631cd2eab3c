//! The gateway before a FHIR server.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::json;
use tokio::process::Command;

use super::fhir::{self, Fhir};
use super::process::{Part, Running, free_port};
use super::sidecar::write_config;
use super::{programs, workspace};

/// What a gateway is to be.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// Its name in logs and messages.
    pub name: String,
    /// Where its key, its configuration and its journal lie.
    pub folder: PathBuf,
    /// Port of 127.0.0.1; a free one when absent.
    pub port: Option<u16>,
    /// FHIR base of the server that it protects.
    pub upstream: String,
    /// The issuer whose tokens it takes.
    pub issuer: String,
    /// The audience that these tokens must carry.
    pub audience: String,
    /// The sidecar's Unix socket.
    pub sidecar_socket: PathBuf,
    /// The log's verifier key.
    pub log_key: String,
    /// Keys of the configuration that are added to or replace those written here.
    pub more: toml::Table,
}

/// A gateway: its files stay when it is stopped, killed and started again.
#[derive(Debug)]
pub struct Gateway {
    /// The FHIR base that clients use, without a slash at the end.
    pub url: String,
    /// Base of its admin port.
    pub admin: String,
    /// The token that opens events on the admin port.
    pub admin_token: String,
    /// The file that holds this token.
    pub admin_token_file: PathBuf,
    /// Its configuration file.
    pub config: PathBuf,
    /// Its journal.
    pub journal: PathBuf,
    name: String,
    /// In the place of this workspace's own.
    program: Option<PathBuf>,
    process: Option<Running>,
}

impl Gateway {
    /// Writes keys and configuration and starts serving.
    ///
    /// # Errors
    /// When the gateway is not ready within a minute.
    pub async fn start(options: GatewayOptions) -> Result<Self> {
        Self::start_program(options, None).await
    }

    /// The same with this program, where one is given, in the place of this workspace's gateway.
    ///
    /// # Errors
    /// When the gateway is not ready within a minute.
    pub async fn start_program(options: GatewayOptions, program: Option<&Path>) -> Result<Self> {
        std::fs::create_dir_all(&options.folder)?;
        let key = options.folder.join("kek");
        if !key.exists() {
            workspace::replace(&key, hex::encode(random()?).as_bytes())?;
        }
        let admin_token_file = options.folder.join("admin.token");
        if !admin_token_file.exists() {
            workspace::replace(&admin_token_file, hex::encode(random()?).as_bytes())?;
        }
        let admin_token = std::fs::read_to_string(&admin_token_file)?;
        let port = match options.port {
            Some(port) => port,
            None => free_port()?,
        };
        let url = format!("http://127.0.0.1:{port}/fhir");
        let admin = format!("127.0.0.1:{}", free_port()?);
        let journal = options.folder.join("journal.db");
        // Over HTTPS there is no socket.
        let socket = match options.more.get("sidecar").and_then(|sidecar| sidecar.get("url")) {
            Some(_) => None,
            None => Some(&options.sidecar_socket),
        };
        let mut sidecar = json!({"log_key": options.log_key});
        if let (Some(socket), Some(table)) = (socket, sidecar.as_object_mut()) {
            table.insert("socket".to_owned(), json!(socket));
        }
        let config = json!({
            "server": {"listen": format!("127.0.0.1:{port}"), "public_base": url, "workers": 2},
            "upstream": {"base": options.upstream},
            "auth": {"issuers": [{"issuer": options.issuer, "audience": [options.audience]}]},
            "journal": {"path": journal, "kek_file": key, "tenant": "demo"},
            "sidecar": sidecar,
            "admin": {"listen": admin, "token_file": admin_token_file},
            "telemetry": {"log_format": "text"},
        });
        let config = write_config(&options.folder.join("gateway.toml"), &config, &options.more)?;
        let mut gateway = Self {
            url,
            admin: format!("http://{admin}"),
            admin_token,
            admin_token_file,
            config,
            journal,
            name: options.name,
            program: program.map(Path::to_path_buf),
            process: None,
        };
        gateway.start_again().await?;
        Ok(gateway)
    }

    /// Starts serving on the files that are there.
    ///
    /// # Errors
    /// When it is not ready within a minute.
    pub async fn start_again(&mut self) -> Result<()> {
        self.begin("readyz").await
    }

    /// Starts it where it is not expected to become ready: waits for the process alone.
    ///
    /// # Errors
    /// When it is not alive within a minute.
    pub async fn start_alive(&mut self) -> Result<()> {
        self.begin("livez").await
    }

    async fn program(&self) -> Result<&Path> {
        match &self.program {
            Some(program) => Ok(program),
            None => programs::gateway().await,
        }
    }

    async fn begin(&mut self, probe: &str) -> Result<()> {
        ensure!(self.process.is_none(), "{} runs already", self.name);
        let program = self.program().await?;
        let mut process = Part::new(&self.name, program).args(["serve", "--config"]).arg(&self.config).start()?;
        let client = fhir::client()?;
        let probe = format!("{}/{probe}", self.admin);
        process
            .ready(Duration::from_secs(60), async |_: &str| {
                let answer = client.get(&probe).send().await.ok()?;
                answer.status().is_success().then_some(())
            })
            .await?;
        self.process = Some(process);
        Ok(())
    }

    /// The FHIR surface, called with this token.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn fhir(&self, token: impl Into<String>) -> Result<Fhir> {
        Ok(Fhir::at(&self.url)?.with_token(token))
    }

    /// The running process.
    ///
    /// # Errors
    /// When it was stopped.
    pub fn process(&mut self) -> Result<&mut Running> {
        self.process.as_mut().context("the gateway does not run")
    }

    /// SIGTERM, and waits for the orderly end.
    ///
    /// # Errors
    /// When it does not end within 40 s.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(process) = self.process.take() {
            process.terminate(Duration::from_secs(40)).await?;
        }
        Ok(())
    }

    /// SIGTERM only: gives the process that drains now, to be waited for.
    ///
    /// # Errors
    /// When it does not run or cannot be signalled.
    pub fn ask_to_stop(&mut self) -> Result<Running> {
        let process = self.process.take().context("the gateway does not run")?;
        process.ask_to_end()?;
        Ok(process)
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn crash(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.crash().await,
            None => Ok(()),
        }
    }

    /// Runs another command of the gateway's program on this gateway's configuration; gives its exit code and what it printed.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub async fn command(&self, arguments: &[&str]) -> Result<(i32, String)> {
        let program = self.program().await?;
        let command =
            Command::new(program).args(arguments).arg("--config").arg(&self.config).stdin(Stdio::null()).output();
        let output = command.await?;
        let text = [output.stdout, output.stderr].concat();
        Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned()))
    }
}

fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("this machine gives no randomness: {error}"))?;
    Ok(bytes)
}
