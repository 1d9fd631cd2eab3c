//! Rules that change while requests are at work: each request is decided by one set of them, and says by which.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::told::{self, OPEN, of_kind, until};
use crate::demo::cast::Role;
use crate::harness::fhir::Fhir;
use crate::harness::gateway::Gateway;
use crate::harness::openings::Admin;
use crate::harness::stack::Stack;
use crate::harness::workspace;

const SOON: Duration = Duration::from_secs(60);
/// Clients at work while the rules change.
const CLIENTS: usize = 4;
/// Requests of each outcome whose events are read.
const SAMPLE: usize = 20;

const NO_OBSERVATIONS: &str =
    r#"@id("no-observations") forbid (principal, action, resource == ResourceType::"Observation");"#;

/// Reads until it is told to stop: status and request id of each answer, in order.
async fn keep_reading(doctor: Fhir, stop: Arc<AtomicBool>) -> Result<Vec<(StatusCode, Uuid)>> {
    let mut answers = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let answer = doctor.get(OPEN).await?;
        answers.push((answer.status, told::request_id(&answer)?));
    }
    Ok(answers)
}

/// The policies under which these requests were decided.
async fn decided_under(gateway: &Gateway, requests: impl Iterator<Item = Uuid>) -> Result<BTreeSet<String>> {
    let mut digests = BTreeSet::new();
    for request in requests {
        let events = told::openings(gateway, request).await?.with_context(|| format!("{request} has no events"))?;
        let event = of_kind(&events, "request").next().context("no request event")?;
        digests.extend(event.get("policy_digest").and_then(Value::as_str).map(str::to_owned));
    }
    Ok(digests)
}

/// The places of the changes in the journal.
fn changes(gateway: &Gateway) -> Result<Vec<i64>> {
    let journal = Connection::open_with_flags(&gateway.journal, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement =
        journal.prepare("SELECT position FROM record WHERE kind = 'policy-change' ORDER BY position")?;
    let positions = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(positions)
}

fn place(gateway: &Gateway, request: Uuid) -> Result<i64> {
    let journal = Connection::open_with_flags(&gateway.journal, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let query = "SELECT position FROM record WHERE event = ?1";
    journal.query_row(query, [request.as_bytes().as_slice()], |row| row.get(0)).context("not in the journal")
}

async fn answers(doctor: &Fhir, status: u16) -> Result<()> {
    let what = format!("{OPEN} answers {status}");
    until(&what, SOON, async || Ok((doctor.get(OPEN).await?.status == status).then_some(()))).await
}

/// A policy that appears counts for every request from then on, and for none that was decided before it was on record;
/// faulty files change nothing.
pub(super) async fn policies_change_without_a_restart(stack: &mut Stack) -> Result<()> {
    let policies = stack.folder.join("reload-policies");
    std::fs::create_dir_all(&policies)?;
    let (forbids, broken) = (policies.join("no-observations.cedar"), policies.join("broken.cedar"));
    for left in [&forbids, &broken] {
        // Left by a run before, or not there.
        let _ = std::fs::remove_file(left);
    }
    let more = json!({"policy": {"cedar_dir": policies}});
    let mut gateway = Gateway::start(told::second(stack, "reload", stack.upstream.base(), &more)?).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let admin = Admin::of(&gateway)?;

    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(keep_reading(doctor.clone(), Arc::clone(&stop)));
    }
    answers(&doctor, 200).await?;
    workspace::replace(&forbids, NO_OBSERVATIONS.as_bytes())?;
    let refused = answers(&doctor, 403).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::SeqCst);
    let (mut old, mut new) = (Vec::new(), Vec::new());
    while let Some(answers) = clients.join_next().await {
        let answers = answers??;
        let turned = answers.iter().position(|(status, _)| *status == 403).unwrap_or(answers.len());
        let (before, after) = answers.split_at(turned);
        ensure!(after.iter().all(|(status, _)| *status != 200), "decided by the old policy after the new: {after:?}");
        // A machine that is busy elsewhere may answer 503, under either policy.
        let decided = |status: u16| move |(told, id): &(StatusCode, Uuid)| (*told == status).then_some(*id);
        old.extend(before.iter().rev().filter_map(decided(200)).take(SAMPLE / CLIENTS));
        new.extend(after.iter().filter_map(decided(403)).take(SAMPLE / CLIENTS));
    }
    refused?;
    ensure!(!old.is_empty() && !new.is_empty(), "{} before and {} after", old.len(), new.len());
    let before = decided_under(&gateway, old.iter().copied()).await?;
    let after = decided_under(&gateway, new.iter().copied()).await?;
    ensure!(before.len() == 1 && after.len() == 1 && before != after, "decided under {before:?}, then {after:?}");

    let recorded = changes(&gateway)?;
    let [position] = recorded.as_slice() else { anyhow::bail!("changes on record: {recorded:?}") };
    for request in new {
        ensure!(place(&gateway, request)? > *position, "{request} was decided before the change was on record");
    }
    let (log, digest) = (gateway.process()?.output()?, after.first().context("no digest")?);
    ensure!(log.contains(digest), "the log does not say which policy is in force");

    // Faulty policies and a faulty configuration: told with key and cure, and nothing changes.
    let refusals = r#"sealgate_reloads_total{result="refused"}"#;
    let at_least = async |count: f64| {
        until(refusals, SOON, async || Ok(admin.measured(refusals).await.is_ok_and(|n| n >= count).then_some(()))).await
    };
    workspace::replace(&broken, b"permit (principal, action")?;
    at_least(1.0).await?;
    std::fs::remove_file(&broken)?;
    let good = std::fs::read_to_string(&gateway.config)?;
    let mut bad: toml::Table = good.parse()?;
    bad.insert("consent".to_owned(), toml::Value::try_from(json!({"no_consent": "perhaps"}))?);
    workspace::replace(&gateway.config, toml::to_string(&bad)?.as_bytes())?;
    at_least(2.0).await?;
    answers(&doctor, 403).await?;
    let log = gateway.process()?.output()?;
    for told in ["policy.cedar_dir", "consent.no_consent"] {
        ensure!(log.contains(told), "the log does not tell of {told}");
    }
    ensure!(changes(&gateway)?.len() == 1, "a faulty file is on record as a change");
    ensure!(admin.readiness().await?.0 == 200, "a faulty file makes the gateway unready");

    // The configuration itself, at once on SIGHUP: elements are removed, and the policy that forbade is gone.
    std::fs::remove_file(&forbids)?;
    let mut table: toml::Table = good.parse()?;
    table.insert("redaction".to_owned(), toml::Value::try_from(json!([{"path": "Observation.code"}]))?);
    workspace::replace(&gateway.config, toml::to_string(&table)?.as_bytes())?;
    let process = Pid::from_raw(gateway.process()?.id()).context("no process")?;
    kill_process(process, Signal::HUP)?;
    answers(&doctor, 200).await?;
    let shown = doctor.read(OPEN).await?;
    ensure!(shown.get("subject").is_some() && shown.get("code").is_none(), "what is removed now: {shown}");
    ensure!(changes(&gateway)?.len() == 2, "the second change is not on record once");
    told::silent("the log", &gateway.process()?.output()?, &["alder"])?;
    gateway.stop().await
}
