//! Serve: makes the gate from the configuration, opens the ports, keeps the background work going, and drains.
//!
//! Order of the start: what cannot fail later fails first (keys, journal, policy), then the shipper, then the ports.
//! Order of the end (OPERATIONS, "drain"): not ready → no new connections → requests at work finish → what is counted
//! is recorded → `stop` → the journal is flushed.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::http::Method;
use actix_web::web::{self, Data, Payload};
use actix_web::{App, HttpRequest, HttpServer};
use evidence::event::{AccessEvent, EventBody, Heartbeat, Start, Stop, Unauthenticated};
use evidence::ids::{Hash, Timestamp};
use gateway_core::reference::Bases;
use tracing::Instrument as _;

use crate::accept::Incoming;
use crate::assemble::{Assembled, ServeError};
use crate::clock;
use crate::config::Config;
use crate::cors;
use crate::gate::{Gate, Shared};
use crate::journal::Entry;
use crate::pipeline;
use crate::telemetry::{ActiveRequest, Metrics, RequestDone, adopt};

/// How often the upstream's capabilities are read anew.
const CAPABILITIES_EVERY: Duration = Duration::from_secs(600);
/// How soon again after a failure.
const CAPABILITIES_RETRY: Duration = Duration::from_secs(1);
/// How often the gateway says that it lives (EVIDENCE.md 1).
const HEARTBEAT: Duration = Duration::from_secs(60);

/// Runs the gateway until SIGTERM or SIGINT.
pub async fn run(config: Config, metrics: Arc<Metrics>) -> Result<(), ServeError> {
    let mut assembled = Assembled::make(&config, metrics)?;
    record_start(&assembled, &config).await?;
    let admin = assembled.admin_server(&config)?;
    let public = public_server(&assembled, &config)?;
    let background = assembled.spawn_background(&config)?;
    let handles = [public.handle(), admin.handle()];
    let mut public = actix_web::rt::spawn(public);
    let mut admin = actix_web::rt::spawn(admin);
    tracing::info!(listen = %config.server.listen, "serving");
    tokio::select! {
        () = signalled() => tracing::info!("stopping: no new requests, those at work finish"),
        _ = &mut public => tracing::error!("the FHIR surface ended by itself"),
        _ = &mut admin => tracing::error!("the admin port ended by itself"),
    }
    assembled.stop_being_ready();
    drain(&config, &handles, &assembled.shared).await;
    record_stop(&assembled).await;
    ship_rest(&assembled).await;
    for task in background {
        task.abort();
    }
    if let Err(error) = assembled.journal.close().await {
        tracing::warn!(%error, "the journal was not closed in order");
    }
    Ok(())
}

/// Gives the log a moment to take what was recorded last; what it does not take is shipped at the next start.
async fn ship_rest(assembled: &Assembled) {
    for _ in 0..20 {
        if assembled.journal.backlog().unshipped == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The FHIR surface: one pipeline behind every path.
fn public_server(assembled: &Assembled, config: &Config) -> Result<actix_web::dev::Server, ServeError> {
    let shared = Arc::clone(&assembled.shared);
    let base_path: Arc<str> = config.server.public_base.path().trim_end_matches('/').into();
    let limits = &config.server.limits;
    let upstream_config = config.upstream.clone();
    let first = assembled.upstream.clone();
    let mut server = HttpServer::new(move || {
        // One client a worker; where a second one cannot be made the first is shared.
        let upstream = crate::assemble::upstream(&upstream_config, &shared.metrics).unwrap_or_else(|_| first.clone());
        let gate = Data::new(Gate { shared: Arc::clone(&shared), upstream });
        let base_path = Data::new(Arc::clone(&base_path));
        App::new().app_data(gate).app_data(base_path).default_service(web::to(handle))
    })
    .keep_alive(limits.keep_alive)
    .client_request_timeout(limits.header_timeout)
    .shutdown_timeout(limits.drain_timeout.as_secs())
    .disable_signals();
    if let Some(workers) = config.server.workers {
        server = server.workers(workers.get());
    }
    let listener = TcpListener::bind(config.server.listen).map_err(|e| ServeError::Bind("server.listen", e))?;
    let server = match assembled.tls.clone() {
        Some(tls) => server.listen_rustls_0_23(listener, tls),
        None => server.listen(listener),
    };
    Ok(server.map_err(|e| ServeError::Bind("server.listen", e))?.run())
}

async fn handle(
    gate: Data<Gate>,
    base_path: Data<Arc<str>>,
    request: HttpRequest,
    payload: Payload,
) -> actix_web::HttpResponse {
    let origin = cors::allowed(&request, &gate.shared.cors_origins);
    if let Some(preflight) = cors::preflight(&request, origin.as_deref()) {
        return preflight;
    }
    let id = clock::event_id();
    let response = match Arc::clone(&gate.shared.at_work).try_acquire_owned() {
        Ok(at_work) => {
            let looks = matches!(*request.method(), Method::GET | Method::HEAD);
            let incoming = Incoming::new(request, payload, &base_path, id);
            let seen = Seen::begin(&gate, &incoming);
            let working = Data::clone(&gate);
            let work = async move {
                let answered = pipeline::answer(&working, incoming).await;
                drop(at_work);
                answered
            };
            let work = work.instrument(seen.span.clone());
            // A write that has begun goes on to its recorded end, whether or not its client still waits: actix drops
            // the work of a client that has gone.
            let limit = gate.shared.limits.request_timeout;
            let answered = match looks {
                true => Some(work.await),
                false => tokio::time::timeout(limit, actix_web::rt::spawn(work)).await.ok().and_then(Result::ok),
            };
            let response = answered.unwrap_or_else(|| pipeline::overloaded(&gate, id, "request-timeout"));
            seen.end(&gate, response)
        }
        Err(_) => pipeline::overloaded(&gate, id, "too-many-requests"),
    };
    cors::allow(response, origin.as_deref())
}

/// One request, as metrics and traces see it.
struct Seen {
    span: tracing::Span,
    route: &'static str,
    method: &'static str,
    begun: Instant,
    _active: ActiveRequest,
}

impl Seen {
    fn begin(gate: &Gate, incoming: &Incoming) -> Self {
        let (route, method) = (incoming.route(), incoming.method_label());
        let span = tracing::info_span!(
            "request",
            request = %incoming.access().id,
            "otel.kind" = "server",
            "otel.name" = format!("{method} {route}"),
            "http.request.method" = method,
            "http.route" = route,
            "http.response.status_code" = tracing::field::Empty,
        );
        if let Some(parent) = incoming.trace_parent() {
            adopt(&span, &parent);
        }
        Self { span, route, method, begun: Instant::now(), _active: gate.shared.metrics.active() }
    }

    fn end(self, gate: &Gate, response: actix_web::HttpResponse) -> actix_web::HttpResponse {
        let status = response.status().as_u16();
        self.span.record("http.response.status_code", status);
        let duration = self.begun.elapsed();
        gate.shared.metrics.request(&RequestDone { route: self.route, method: self.method, status, duration });
        response
    }
}

async fn signalled() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminate => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

async fn drain(config: &Config, handles: &[ServerHandle; 2], shared: &Shared) {
    let [public, admin] = handles;
    // The FHIR surface first; the admin port answers `not ready` meanwhile.
    if tokio::time::timeout(config.server.limits.drain_timeout, public.stop(true)).await.is_err() {
        tracing::warn!("requests at work did not finish within server.limits.drain_timeout");
    }
    // Writes whose clients have gone are still at work.
    let all = u32::try_from(config.server.limits.concurrent_requests).unwrap_or(u32::MAX);
    if tokio::time::timeout(config.server.limits.drain_timeout, shared.at_work.acquire_many(all)).await.is_err() {
        tracing::warn!("writes at work did not finish within server.limits.drain_timeout");
    }
    admin.stop(false).await;
}

/// An event of the gateway itself, now.
pub(crate) fn event(body: EventBody) -> Option<Entry> {
    let at = Timestamp::from_date(clock::now()).ok()?;
    Some(Entry::from(AccessEvent { id: clock::event_id(), at, body }))
}

async fn record_start(assembled: &Assembled, config: &Config) -> Result<(), ServeError> {
    let start = EventBody::Start(Start {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        image_digest: None,
        config_digest: Hash::new(config.digest),
        policy_digest: assembled.shared.rules.now().digest,
        clock_offset_ms: None,
    });
    let entries = event(start).into_iter().collect();
    assembled.journal.record(entries).await.map(drop).map_err(ServeError::Journal)
}

async fn record_stop(assembled: &Assembled) {
    flush_counted(&assembled.shared).await;
    if let Some(stop) = event(EventBody::Stop(Stop::default()))
        && let Err(error) = assembled.journal.record(vec![stop]).await
    {
        tracing::warn!(%error, "the stop was not recorded");
    }
}

/// Records what was counted of requests without a caller; what cannot be recorded stays counted.
pub(crate) async fn flush_counted(shared: &Shared) {
    let recorder = &shared.recorder;
    let reasons = recorder.counted().take();
    if reasons.is_empty() {
        return;
    }
    let Ok(minute) = Timestamp::from_date(clock::now().replace_second(0).unwrap_or_else(|_| clock::now())) else {
        return;
    };
    let body = EventBody::Unauthenticated(Unauthenticated { minute, reasons: reasons.clone() });
    let Some(entry) = event(body) else { return };
    if recorder.journal().record(vec![entry]).await.is_err() {
        recorder.counted().restore(reasons);
    }
}

/// Says each minute that the gateway lives, with its counters.
pub(crate) async fn beat(shared: Arc<Shared>) {
    let mut minute = tokio::time::interval(HEARTBEAT);
    minute.tick().await;
    loop {
        minute.tick().await;
        flush_counted(&shared).await;
        let counters = shared.recorder.counters();
        if let Some(entry) = event(EventBody::Heartbeat(Heartbeat { counters }))
            && let Err(error) = shared.recorder.journal().record(vec![entry]).await
        {
            tracing::warn!(%error, "the heartbeat was not recorded");
        }
    }
}

/// Keeps the upstream's capabilities known.
pub(crate) async fn learn_capabilities(shared: Arc<Shared>, facts: crate::forward::Upstream, bases: Bases) {
    let date = evidence::ids::Timestamp::from_date(clock::now()).map(|at| at.to_string()).unwrap_or_default();
    loop {
        let pause = match shared.capabilities.refresh(&facts, &bases, &date).await {
            Ok(()) => CAPABILITIES_EVERY,
            Err(problem) => {
                tracing::warn!(%problem, "the upstream's capabilities were not read");
                CAPABILITIES_RETRY
            }
        };
        tokio::time::sleep(pause).await;
    }
}
