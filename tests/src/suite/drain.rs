//! SIGTERM while requests are at work: they finish, nothing new begins, the end is recorded, and the sequence goes on afterwards.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use evidence::event::{End, EventBody};
use reqwest::Method;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

use crate::demo::cast::Role;
use crate::demo::settings;
use crate::harness::fhir::Fhir;
use crate::harness::gateway::{Gateway, GatewayOptions};
use crate::harness::log::PublishedLog;
use crate::harness::openings::Admin;
use crate::harness::stack::Stack;

/// Requests that are at work at the signal, all of them reads but one.
const AT_WORK: u64 = 7;
/// How long each step may take.
const SOON: Duration = Duration::from_secs(20);

/// Requests at work at SIGTERM finish; readiness goes, new connections are refused, `stop` is the last record, the exit code is 0.
pub(super) async fn requests_at_work_finish(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    direct.put(&written(1)).await?;
    let done = drained(stack, &direct).await;
    Fhir::send(direct.request(Method::DELETE, "Observation/drain")).await?;
    done
}

async fn drained(stack: &Stack, direct: &Fhir) -> Result<()> {
    let gate = Gate::before(stack.upstream.base()).await?;
    let mut gateway = start(stack, gate.base.clone()).await?;
    let token = stack.issuer.token(&Role::Doctor.claims())?;
    let doctor = gateway.fhir(token)?;
    doctor.get("Observation/alder-bp").await?.success().context("before anything is held")?;

    gate.hold(true);
    let mut at_work = JoinSet::new();
    for number in 0..AT_WORK {
        let doctor = doctor.clone();
        at_work.spawn(async move {
            match number {
                0 => doctor.write(Method::PUT, "Observation/drain", &written(2)).await,
                _ => doctor.get("Observation/alder-bp").await,
            }
        });
    }
    let admin = Admin::of(&gateway)?;
    soon("all requests are at work", async || {
        let active = admin.measured("http_server_active_requests").await;
        gate.held() >= AT_WORK && active.is_ok_and(|active| active as u64 == AT_WORK)
    })
    .await?;
    let process = gateway.ask_to_stop()?;
    soon(
        "readyz answers 503",
        async || matches!(admin.readiness().await, Ok((503, list)) if list.contains("[-] serving")),
    )
    .await?;
    let address: SocketAddr =
        Url::parse(&gateway.url)?.socket_addrs(|| None)?.into_iter().next().context("no address")?;
    soon("a new connection is refused", async || TcpStream::connect(address).await.is_err()).await?;
    ensure!(at_work.try_join_next().is_none(), "a request was not waited for");

    gate.hold(false);
    let mut requests = Vec::new();
    while let Some(answer) = at_work.join_next().await {
        let answer = answer?.context("a request at work was broken off")?.success()?;
        let kind = answer.json()?.get("resourceType").and_then(Value::as_str).map(str::to_owned);
        ensure!(kind.as_deref() == Some("Observation"), "{kind:?} was received");
        requests.push(answer.header("x-request-id").context("no request id")?.to_owned());
    }
    ensure!(requests.len() as u64 == AT_WORK, "{} answers", requests.len());
    let status = process.ended(SOON).await?;
    ensure!(status.code() == Some(0), "it ended by {status}");
    let held = direct.read("Observation/drain").await?;
    ensure!(held.get("valueInteger") == Some(&json!(2)), "the write at work did not arrive");
    let before = kinds(&gateway)?;
    ensure!(before.last().map(String::as_str) == Some("stop"), "the last record is {:?}", before.last());

    gateway.start_again().await?;
    let admin = Admin::of(&gateway)?;
    doctor.get("Observation/alder-bp").await?.success().context("after the restart")?;
    let after = kinds(&gateway)?;
    ensure!(after.get(before.len()).map(String::as_str) == Some("start"), "after the stop comes no start");
    let mut written = 0;
    let mut source = None;
    for request in &requests {
        let opened = admin.openings(request).await?;
        let disclosures = opened.iter().filter(|opened| matches!(opened.event.body, EventBody::Disclosure(_))).count();
        ensure!(disclosures == 1, "{request}: {disclosures} disclosures");
        for opened in &opened {
            source = Some(opened.source);
            if let EventBody::Outcome(outcome) = &opened.event.body {
                ensure!(outcome.end == End::Complete, "the write ended as {:?}", outcome.end);
                written += 1;
            }
        }
    }
    ensure!(written == 1, "{written} outcomes of one write");
    admin.shipped(SOON).await?;
    let records = kinds(&gateway)?.len() as u64;
    let source = source.context("no record")?;
    let log = PublishedLog::with(&stack.sidecar()?.url, source, records, Duration::from_secs(60)).await?;
    let places = log.of(source)?;
    ensure!(places.keys().all(|(epoch, _)| *epoch == 1), "the restart opened an epoch");
    gateway.stop().await
}

/// The kinds of all records in order, which stand in the journal in the clear.
fn kinds(gateway: &Gateway) -> Result<Vec<String>> {
    let journal = Connection::open_with_flags(&gateway.journal, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = journal.prepare("SELECT kind FROM record ORDER BY position")?;
    let kinds = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(kinds)
}

async fn soon(what: &str, mut holds: impl AsyncFnMut() -> bool) -> Result<()> {
    let begin = Instant::now();
    while !holds().await {
        ensure!(begin.elapsed() < SOON, "not within {} s: {what}", SOON.as_secs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn start(stack: &Stack, upstream: String) -> Result<Gateway> {
    let sidecar = stack.sidecar()?;
    Gateway::start(GatewayOptions {
        name: "e2e-drain-gateway".to_owned(),
        folder: stack.folder.join("drain-gateway"),
        port: None,
        upstream,
        issuer: stack.issuer.url.clone(),
        audience: stack.issuer.audience.clone(),
        sidecar_socket: sidecar.socket.clone(),
        log_key: sidecar.log_key.clone(),
        more: settings::gateway()?,
    })
    .await
}

fn written(value: u8) -> Value {
    json!({
        "resourceType": "Observation", "id": "drain", "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "9279-1"}]},
        "subject": {"reference": "Patient/alder"}, "valueInteger": value,
    })
}

/// A way to the FHIR server on which answers can be held up; it ends with this value.
struct Gate {
    base: String,
    held: watch::Sender<bool>,
    waiting: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Gate {
    async fn before(upstream: &str) -> Result<Self> {
        let mut base = Url::parse(upstream)?;
        let to = base.socket_addrs(|| None)?.into_iter().next().context("an upstream without an address")?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        ensure!(base.set_ip_host([127, 0, 0, 1].into()).is_ok() && base.set_port(Some(port)).is_ok(), "no such base");
        let (held, is_held) = watch::channel(false);
        let waiting = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&waiting);
        let task = tokio::spawn(async move {
            let mut ways = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                ways.spawn(carry(client, to, is_held.clone(), Arc::clone(&counter)));
            }
        });
        Ok(Self { base: base.to_string(), held, waiting, task })
    }

    fn hold(&self, hold: bool) {
        self.held.send_replace(hold);
    }

    /// Connections on which an answer waits.
    fn held(&self) -> u64 {
        self.waiting.load(Ordering::SeqCst)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, to: SocketAddr, mut held: watch::Receiver<bool>, waiting: Arc<AtomicU64>) {
    let Ok(server) = TcpStream::connect(to).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asking = tokio::io::copy(&mut from_client, &mut to_server);
    let answering = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
            waiting.fetch_add(1, Ordering::SeqCst);
            let passes = held.wait_for(|held| !held).await.is_ok();
            waiting.fetch_sub(1, Ordering::SeqCst);
            let Some(answer) = buffer.get(..length).filter(|_| passes) else { return };
            if to_client.write_all(answer).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = asking => {}
        () = answering => {}
    }
}
