//! Rows 1 to 3: a read of a 2 KB resource through the gateway, everything enforced and recorded, beside proxies that check nothing and beside the
//! gateway that people use today.

use std::time::Duration;

use anyhow::{Context, Result};

use super::front::Front;
use super::google::Google;
use super::http::{Load, Target};
use super::line::{Beside, Line, Measured};
use super::proxies::{self, Proxy};
use super::samples::{Quantity, Unit, Waits};
use super::stub::Stub;
use super::{Bench, cost, data, disk};
use crate::harness::say;

/// Clients that ask at the same time.
const CONNECTIONS: usize = 64;
/// The core that what is measured has to itself; the load and the FHIR server have the next one.
const MEASURED: usize = 0;
const OTHERS: usize = 1;

/// One of those that are measured in turn: where it is asked, and its processes.
struct Subject<'a> {
    target: Target,
    process: i32,
    /// A process that works for it elsewhere: the gateway's sidecar.
    helper: Option<i32>,
    found: &'a mut Found,
}

/// What the rounds found.
#[derive(Default)]
struct Found {
    cpu: Vec<f64>,
    helper_cpu: Vec<f64>,
    rate: Vec<f64>,
    busy: Vec<f64>,
}

/// The three rows on the same processes.
pub async fn reads(bench: &Bench) -> Measured {
    let stub = Stub::start(data::world(), Some(OTHERS))?;
    let more = serde_json::json!({"server": {"workers": 1}});
    let mut front = Front::start(bench, "read-path", &stub.base, &more).await?;
    let (nginx, haproxy) = (proxies::nginx(bench, &stub.base).await?, proxies::haproxy(bench, &stub.base).await?);
    let gateway = front.gateway.process()?.id();
    let sidecar = front.sidecar.process()?.id();
    for process in [gateway, nginx.process.id(), haproxy.process.id()] {
        cost::keep_process_to(process, MEASURED).await?;
    }
    cost::keep_process_to(sidecar, OTHERS).await?;

    let path = format!("Patient/{}", data::PATIENT);
    let ours = Target::get(&front.gateway.url, &path, Some(&front.token))?;
    let (mut of_gateway, mut of_nginx, mut of_haproxy) = (Found::default(), Found::default(), Found::default());
    ours.saturated(CONNECTIONS, bench.time(4), Some(OTHERS)).await?;
    for _ in 0..bench.rounds() {
        let mut turns = [
            Subject { target: ours.clone(), process: gateway, helper: Some(sidecar), found: &mut of_gateway },
            subject(&nginx, &path, &mut of_nginx)?,
            subject(&haproxy, &path, &mut of_haproxy)?,
        ];
        for turn in &mut turns {
            turn.measure(bench.time(6)).await?;
        }
    }
    let mut lines = throughput(&of_gateway, (&nginx.name, &of_nginx), (&haproxy.name, &of_haproxy))?;
    match others(bench, &ours, gateway, &stub.base, &path).await {
        Ok(line) => lines.push(line),
        Err(error) => say::loud(&format!("row 2 is not measured: {error:#}")),
    }
    let direct = Target::get(&stub.base, &path, None)?;
    let half = Quantity::of(Unit::PerSecond, &of_gateway.rate).context("nothing was measured")?.median / 2.0;
    lines.extend(latency(bench, &ours, &direct, half).await?);
    Ok(lines)
}

fn subject<'a>(proxy: &Proxy, path: &str, found: &'a mut Found) -> Result<Subject<'a>> {
    Ok(Subject { target: Target::get(&proxy.base, path, None)?, process: proxy.process.id(), helper: None, found })
}

impl Subject<'_> {
    /// One round: as fast as it answers, and what each answer cost.
    async fn measure(&mut self, time: Duration) -> Result<()> {
        let (before, helper) = (cost::process_seconds(self.process)?, self.helper_seconds()?);
        let load: Load = self.target.saturated(CONNECTIONS, time, Some(OTHERS)).await?;
        let used = cost::process_seconds(self.process)? - before;
        self.found.cpu.push(used / load.answers as f64);
        self.found.helper_cpu.push((self.helper_seconds()? - helper) / load.answers as f64);
        self.found.rate.push(load.rate());
        self.found.busy.push(used / load.seconds);
        Ok(())
    }

    fn helper_seconds(&self) -> Result<f64> {
        self.helper.map_or(Ok(0.0), cost::process_seconds)
    }
}

fn throughput(ours: &Found, nginx: (&str, &Found), haproxy: (&str, &Found)) -> Measured {
    let of = |unit, rounds: &[f64]| Quantity::of(unit, rounds).context("nothing was measured");
    let cpu = of(Unit::Seconds, &ours.cpu)?;
    let nginx_cpu = of(Unit::Seconds, &nginx.1.cpu)?;
    let rate = of(Unit::PerSecond, &ours.rate)?;
    let nginx_rate = of(Unit::PerSecond, &nginx.1.rate)?;
    let busy = |found: &Found| Ok::<_, anyhow::Error>(of(Unit::Seconds, &found.busy)?.median * 100.0);
    let note = format!(
        "Row 1: {CONNECTIONS} connections, one worker each, what is measured alone on one core, load and FHIR server on another. \
         CPU time is that of the whole process, journal, encryption and shipping with it; the sidecar's is the line below. \
         The core was used to {:.0} % by the gateway, {:.0} % by nginx, {:.0} % by HAProxy: where that is under 95 % the load \
         was the limit, and the rate says too little for it.",
        busy(ours)?,
        busy(nginx.1)?,
        busy(haproxy.1)?,
    );
    Ok(vec![
        Line::new(1, "read of 2 KB, enforced and recorded: CPU a request", cpu)
            .beside(Beside::measured(nginx.0, nginx_cpu))
            .goal("≤ 2 × nginx", cpu.median <= 2.0 * nginx_cpu.median)
            .note(&note),
        Line::new(1, "the same", cpu)
            .beside(Beside::measured(haproxy.0, of(Unit::Seconds, &haproxy.1.cpu)?))
            .note(&note),
        Line::new(1, "the sidecar's CPU for it", of(Unit::Seconds, &ours.helper_cpu)?)
            .beside(Beside::measured("the gateway's", cpu))
            .note(&note),
        Line::new(1, "requests/s on one core", rate)
            .beside(Beside::measured(nginx.0, nginx_rate))
            .goal("≥ 0.5 × nginx", rate.median >= 0.5 * nginx_rate.median)
            .note(&note),
        Line::new(1, "the same", rate)
            .beside(Beside::measured(haproxy.0, of(Unit::PerSecond, &haproxy.1.rate)?))
            .note(&note),
    ])
}

/// Row 2: google/fhir-gateway, warmed up, in turn with ours.
async fn others(bench: &Bench, ours: &Target, gateway: i32, upstream: &str, path: &str) -> Result<Line> {
    let google = Google::start(bench, upstream).await?;
    let theirs = Target::get(&google.base, path, Some(&google.token))?;
    // On all cores: its just-in-time compiler is not to be held against it.
    theirs.saturated(CONNECTIONS, bench.time(20), Some(OTHERS)).await?;
    cost::keep_process_to(google.process.id(), MEASURED).await?;
    let (mut of_google, mut of_gateway) = (Found::default(), Found::default());
    for _ in 0..bench.rounds() {
        let process = google.process.id();
        for mut turn in [
            Subject { target: theirs.clone(), process, helper: None, found: &mut of_google },
            Subject { target: ours.clone(), process: gateway, helper: None, found: &mut of_gateway },
        ] {
            turn.measure(bench.time(4)).await?;
        }
    }
    let ours = Quantity::of(Unit::PerSecond, &of_gateway.rate).context("nothing was measured")?;
    let theirs = Quantity::of(Unit::PerSecond, &of_google.rate).context("nothing was measured")?;
    Ok(Line::new(2, "requests/s on one core, the same read", ours)
        .beside(Beside::measured(&google.name, theirs))
        .goal("≥ 20 × google's", ours.median >= 20.0 * theirs.median)
        .note(
            "Row 2: its access checker `patient` compares the token's patient with the one that is asked for; it asks no Consent and \
             records nothing durably. 20 s of warm-up on all cores, then one core as for the others.",
        ))
}

/// Ours and the FHIR server itself at half of our full rate, and the disk alone.
async fn latency(bench: &Bench, ours: &Target, direct: &Target, rate: f64) -> Measured {
    const THREADS: usize = 16;
    let (mut added_50, mut added_99) = (Vec::new(), Vec::new());
    let (mut disk_50, mut disk_99) = (Vec::new(), Vec::new());
    let folder = bench.folder("disk")?;
    for _ in 0..bench.rounds() {
        let mut through = ours.paced(rate, THREADS, bench.time(4), Some(OTHERS)).await?.waits;
        let mut straight = direct.paced(rate, THREADS, bench.time(2), Some(OTHERS)).await?.waits;
        let mut added = |share| (through.quantile(share) - straight.quantile(share)).max(0.0);
        added_50.push(added(0.5));
        added_99.push(added(0.99));
        let (folder, time) = (folder.clone(), bench.time(2));
        let mut syncs: Waits = tokio::task::spawn_blocking(move || disk::synced_appends(&folder, time)).await??;
        disk_50.push(syncs.quantile(0.5));
        disk_99.push(syncs.quantile(0.99));
    }
    let of = |rounds: &[f64]| Quantity::of(Unit::Seconds, rounds).context("nothing was measured");
    let (p50, p99, bare_50, bare_99) = (of(&added_50)?, of(&added_99)?, of(&disk_50)?, of(&disk_99)?);
    let note = format!(
        "Row 3: {} at an even pace, half of what the core can do; what the same quantile of the FHIR server alone takes is taken off. \
         A late answer makes those behind it wait, and that counts.",
        Unit::PerSecond.shown(rate)
    );
    Ok(vec![
        Line::new(3, "latency added at half load, p50", p50)
            .beside(Beside::measured("4 KiB appended and synced, p50", bare_50))
            .goal("≤ 1 ms", p50.median <= 1e-3)
            .note(&note),
        Line::new(3, "latency added at half load, p99", p99)
            .beside(Beside::measured("4 KiB appended and synced, p99", bare_99))
            .goal("≤ the disk's p99 + 1 ms", p99.median <= bare_99.median + 1e-3)
            .note(&note),
    ])
}
