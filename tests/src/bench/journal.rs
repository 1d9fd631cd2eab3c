//! Row 8: how long until an event is durable, and how many become so, beside SQLite that does nothing else.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use evidence::event::{
    AccessEvent, Caller, Counts, Decision, Disclosure, EventBody, Phase, Reference, Request, ResourceUse,
};
use evidence::ids::{EventId, Hash, TenantId, Timestamp};
use fhir_gateway::clock;
use fhir_gateway::journal::{Entry, Journal, Settings};
use fhir_gateway::keys::KeyEncryptionKey;

use super::line::{Beside, Line, Measured};
use super::samples::{Quantity, Unit, Waits};
use super::{Bench, disk};

const WRITERS: usize = 64;
/// Records of a group in the reference for bare SQLite, and bytes of each.
const GROUP: usize = 256;
const RECORD: usize = 200;

/// The journal, SQLite and the disk in turn.
pub async fn durable(bench: &Bench) -> Measured {
    let (mut idle, mut bare_syncs) = (Vec::new(), Vec::new());
    let (mut reads, mut windows, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..bench.rounds() {
        let folder = bench.folder(&format!("journal-{round}"))?;
        bare_syncs.push(disk::synced_appends(&folder, bench.time(1))?.quantile(0.5));
        idle.push(one_at_a_time(&folder.join("idle"), bench.time(2)).await?);
        reads.push(sustained(&folder.join("reads"), 2, bench.time(3)).await?);
        windows.push(sustained(&folder.join("windows"), 64, bench.time(3)).await?);
        let (file, time) = (folder.join("bare.db"), bench.time(2));
        bare.push(tokio::task::spawn_blocking(move || sqlite_alone(&file, time)).await??);
    }
    let of = |unit, rounds: &[f64]| Quantity::of(unit, rounds).context("nothing was measured");
    let (idle, reads) = (of(Unit::Seconds, &idle)?, of(Unit::PerSecond, &reads)?);
    let (windows, bare) = (of(Unit::PerSecond, &windows)?, of(Unit::PerSecond, &bare)?);
    let sqlite = || Beside::measured("bare SQLite", bare);
    let note = "Row 8: every record is encrypted, committed to, indexed by request and queued for the log before it is \
                acknowledged. Bare SQLite appends 200 bytes in groups of 256 without an index. \
                There is no searchable index of accesses yet, so how soon one finds a record is not measured.";
    Ok(vec![
        Line::new(8, "a read's two records durable, one request at a time, p50", idle)
            .beside(Beside::measured("4 KiB appended and synced", of(Unit::Seconds, &bare_syncs)?))
            .goal("≤ 1 ms", idle.median <= 1e-3)
            .note(note),
        Line::new(8, "records/s, 64 writers, windows of 64 records", windows)
            .beside(sqlite())
            .goal("≥ 100,000/s", windows.median >= 100_000.0)
            .note(note),
        Line::new(8, "records/s, 64 writers, reads of 2 records", reads).beside(sqlite()).note(note),
    ])
}

fn open(folder: &Path) -> Result<Journal> {
    std::fs::create_dir_all(folder)?;
    let settings = Settings::new(folder.join("journal.db"), TenantId::new("bench")?);
    // Nothing takes the records away here: the backlog must not end the measurement.
    let settings = Settings { max_backlog: u64::MAX, ..settings };
    let (journal, _) = Journal::open(settings, KeyEncryptionKey::new([7; 32].into())?)?;
    Ok(journal)
}

/// The median wait of one writer.
async fn one_at_a_time(folder: &Path, time: Duration) -> Result<f64> {
    let journal = open(folder)?;
    let mut waits = writer(journal.clone(), 0, 2, Instant::now() + time).await?;
    journal.close().await?;
    Ok(waits.quantile(0.5))
}

/// Records a second, of many writers.
async fn sustained(folder: &Path, batch: usize, time: Duration) -> Result<f64> {
    let journal = open(folder)?;
    let (begun, before) = (Instant::now(), journal.statistics().records);
    let writers: Vec<_> =
        (0..WRITERS).map(|at| tokio::spawn(writer(journal.clone(), at, batch, begun + time))).collect();
    for writer in writers {
        writer.await??;
    }
    let records = journal.statistics().records - before;
    let rate = records as f64 / begun.elapsed().as_secs_f64();
    journal.close().await?;
    Ok(rate)
}

async fn writer(journal: Journal, number: usize, batch: usize, end: Instant) -> Result<Waits> {
    let mut waits = Waits::default();
    let mut turn = number * 13;
    while Instant::now() < end {
        let entries = access(turn, batch)?;
        let begun = Instant::now();
        let durable = journal.record(entries).await?;
        waits.push(begun.elapsed());
        ensure!(durable.records().len() == batch, "not all records are durable");
        turn += 1;
    }
    Ok(waits)
}

/// A request and its disclosures, of 500 patients in turn.
fn access(turn: usize, batch: usize) -> Result<Vec<Entry>> {
    let request = event(EventBody::Request(Box::new(request())))?;
    let id = request.id;
    let mut entries: Vec<Entry> = vec![request.into()];
    for place in 1..batch {
        entries.push(event(EventBody::Disclosure(disclosure(id, &format!("p{}", (turn + place) % 500))?))?.into());
    }
    Ok(entries)
}

fn event(body: EventBody) -> Result<AccessEvent> {
    let at = Timestamp::from_date(clock::now()).map_err(|error| anyhow!("the clock: {error}"))?;
    Ok(AccessEvent { id: clock::event_id(), at, body })
}

fn request() -> Request {
    Request {
        phase: Phase::Whole,
        caller: Caller {
            issuer: "https://issuer.example".to_owned(),
            subject: "practitioner-1".to_owned(),
            client: Some("ehr".to_owned()),
            organization: Some("Organization/northfield".to_owned()),
            roles: Vec::new(),
            token_id: None,
        },
        purpose: Vec::new(),
        break_glass: None,
        interaction: "read".to_owned(),
        resource_type: Some("Observation".to_owned()),
        decision: Decision::Permit,
        reasons: Vec::new(),
        policy_digest: Hash::new([1; 32]),
        status: Some(200),
        counts: Counts::default(),
        universal: Vec::new(),
        query_sealed: None,
        trace_id: None,
    }
}

fn disclosure(request: EventId, patient: &str) -> Result<Disclosure> {
    Ok(Disclosure {
        request,
        window: 0,
        patient: Reference::new("Patient", patient)?,
        resources: vec![ResourceUse {
            reference: Reference::new("Observation", "o1")?,
            version: Some("3".to_owned()),
            digest: None,
            labels: Vec::new(),
            redactions: Vec::new(),
        }],
        consents: Vec::new(),
        rule: Some("implicit-normal".to_owned()),
    })
}

/// Rows a second that SQLite alone makes durable, set up as the journal's file is.
fn sqlite_alone(file: &Path, time: Duration) -> Result<f64> {
    let mut connection = rusqlite::Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch("CREATE TABLE record (place INTEGER PRIMARY KEY, bytes BLOB NOT NULL)")?;
    let bytes = [0x5a_u8; RECORD];
    let (begun, mut records) = (Instant::now(), 0);
    while begun.elapsed() < time {
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO record (bytes) VALUES (?1)")?;
            for _ in 0..GROUP {
                insert.execute([&bytes[..]])?;
            }
        }
        transaction.commit()?;
        records += GROUP;
    }
    Ok(records as f64 / begun.elapsed().as_secs_f64())
}
