//! A release of the chart, without a cluster: rendered by a real helm, its volumes put into folders as a kubelet would, its containers started by
//! their own arguments in their own order, and its `helm test` played.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;

use super::Skip;
use crate::demo::cast::Role;
use crate::harness::process::{Part, Running, free_port};
use crate::harness::sidecar::{answer, text_of};
use crate::harness::stack::Stack;
use crate::harness::{fhir, programs, workspace};

/// The secret of anvil's second account: the first is the publisher of the stack's own log.
const PUBLISHER: &str = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
/// How long the test may wait for the final anchor of its event.
const ANCHORED: u64 = 60;

/// What `helm/check --play` gives.
#[derive(Deserialize)]
struct Release {
    release: Vec<Container>,
    test: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    name: String,
    program: String,
    arguments: Vec<String>,
}

/// Where a pod's ports are on this machine.
struct Ports {
    fhir: u16,
    admin: u16,
    log: u16,
}

/// The release serves, and passes its own test: ready, no token 401, the closed record refused, the open one answered, and that access verified on the
/// chain with the release's own trust file.
pub(super) async fn a_release_passes_its_own_test(stack: &mut Stack) -> Result<()> {
    let ports = Ports { fhir: free_port()?, admin: free_port()?, log: free_port()? };
    let release = install(stack, &ports).await?;
    // The sidecar is a native sidecar: it starts first and must be ready before the gateway is started.
    let mut running = Vec::new();
    for container in &release.release {
        running.push(start(container, &ports).await?);
    }
    let mut said = String::new();
    for container in &release.test {
        let (code, output) = tried(container, &ports).await?;
        ensure!(code == Some(0), "{} of helm test ended with {code:?}:\n{said}{output}", container.name);
        said.push_str(&output);
    }
    for line in
        ["ok: ready", "ok: without a token 401", "ok: what Consent hides was refused", "ok: what Consent permits"]
    {
        ensure!(said.contains(line), "helm test did not say `{line}`:\n{said}");
    }
    ensure!(said.contains("Verified") && !said.contains("NOT verified"), "helm test did not verify:\n{said}");
    // The sidecar stops after the gateway.
    for container in running.into_iter().rev() {
        container.terminate(Duration::from_secs(60)).await?;
    }
    Ok(())
}

/// Makes keys, contract, registration and Secrets as an operator does, and renders the release.
async fn install(stack: &Stack, ports: &Ports) -> Result<Release> {
    let folder = stack.folder.join("chart");
    let secrets = folder.join("secrets");
    std::fs::create_dir_all(&secrets)?;
    let origin = "log.demo.example/chart";
    let log_key = path(&secrets, "log.key");
    let made = answer(&["keygen", "log", "--origin", origin, "--out", &log_key]).await?;
    let verifier = text_of(&made, "log_key")?;
    let rpc = &stack.anvil()?.rpc;
    let publisher = path(&secrets, "publisher.key");
    workspace::replace(Path::new(&publisher), PUBLISHER.as_bytes())?;
    let deployed = answer(&["deploy", "--rpc", rpc, "--key-file", &publisher]).await?;
    let contract = text_of(&deployed, "contract")?;
    let chain = ["--rpc", rpc, "--key-file", &publisher, "--contract", &contract, "--log-key", &verifier];
    let registered = answer(&[&["register"], &chain[..]].concat()).await?;
    std::fs::write(secrets.join("kek"), "5c".repeat(32))?;
    std::fs::write(secrets.join("admin-token"), "an admin token of the chart's test")?;
    let release_values = json!({
        "demo": true,
        "tenant": "demo",
        "publicBase": format!("http://127.0.0.1:{}/fhir", ports.fhir),
        "keys": {
            "keyEncryption": {"existingSecret": "kek"},
            "adminToken": {"existingSecret": "admin"},
            "log": {"existingSecret": "log"},
            "publisher": {"existingSecret": "publisher"},
        },
        "upstream": {"base": stack.upstream.base(), "dangerPlainHttp": true},
        "auth": {"issuers": [{"issuer": stack.issuer.url, "audience": [stack.issuer.audience], "danger_plain_http": true}]},
        "gateway": {"config": {"consent": {"no_consent": "basic-normal"}, "consent_source": {"max_staleness": "1s"}}},
        "log": {"origin": origin, "verifierKey": verifier},
        "anchor": {
            "rpc": [rpc],
            "dangerSingleRpc": true,
            "chainId": stack.anvil()?.chain_id,
            "contract": contract,
            "codeHash": text_of(&deployed, "code_hash")?,
            "logId": text_of(&registered, "log_id")?,
            "cadenceSeconds": 2,
        },
        "tests": {
            "anchorSeconds": ANCHORED,
            "access": {"existingSecret": "token", "allowed": "Patient/alder", "denied": "Patient/cedar"},
        },
    });
    std::fs::write(secrets.join("token"), stack.issuer.token(&Role::Doctor.claims())?)?;
    let values = folder.join("values.json");
    std::fs::write(&values, serde_json::to_vec(&release_values)?)?;
    let check = workspace::root()?.join("helm/check");
    let mut command = Command::new(check);
    command.arg("--play").arg(&values).arg(folder.join("pod")).arg(&secrets).stdin(Stdio::null());
    let output = command.stderr(Stdio::inherit()).output().await.context("helm/check cannot be started")?;
    match output.status.code() {
        Some(0) => serde_json::from_slice(&output.stdout).context("helm/check --play prints no release"),
        Some(3) => Err(Skip("helm cannot be had here".to_owned()).into()),
        _ => anyhow::bail!(
            "the chart cannot be rendered ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stdout)
        ),
    }
}

/// Starts a container of the pod and waits until its own readiness probe would let it in.
async fn start(container: &Container, ports: &Ports) -> Result<Running> {
    let part = Part::new(format!("e2e-chart-{}", container.name), program(container).await?).args(&container.arguments);
    // What a pod has for itself alone, this machine shares: the ports.
    let (part, probe) = match container.program.as_str() {
        "fhir-gateway" => (
            part.env("SEALGATE__SERVER__LISTEN", format!("127.0.0.1:{}", ports.fhir))
                .env("SEALGATE__ADMIN__LISTEN", format!("127.0.0.1:{}", ports.admin)),
            format!("http://127.0.0.1:{}/livez", ports.admin),
        ),
        _ => (
            part.env("SEALGATE__PUBLIC__LISTEN", format!("127.0.0.1:{}", ports.log)),
            format!("http://127.0.0.1:{}/readyz", ports.log),
        ),
    };
    let mut running = part.start()?;
    let client = fhir::client()?;
    let ready = async |_: &str| client.get(&probe).send().await.ok()?.status().is_success().then_some(());
    running.ready(Duration::from_secs(60), ready).await?;
    Ok(running)
}

/// Runs a container of the test to its end; gives its exit code and what it said.
async fn tried(container: &Container, ports: &Ports) -> Result<(Option<i32>, String)> {
    let arguments = container.arguments.iter().map(|argument| {
        argument
            .replace("http://north-sealgate.fhir.svc:80", &format!("http://127.0.0.1:{}", ports.fhir))
            .replace("http://north-sealgate-admin.fhir.svc:9090", &format!("http://127.0.0.1:{}", ports.admin))
            .replace("http://north-sealgate-log.fhir.svc:8091", &format!("http://127.0.0.1:{}", ports.log))
    });
    let mut command = Command::new(program(container).await?);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(ANCHORED + 60), command.output()).await??;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&text).into_owned()))
}

async fn program(container: &Container) -> Result<PathBuf> {
    let gateway = container.program == "fhir-gateway";
    Ok(if gateway { programs::gateway().await? } else { programs::sidecar().await? }.to_owned())
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}
