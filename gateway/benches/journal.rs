//! How many events a second the journal makes durable, and how long one takes: `cargo bench -p fhir-gateway --bench journal`.
//!
//! Each record is encrypted, committed to, indexed by request and queued for the log before it is acknowledged.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement that cannot be taken is none"
)]

#[path = "../tests/journal_events/mod.rs"]
mod journal_events;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use evidence::event::Phase;
use fhir_gateway::journal::{Entry, Journal};
use journal_events::{disclosure, open, read, request};

const FOR: Duration = Duration::from_secs(4);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for (name, writers, batch) in [
            ("1 writer, request and disclosure", 1, 2),
            ("64 writers, request and disclosure", 64, 2),
            ("64 writers, batches of 64", 64, 64),
        ] {
            measure(name, writers, batch).await;
        }
    });
}

async fn measure(name: &str, writers: usize, batch: usize) {
    // Where the target directory is: the system's temporary directory may be memory.
    let within: PathBuf = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let directory = tempfile::tempdir_in(within).unwrap();
    let (journal, _) = open(directory.path()).unwrap();
    let end = Instant::now() + FOR;
    let tasks: Vec<_> = (0..writers).map(|writer| tokio::spawn(write(journal.clone(), writer, batch, end))).collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.unwrap());
    }
    waits.sort_unstable();
    let statistics = journal.statistics();
    let rate = statistics.records as f64 / FOR.as_secs_f64();
    let group = statistics.records as f64 / statistics.commits as f64;
    let (p50, p99) = (waits[waits.len() / 2], waits[waits.len() * 99 / 100]);
    let bytes = statistics.file_bytes / statistics.records.max(1);
    println!("{name}: {rate:.0} records/s, {group:.0} a commit, p50 {p50:.2?}, p99 {p99:.2?}, {bytes} bytes a record");
    journal.close().await.unwrap();
}

async fn write(journal: Journal, writer: usize, batch: usize, end: Instant) -> Vec<Duration> {
    let mut waits = Vec::new();
    while Instant::now() < end {
        let entries = entries(writer * 13 + waits.len(), batch);
        let started = Instant::now();
        drop(journal.record(entries).await.unwrap());
        waits.push(started.elapsed());
    }
    waits
}

/// A request and the disclosures of its answer.
fn entries(turn: usize, batch: usize) -> Vec<Entry> {
    if batch == 2 {
        return read(&format!("p{}", turn % 500));
    }
    let request = request(Phase::Whole);
    let id = request.id;
    let disclosures = (1..batch).map(|place| disclosure(id, 0, &format!("p{}", (turn + place) % 500)).into());
    std::iter::once(request.into()).chain(disclosures).collect()
}
