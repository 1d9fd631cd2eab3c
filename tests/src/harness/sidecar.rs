//! The anchor sidecar with a log of its own: keys made, contract deployed, log registered, served.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use tokio::process::Command;

use super::anvil::{Anvil, FUNDED_KEY};
use super::process::{Part, Running, free_port};
use super::{fhir, programs, workspace, written};

/// What a sidecar is to be.
#[derive(Debug, Clone)]
pub struct SidecarOptions {
    /// Its name in logs and messages.
    pub name: String,
    /// Where its keys, its configuration and its log lie.
    pub folder: PathBuf,
    /// Name of the log.
    pub origin: String,
    /// Seconds between two anchors.
    pub cadence_seconds: u64,
    /// Keys of the configuration that are added to or replace those written here.
    pub more: toml::Table,
}

/// Where a log is anchored.
#[derive(Debug, Clone)]
pub struct Registration {
    /// JSON-RPC address.
    pub rpc: String,
    /// Chain id.
    pub chain_id: u64,
    /// Address of the contract.
    pub contract: String,
    /// Keccak-256 of its deployed code.
    pub code_hash: String,
    /// Id of the log in it.
    pub log_id: String,
}

/// A sidecar: its files stay when it is stopped, killed and started again.
#[derive(Debug)]
pub struct Sidecar {
    /// The Unix socket that the gateway writes to.
    pub socket: PathBuf,
    /// Base of the read side.
    pub url: String,
    /// The log's public key, as a C2SP verifier key.
    pub log_key: String,
    /// The log's name.
    pub origin: String,
    /// Where it is anchored, where it is.
    pub registration: Option<Registration>,
    /// Its configuration file.
    pub config: PathBuf,
    /// The folder with the log's records and tiles.
    pub log_folder: PathBuf,
    name: String,
    process: Option<Running>,
}

impl Sidecar {
    /// Makes keys and configuration, deploys and registers on the chain where one is given, and starts serving.
    ///
    /// # Errors
    /// When a command fails or the sidecar is not ready within a minute.
    pub async fn start(options: SidecarOptions, chain: Option<&Anvil>) -> Result<Self> {
        std::fs::create_dir_all(&options.folder)?;
        let keys = Keys::make(&options).await?;
        let registration = match chain {
            Some(chain) => Some(register(chain, &keys).await?),
            None => None,
        };
        let socket = options.folder.join("ingest.sock");
        let log_folder = options.folder.join("log");
        let listen = format!("127.0.0.1:{}", free_port()?);
        let anchor = registration.as_ref().map(|at| {
            json!({
                "rpc": [at.rpc],
                "danger_single_rpc": true,
                "chain_id": at.chain_id,
                "contract": at.contract,
                "code_hash": at.code_hash,
                "log_id": at.log_id,
                "publisher_key_file": keys.publisher,
                "cadence_seconds": options.cadence_seconds,
            })
        });
        // With an HTTPS listener there is no socket.
        let ingest = match options.more.get("ingest").and_then(|ingest| ingest.get("listen")) {
            Some(_) => json!({}),
            None => json!({ "socket": socket }),
        };
        let mut config = Map::from_iter([
            ("log".to_owned(), json!({"origin": options.origin, "dir": log_folder, "key_file": keys.log})),
            ("ingest".to_owned(), ingest),
            ("public".to_owned(), json!({ "listen": listen })),
        ]);
        config.extend(anchor.map(|anchor| ("anchor".to_owned(), anchor)));
        let config = write_config(&options.folder.join("sidecar.toml"), &Value::Object(config), &options.more)?;
        let mut sidecar = Self {
            socket,
            url: format!("http://{listen}"),
            log_key: keys.verifier,
            origin: options.origin,
            registration,
            config,
            log_folder,
            name: options.name,
            process: None,
        };
        sidecar.start_again().await?;
        Ok(sidecar)
    }

    /// Starts serving on the files that are there.
    ///
    /// # Errors
    /// When it is not ready within a minute.
    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "{} runs already", self.name);
        let program = programs::sidecar().await?;
        let mut process = Part::new(&self.name, program).args(["serve", "--config"]).arg(&self.config).start()?;
        let client = fhir::client()?;
        let probe = format!("{}/readyz", self.url);
        process
            .ready(Duration::from_secs(60), async |_: &str| {
                let answer = client.get(&probe).send().await.ok()?;
                answer.status().is_success().then_some(())
            })
            .await?;
        self.process = Some(process);
        Ok(())
    }

    /// The running process.
    ///
    /// # Errors
    /// When it was stopped.
    pub fn process(&mut self) -> Result<&mut Running> {
        self.process.as_mut().context("the sidecar does not run")
    }

    /// SIGTERM, and waits for the orderly end.
    ///
    /// # Errors
    /// When it does not end within half a minute.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(process) = self.process.take() {
            process.terminate(Duration::from_secs(30)).await?;
        }
        Ok(())
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

    /// Runs another command of the sidecar's program; gives its exit code and what it printed.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub async fn command(arguments: &[&str]) -> Result<(i32, String)> {
        let program = programs::sidecar().await?;
        let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().await?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            text.push_str(&String::from_utf8_lossy(&output.stderr));
        }
        Ok((output.status.code().unwrap_or(-1), text))
    }

    /// The trust file for this log: what a verifier must know beforehand.
    ///
    /// # Errors
    /// When the command fails.
    pub async fn trust_file(&self, to: &Path) -> Result<()> {
        let config = path_text(&self.config)?;
        answer(&["trust", "--config", config, "--out", path_text(to)?]).await?;
        Ok(())
    }
}

struct Keys {
    log: PathBuf,
    publisher: PathBuf,
    verifier: String,
}

impl Keys {
    async fn make(options: &SidecarOptions) -> Result<Self> {
        let log = options.folder.join("log.key");
        let publisher = options.folder.join("publisher.key");
        if !publisher.exists() {
            workspace::replace(&publisher, FUNDED_KEY.as_bytes())?;
        }
        let verifier_file = options.folder.join("log.vkey");
        if !log.exists() {
            let made = answer(&["keygen", "log", "--origin", &options.origin, "--out", path_text(&log)?]).await?;
            workspace::replace(&verifier_file, text_of(&made, "log_key")?.as_bytes())?;
        }
        Ok(Self { log, publisher, verifier: std::fs::read_to_string(&verifier_file)?.trim().to_owned() })
    }
}

async fn register(chain: &Anvil, keys: &Keys) -> Result<Registration> {
    let key = path_text(&keys.publisher)?;
    let deployed = answer(&["deploy", "--rpc", &chain.rpc, "--key-file", key]).await?;
    let contract = text_of(&deployed, "contract")?;
    let registered = answer(&[
        "register",
        "--rpc",
        &chain.rpc,
        "--key-file",
        key,
        "--contract",
        &contract,
        "--log-key",
        &keys.verifier,
    ])
    .await?;
    Ok(Registration {
        rpc: chain.rpc.clone(),
        chain_id: chain.chain_id,
        contract,
        code_hash: text_of(&deployed, "code_hash")?,
        log_id: text_of(&registered, "log_id")?,
    })
}

/// A text of a command's answer.
///
/// # Errors
/// When the answer has none by this name.
pub(crate) fn text_of(value: &Value, name: &str) -> Result<String> {
    value
        .get(name)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .with_context(|| format!("the command's answer has no {name}"))
}

/// Runs a command that must succeed and gives its answer for machines.
///
/// # Errors
/// When it fails, or prints no JSON.
pub(crate) async fn answer(arguments: &[&str]) -> Result<Value> {
    let name = arguments.first().copied().unwrap_or_default();
    let mut arguments = arguments.to_vec();
    arguments.extend(["--format", "json"]);
    let (code, output) = Sidecar::command(&arguments).await?;
    ensure!(code == 0, "anchor-sidecar {name} failed ({code}):\n{output}");
    serde_json::from_str(&output).with_context(|| format!("anchor-sidecar {name} printed no JSON"))
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is no text", path.display()))
}

/// Writes a configuration: what is given as JSON, and `more` over it, table by table.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write_config(file: &Path, config: &Value, more: &toml::Table) -> Result<PathBuf> {
    let mut table = written::table(config)?;
    merge(&mut table, more);
    workspace::replace(file, toml::to_string(&table)?.as_bytes())?;
    Ok(file.to_path_buf())
}

fn merge(into: &mut toml::Table, more: &toml::Table) {
    for (key, value) in more {
        match (into.get_mut(key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(more)) => merge(below, more),
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}
