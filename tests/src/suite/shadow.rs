//! A shadow policy: it decides beside the rules in force, is counted, and changes nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::told::{self, OPEN, until};
use crate::demo::cast::Role;
use crate::harness::fhir::Answer;
use crate::harness::gateway::Gateway;
use crate::harness::openings::Admin;
use crate::harness::stack::Stack;
use crate::harness::workspace;

const SOON: Duration = Duration::from_secs(30);
/// Of a patient without a Consent.
const UNCONSENTED: &str = "Observation/hazel-bp";
const HIDDEN: &str = "Observation/cedar-bp";

async fn counted(admin: &Admin, result: &str) -> f64 {
    let mut sum = 0.0;
    for rule in
        ["none", "organisation-policy", "implicit-deny", "consent-permit", "consent-deny", "implicit-all-normal"]
    {
        let name = format!("sealgate_shadow_decisions_total{{reason_class=\"{rule}\",result=\"{result}\"}}");
        sum += admin.measured(&name).await.unwrap_or(0.0);
    }
    sum
}

fn seen(answer: &Answer) -> (u16, Vec<u8>, Option<String>) {
    let etag = answer.header("etag").map(str::to_owned);
    (answer.status.as_u16(), answer.body.to_vec(), etag)
}

/// What would be decided differently is counted and logged by rule; every answer is that of the rules in force.
pub(super) async fn it_is_counted_and_changes_nothing(stack: &mut Stack) -> Result<()> {
    let folder = stack.folder.join("shadow-policy");
    std::fs::create_dir_all(&folder)?;
    let policy = folder.join("shadow.toml");
    workspace::replace(&policy, b"no_consent = \"deny\"")?;
    let options = told::second(stack, "shadow", stack.upstream.base(), &json!({"shadow": {"policy_file": policy}}))?;
    let mut gateway = Gateway::start(options).await?;
    let admin = Admin::of(&gateway)?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let (code, told) = gateway.command(&["config", "check"]).await?;
    ensure!(code == 0, "{told}");

    // What must not differ: permitted and hidden by Consents.
    for (what, status) in [(OPEN, 200), (HIDDEN, 404)] {
        let answer = doctor.get(what).await?;
        ensure!(answer.status.as_u16() == status, "{what} answers {}", answer.status);
    }
    until("the same is counted", SOON, async || Ok((counted(&admin, "same").await >= 4.0).then_some(()))).await?;
    ensure!(counted(&admin, "would-deny").await == 0.0, "it differs where it must not");

    // What must: the answer is that of a gateway without a shadow.
    let plain = Gateway::start(told::second(stack, "no-shadow", stack.upstream.base(), &json!({}))?).await;
    let mut plain = plain.context("the gateway without a shadow")?;
    let other = plain.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let (with, without) = (doctor.get(UNCONSENTED).await?, other.get(UNCONSENTED).await?);
    let without_body = String::from_utf8_lossy(&without.body).replace(&plain.url, &gateway.url);
    let (status, body, etag) = seen(&with);
    ensure!(status == 200 && etag == seen(&without).2, "{status} {etag:?}");
    ensure!(String::from_utf8_lossy(&body) == without_body, "the shadow changes an answer");
    plain.stop().await?;
    until("a difference is counted", SOON, async || Ok((counted(&admin, "would-deny").await == 1.0).then_some(())))
        .await?;

    let (status, readiness) = admin.readiness().await?;
    ensure!(status == 200 && readiness.contains("[!] shadow"), "{readiness}");
    let log = gateway.process()?.output()?;
    ensure!(
        log.contains("the shadow policy differs") && log.contains("implicit-deny"),
        "the log tells of no difference"
    );
    told::silent("the log", &log, &["hazel", "alder", "cedar"])?;

    // It is read again when it changes; one that cannot be read changes nothing.
    workspace::replace(&policy, b"no_consent = \"basic-normal\"\nseveral_consents = \"permit-overrides\"")?;
    until("the shadow is read again", SOON, async || {
        let reloads = admin.measured(r#"sealgate_reloads_total{result="in-force"}"#).await;
        Ok(reloads.is_ok_and(|count| count >= 1.0).then_some(()))
    })
    .await?;
    let same = counted(&admin, "same").await;
    ensure!(doctor.get(UNCONSENTED).await?.status.as_u16() == 200, "the answer changed");
    until(
        "it does not differ any more",
        SOON,
        async || Ok((counted(&admin, "same").await >= same + 2.0).then_some(())),
    )
    .await?;
    ensure!(counted(&admin, "would-deny").await == 1.0, "the old shadow still decides");
    workspace::replace(&policy, b"no_consent = \"perhaps\"")?;
    until("a faulty shadow is refused", SOON, async || {
        let refused = admin.measured(r#"sealgate_reloads_total{result="refused"}"#).await;
        Ok(refused.is_ok_and(|count| count >= 1.0).then_some(()))
    })
    .await?;
    ensure!(doctor.get(UNCONSENTED).await?.status.as_u16() == 200, "a faulty shadow changes an answer");
    let counts = (counted(&admin, "same").await, counted(&admin, "would-deny").await);
    ensure!(doctor.get(UNCONSENTED).await?.status.as_u16() == 200, "a faulty shadow changes an answer");
    ensure!((counted(&admin, "same").await, counted(&admin, "would-deny").await) == counts, "a faulty shadow decides");
    let (code, told) = gateway.command(&["config", "check"]).await?;
    ensure!(code == 64 && told.contains("shadow.policy_file"), "{code}: {told}");
    gateway.stop().await
}
