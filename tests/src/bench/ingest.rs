//! Row 11: the real sidecar over its Unix socket: leaves one by one, and in batches.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::net::UnixStream;

use super::Bench;
use super::http::{Connection, on_a_thread};
use super::line::{Beside, Line, Measured};
use super::samples::{Quantity, Unit};
use crate::harness::sidecar::{Sidecar, SidecarOptions};

/// Connections with one leaf under way each.
const SINGLES: usize = 256;
/// Connections with one batch under way each, and leaves of a batch.
const BATCHERS: usize = 8;
const BATCH: u64 = 1_024;

/// Both in turn, on a fresh log each.
pub async fn over_http(bench: &Bench) -> Measured {
    let (mut singles, mut batches) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds() {
        singles.push(added(bench, &format!("ingest-singles-{round}"), SINGLES, 1).await?);
        batches.push(added(bench, &format!("ingest-batches-{round}"), BATCHERS, BATCH).await?);
    }
    let singles = Quantity::of(Unit::PerSecond, &singles).context("nothing was measured")?;
    let batches = Quantity::of(Unit::PerSecond, &batches).context("nothing was measured")?;
    let tessera = Beside::published("Tessera over HTTP", Quantity::published(Unit::PerSecond, 5_900.0));
    let note = "Row 11: HTTP/1.1 over the Unix socket, load and sidecar on the same cores. A single leaf's answer holds its \
                inclusion proof and the signed checkpoint, a batch's its range and checkpoint.";
    Ok(vec![
        Line::new(11, "log over HTTP: single leaves/s", singles)
            .beside(tessera.clone())
            .goal("≥ 20,000/s", singles.median >= 20_000.0)
            .note(note),
        Line::new(11, "log over HTTP: leaves/s in batches of 1,024", batches)
            .beside(tessera)
            .goal("≥ 150,000/s", batches.median >= 150_000.0)
            .note(note),
    ])
}

/// Leaves a second that were acknowledged.
async fn added(bench: &Bench, name: &str, connections: usize, batch: u64) -> Result<f64> {
    let options = SidecarOptions {
        name: format!("bench-{name}"),
        folder: bench.folder(name)?,
        origin: "log.example/bench".to_owned(),
        cadence_seconds: 60,
        more: toml::Table::new(),
    };
    let mut sidecar = Sidecar::start(options, None).await?;
    let (socket, time) = (sidecar.socket.clone(), bench.time(4));
    hello(&socket).await?;
    let leaves = on_a_thread(None, async move {
        let end = Instant::now() + time;
        let adding: Vec<_> = (0..connections)
            .map(|source| {
                let socket = socket.clone();
                tokio::task::spawn_local(async move { add(&socket, source, batch, end).await })
            })
            .collect();
        let mut leaves = 0;
        for source in adding {
            leaves += source.await??;
        }
        Ok(leaves)
    });
    let rate = leaves.await? as f64 / time.as_secs_f64();
    sidecar.stop().await?;
    Ok(rate)
}

async fn hello(socket: &Path) -> Result<()> {
    let mut connection = Connection::over(UnixStream::connect(socket).await?);
    let body = format!(r#"{{"source":"{}","epoch":1,"last_receipt":null}}"#, source(0));
    let (status, _) = connection.ask(&post("hello", &body)).await?;
    ensure!(status == 200, "the sidecar answers {status} to hello");
    Ok(())
}

/// One source: leaves that were acknowledged until the end.
async fn add(socket: &Path, number: usize, batch: u64, end: Instant) -> Result<u64> {
    let mut connection = Connection::over(UnixStream::connect(socket).await?);
    let source = source(number);
    let mut leaves = 0;
    while Instant::now() < end {
        let request = match batch {
            1 => {
                let commitment = format!("{leaves:064x}");
                post(
                    "leaf",
                    &format!(r#"{{"source":"{source}","epoch":1,"sequence":"{leaves}","commitment":"{commitment}"}}"#),
                )
            }
            _ => {
                let commitments: Vec<String> =
                    (leaves..leaves + batch).map(|place| format!("\"{place:064x}\"")).collect();
                let commitments = commitments.join(",");
                post(
                    "leaves",
                    &format!(r#"{{"source":"{source}","epoch":1,"first":"{leaves}","commitments":[{commitments}]}}"#),
                )
            }
        };
        match connection.ask(&request).await? {
            (200, _) => leaves += batch,
            (503, _) => tokio::time::sleep(Duration::from_millis(1)).await,
            (status, _) => anyhow::bail!("the sidecar answers {status} under load"),
        }
    }
    Ok(leaves)
}

fn source(number: usize) -> String {
    format!("{:032x}", number + 1)
}

fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /v1/{path} HTTP/1.1\r\nhost: sidecar\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
