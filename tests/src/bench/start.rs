//! Row 18: from nothing to ready, and what the programs hold while nobody asks.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::front::Front;
use super::line::{Line, Measured};
use super::samples::{Quantity, Unit};
use super::stub::Stub;
use super::{Bench, cost, data};
use crate::harness::fhir::client;
use crate::harness::process::Part;
use crate::harness::programs;

/// How long a program is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(3);

/// Start, memory and size of both programs.
pub async fn start(bench: &Bench) -> Measured {
    let stub = Stub::start(data::world(), None)?;
    let mut front = Front::start(bench, "start", &stub.base, &serde_json::json!({})).await?;
    let (gateway, sidecar) = (programs::gateway().await?, programs::sidecar().await?);
    let mut gateway_times = Vec::new();
    let mut sidecar_times = Vec::new();
    let (mut gateway_memory, mut sidecar_memory) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds() {
        front.gateway.stop().await?;
        front.sidecar.stop().await?;
        let probe = format!("{}/readyz", front.sidecar.url);
        let (started, sidecar) = ready("bench-start-sidecar", sidecar, &front.sidecar.config, &probe).await?;
        sidecar_times.push(started);
        let probe = format!("{}/readyz", front.gateway.admin);
        let (started, gateway) = ready("bench-start-gateway", gateway, &front.gateway.config, &probe).await?;
        gateway_times.push(started);
        tokio::time::sleep(IDLE).await;
        gateway_memory.push(cost::memory(&gateway.id().to_string(), "VmRSS")?);
        sidecar_memory.push(cost::memory(&sidecar.id().to_string(), "VmRSS")?);
        gateway.terminate(Duration::from_secs(40)).await?;
        sidecar.terminate(Duration::from_secs(40)).await?;
    }
    let of = |unit, rounds: &[f64]| Quantity::of(unit, rounds).context("nothing was measured");
    let mut lines = Vec::new();
    for (name, times, memory, program) in
        [("gateway", gateway_times, gateway_memory, gateway), ("sidecar", sidecar_times, sidecar_memory, sidecar)]
    {
        let (time, memory) = (of(Unit::Seconds, &times)?, of(Unit::Bytes, &memory)?);
        let packed = of(Unit::Bytes, &[packed(bench, program).await?])?;
        let note = "Row 18: from the start of the process to `/readyz` 200, keys fetched in that time, probed every 2 ms; memory 3 s later. \
                    Size: the stripped program, gzip -9. The image of `helm/images/Dockerfile` is measured by `helm/images/check`.";
        lines.push(
            Line::new(18, format!("{name}: start to ready"), time).goal("≤ 300 ms", time.median <= 0.3).note(note),
        );
        lines.push(
            Line::new(18, format!("{name}: idle memory"), memory).goal("≤ 40 MB", memory.median <= 40e6).note(note),
        );
        lines.push(
            Line::new(18, format!("{name}: program, compressed"), packed)
                .goal("image ≤ 45 MB", packed.median <= 45e6)
                .note(note),
        );
    }
    Ok(lines)
}

/// Starts a program and gives the seconds until its probe answers 200.
async fn ready(
    name: &str,
    program: &Path,
    config: &Path,
    probe: &str,
) -> Result<(f64, crate::harness::process::Running)> {
    let http = client()?;
    let begun = Instant::now();
    let mut running = Part::new(name, program).args(["serve", "--config"]).arg(config).start()?;
    while begun.elapsed() < Duration::from_secs(30) {
        if let Ok(answer) = http.get(probe).send().await
            && answer.status().is_success()
        {
            return Ok((begun.elapsed().as_secs_f64(), running));
        }
        if !running.alive() {
            bail!("{name} ended before it was ready:\n{}", running.tail());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    bail!("{name} was not ready within 30 s:\n{}", running.tail())
}

/// Bytes of the program without its symbols, compressed as a layer of an image is.
async fn packed(bench: &Bench, program: &Path) -> Result<f64> {
    let stripped: PathBuf = bench.folder("stripped")?.join("program");
    let status = Command::new("strip")
        .arg("-o")
        .arg(&stripped)
        .arg(program)
        .status()
        .await
        .context("strip (binutils) is missing")?;
    anyhow::ensure!(status.success(), "strip failed");
    let output = Command::new("gzip").args(["-9", "-c"]).arg(&stripped).output().await.context("gzip is missing")?;
    anyhow::ensure!(output.status.success(), "gzip failed");
    Ok(output.stdout.len() as f64)
}
