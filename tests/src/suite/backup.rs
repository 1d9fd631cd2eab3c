//! The journal's copies in real life: lost and restored, and an old snapshot that somebody put back in silence.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use evidence::event::EventBody;
use evidence::leaf::Leaf;
use serde_json::json;
use uuid::Uuid;

use crate::demo::cast::Role;
use crate::harness::gateway::Gateway;
use crate::harness::log::PublishedLog;
use crate::harness::openings::{Admin, Opened};
use crate::harness::stack::Stack;
use crate::suite::told;

/// How long shipping may take.
const SOON: Duration = Duration::from_secs(20);
/// How long it may take until strangers see it: the next final anchor.
const ANCHORED: Duration = Duration::from_secs(60);

/// Backup under way, loss, restore: what the copy holds can be opened and proven, what came after it stays in the log, and
/// new records go on in the next epoch.
pub(super) async fn a_lost_journal_is_restored(stack: &mut Stack) -> Result<()> {
    let mut gateway = start(stack, "restored").await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let kept = told::serves(&doctor).await?;
    let copy = stack.folder.join("restored").join("copy.db");
    let to = copy.to_str().context("a path that is no text")?;
    ran(&gateway, &["journal", "backup", "--to", to], "records copied").await?;
    let (code, again) = gateway.command(&["journal", "backup", "--to", to]).await?;
    ensure!(code == 64 && again.contains("is there already"), "a copy was overwritten: {code} {again}");
    let lost = told::serves(&doctor).await?;
    let admin = Admin::of(&gateway)?;
    admin.shipped(SOON).await?;
    let before = [opened(&admin, kept).await?, opened(&admin, lost).await?].concat();
    let (code, told) = gateway.command(&["journal", "restore", "--from", to]).await?;
    ensure!(code == 64 && told.contains("is there already"), "restored over a journal: {code} {told}");

    gateway.stop().await?;
    remove(&gateway.journal)?;
    ran(&gateway, &["journal", "restore", "--from", to], "epoch 2").await?;
    gateway.start_again().await?;
    let after = told::serves(&doctor).await?;
    admin.shipped(SOON).await?;
    ensure!(ready(&admin).await?, "not ready after the restore");
    let of_the_copy = opened(&admin, kept).await?;
    ensure!(before.starts_with(&of_the_copy), "what the copy holds has changed");
    ensure!(told::openings(&gateway, lost).await?.is_none(), "what came after the copy is in it");
    let new = opened(&admin, after).await?;
    ensure!(new.iter().all(|opened| opened.place.0 == 2), "new records in the old epoch");

    let sidecar = stack.sidecar()?;
    let all = [before, new].concat();
    told::until("every event is in the log exactly once", ANCHORED, async || {
        let log = PublishedLog::read(&sidecar.url).await?;
        let once = |opened: &Opened| {
            let at =
                |leaf: &&Leaf| leaf.source == opened.source && (leaf.epoch.get(), leaf.sequence.get()) == opened.place;
            log.leaves.iter().filter(at).map(|leaf| leaf.commitment).eq([opened.commitment])
        };
        Ok(all.iter().all(once).then_some(()))
    })
    .await?;
    gateway.stop().await
}

/// A snapshot that was put back without a word is caught by the log at the first record, which is that of the start; with `new-epoch` it goes on.
pub(super) async fn an_old_snapshot_is_caught(stack: &mut Stack) -> Result<()> {
    let mut gateway = start(stack, "snapshot").await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let admin = Admin::of(&gateway)?;
    let kept = told::serves(&doctor).await?;
    gateway.stop().await?;
    let snapshot = stack.folder.join("snapshot").join("snapshot.db");
    std::fs::copy(&gateway.journal, &snapshot)?;
    gateway.start_again().await?;
    told::serves(&doctor).await?;
    admin.shipped(SOON).await?;
    gateway.stop().await?;

    put_back(&snapshot, &gateway.journal)?;
    gateway.start_alive().await?;
    told::until("an old snapshot is noticed", SOON, async || {
        let (_, list) = admin.readiness().await?;
        Ok(list.contains("shipping has stopped").then_some(()))
    })
    .await?;
    ensure!(!ready(&admin).await?, "ready, although shipping has stopped");
    gateway.stop().await?;

    put_back(&snapshot, &gateway.journal)?;
    ran(&gateway, &["journal", "new-epoch"], "epoch 2").await?;
    gateway.start_again().await?;
    let after = told::serves(&doctor).await?;
    admin.shipped(SOON).await?;
    ensure!(ready(&admin).await?, "not ready after the new epoch");
    opened(&admin, kept).await?;
    ensure!(opened(&admin, after).await?.iter().all(|opened| opened.place.0 == 2), "new records in the old epoch");
    gateway.stop().await
}

async fn start(stack: &Stack, name: &str) -> Result<Gateway> {
    Gateway::start(told::second(stack, name, stack.upstream.base(), &json!({}))?).await
}

/// The request's own events: its request and what it disclosed.
async fn opened(admin: &Admin, request: Uuid) -> Result<Vec<Opened>> {
    let opened = admin.openings(&request.to_string()).await?;
    ensure!(
        opened.iter().any(|opened| matches!(opened.event.body, EventBody::Disclosure(_))),
        "the request {request} has no disclosure"
    );
    Ok(opened.into_iter().filter(|opened| !matches!(opened.event.body, EventBody::AuditRead(_))).collect())
}

async fn ready(admin: &Admin) -> Result<bool> {
    Ok(admin.readiness().await?.0 == 200)
}

async fn ran(gateway: &Gateway, arguments: &[&str], says: &str) -> Result<()> {
    let (code, told) = gateway.command(arguments).await?;
    ensure!(code == 0 && told.contains(says), "{arguments:?} ended with {code}: {told}");
    Ok(())
}

fn put_back(snapshot: &Path, journal: &Path) -> Result<()> {
    remove(journal)?;
    std::fs::copy(snapshot, journal)?;
    Ok(())
}

fn remove(journal: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = journal.as_os_str().to_owned();
        file.push(suffix);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}
