//! Rows 9 and 10: the log in-process: how many leaves become durable, and how long one waits for its checkable receipt.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anchor_sidecar::compare::Claim;
use anchor_sidecar::config;
use anchor_sidecar::group::Addition;
use anchor_sidecar::log::Log;
use anchor_sidecar::sequence::{AddError, Receipt};
use anchor_sidecar::telemetry::Metrics;
use anyhow::{Context, Result, bail, ensure};
use evidence::checkpoint::Checkpoint;
use evidence::ids::{Commitment, Epoch, Sequence, SourceId};
use evidence::leaf::Leaf;
use evidence::merkle::{inclusion_path, verify_inclusion};
use evidence::note::{KeyKind, NoteSigner};

use super::Bench;
use super::line::{Beside, Line, Measured};
use super::samples::{Quantity, Unit, Waits};

const ORIGIN: &str = "log.example/bench";
/// Sources that add leaves at the same time, each one leaf after the other.
const SINGLES: u32 = 1_024;
/// Sources that add batches, and leaves of a batch: what a busy gateway ships at once.
const BATCHERS: u32 = 8;
const BATCH: u64 = 1_024;

/// Adds one by one, adds in batches, and one add on an idle log, in turn.
pub async fn in_process(bench: &Bench) -> Measured {
    let (mut singles, mut batches, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..bench.rounds() {
        let folder = bench.folder(&format!("log-{round}"))?;
        singles.push(added(&folder.join("singles"), SINGLES, 1, bench.time(4)).await?);
        batches.push(added(&folder.join("batches"), BATCHERS, BATCH, bench.time(4)).await?);
        idle.push(acknowledged(&folder.join("idle"), bench.time(2)).await?);
    }
    let of = |unit, rounds: &[f64]| Quantity::of(unit, rounds).context("nothing was measured");
    let (singles, batches) = (of(Unit::PerSecond, &singles)?, of(Unit::PerSecond, &batches)?);
    let idle = of(Unit::Seconds, &idle)?;
    let tessera = |figure| Beside::published("Tessera POSIX", Quantity::published(Unit::PerSecond, figure));
    let note = "Row 9: durable and acknowledged. Singles: 1,024 sources with one leaf under way each. Batches: 8 sources \
                with 1,024 leaves each, as a busy gateway ships them. Tessera's 12,000–14,000/s are its defaults, 47,800/s its best.";
    Ok(vec![
        Line::new(9, "log in-process: leaves/s, batches of 1,024", batches)
            .beside(tessera(47_800.0))
            .goal("≥ 150,000/s", batches.median >= 150_000.0)
            .note(note),
        Line::new(9, "log in-process: leaves/s, one by one", singles)
            .beside(tessera(14_000.0))
            .goal("≥ 150,000/s", singles.median >= 150_000.0)
            .note(note),
        Line::new(10, "idle log: add to inclusion proof and signed checkpoint, p50", idle)
            .beside(Beside::published("Tessera, checkpoint at 100 ms", Quantity::published(Unit::Seconds, 0.102)))
            .goal("≤ 2 ms, no tuning", idle.median <= 2e-3)
            .note("Row 10: Tessera: 256 ms by default, 6 ms tuned without a checkpoint. Ours is opened, its signature and the inclusion verified, outside of the time."),
    ])
}

async fn open(folder: &Path) -> Result<Arc<Log>> {
    std::fs::create_dir_all(folder)?;
    let key = folder.join("log.key");
    std::fs::write(&key, NoteSigner::from_seed(ORIGIN, KeyKind::Ed25519, &[7; 32])?.to_skey())?;
    let text = format!(
        "[log]\norigin = \"{ORIGIN}\"\ndir = \"{}\"\nkey_file = \"{}\"\n[ingest]\nsocket = \"{}\"\n",
        folder.join("log").display(),
        key.display(),
        folder.join("ingest.sock").display(),
    );
    let config = config::from_text(&text, [])?;
    let (fatal, mut fatals) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(why) = fatals.recv().await {
            crate::harness::say::loud(&format!("the measured log ends: {why}"));
        }
    });
    let metrics = Metrics::new()?;
    let log = tokio::task::spawn_blocking(move || {
        let log = Log::open(&config, metrics, fatal)?;
        log.hear(&Claim::NoReceipts)?;
        anyhow::Ok(log)
    });
    log.await?
}

async fn close(log: Arc<Log>) -> Result<()> {
    Ok(tokio::task::spawn_blocking(move || log.stop()).await?)
}

fn addition(source: u32, first: u64, count: u64) -> Addition {
    let mut id = [0x11; 16];
    id.iter_mut().zip(source.to_be_bytes()).for_each(|(to, from)| *to = from);
    let commitments = (first..first + count).map(|sequence| {
        let mut bytes = [0x5a; 32];
        bytes.iter_mut().zip(sequence.to_be_bytes()).for_each(|(to, from)| *to = from);
        Commitment::new(bytes)
    });
    Addition {
        stream: (SourceId::new(id), Epoch::new(1)),
        first: Sequence::new(first),
        commitments: commitments.collect(),
    }
}

/// Waits out the moments in which the log is busy, as a gateway's shipper does.
async fn add(log: &Log, source: u32, first: u64, count: u64) -> Result<Receipt> {
    let sequencer = log.sequencer().context("the log does not sequence")?;
    loop {
        match sequencer.add(addition(source, first, count)).await {
            Ok(receipt) => return Ok(receipt),
            Err(AddError::Busy) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(error) => bail!("the log refuses: {error}"),
        }
    }
}

/// Leaves a second that became durable and were acknowledged.
async fn added(folder: &Path, sources: u32, count: u64, time: Duration) -> Result<f64> {
    let log = open(folder).await?;
    let begun = Instant::now();
    let end = begun + time;
    let adding: Vec<_> = (0..sources)
        .map(|source| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut first = 0;
                while Instant::now() < end {
                    first += add(&log, source, first, count).await?.count;
                }
                anyhow::Ok(first)
            })
        })
        .collect();
    let mut leaves = 0;
    for source in adding {
        leaves += source.await??;
    }
    let rate = leaves as f64 / begun.elapsed().as_secs_f64();
    let size = log.sequenced.borrow().as_ref().map_or(0, |head| head.size.get());
    ensure!(size == leaves, "{leaves} leaves were acknowledged and {size} are in the log");
    close(log).await?;
    Ok(rate)
}

/// The median time from a leaf to its inclusion proof in a signed checkpoint; each is verified.
async fn acknowledged(folder: &Path, time: Duration) -> Result<f64> {
    let log = open(folder).await?;
    let mut waits = Waits::default();
    let end = Instant::now() + time;
    for sequence in 0.. {
        if Instant::now() > end {
            break;
        }
        let begun = Instant::now();
        let receipt = add(&log, 1, sequence, 1).await?;
        let path = inclusion_path(&*log.nodes, receipt.index, receipt.head.size)?;
        waits.push(begun.elapsed());
        let head = Checkpoint::open(&receipt.head.checkpoint, &log.origin, &log.key, &[])?.checkpoint;
        let Addition { stream: (source, epoch), first, commitments } = addition(1, sequence, 1);
        let commitment = *commitments.first().context("no commitment")?;
        let leaf = Leaf { source, epoch, sequence: first, commitment };
        verify_inclusion(&leaf.hash(), receipt.index, head.size, &path, &head.root)?;
    }
    close(log).await?;
    Ok(waits.quantile(0.5))
}
