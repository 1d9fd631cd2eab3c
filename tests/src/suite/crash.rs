//! `kill -9` of gateway and sidecar under load, at random moments: what the clients received is the oracle.
//!
//! The gateway is one of the test's own with small windows, so that answers leave in many; it ships to the shared sidecar, which anchors on the
//! shared chain. `SEALGATE_CRASH_SEED` repeats a run's choices (not its timing); `SEALGATE_CRASH_KILLS` changes how often is killed.

mod chance;
mod clients;
mod oracle;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use chance::Chance;
use clients::{Client, Counters, Exchange, Targets};
use oracle::{Found, Records};

use crate::demo::cast::Role;
use crate::demo::settings;
use crate::harness::fhir::{self, Fhir};
use crate::harness::gateway::{Gateway, GatewayOptions};
use crate::harness::openings::Admin;
use crate::harness::sidecar::Sidecar;
use crate::harness::stack::Stack;
use crate::harness::{say, workspace};

/// How often is killed; `SEALGATE_CRASH_KILLS=50` is the long run.
const KILLS: u64 = 12;
/// From so many kills on, one of them must have met an answer or a write half-way.
const MANY_KILLS: u64 = 50;
/// Clients, each with a connection of its own.
const CLIENTS: u64 = 16;
/// The shortest time between two requests of one client: the pace that the load tends to, 400 a second.
const PACE: Duration = Duration::from_millis(40);
/// Seconds that the warming up may take.
const WARM_UP: u32 = 30;
/// Requests a second that the load aims at while the gateway is up. A shared machine may give less, which is said loudly: no test fails by
/// the time that something took.
const AIMED_RATE: f64 = 200.0;

/// Kills gateway and sidecar again and again under load; afterwards everything that any client received is in the log, exactly once.
pub(super) async fn nothing_received_is_unrecorded(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    let own: Vec<Value> = (0..CLIENTS).map(own).collect();
    let both = appointment();
    for resource in own.iter().chain([&both]) {
        direct.put(resource).await?;
    }
    let done = killed(stack, &direct, &own).await;
    for resource in own.iter().chain([&both]) {
        let gone = direct.request(Method::DELETE, &fhir::address(resource).context("no id")?);
        Fhir::send(gone).await?;
    }
    let sidecar = stack.sidecar.as_mut().context("this stack has no sidecar")?;
    if sidecar.process().is_err() {
        sidecar.start_again().await?;
    }
    done
}

async fn killed(stack: &mut Stack, direct: &Fhir, own: &[Value]) -> Result<()> {
    let seed = chosen("SEALGATE_CRASH_SEED").unwrap_or_else(|| getrandom::u64().unwrap_or(1));
    let kills = chosen("SEALGATE_CRASH_KILLS").unwrap_or(KILLS);
    say::step(&format!("crash: {kills} kills, SEALGATE_CRASH_SEED={seed}"));
    let mut chance = Chance::new(seed);
    let mut gateway = start(stack).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let targets = targets(direct, stack).await?;
    let counters = Arc::new(Counters::default());
    let (up, is_up) = watch::channel(true);
    let mut clients = JoinSet::new();
    for own in own {
        let client = Client {
            // A connection pool of its own.
            gateway: Fhir::at(doctor.base())?.with_token(stack.issuer.token(&Role::Doctor.claims())?),
            targets: targets.clone(),
            own: own.clone(),
            chance: chance.fork(),
            counters: Arc::clone(&counters),
            up: is_up.clone(),
            pace: PACE,
        };
        clients.spawn(client.run());
    }
    let sidecar = stack.sidecar.as_mut().context("this stack has no sidecar")?;
    warm(&counters).await;
    let begin = Instant::now();
    let load = kill(kills, &mut chance, &mut gateway, sidecar, &counters, &up).await;
    counters.end.store(true, Ordering::Relaxed);
    up.send_replace(true);
    let mut exchanges = Vec::new();
    for client in clients.join_all().await {
        exchanges.extend(client?);
    }
    let load = load?;
    say::step(&format!("crash: {load} in {:.0} s", begin.elapsed().as_secs_f64()));
    let begin = Instant::now();
    let (found, records) = check(&gateway, sidecar, &exchanges).await?;
    say::step(&format!("crash: checked in {:.0} s: {found:?}", begin.elapsed().as_secs_f64()));
    updated(direct, own, &records).await?;
    for ready in [Admin::of(&gateway)?, Admin::of(stack.gateway.as_ref().context("this stack has no gateway")?)?] {
        let (status, list) = ready.readiness().await?;
        ensure!(status == 200, "a gateway is not ready afterwards:\n{list}");
    }
    gateway.stop().await?;
    if load.rate() < AIMED_RATE {
        say::loud(&format!("the load was below {AIMED_RATE:.0}/s: {load}"));
    }
    ensure!(load.in_flight > kills, "{load}: nothing was in flight");
    ensure!(found.unknown > 0 || kills < MANY_KILLS, "no kill met an answer or a write half-way");
    Ok(())
}

fn chosen(name: &str) -> Option<u64> {
    workspace::environment(name)?.to_str()?.parse().ok()
}

/// What the load was.
#[derive(Debug, Default)]
struct Load {
    /// Answers that came whole.
    answered: u64,
    /// How long the gateway was up.
    up: Duration,
    /// Requests in flight at the kills, added up.
    in_flight: u64,
    /// The slowest restart.
    restart: Duration,
    gateway: u64,
    sidecar: u64,
}

impl Load {
    fn rate(&self) -> f64 {
        self.answered as f64 / self.up.as_secs_f64().max(0.001)
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} answers at {:.0}/s while the gateway was up ({:.0} s), {} requests in flight at {} kills of the gateway and {} of the sidecar, \
             slowest restart {} ms",
            self.answered,
            self.rate(),
            self.up.as_secs_f64(),
            self.in_flight,
            self.gateway,
            self.sidecar,
            self.restart.as_millis()
        )
    }
}

/// Lets the FHIR server's code become warm before anything is measured: a Java program is slow in its first seconds.
async fn warm(counters: &Counters) {
    let mut before = 0;
    for second in 1..=WARM_UP {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let answered = counters.answered.load(Ordering::Relaxed);
        let rate = answered - before;
        before = answered;
        say::step(&format!("crash: warming up, second {second}: {rate} answers"));
        if rate as f64 >= AIMED_RATE * 1.25 {
            return;
        }
    }
}

/// Kills one, or both at once, after a random while; starts again what was killed.
async fn kill(
    kills: u64,
    chance: &mut Chance,
    gateway: &mut Gateway,
    sidecar: &mut Sidecar,
    counters: &Counters,
    up: &watch::Sender<bool>,
) -> Result<Load> {
    let before = counters.answered.load(Ordering::Relaxed);
    let mut load = Load::default();
    let mut up_since = Instant::now();
    while load.gateway + load.sidecar < kills {
        tokio::time::sleep(Duration::from_millis(200 + chance.below(2000))).await;
        load.in_flight += counters.in_flight.load(Ordering::Relaxed);
        let (kill_gateway, kill_sidecar) = match chance.below(8) {
            0 => (true, true),
            1..5 => (true, false),
            _ => (false, true),
        };
        load.gateway += u64::from(kill_gateway);
        load.sidecar += u64::from(kill_sidecar);
        if kill_sidecar {
            sidecar.crash().await?;
        }
        if kill_gateway {
            gateway.crash().await?;
            up.send_replace(false);
            load.up += up_since.elapsed();
        }
        // Now and then the log stays away for a while.
        tokio::time::sleep(Duration::from_millis(chance.below(300))).await;
        let begin = Instant::now();
        if kill_sidecar {
            sidecar.start_again().await.context("after kill -9")?;
        }
        if kill_gateway {
            gateway.start_again().await.context("after kill -9")?;
            up.send_replace(true);
            up_since = Instant::now();
        }
        load.restart = load.restart.max(begin.elapsed());
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    load.up += up_since.elapsed();
    load.answered = counters.answered.load(Ordering::Relaxed) - before;
    Ok(load)
}

async fn check(gateway: &Gateway, sidecar: &mut Sidecar, exchanges: &[Exchange]) -> Result<(Found, Records)> {
    Admin::of(gateway)?.shipped(Duration::from_secs(60)).await?;
    let records = Records::open(gateway).await?;
    let mut found = Found::default();
    records.well_formed(&mut found)?;
    records.hold(exchanges, &mut found)?;
    records.in_the_log(gateway, &sidecar.url, &mut found).await?;
    sidecar.stop().await?;
    let config = sidecar.config.to_str().context("a path that is no text")?;
    let (code, said) = Sidecar::command(&["fsck", "--config", config]).await?;
    ensure!(code == 0, "fsck answers {code}: {said}");
    sidecar.start_again().await?;
    ensure!(found.disclosed > 0 && found.universal > 0, "the clients received nothing: {found:?}");
    Ok((found, records))
}

/// The FHIR server holds no write that was not on record before.
async fn updated(direct: &Fhir, own: &[Value], records: &Records) -> Result<()> {
    let mut made = 0;
    for resource in own {
        let path = fhir::address(resource).context("no id")?;
        let held = direct.read(&path).await?;
        let version = held.pointer("/meta/versionId").and_then(Value::as_str).context("no version")?;
        made += version.parse::<u64>()?.saturating_sub(1);
    }
    let (meant, known) = records.updates();
    ensure!(known <= made && made <= meant, "{meant} updates intended, {made} made, {known} recorded as made");
    say::step(&format!("crash: {meant} updates intended, {made} made, {known} recorded as made"));
    Ok(())
}

async fn start(stack: &Stack) -> Result<Gateway> {
    let sidecar = stack.sidecar()?;
    let mut more = settings::gateway()?;
    let windows: toml::Table = toml::from_str("[server.limits]\nwindow_entries = 16\n")?;
    more.extend(windows);
    Gateway::start(GatewayOptions {
        name: "e2e-crash-gateway".to_owned(),
        folder: stack.folder.join("crash-gateway"),
        port: None,
        upstream: stack.upstream.base().to_owned(),
        issuer: stack.issuer.url.clone(),
        audience: stack.issuer.audience.clone(),
        sidecar_socket: sidecar.socket.clone(),
        log_key: sidecar.log_key.clone(),
        more,
    })
    .await
}

async fn targets(direct: &Fhir, stack: &Stack) -> Result<Targets> {
    let mut reads = vec!["Appointment/crash".to_owned(); 4];
    reads.extend(stack.loaded.patients.iter().cloned());
    for kind in ["Observation", "Condition", "Encounter", "AllergyIntolerance", "MedicationRequest"] {
        let found = direct.search(kind).await?;
        reads.extend(found.iter().filter_map(|entry| fhir::address(entry.get("resource")?)));
    }
    let searches: Vec<String> = stack
        .loaded
        .patients
        .iter()
        .flat_map(|patient| ["AllergyIntolerance", "Condition"].map(|kind| format!("{kind}?patient={patient}")))
        .collect();
    ensure!(reads.len() > 50 && searches.len() > 10, "the demo's data is not there");
    Ok(Targets {
        reads: Arc::new(reads),
        universal: Arc::new(["Practitioner/okafor", "Organization/northfield"].map(str::to_owned).to_vec()),
        searches: Arc::new(searches),
        windows: Arc::new(
            ["Observation?_count=60", "Encounter?_count=40&_include=Encounter:service-provider"]
                .map(str::to_owned)
                .to_vec(),
        ),
    })
}

/// A resource that one client updates.
fn own(client: u64) -> Value {
    json!({
        "resourceType": "Observation", "id": format!("crash-{client}"), "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "9279-1"}]},
        "subject": {"reference": "Patient/alder"}, "valueInteger": 0,
    })
}

/// A resource of two patients.
fn appointment() -> Value {
    let with = ["Patient/alder", "Patient/elm", "Practitioner/okafor"];
    let participants = with.map(|actor| json!({"actor": {"reference": actor}, "status": "accepted"}));
    json!({"resourceType": "Appointment", "id": "crash", "status": "proposed", "participant": participants})
}
