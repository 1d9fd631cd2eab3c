//! Row 15: the gas of anchors that a real sidecar sends to a real contract on a real EVM node.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Bench;
use super::line::{Beside, Line, Measured};
use super::samples::{Quantity, Unit};
use crate::harness::anvil::Anvil;
use crate::harness::sidecar::{Sidecar, SidecarOptions};

/// Commitments of one request; the sidecar takes no more.
const BATCH: u64 = 1_024;
/// Leaves between two anchors, about: a busy hospital's minutes.
const BETWEEN: u64 = 3 * BATCH;
const PATIENCE: Duration = Duration::from_secs(90);

/// Anchors at 65 k leaves and at 1 M.
pub async fn anchors(bench: &Bench) -> Measured {
    let chain = Anvil::start(&bench.tools, "bench-gas-anvil").await?;
    let options = SidecarOptions {
        name: "bench-gas-sidecar".to_owned(),
        folder: bench.folder("gas")?,
        origin: "log.example/bench".to_owned(),
        cadence_seconds: 1,
        more: toml::Table::new(),
    };
    let sidecar = Sidecar::start(options, Some(&chain)).await?;
    let mut log = Log::open(&sidecar).await?;
    let mut lines = Vec::new();
    let heights: &[(u64, &str, f64)] = if bench.quick {
        &[(65_536, "65 k leaves", 54_000.0)]
    } else {
        &[(65_536, "65 k leaves", 54_000.0), (1_000_000, "1 M leaves", 60_000.0)]
    };
    for (from, name, goal) in heights {
        log.grow_to(*from).await?;
        let gas = gas_above(&chain, &mut log, *from, if bench.quick { 2 } else { 5 }).await?;
        let gas = Quantity::of(Unit::Gas, &gas).context("nothing was anchored")?;
        lines.push(
            Line::new(15, format!("an anchor at {name}, append-only enforced"), gas)
                .beside(Beside::published("EAS timestamp, checks nothing", Quantity::published(Unit::Gas, 45_600.0)))
                .goal(format!("≤ {}", Unit::Gas.shown(*goal)), gas.median <= *goal)
                .note("Row 15: gas used by the whole transaction, about 3,072 leaves since the anchor before; anvil counts as the chain does."),
        );
    }
    Ok(lines)
}

/// The gas of so many anchors whose predecessor had at least `from` leaves already, while the log grows on.
async fn gas_above(chain: &Anvil, log: &mut Log, from: u64, anchors: usize) -> Result<Vec<f64>> {
    let begun = Instant::now();
    loop {
        let all = anchored(chain).await?;
        let wanted: Vec<&Anchored> = all
            .iter()
            .zip(all.iter().skip(1))
            .filter(|(before, after)| before.size >= from && after.size > before.size)
            .map(|(_, after)| after)
            .collect();
        if wanted.len() >= anchors {
            let mut gas = Vec::new();
            for anchor in wanted.into_iter().take(anchors) {
                let receipt = chain.call("eth_getTransactionReceipt", &json!([anchor.transaction])).await?;
                gas.push(number(receipt.get("gasUsed").context("a receipt without gas")?)? as f64);
            }
            return Ok(gas);
        }
        ensure!(begun.elapsed() < PATIENCE, "{} anchors above {from} leaves in {} s", wanted.len(), PATIENCE.as_secs());
        // Only when the head on the chain has moved: each anchor is to be of about the same step.
        if all.last().is_some_and(|newest| newest.size == log.size) {
            log.grow_to(log.size + BETWEEN).await?;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

struct Anchored {
    size: u64,
    transaction: String,
}

/// What the contract says it has taken, in order: `Anchored(logId, seq, size, root)`, the only event of it with three topics.
async fn anchored(chain: &Anvil) -> Result<Vec<Anchored>> {
    let logs = chain.call("eth_getLogs", &json!([{"fromBlock": "0x0", "toBlock": "latest"}])).await?;
    let mut anchored = Vec::new();
    for log in logs.as_array().context("no list of logs")? {
        let topics = log.get("topics").and_then(Value::as_array).map_or(0, Vec::len);
        let data = log.get("data").and_then(Value::as_str).unwrap_or_default();
        let (Some(size), 3) = (data.get(2..66), topics) else { continue };
        let transaction = log.get("transactionHash").and_then(Value::as_str).context("a log without transaction")?;
        let size = u64::from_str_radix(size, 16).context("a size beyond 64 bits")?;
        anchored.push(Anchored { size, transaction: transaction.to_owned() });
    }
    Ok(anchored)
}

fn number(value: &Value) -> Result<u64> {
    let text = value.as_str().and_then(|text| text.strip_prefix("0x")).context("no hexadecimal number")?;
    Ok(u64::from_str_radix(text, 16)?)
}

/// The write side of a log, used as a gateway uses it.
struct Log {
    http: reqwest::Client,
    size: u64,
}

impl Log {
    async fn open(sidecar: &Sidecar) -> Result<Self> {
        let http = reqwest::Client::builder().unix_socket(sidecar.socket.as_path()).no_proxy().build()?;
        let log = Self { http, size: 0 };
        log.post("hello", &json!({"source": SOURCE, "epoch": 1, "last_receipt": null})).await?;
        Ok(log)
    }

    async fn grow_to(&mut self, size: u64) -> Result<()> {
        while self.size < size {
            let count = BATCH.min(size - self.size);
            let commitments: Vec<String> = (0..count).map(|place| format!("{:064x}", self.size + place)).collect();
            let body =
                json!({"source": SOURCE, "epoch": 1, "first": self.size.to_string(), "commitments": commitments});
            self.post("leaves", &body).await?;
            self.size += count;
        }
        Ok(())
    }

    async fn post(&self, path: &str, body: &Value) -> Result<()> {
        let answer = self.http.post(format!("http://sidecar/v1/{path}")).json(body).send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "the sidecar answers {status}: {}", answer.text().await?);
        Ok(())
    }
}

const SOURCE: &str = "11111111111111111111111111111111";
