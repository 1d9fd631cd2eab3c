//! A journal that takes no more: full by count, full by size, and on a disk that refuses. Nothing leaves that cannot be recorded.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;
use uuid::Uuid;

use super::{SEARCH, logged, serving};
use crate::demo::cast::Role;
use crate::harness::fhir::{Answer, Fhir};
use crate::harness::gateway::Gateway;
use crate::harness::stack::Stack;
use crate::suite::told::{self, OPEN, held, until};

/// Reads until one is refused because it cannot be recorded; gives how many were served, and the refusal.
async fn until_full(doctor: &Fhir, most: usize) -> Result<(usize, Answer)> {
    for served in 0..most {
        let answer = doctor.get(OPEN).await?;
        if !answer.status.is_success() {
            return Ok((served, answer));
        }
    }
    anyhow::bail!("{most} requests were served, and the journal is not full")
}

/// Where a read's events do not fit any more, a write's one intent may: then it is carried out and told. Fills up what is
/// left after that; gives the write's id and whether it was said to be done.
async fn at_the_edge(stack: &Stack, doctor: &Fhir) -> Result<(Uuid, bool)> {
    let good = stack.direct()?.read(OPEN).await?;
    let written = doctor.write(Method::PUT, OPEN, &good).await?;
    let done = written.status.is_success();
    ensure!(done || written.status == StatusCode::SERVICE_UNAVAILABLE, "the write is answered {}", written.status);
    for _ in 0..60 {
        if doctor.get("Patient/nobody").await?.status == StatusCode::SERVICE_UNAVAILABLE {
            return Ok((told::request_id(&written)?, done));
        }
    }
    anyhow::bail!("the journal still takes events")
}

/// A write that was said to be done is on record to its end; one that was refused was not begun.
async fn told_as_done(gateway: &Gateway, (write, done): (Uuid, bool)) -> Result<()> {
    let events = told::openings(gateway, write).await?;
    let end = events.as_deref().and_then(told::end);
    match (done, &events) {
        (true, Some(events)) if end == Some("complete") && told::of_kind(events, "disclosure").count() == 1 => Ok(()),
        (false, None) => Ok(()),
        _ => anyhow::bail!("said to be done: {done}; on record: {events:?}"),
    }
}

/// Refused because it cannot be recorded: nothing of the resource leaves, nothing is written.
async fn unrecordable(stack: &Stack, doctor: &Fhir, first: &Answer, rule: &str) -> Result<()> {
    let direct = stack.direct()?;
    let before = held(&direct, OPEN).await?;
    let original = direct.read(OPEN).await?;
    let mut changed = original.clone();
    changed.as_object_mut().context("a resource")?.insert("note".into(), json!([{"text": "zq7394marker"}]));
    let written = doctor.write(Method::PUT, OPEN, &changed).await?;
    let now = held(&direct, OPEN).await?;
    if now != before {
        direct.put(&original).await?;
        anyhow::bail!("a write was answered {} {} and carried out", written.status, told::rule(&written)?);
    }
    let answers = [
        first.clone(),
        doctor.get(OPEN).await?,
        doctor.get(SEARCH).await?,
        doctor.get("Patient/cedar").await?,
        written,
        Fhir::send(doctor.request(Method::DELETE, OPEN)).await?,
    ];
    for answer in &answers {
        let shown = String::from_utf8_lossy(&answer.body).into_owned();
        ensure!(answer.status == StatusCode::SERVICE_UNAVAILABLE, "answered {}: {shown}", answer.status);
        ensure!(told::rule(answer)? == rule, "{shown}");
        ensure!(answer.header("retry-after").is_some(), "no Retry-After");
        told::request_id(answer)?;
        told::silent("the answer", &shown, &["alder", "8480-6"])?;
    }
    ensure!(held(&direct, OPEN).await? == before, "the server holds something else now");
    Ok(())
}

/// A journal that may take no more: 503 and nothing released, until the log has taken what waits, or there is more room.
pub(in crate::suite) async fn journal_full_and_freed(stack: &mut Stack) -> Result<()> {
    let mut options = told::second(stack, "backlog", stack.upstream.base(), &json!({"journal": {"max_backlog": 40}}))?;
    options.folder = stack.folder.join("backlog");
    let socket = options.folder.join("later.sock");
    let log = std::mem::replace(&mut options.sidecar_socket, socket.clone());
    let mut gateway = Gateway::start(options).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let first = told::serves(&doctor).await?;
    let (served, refusal) = until_full(&doctor, 60).await?;
    ensure!(served >= 5, "{served} requests were served");
    let edge = at_the_edge(stack, &doctor).await?;
    unrecordable(stack, &doctor, &refusal, "journal-full").await?;
    let (status, list) = told::readiness(&gateway).await?;
    ensure!(status == StatusCode::SERVICE_UNAVAILABLE && list.contains("[-] backlog"), "{status} {list}");
    std::os::unix::fs::symlink(&log, &socket)?;
    until("served again", Duration::from_secs(30), async || told::serves(&doctor).await.map(Some)).await?;
    for opening in told::placed(&gateway, first).await?.context("the first request has no events")? {
        logged(stack.sidecar()?, &opening).await?;
    }
    told_as_done(&gateway, edge).await.context("a write while the backlog is nearly full")?;
    gateway.stop().await?;

    let small = json!({"journal": {"max_size": "512 KiB"}});
    let mut gateway = Gateway::start(told::second(stack, "small-journal", stack.upstream.base(), &small)?).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let first = told::serves(&doctor).await?;
    let (served, refusal) = until_full(&doctor, 2_000).await?;
    ensure!(served >= 20, "{served} requests were served");
    let edge = at_the_edge(stack, &doctor).await?;
    unrecordable(stack, &doctor, &refusal, "journal-full").await?;
    let (status, list) = told::readiness(&gateway).await?;
    ensure!(status == StatusCode::SERVICE_UNAVAILABLE && list.contains("[-] journal"), "{status} {list}");
    gateway.stop().await?;
    let more = json!({"journal": {"max_size": "4 MiB"}});
    let mut gateway = Gateway::start(told::second(stack, "small-journal", stack.upstream.base(), &more)?).await?;
    told::serves(&gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?).await?;
    ensure!(told::openings(&gateway, first).await?.is_some(), "what was recorded before has gone");
    told_as_done(&gateway, edge).await.context("a write while the file is nearly full")?;
    gateway.stop().await
}

/// A journal whose disk takes nothing more: 503 and nothing released, and a restart goes on where it was.
pub(in crate::suite) async fn journal_not_writable(stack: &mut Stack) -> Result<()> {
    let mut gateway = Gateway::start(told::second(stack, "unwritable", stack.upstream.base(), &json!({}))?).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let first = told::serves(&doctor).await?;
    gateway.stop().await?;
    // Writes to files fail from a moment on; the output goes through a pipe, which the limit does not concern.
    let script = "trap '' XFSZ; exec \"$0\" \"$@\" > >(cat) 2>&1";
    let mut process = serving(&gateway, &["bash", "-c", script]).await?;
    until("served", Duration::from_secs(10), async || told::serves(&doctor).await.map(Some)).await?;
    let pid = Pid::from_raw(process.id()).context("no process id")?;
    let limit = |current| Rlimit { current, maximum: None };
    prlimit(Some(pid), Resource::Fsize, limit(Some(1)))?;
    let refusal = doctor.get(OPEN).await?;
    let rule = told::rule(&refusal)?;
    ensure!(rule.starts_with("journal-"), "told {rule}");
    unrecordable(stack, &doctor, &refusal, &rule).await?;
    let (status, list) = told::readiness(&gateway).await?;
    ensure!(status == StatusCode::SERVICE_UNAVAILABLE && list.contains("[-] journal"), "{status} {list}");
    prlimit(Some(pid), Resource::Fsize, limit(None))?;
    ensure!(process.alive(), "it ended");
    process.crash().await?;
    gateway.start_again().await?;
    told::serves(&doctor).await?;
    ensure!(told::openings(&gateway, first).await?.is_some(), "what was recorded before has gone");
    gateway.stop().await
}
