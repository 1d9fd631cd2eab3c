//! Gateway and sidecar over HTTPS with certificates on both sides: the right ones work to the end, wrong ones are refused, and the gateway says
//! which it is while it serves and records.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::told::{self, until};
use crate::demo::cast::Role;
use crate::harness::fhir::client;
use crate::harness::gateway::Gateway;
use crate::harness::process::free_port;
use crate::harness::sidecar::{Sidecar, SidecarOptions};
use crate::harness::stack::Stack;
use crate::harness::written;

/// The account that publishes this test's logs: others belong to the shared sidecar and to the test of a chain that is away.
const THIRD_FUNDED_KEY: &str = "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a";

type Authority = CertifiedIssuer<'static, KeyPair>;

/// When a certificate holds.
#[derive(Clone, Copy)]
enum Holds {
    Now,
    /// It did until a year ago.
    Once,
}

/// Certificates as files.
struct Files(PathBuf);

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn authority(&self, name: &str) -> Result<Authority> {
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, name);
        let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
        std::fs::write(self.path(&format!("{name}.ca")), authority.pem())?;
        Ok(authority)
    }

    /// `NAME.crt` and `NAME.key`.
    fn certificate(&self, name: &str, host: &str, by: &Authority, holds: Holds) -> Result<()> {
        let mut parameters = CertificateParams::new(vec![host.to_owned()])?;
        if matches!(holds, Holds::Once) {
            (parameters.not_before, parameters.not_after) =
                (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
        }
        let key = KeyPair::generate()?;
        std::fs::write(self.path(&format!("{name}.crt")), parameters.signed_by(&key, by)?.pem())?;
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem())?;
        Ok(())
    }

    /// The gateway's `[sidecar]`.
    fn sidecar(&self, port: u16, authority: &str, own: &str) -> Value {
        json!({"sidecar": {
            "url": format!("https://localhost:{port}"),
            "ca_file": self.path(&format!("{authority}.ca")),
            "client_certificate_file": self.path(&format!("{own}.crt")),
            "client_key_file": self.path(&format!("{own}.key")),
        }})
    }
}

/// A sidecar on the stack's chain that listens with this certificate.
async fn sidecar(stack: &Stack, files: &Files, name: &str, port: u16, certificate: &str) -> Result<Sidecar> {
    let folder = stack.folder.join(format!("mutual-tls-{name}"));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("publisher.key"), THIRD_FUNDED_KEY)?;
    let ingest = json!({"ingest": {
        "listen": format!("127.0.0.1:{port}"),
        "tls_cert": files.path(&format!("{certificate}.crt")),
        "tls_key": files.path(&format!("{certificate}.key")),
        "client_ca": files.path("sources.ca"),
    }});
    let options = SidecarOptions {
        name: format!("e2e-mutual-tls-{name}"),
        folder,
        origin: format!("log.demo.example/{name}"),
        cadence_seconds: 1,
        more: written::table(&ingest)?,
    };
    Sidecar::start(options, Some(stack.anvil()?)).await
}

async fn gateway(stack: &Stack, name: &str, log: &Sidecar, more: &Value) -> Result<Gateway> {
    let mut options = told::second(stack, name, stack.upstream.base(), more)?;
    options.log_key.clone_from(&log.log_key);
    Gateway::start(options).await
}

async fn reads(stack: &Stack, gateway: &Gateway) -> Result<Uuid> {
    told::serves(&gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?).await
}

/// A request's events, from the journal through the log to the chain: `verify` says Verified.
async fn verifies(stack: &Stack, gateway: &Gateway, log: &Sidecar, request: Uuid) -> Result<()> {
    let folder = stack.folder.join("mutual-tls-proof");
    std::fs::create_dir_all(&folder)?;
    let (bundle, trust) = (folder.join("access.sealproof.json"), folder.join("trust.json"));
    log.trust_file(&trust).await?;
    let request = request.to_string();
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is no text");
    let (bundle, trust, token) = (text(&bundle)?, text(&trust)?, text(&gateway.admin_token_file)?);
    let prove = [
        "prove",
        "--request",
        &request,
        "--gateway",
        &gateway.admin,
        "--admin-token-file",
        &token,
        "--sidecar",
        &log.url,
        "--out",
        &bundle,
    ];
    until("proven", Duration::from_secs(90), async || Ok((Sidecar::command(&prove).await?.0 == 0).then_some(())))
        .await?;
    let (code, said) = Sidecar::command(&["verify", &bundle, "--trust", &trust, "--rpc", &stack.anvil()?.rpc]).await?;
    ensure!(code == 0 && said.contains("Verified"), "verify ends with {code}: {said}");
    Ok(())
}

/// The right certificates: from a request to a verified anchor, and after a restart of the sidecar too.
pub(super) async fn the_right_certificates_work_to_the_end(stack: &mut Stack) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let files = Files(folder.path().to_owned());
    let (servers, sources) = (files.authority("servers")?, files.authority("sources")?);
    files.certificate("log", "localhost", &servers, Holds::Now)?;
    files.certificate("gateway", "gateway", &sources, Holds::Now)?;
    let port = free_port()?;
    let mut log = sidecar(stack, &files, "right", port, "log").await?;
    let mut gateway = gateway(stack, "mutual-tls", &log, &files.sidecar(port, "servers", "gateway")).await?;
    let request = reads(stack, &gateway).await?;
    verifies(stack, &gateway, &log, request).await?;
    let (_, list) = told::readiness(&gateway).await?;
    ensure!(list.contains("[+] log ok"), "{list}");
    log.crash().await?;
    let while_away = reads(stack, &gateway).await?;
    log.start_again().await?;
    verifies(stack, &gateway, &log, while_away).await?;

    // The write side hears nobody without a certificate, neither by HTTPS nor in clear.
    let root = reqwest::Certificate::from_pem(&std::fs::read(files.path("servers.ca"))?)?;
    let bare = reqwest::Client::builder().no_proxy().tls_certs_only([root]).build()?;
    let hello = json!({"source": "00".repeat(16), "epoch": 1, "last_receipt": null});
    for (caller, scheme) in [(bare, "https"), (client()?, "http")] {
        let answer = caller.post(format!("{scheme}://localhost:{port}/v1/hello")).json(&hello).send().await;
        ensure!(answer.is_err(), "by {scheme}, without a certificate: {answer:?}");
    }
    gateway.stop().await?;
    log.stop().await
}

/// Each wrong certificate: nothing reaches the log, the gateway serves, records and says why; with the right one the records arrive.
pub(super) async fn wrong_certificates_are_refused_and_told(stack: &mut Stack) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let files = Files(folder.path().to_owned());
    let (servers, sources, strangers) =
        (files.authority("servers")?, files.authority("sources")?, files.authority("strangers")?);
    files.certificate("log", "localhost", &servers, Holds::Now)?;
    files.certificate("gateway", "gateway", &sources, Holds::Now)?;
    files.certificate("other-name", "elsewhere.example", &servers, Holds::Now)?;
    files.certificate("old-log", "localhost", &servers, Holds::Once)?;
    files.certificate("stranger", "gateway", &strangers, Holds::Now)?;
    files.certificate("old-gateway", "gateway", &sources, Holds::Once)?;
    let port = free_port()?;
    // The log's certificate, what the gateway trusts, what it shows, and what it has to say.
    let rows = [
        ("log", "strangers", "gateway", "signed by no authority of sidecar.ca_file"),
        ("other-name", "servers", "gateway", "not for the name in sidecar.url"),
        ("old-log", "servers", "gateway", "has expired or is not valid yet"),
        ("log", "servers", "stranger", "does not accept the gateway's certificate"),
        ("log", "servers", "old-gateway", "the gateway's certificate has expired"),
    ];
    let mut log = sidecar(stack, &files, "wrong", port, "log").await?;
    for (index, (certificate, authority, own, says)) in rows.into_iter().enumerate() {
        log.stop().await?;
        for ending in ["crt", "key"] {
            std::fs::copy(files.path(&format!("{certificate}.{ending}")), files.path(&format!("shown.{ending}")))?;
        }
        let config = std::fs::read_to_string(&log.config)?;
        let shown = |ending: &str| files.path(&format!("shown.{ending}")).display().to_string();
        let was = |ending: &str| files.path(&format!("log.{ending}")).display().to_string();
        std::fs::write(&log.config, config.replace(&was("crt"), &shown("crt")).replace(&was("key"), &shown("key")))?;
        log.start_again().await?;
        let name = format!("mutual-tls-{index}");
        let mut gateway = gateway(stack, &name, &log, &files.sidecar(port, authority, own)).await?;
        let request = reads(stack, &gateway).await?;
        until(says, Duration::from_secs(30), async || {
            let (status, list) = told::readiness(&gateway).await?;
            ensure!(status == StatusCode::OK, "{own} {certificate}: not ready: {list}");
            Ok(list.lines().any(|line| line.starts_with("[!] log") && line.contains(says)).then_some(()))
        })
        .await
        .with_context(|| format!("{certificate} {authority} {own}"))?;
        ensure!(told::openings(&gateway, request).await?.is_some(), "the request is not on record");
        let status: Value = client()?.get(format!("{}/v1/status", log.url)).send().await?.json().await?;
        ensure!(status.get("size") == Some(&json!("0")), "{certificate} {authority} {own}: the log holds {status}");
        gateway.stop().await?;
    }
    gateway_recovers(stack, &files, &mut log, port).await?;
    log.stop().await
}

/// What the last gateway kept reaches the log as soon as its certificate is the right one.
async fn gateway_recovers(stack: &Stack, files: &Files, log: &mut Sidecar, port: u16) -> Result<()> {
    let mut gateway = gateway(stack, "mutual-tls-4", log, &files.sidecar(port, "servers", "gateway")).await?;
    let request = reads(stack, &gateway).await?;
    verifies(stack, &gateway, log, request).await?;
    let (_, list) = told::readiness(&gateway).await?;
    ensure!(list.contains("[+] log ok") && list.contains("[+] backlog ok"), "{list}");
    gateway.stop().await
}
