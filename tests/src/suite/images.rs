//! The programs of the images, run as an engine would run them: what they need is in them, and what they write is in their volume.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::Skip;
use crate::demo::cast::Role;
use crate::harness::empty_root::{EmptyRoot, VOLUME};
use crate::harness::fhir::{Fhir, client};
use crate::harness::process::{Running, free_port};
use crate::harness::stack::Stack;
use crate::harness::{say, workspace, written};
use crate::suite::told::OPEN;

/// What a compressed image may weigh (45 MB); bases are about one.
const MOST_BYTES: u64 = 44_000_000;

/// Both programs serve, in an empty root, as user 65532, read-only but for their volume; their size, start and memory are said.
pub(super) async fn run_in_an_empty_root(stack: &mut Stack) -> Result<()> {
    let programs = match workspace::environment("SEALGATE_IMAGE_PROGRAMS") {
        Some(folder) => PathBuf::from(folder),
        None => workspace::target("image")?,
    };
    let (gateway, sidecar) = (programs.join("fhir-gateway"), programs.join("anchor-sidecar"));
    if !gateway.exists() || !sidecar.exists() {
        return Err(Skip("the images' programs are not built: helm/images/build target/image".to_owned()).into());
    }
    if let Err(error) = EmptyRoot::possible().await {
        return Err(Skip(format!("{error:#}")).into());
    }
    for program in [&gateway, &sidecar] {
        weigh(program).await?;
    }
    let folder = stack.folder.join("images");
    let sidecar = EmptyRoot::make(&folder.join("sidecar"), &sidecar).await?;
    let gateway = EmptyRoot::make(&folder.join("gateway"), &gateway).await?;
    let before = (sidecar.files()?, gateway.files()?);

    let log = Log::prepare(&sidecar).await?;
    let (started, log_process) = ready(&sidecar, "images-sidecar", &log.config, &log.probe).await?;
    say_measured("anchor-sidecar", started, &log_process)?;
    let front = Front::prepare(stack, &gateway, &log).await?;
    // The two share the volume of a pod: here the socket's folder.
    let (started, front_process) = ready(&gateway, "images-gateway", &front.config, &front.probe).await?;
    say_measured("fhir-gateway", started, &front_process)?;

    let doctor = Fhir::at(&front.url)?.with_token(stack.issuer.token(&Role::Doctor.claims())?);
    doctor.read(OPEN).await.context("a read through the image's gateway")?;
    let live = client()?.get(&front.live).send().await?;
    ensure!(live.status() == StatusCode::OK, "/livez answers {}", live.status());
    ensure!(logged(&log).await?, "what the gateway recorded did not reach the image's log");

    front_process.terminate(Duration::from_secs(40)).await?;
    log_process.terminate(Duration::from_secs(40)).await?;
    let mut after = (sidecar.files()?, gateway.files()?);
    for files in [&mut after.0, &mut after.1] {
        files.retain(|(path, _)| {
            !path.starts_with(folder.join("gateway/root/etc/sealgate"))
                && !path.starts_with(folder.join("sidecar/root/etc/sealgate"))
        });
    }
    ensure!(before == after, "something was written outside of the volume");
    Ok(())
}

/// Size and contents of a program: compressed small enough, and it says what it was built from (`cargo auditable`).
async fn weigh(program: &Path) -> Result<()> {
    use tokio::process::Command;

    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let raw = std::fs::metadata(program)?.len();
    let packed = Command::new("gzip").args(["-9", "-c"]).arg(program).output().await.context("gzip is missing")?;
    let packed = packed.stdout.len() as u64;
    say::step(&format!("{name}: {:.1} MB, {:.1} MB compressed", raw as f64 / 1e6, packed as f64 / 1e6));
    ensure!(packed > 0 && packed <= MOST_BYTES, "{name} is {packed} bytes compressed; an image may be 45 MB");
    let sections = Command::new("readelf").args(["--wide", "--section-headers"]).arg(program).output().await;
    let sections = sections.context("readelf (binutils) is missing")?;
    let sections = String::from_utf8_lossy(&sections.stdout).into_owned();
    ensure!(sections.contains(".dep-v0"), "{name} does not hold the list of its dependencies (cargo auditable)");
    Ok(())
}

/// Starts a program and waits until it is ready; gives how long that took.
async fn ready(root: &EmptyRoot, name: &str, config: &str, probe: &str) -> Result<(Duration, Running)> {
    root.run(&["config", "check", "--config", config]).await.context("the image's config check")?;
    let begun = Instant::now();
    let mut process = root.start(name, &["serve", "--config", config])?;
    let http = client()?;
    process
        .ready(Duration::from_secs(60), async |_: &str| {
            http.get(probe).send().await.ok()?.status().is_success().then_some(())
        })
        .await?;
    Ok((begun.elapsed(), process))
}

fn say_measured(name: &str, started: Duration, process: &Running) -> Result<()> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).context("the process is gone")?;
    let line = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default().to_owned()
    };
    let (user, memory) = (line("Uid:"), line("VmRSS:"));
    ensure!(user.split_whitespace().all(|id| id == "65532"), "{name} runs as {user}");
    ensure!(line("CapEff:").chars().all(|digit| digit == '0'), "{name} has capabilities");
    say::step(&format!("{name}: ready after {} ms (goal 300), {memory} resident (goal 40 MB)", started.as_millis()));
    Ok(())
}

/// The sidecar's side.
struct Log {
    config: String,
    probe: String,
    status: String,
    key: String,
    socket_folder: PathBuf,
}

impl Log {
    async fn prepare(root: &EmptyRoot) -> Result<Self> {
        let key = format!("{VOLUME}/log.key");
        let made =
            root.run(&["keygen", "log", "--origin", "log.example/images", "--out", &key, "--format", "json"]).await?;
        let made: Value = serde_json::from_str(&made).context("keygen printed no JSON")?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let config = json!({
            "log": {"origin": "log.example/images", "dir": format!("{VOLUME}/log"), "key_file": key},
            "ingest": {"socket": format!("{VOLUME}/ingest.sock")},
            "public": {"listen": listen},
        });
        Ok(Self {
            config: root.configure("sidecar.toml", &as_toml(&config)?)?,
            probe: format!("http://{listen}/readyz"),
            status: format!("http://{listen}/v1/status"),
            key: made.get("log_key").and_then(Value::as_str).context("keygen gave no key")?.to_owned(),
            socket_folder: root.volume().to_owned(),
        })
    }
}

/// The gateway's side.
struct Front {
    config: String,
    url: String,
    probe: String,
    live: String,
}

impl Front {
    async fn prepare(stack: &Stack, root: &EmptyRoot, log: &Log) -> Result<Self> {
        root.put("kek", "5e".repeat(32).as_bytes())?;
        // As a pod's shared volume: the same socket in both.
        let socket = root.volume().join("ingest.sock");
        std::fs::hard_link(log.socket_folder.join("ingest.sock"), &socket).context("the socket cannot be shared")?;
        let (listen, admin) = (format!("127.0.0.1:{}", free_port()?), format!("127.0.0.1:{}", free_port()?));
        let url = format!("http://{listen}/fhir");
        let config = json!({
            "server": {"listen": listen, "public_base": url},
            "upstream": {"base": stack.upstream.base()},
            "auth": {"issuers": [{"issuer": stack.issuer.url, "audience": [stack.issuer.audience]}]},
            "journal": {"path": format!("{VOLUME}/journal.db"), "kek_file": format!("{VOLUME}/kek"), "tenant": "images"},
            "sidecar": {"socket": format!("{VOLUME}/ingest.sock"), "log_key": log.key},
            "admin": {"listen": admin},
            "consent": {"no_consent": "basic-normal"},
        });
        Ok(Self {
            config: root.configure("gateway.toml", &as_toml(&config)?)?,
            url,
            probe: format!("http://{admin}/readyz"),
            live: format!("http://{admin}/livez"),
        })
    }
}

fn as_toml(config: &Value) -> Result<String> {
    Ok(toml::to_string(&written::table(config)?)?)
}

/// Whether the log has taken leaves, within a moment.
async fn logged(log: &Log) -> Result<bool> {
    let http = client()?;
    for _ in 0..50 {
        let status: Value = http.get(&log.status).send().await?.json().await?;
        if status.get("size").and_then(Value::as_str).is_some_and(|size| size != "0") {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(false)
}
