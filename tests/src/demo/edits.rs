//! The end of the story: somebody with access to the disk edits what was recorded, and each edit is caught.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use reqwest::StatusCode;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use uuid::Uuid;

use super::state::State;
use super::story::{self, Report};
use crate::harness::fhir;
use crate::harness::sidecar::Sidecar;
use crate::harness::stack::Stack;

/// Edits the journalled event of this request, then a stored leaf; a step that fails is a line of the report.
pub async fn play(stack: &mut Stack, state: &State, request: Option<&str>, report: &mut Report) {
    let begin = Instant::now();
    let caught = match request {
        Some(request) => journalled_event(stack, state, request).await,
        None => Err(anyhow!("there is no permitted request whose event could be edited")),
    };
    report.note("edit of a journalled event", begin, caught);
    let begin = Instant::now();
    let caught = stored_leaf(stack).await;
    report.note("edit of a stored leaf", begin, caught);
}

/// One bit of the recorded event changes on the disk: a proof of it can no longer be made. With the bit put back it can.
async fn journalled_event(stack: &mut Stack, state: &State, request: &str) -> Result<(String, ())> {
    let folder = tempfile::tempdir()?;
    let proof = folder.path().join("access.sealproof.json");
    let (before, said) = story::prove(state, request, &proof).await?;
    ensure!(before == 0, "before the edit there was no proof ({before}): {said}");
    let event: Uuid = request.parse().context("the request's id is no UUID")?;
    let gateway = stack.gateway.as_mut().context("this stack has no gateway")?;
    let journal = gateway.journal.clone();
    let flip = || flip_bit(&journal, "payload", "record", "event = ?1", event.as_bytes());

    gateway.stop().await?;
    flip()?;
    gateway.start_again().await?;
    let (status, answer) = openings(state, request).await?;
    let (edited, said) = story::prove(state, request, &proof).await?;
    gateway.stop().await?;
    flip()?;
    gateway.start_again().await?;
    let (restored, restored_said) = story::prove(state, request, &proof).await?;

    ensure!(status == StatusCode::CONFLICT, "after the edit the openings answer {status}: {answer}");
    ensure!(answer.get("error") == Some(&json!("altered")), "after the edit the openings answer {answer}");
    let sequence = answer.get("sequence").and_then(Value::as_str).context("no sequence is named")?;
    ensure!(answer.get("openings").is_none(), "events were shown beside an altered one");
    ensure!(edited == 1, "after the edit prove answers {edited}: {said}");
    ensure!(said.contains("NOT verified") && said.contains(sequence), "prove names no altered record: {said}");
    ensure!(restored == 0, "with the bit put back prove answers {restored}: {restored_said}");
    Ok((format!("record {sequence} is named, prove exits 1: {}", one_line(&said)), ()))
}

/// The events of a request, as the admin port answers.
async fn openings(state: &State, request: &str) -> Result<(StatusCode, Value)> {
    let token = std::fs::read_to_string(&state.admin_token_file)?;
    let address = format!("{}/v1/openings/{request}", state.admin_url);
    let answer = fhir::client()?.get(address).bearer_auth(token.trim()).send().await?;
    Ok((answer.status(), answer.json().await?))
}

/// One bit of a leaf changes in the log's own record: the check of the log names it. With the bit put back it finds nothing.
async fn stored_leaf(stack: &mut Stack) -> Result<(String, ())> {
    let sidecar = stack.sidecar.as_mut().context("this stack has no sidecar")?;
    sidecar.stop().await?;
    let config = sidecar.config.clone();
    let store = records(&sidecar.log_folder)?;
    let flip = || flip_bit(&store, "leaves", "records", "size > ?1", &0_i64);

    let (before, said) = fsck(&config).await?;
    ensure!(before == 0, "before the edit fsck answers {before}: {said}");
    flip()?;
    let (edited, said) = fsck(&config).await?;
    flip()?;
    let (restored, restored_said) = fsck(&config).await?;
    sidecar.start_again().await?;

    ensure!(edited == 1, "after the edit fsck answers {edited}: {said}");
    ensure!(restored == 0, "with the bit put back fsck answers {restored}: {restored_said}");
    Ok((format!("fsck exits 1: {}", one_line(&said)), ()))
}

async fn fsck(config: &Path) -> Result<(i32, String)> {
    Sidecar::command(&["fsck", "--config", story::text(config)?]).await
}

/// The log's own database: the one file of its folder that has the table of records.
fn records(folder: &Path) -> Result<std::path::PathBuf> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "db")
            && Connection::open(&path)?.table_exists(None, "records")?
        {
            return Ok(path);
        }
    }
    Err(anyhow!("no database of the log in {}", folder.display()))
}

/// Changes the last bit of a blob in the first row that the condition picks; a second call puts it back.
fn flip_bit(
    database: &Path,
    column: &str,
    table: &str,
    condition: &str,
    value: &(impl rusqlite::ToSql + ?Sized),
) -> Result<()> {
    let connection = Connection::open(database)?;
    let (row, mut blob): (i64, Vec<u8>) = connection.query_row(
        &format!("SELECT rowid, {column} FROM {table} WHERE {condition} ORDER BY rowid LIMIT 1"),
        [value],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    *blob.last_mut().context("an empty blob")? ^= 1;
    let changed =
        connection.execute(&format!("UPDATE {table} SET {column} = ?1 WHERE rowid = ?2"), params![blob, row])?;
    ensure!(changed == 1, "{changed} rows were changed");
    Ok(())
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).take(2).collect::<Vec<_>>().join("; ")
}
