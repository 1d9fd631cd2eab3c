//! The parts themselves: what the other tests stand on.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use reqwest::Method;
use serde_json::{Value, json};

use super::Skip;
use super::told::until;
use crate::harness::collector::Collector;
use crate::harness::fhir::{self, Fhir};
use crate::harness::issuer::{Algorithm, Issuer, Keys, Mode};
use crate::harness::stack::{Stack, Upstream};

/// Links and locations that the server gives are absolute and under its base: the gateway has something to rewrite.
pub(super) async fn fhir_server_answers_with_its_own_base(stack: &mut Stack) -> Result<()> {
    let server = stack.direct()?;
    let capabilities = server.read("metadata").await?;
    ensure!(capabilities.get("fhirVersion") == Some(&json!("4.0.1")), "it is no R4 server");
    let page = server.read("Patient?_count=1").await?;
    for relation in ["self", "next"] {
        let link = fhir::link(&page, relation).with_context(|| format!("no {relation} link"))?;
        ensure!(link.starts_with(server.base()), "{relation}: {link}");
    }
    let full_url = page.pointer("/entry/0/fullUrl").and_then(Value::as_str);
    ensure!(full_url.is_some_and(|url| url.starts_with(server.base())), "fullUrl: {full_url:?}");
    Ok(())
}

/// Every resource of the demo's bundles is there, under the id that the bundle gave it.
pub(super) async fn demo_data_is_there(stack: &mut Stack) -> Result<()> {
    let server = stack.direct()?;
    ensure!(stack.loaded.patients.len() >= 6, "{} patients", stack.loaded.patients.len());
    for patient in &stack.loaded.patients {
        server.read(patient).await?;
        let consents = server.count(&format!("Consent?patient={patient}")).await?;
        let conditions = server.count(&format!("Condition?patient={patient}")).await?;
        ensure!(conditions >= 1, "{patient} has no Condition");
        // One patient of the demo recorded none.
        ensure!(consents >= 1 || patient == "Patient/hazel", "{patient} has no Consent");
    }
    Ok(())
}

/// The server counts what was loaded, type by type, and finds as much, page by page.
pub(super) async fn searches_count_what_was_loaded(stack: &mut Stack) -> Result<()> {
    let server = stack.direct()?;
    for (kind, loaded) in &stack.loaded.resources {
        let counted = server.count(&format!("{kind}?_lastUpdated=gt2000-01-01")).await?;
        ensure!(counted >= *loaded, "{kind}: {counted} of {loaded}");
        let found = server.search(&format!("{kind}?_count=7")).await?;
        ensure!(found.len() as u64 >= *loaded, "{kind}: {} of {loaded} on the pages", found.len());
    }
    Ok(())
}

/// No result is reused: what is written now is found now, and what is deleted is not.
pub(super) async fn writes_are_seen_by_the_next_search(stack: &mut Stack) -> Result<()> {
    let server = stack.direct()?;
    let query = "Basic?code=https://sealgate.example/test|fresh";
    ensure!(server.count(query).await? == 0, "left over from before");
    let resource = json!({"resourceType": "Basic", "id": "fresh-1",
        "code": {"coding": [{"system": "https://sealgate.example/test", "code": "fresh"}]}});
    server.put(&resource).await?;
    ensure!(server.search(query).await?.len() == 1, "not found after the write");
    let gone = server.request(Method::DELETE, "Basic/fresh-1");
    Fhir::send(gone).await?.success()?;
    ensure!(server.search(query).await?.is_empty(), "found after the delete");
    Ok(())
}

/// Blocks come by themselves and become final.
pub(super) async fn chain_mines_and_finalises(stack: &mut Stack) -> Result<()> {
    let chain = stack.anvil()?;
    let begin = Instant::now();
    loop {
        let block = chain.call("eth_getBlockByNumber", &json!(["finalized", false])).await?;
        let number = block.get("number").and_then(Value::as_str).context("a block without a number")?;
        if number != "0x0" {
            return Ok(());
        }
        ensure!(begin.elapsed() < Duration::from_secs(30), "no block is final after 30 s");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Tokens of every algorithm verify by the published keys, with any claims in them.
pub(super) async fn issuer_signs_by_every_algorithm(stack: &mut Stack) -> Result<()> {
    let keys = published(&stack.issuer.url).await?;
    for algorithm in Algorithm::ALL {
        let token = stack.issuer.token_by(algorithm, &json!({"sub": "a", "unheard_of": {"b": [1]}}))?;
        let kid = jsonwebtoken::decode_header(&token)?.kid.context("no kid")?;
        let key = keys.find(&kid).with_context(|| format!("{kid} is not published"))?;
        let mut validation = Validation::new(algorithm.jwt());
        validation.set_audience(&[&stack.issuer.audience]);
        validation.set_issuer(&[&stack.issuer.url]);
        let claims = jsonwebtoken::decode::<Value>(&token, &DecodingKey::from_jwk(key)?, &validation)?.claims;
        ensure!(claims.pointer("/unheard_of/b/0") == Some(&json!(1)), "claims were lost");
    }
    Ok(())
}

/// An issuer of the test's own changes its keys, fails, and goes away.
pub(super) async fn issuer_rotates_and_fails_on_demand(_: &mut Stack) -> Result<()> {
    let issuer = Issuer::start(Keys::generate(1)?, 0, "anyone").await?;
    let before = published(&issuer.url).await?;
    issuer.rotate()?;
    let after = published(&issuer.url).await?;
    for key in &after.keys {
        let id = key.common.key_id.as_deref().context("a key without id")?;
        ensure!(before.find(id).is_none(), "{id} is an old key");
    }
    ensure!(issuer.key_requests() == 2, "{} key requests", issuer.key_requests());
    issuer.behave(Mode::Failing);
    ensure!(published(&issuer.url).await.is_err(), "it answers though it should fail");
    issuer.behave(Mode::Up);
    published(&issuer.url).await?;
    issuer.stop().await;
    ensure!(published(&issuer.url).await.is_err(), "it answers though it stopped");
    Ok(())
}

/// A real collector receives what is sent over OTLP.
pub(super) async fn collector_takes_traces(stack: &mut Stack) -> Result<()> {
    if matches!(stack.upstream, Upstream::At(_)) {
        return Err(Skip("the collector is tried with servers of our own only".to_owned()).into());
    }
    let mut collector = Collector::start(&stack.tools, "e2e-collector").await?;
    let span = json!({"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "probe"}}]},
        "scopeSpans": [{"scope": {"name": "probe"}, "spans": [{"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331",
        "name": "a span of the probe", "kind": 1, "startTimeUnixNano": "1", "endTimeUnixNano": "2"}]}]}]});
    let answer = fhir::client()?.post(format!("{}/v1/traces", collector.otlp)).json(&span).send().await?;
    ensure!(answer.status().is_success(), "the collector answers {}", answer.status());
    collector
        .process
        .ready(Duration::from_secs(10), async |output: &str| output.contains("a span of the probe").then_some(()))
        .await
        .context("the collector did not print the span")
}

/// A leaf that was acknowledged before a `kill -9` is there afterwards: asked again, the log gives the very same receipt.
pub(super) async fn sidecar_survives_a_crash(stack: &mut Stack) -> Result<()> {
    let sidecar = stack.sidecar.as_mut().context("this stack has no sidecar")?;
    let leaf = json!({"source": "5ea1".repeat(8), "epoch": 1, "sequence": "0", "commitment": "c0".repeat(32)});
    // Until the chain has been asked for the newest head, nothing is taken.
    let added = async |socket: &std::path::Path| {
        until("the leaf is taken", Duration::from_secs(30), async || add(socket, &leaf).await.map(Some)).await
    };
    let receipt = added(&sidecar.socket).await?;
    ensure!(receipt.contains(&sidecar.origin), "another log: {receipt}");
    sidecar.crash().await?;
    ensure!(add(&sidecar.socket, &leaf).await.is_err(), "it answers though it was killed");
    sidecar.start_again().await?;
    let again = added(&sidecar.socket).await?;
    ensure!(again == receipt, "before the crash: {receipt}\nafter it: {again}");
    Ok(())
}

async fn add(socket: &std::path::Path, leaf: &Value) -> Result<String> {
    let client = reqwest::Client::builder().unix_socket(socket).no_proxy().build()?;
    let answer = client.post("http://sidecar/v1/leaf").json(leaf).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status.is_success(), "the sidecar answers {status}: {text}");
    Ok(text)
}

async fn published(issuer: &str) -> Result<JwkSet> {
    let client = fhir::client()?;
    let discovery: Value = client
        .get(format!("{issuer}/.well-known/openid-configuration"))
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let address = discovery.get("jwks_uri").and_then(Value::as_str).context("no jwks_uri")?;
    Ok(client.get(address).send().await?.error_for_status()?.json().await?)
}
