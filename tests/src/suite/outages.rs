//! Peers that go away and come back, a journal that cannot take more (`journal`), a configuration that cannot be used.

mod journal;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::faulty::{Fault, Faulty, fhir, http};
use super::forwarder::Forwarder;
use super::told::{self, Caller, OPEN, held, refusal, refused, until};
use crate::demo::cast::Role;
use crate::harness::fhir::client;
use crate::harness::gateway::Gateway;
use crate::harness::issuer::{Issuer, Keys, Mode};
use crate::harness::process::{Part, Running};
use crate::harness::programs;
use crate::harness::sidecar::{Sidecar, SidecarOptions};
use crate::harness::stack::Stack;
use crate::harness::written;

pub(super) use journal::{journal_full_and_freed, journal_not_writable};

/// The second account that every anvil fills with ether: the first one belongs to the shared sidecar.
const SECOND_FUNDED_KEY: &str = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

const SEARCH: &str = "Condition?patient=Patient/alder";

/// Nobody listens where the FHIR server was: said so, recorded, and served again when it is back.
pub(super) async fn upstream_away_and_back(stack: &mut Stack) -> Result<()> {
    let mut upstream = Faulty::start(stack.upstream.base()).await?;
    let mut gateway = Gateway::start(told::second(stack, "upstream-away", &upstream.base, &json!({}))?).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let good = stack.direct()?.read(OPEN).await?;
    told::serves(&doctor).await?;
    upstream.down().await;
    let unreachable = refusal(502, "upstream-unreachable");
    for path in [OPEN, SEARCH, "Patient/cedar", "Patient/nobody"] {
        refused(&gateway, &doctor.get(path).await?, unreachable, Caller::Known).await.context(path)?;
    }
    let written = doctor.write(Method::PUT, OPEN, &good).await?;
    refused(&gateway, &written, unreachable, Caller::Known).await.context("PUT")?;
    upstream.up().await?;
    until("served again", Duration::from_secs(10), async || told::serves(&doctor).await.map(Some)).await?;
    told::silent("the log", &gateway.process()?.output()?, &["alder", "cedar", "Patient/"])?;
    gateway.stop().await
}

/// Consents that cannot be had, or not as a whole: nothing is released and nothing written, whatever the failure.
pub(super) async fn consent_source_away_and_back(stack: &mut Stack) -> Result<()> {
    let source = Faulty::start(stack.upstream.base()).await?;
    let more = json!({"consent_source": {"base": source.base, "max_staleness": "1s", "timeout": "1s"}});
    let mut gateway = Gateway::start(told::second(stack, "consents-away", stack.upstream.base(), &more)?).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let direct = stack.direct()?;
    let good = direct.read(OPEN).await?;
    let before = held(&direct, OPEN).await?;
    let all = direct.get("Consent?patient=Patient/alder&_count=200").await?.success()?;
    let all = String::from_utf8(all.body.to_vec())?.replace(stack.upstream.base(), &source.base);
    let bytes = all.as_bytes();
    let (half, _) = bytes.split_at(bytes.len() / 2);
    let mut leads_away: Value = serde_json::from_str(&all)?;
    let away = json!([{"relation": "next", "url": "http://127.0.0.1:9/fhir?page=2"}]);
    leads_away.as_object_mut().context("a bundle")?.insert("link".to_owned(), away);
    let content = [("content-type", "application/fhir+json")];
    let faults = [
        ("no answer", Fault::Closes),
        ("silence", Fault::SaysAndHangs(Vec::new())),
        ("503", fhir(503, b"{}")),
        ("401", fhir(401, b"{}")),
        ("404", fhir(404, b"{}")),
        ("HTML", Fault::Says(http(200, &[("content-type", "text/html")], b"<html/>", 7))),
        ("half", Fault::Says(http(200, &content, half, bytes.len()))),
        ("half that calls itself whole", fhir(200, half)),
        ("junk after it", fhir(200, format!("{all}x").as_bytes())),
        ("no bundle", fhir(200, br#"{"resourceType":"OperationOutcome"}"#)),
        ("a further page elsewhere", fhir(200, leads_away.to_string().as_bytes())),
    ];
    for (what, fault) in faults {
        told::serves(&doctor).await.with_context(|| format!("before {what}"))?;
        source.answers("GET Consent?patient", fault);
        // What is known is used for its time, and not longer.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let answers = [
            doctor.get(OPEN).await?,
            doctor.get(SEARCH).await?,
            doctor.get("Patient/cedar").await?,
            doctor.write(Method::PUT, OPEN, &good).await?,
        ];
        for answer in &answers {
            // Consents that do not come, and Consents that cannot be read.
            let rule =
                if told::rule(answer)? == "facts-unreadable" { "facts-unreadable" } else { "consents-unavailable" };
            refused(&gateway, answer, refusal(503, rule), Caller::Known).await.context(what)?;
            ensure!(answer.header("retry-after").is_some(), "{what}: no Retry-After");
        }
        ensure!(held(&direct, OPEN).await? == before, "{what}: the server holds something else now");
        source.behaves();
    }
    told::serves(&doctor).await?;
    source.answers("GET Consent?patient", Fault::Closes);
    told::serves(&doctor).await.context("within max_staleness")?;
    source.answers("GET Consent", Fault::Closes);
    until("not ready without Consents", Duration::from_secs(15), async || {
        let (status, list) = told::readiness(&gateway).await?;
        Ok((status == StatusCode::SERVICE_UNAVAILABLE && list.contains("[-] consent-source")).then_some(()))
    })
    .await?;
    source.behaves();
    until("ready again", Duration::from_secs(15), async || {
        Ok((told::readiness(&gateway).await?.0 == StatusCode::OK).then_some(()))
    })
    .await?;
    told::silent("the log", &gateway.process()?.output()?, &["alder", "cedar", "Patient/"])?;
    gateway.stop().await
}

/// The issuer's keys cannot be had: known ones are used for their time, after it and without any nobody is let in.
pub(super) async fn keys_away_and_back(stack: &mut Stack) -> Result<()> {
    let issuer = Issuer::start(Keys::generate(1)?, 0, stack.issuer.audience.clone()).await?;
    let more = json!({"auth": {"jwks_max_age": "1s", "jwks_stale_if_error": "2s", "jwks_min_interval": "200ms",
        "jwks_timeout": "500ms"}});
    let mut options = told::second(stack, "keys-away", stack.upstream.base(), &more)?;
    options.issuer.clone_from(&issuer.url);
    let mut gateway = Gateway::start(options).await?;
    let doctor = gateway.fhir(issuer.token(&Role::Doctor.claims())?)?;
    let newcomer = gateway.fhir(issuer.token(&Role::Doctor.claims())?)?;
    let unavailable = refusal(503, "keys-unavailable");
    for mode in [Mode::Failing, Mode::Silent, Mode::Html] {
        told::serves(&doctor).await.with_context(|| format!("before {mode:?}"))?;
        issuer.behave(mode);
        tokio::time::sleep(Duration::from_millis(1300)).await;
        told::serves(&doctor).await.with_context(|| format!("{mode:?}: known keys within their time"))?;
        tokio::time::sleep(Duration::from_millis(2500)).await;
        for caller in [&doctor, &newcomer] {
            let answer = caller.get(OPEN).await?;
            refused(&gateway, &answer, unavailable, Caller::Unknown).await.with_context(|| format!("{mode:?}"))?;
            ensure!(answer.header("retry-after").is_some(), "{mode:?}: no Retry-After");
        }
        let (status, list) = told::readiness(&gateway).await?;
        ensure!(status == StatusCode::SERVICE_UNAVAILABLE && list.contains("[-] jwks"), "{mode:?}: {status} {list}");
        issuer.behave(Mode::Up);
        until("let in again", Duration::from_secs(8), async || told::serves(&doctor).await.map(Some)).await?;
    }
    issuer.rotate()?;
    let fresh = gateway.fhir(issuer.token(&Role::Doctor.claims())?)?;
    // Keys were fetched a moment ago, and are not fetched again within `jwks_min_interval`.
    until("a token of the new key", Duration::from_secs(5), async || told::serves(&fresh).await.map(Some)).await?;
    let old = doctor.get(OPEN).await?;
    refused(&gateway, &old, refusal(401, "token-unknown-key"), Caller::Unknown).await.context("a withdrawn key")?;
    gateway.stop().await?;

    issuer.behave(Mode::Failing);
    let mut process = serving(&gateway, &[]).await?;
    let answer = fresh.get(OPEN).await?;
    refused(&gateway, &answer, unavailable, Caller::Unknown).await.context("nothing cached")?;
    ensure!(told::readiness(&gateway).await?.0 == StatusCode::SERVICE_UNAVAILABLE, "ready without keys");
    issuer.behave(Mode::Up);
    until("let in", Duration::from_secs(8), async || told::serves(&fresh).await.map(Some)).await?;
    ensure!(process.alive(), "it ended");
    process.terminate(Duration::from_secs(30)).await.map(drop)
}

/// Runs a stopped gateway's program on its files, `before` in front of it; gives it when it answers, ready or not.
async fn serving(gateway: &Gateway, before: &[&str]) -> Result<Running> {
    let program = programs::gateway().await?;
    let part = match before.split_first() {
        None => Part::new("e2e-by-hand", program),
        Some((first, more)) => Part::new("e2e-by-hand", *first).args(more).arg(program),
    };
    let mut process = part.args(["serve", "--config"]).arg(&gateway.config).start()?;
    let http = client()?;
    let probe = format!("{}/livez", gateway.admin);
    process.ready(Duration::from_secs(30), async |_: &str| http.get(&probe).send().await.ok().map(drop)).await?;
    Ok(process)
}

/// Without the log everything is served and journalled; when it is back each event's leaf gets into it.
pub(super) async fn sidecar_away_and_back(stack: &mut Stack) -> Result<()> {
    stack.sidecar.as_mut().context("no sidecar")?.crash().await?;
    let doctor = told::as_role(stack, Role::Doctor)?;
    let good = stack.direct()?.read(OPEN).await?;
    let mut requests = Vec::new();
    for _ in 0..3 {
        requests.push(told::serves(&doctor).await?);
        requests.push(told::request_id(&doctor.get(SEARCH).await?.success()?)?);
        requests.push(told::request_id(&doctor.get("Patient/cedar").await?)?);
        requests.push(told::request_id(&doctor.write(Method::PUT, OPEN, &good).await?.success()?)?);
    }
    let gateway = stack.gateway()?;
    let (status, list) = told::readiness(gateway).await?;
    ensure!(status == StatusCode::OK, "without the log it is {status}: {list}");
    let metrics = text(&format!("{}/metrics", gateway.admin)).await?;
    let waiting = metric(&metrics, "sealgate_journal{measure=\"unshipped_events\"}");
    ensure!(waiting.is_some_and(|records| records >= 12.0), "{waiting:?} records wait for the log");
    stack.sidecar.as_mut().context("no sidecar")?.start_again().await?;
    let (gateway, sidecar) = (stack.gateway()?, stack.sidecar()?);
    let mut indices = std::collections::BTreeSet::new();
    let mut events = 0;
    for request in requests {
        for opening in told::placed(gateway, request).await?.context("a request without events")? {
            let index = logged(sidecar, &opening).await?;
            events += 1;
            ensure!(indices.insert(index.clone()), "two events stand at {index}");
        }
    }
    ensure!(events >= 24, "{events} events of 12 requests");
    Ok(())
}

/// The index of an opening's leaf in the log, waited for.
async fn logged(sidecar: &Sidecar, opening: &Value) -> Result<String> {
    let part = |name: &str| -> Result<String> {
        match opening.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            _ => anyhow::bail!("an opening without {name}"),
        }
    };
    let (source, epoch, sequence) = (part("source")?, part("epoch")?, part("sequence")?);
    let address = format!("{}/v1/proof/{source}/{epoch}/{sequence}", sidecar.url);
    until("the leaf is in the log", Duration::from_secs(30), async || {
        let answer = client()?.get(&address).send().await?;
        if !answer.status().is_success() {
            return Ok(None);
        }
        let bundle: Value = answer.json().await?;
        let index = bundle.pointer("/records/0/index").context("a proof without an index")?;
        Ok(Some(index.to_string()))
    })
    .await
}

async fn text(address: &str) -> Result<String> {
    Ok(client()?.get(address).send().await?.error_for_status()?.text().await?)
}

/// A sample of the text format.
fn metric(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// How long a leaf may wait for its anchor in the test of a chain that is away.
const OVERDUE: Duration = Duration::from_secs(20);

/// Without the chain everything is served and logged, the sidecar raises its alarm when anchoring is overdue and not before, and anchors when
/// the chain is back.
pub(super) async fn chain_away_and_back(stack: &mut Stack) -> Result<()> {
    let chain = stack.anvil()?;
    let forwarder = Forwarder::start(&chain.rpc).await?;
    let folder = stack.folder.join("chain-away-sidecar");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("publisher.key"), SECOND_FUNDED_KEY)?;
    let options = SidecarOptions {
        name: "e2e-chain-away-sidecar".to_owned(),
        folder,
        origin: "log.demo.example/chain-away".to_owned(),
        cadence_seconds: 1,
        more: written::table(&json!({"anchor": {"rpc": [forwarder.url], "overdue_seconds": OVERDUE.as_secs()}}))?,
    };
    let mut sidecar = Sidecar::start(options, Some(chain)).await?;
    let mut options = told::second(stack, "chain-away", stack.upstream.base(), &json!({}))?;
    options.sidecar_socket.clone_from(&sidecar.socket);
    options.log_key.clone_from(&sidecar.log_key);
    let mut gateway = Gateway::start(options).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let sealed = async |request| -> Result<()> {
        for opening in told::placed(&gateway, request).await?.context("no events")? {
            logged(&sidecar, &opening).await?;
        }
        Ok(())
    };
    let url = sidecar.url.clone();
    let measured = async |name: &str| -> Result<f64> {
        let metrics = text(&format!("{url}/metrics")).await?;
        metric(&metrics, name).with_context(|| format!("no {name}"))
    };
    let anchored = async || measured("sealgate_anchor_final_sequence").await;
    sealed(told::serves(&doctor).await?).await?;
    until("anchored", Duration::from_secs(40), async || Ok((anchored().await? >= 1.0).then_some(()))).await?;
    ensure!(measured("sealgate_anchor_alarm").await? == 0.0, "the ordinary course is no alarm");
    forwarder.cut();
    let cut = Instant::now();
    for _ in 0..5 {
        sealed(told::serves(&doctor).await?).await.context("while the chain is away")?;
    }
    until("the chain is missed", Duration::from_secs(40), async || {
        Ok((measured("sealgate_anchor_blind").await? == 1.0).then_some(()))
    })
    .await?;
    // Read in this order, the age at which the alarm was raised is at most the one that is read.
    while measured("sealgate_anchor_alarm").await? == 0.0 {
        ensure!(
            cut.elapsed() < OVERDUE + Duration::from_secs(20),
            "no alarm {} s after the cut",
            cut.elapsed().as_secs()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let age = measured("sealgate_log_unanchored_age_seconds").await?;
    ensure!(age > OVERDUE.as_secs_f64(), "the alarm is raised at {age} s");
    ensure!(measured("sealgate_anchor_overdue").await? == 1.0, "alarmed for another reason");
    let status: Value = serde_json::from_str(&text(&format!("{url}/v1/status")).await?)?;
    ensure!(status.get("overdue") == Some(&json!(true)), "the status does not say so: {status}");
    let before = anchored().await?;
    // It outlives a restart: leaves do not get young by it.
    sidecar.crash().await?;
    sidecar.start_again().await?;
    until("the alarm after a restart", Duration::from_secs(5), async || {
        Ok((measured("sealgate_anchor_alarm").await? == 1.0).then_some(()))
    })
    .await?;
    ensure!(told::readiness(&gateway).await?.0 == StatusCode::OK, "the gateway is not ready without the chain");
    text(&format!("{}/readyz", sidecar.url)).await.context("the sidecar is not ready without the chain")?;
    forwarder.mend();
    until("anchored again", Duration::from_secs(60), async || Ok((anchored().await? > before).then_some(()))).await?;
    until("the alarm ends", Duration::from_secs(40), async || {
        let (alarm, blind) = (measured("sealgate_anchor_alarm").await?, measured("sealgate_anchor_blind").await?);
        Ok((alarm == 0.0 && blind == 0.0).then_some(()))
    })
    .await?;
    gateway.stop().await?;
    sidecar.stop().await
}

/// Three errors in a configuration are three lines, each with its key, and no value; the exit code is 64.
pub(super) async fn three_errors_of_a_configuration_are_all_reported(stack: &mut Stack) -> Result<()> {
    let file = stack.folder.join("three-errors.toml");
    std::fs::write(
        &file,
        r#"[server]
listen = "zq7395marker"
public_base = "http://127.0.0.1:1/fhir"
[upstream]
base = "http://fhir.example.org/zq7395marker"
[[auth.issuers]]
issuer = "https://login.example.org"
audience = ["https://fhir.example.org"]
[journal]
path = "/nowhere/journal.db"
kek_file = "/nowhere/kek"
tenannt = "t"
tenant = "t"
[sidecar]
socket = "/nowhere/sidecar.sock"
log_key = "log+0123abcd+AAAA"
[admin]
listen = "127.0.0.1:0"
"#,
    )?;
    let program = programs::gateway().await?;
    for arguments in [["config", "check", "--config"].as_slice(), &["serve", "--config"]] {
        let output = tokio::process::Command::new(program).args(arguments).arg(&file).output().await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(64), "{arguments:?} ends with {}: {said}", output.status);
        for key in ["server.listen", "upstream.base", "journal.tenannt"] {
            ensure!(said.contains(key), "{arguments:?} does not name {key}: {said}");
        }
        ensure!(said.contains("3 errors"), "{arguments:?} does not count them: {said}");
        told::silent("the message", &said, &["zq7395marker"])?;
    }
    Ok(())
}
