//! Traces, metrics and log lines, with a real collector: they arrive, they follow W3C Trace Context and the semantic conventions of
//! OpenTelemetry, and nothing of a patient, a token or a query is in them.

mod prometheus;
mod received;
mod relay;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, StatusCode};
use serde_json::json;
use url::Url;

use self::prometheus::Page;
use self::received::{Span, log_lines, metric_names, spans};
use self::relay::Relay;
use crate::demo::cast::Role;
use crate::demo::settings;
use crate::harness::collector::Collector;
use crate::harness::fhir::{self, Answer, Fhir};
use crate::harness::gateway::{Gateway, GatewayOptions};
use crate::harness::sidecar::{Sidecar, SidecarOptions};
use crate::harness::stack::Stack;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const UNSAMPLED: &str = "5bf92f3577b34da6a3ce929d0e0e4737";
const ROUTE: &str = "/{type}/{id}";

/// Words that the requests carry, and that may stand in no line of telemetry: query values, headers, the name of a caller who failed.
const WORDS: [&str; 5] = ["quillfeather", "quillstate", "quillbaggage", "quilltoken", "quillbody"];

/// What a short life of gateway and sidecar left behind.
struct Observed {
    /// What the collector printed.
    collected: String,
    /// What the gateway said to the FHIR server.
    upstream: Vec<String>,
    /// The path of the FHIR server's base, in small letters, without a slash at the end; servers differ in it.
    upstream_path: String,
    /// `/metrics` of both.
    gateway_page: String,
    sidecar_page: String,
    /// Log lines of both, at the finest level.
    gateway_log: String,
    sidecar_log: String,
    /// What must stand nowhere.
    secrets: Vec<String>,
}

/// Spans and metrics of both programs reach the collector; the trace goes from the client through the gateway's own span to the FHIR server.
pub(super) async fn traces_and_metrics_reach_the_collector(stack: &mut Stack) -> Result<()> {
    let seen = observe(stack).await?;
    let spans = spans(&seen.collected);
    let own = request_span(&spans)?;
    ensure!(own.service == "fhir-gateway", "the span is of {}", own.service);
    ensure!(own.trace == TRACE && own.id.len() == 16 && own.id != PARENT, "{own:?}");
    let sent = seen.traceparents("condition/alder-hypertension");
    let passed = format!("00-{TRACE}-{}-01", own.id);
    ensure!(sent.contains(&passed), "the FHIR server was to get {passed} and got {sent:?}");

    // Who does not sample is believed, and no span of that trace is exported.
    let quiet = seen.traceparents("patient/alder");
    let well = |header: &String| header.starts_with(&format!("00-{UNSAMPLED}-")) && header.ends_with("-00");
    ensure!(quiet.iter().any(well), "a trace that is not sampled went on as {quiet:?}");
    ensure!(!spans.iter().any(|span| span.trace == UNSAMPLED), "a trace that is not sampled was exported");

    // A malformed header is as if there were none: the gateway begins a trace of its own.
    let begun = seen.traceparents("observation/alder-bp");
    let begun = begun.first().context("no trace was begun")?;
    let trace = begun.split('-').nth(1).unwrap_or_default();
    ensure!(spans.iter().any(|span| span.trace == trace && span.parent.is_empty()), "{begun} belongs to no span");

    for head in &seen.upstream {
        ensure!(!head.contains("tracestate:") && !head.contains("baggage:"), "the caller's words went on: {head}");
    }
    ensure!(
        spans.iter().any(|span| span.service == "anchor-sidecar" && span.name == "POST /v1/leaves"),
        "no span of the sidecar's write side arrived"
    );
    let names = metric_names(&seen.collected);
    for name in [
        "http.server.request.duration",
        "http.server.active_requests",
        "sealgate.decisions",
        "sealgate.journal",
        "sealgate.log.size",
        "sealgate.log.additions",
        "sealgate.log.commit.duration",
        "sealgate.anchor.alarm",
    ] {
        ensure!(names.iter().any(|found| found == name), "the metric {name} did not arrive, only {names:?}");
    }
    let lines = log_lines(&seen.collected);
    for service in ["fhir-gateway", "anchor-sidecar"] {
        ensure!(lines.iter().any(|(of, _)| of == service), "no log line of {service} arrived, only {lines:?}");
    }
    ensure!(lines.iter().any(|(_, line)| line == "the log is open"), "not what the sidecar said: {lines:?}");
    Ok(())
}

/// The trace of a request shows its sequencing: the call that ships its records stands in it, or links to it, and the sidecar's own span is
/// below that call.
pub(super) async fn a_requests_trace_shows_its_sequencing(stack: &mut Stack) -> Result<()> {
    let seen = observe(stack).await?;
    let spans = spans(&seen.collected);
    let ships = |span: &&Span| span.service == "fhir-gateway" && span.name == "POST /v1/leaves";
    let within = |span: &&Span| span.trace == TRACE || span.links.iter().any(|link| link == TRACE);
    let shipping = spans.iter().filter(ships).find(within).context("nothing in the trace tells of its shipping")?;
    ensure!(shipping.kind == "SPAN_KIND_CLIENT", "{shipping:?}");
    let under_the_request = spans.iter().any(|span| span.parent == PARENT && span.id == shipping.parent);
    ensure!(shipping.trace != TRACE || under_the_request, "it is not under the request: {shipping:?}");
    let below = |span: &&Span| span.service == "anchor-sidecar" && span.parent == shipping.id;
    let sequencing = spans.iter().find(below).context("the sidecar has no span below that call")?;
    ensure!(sequencing.trace == shipping.trace && sequencing.name == "POST /v1/leaves", "{sequencing:?}");
    ensure!(sequencing.kind == "SPAN_KIND_SERVER", "{sequencing:?}");
    // Who does not sample is not linked to either.
    ensure!(
        !spans.iter().any(|span| span.links.iter().any(|link| link == UNSAMPLED)),
        "linked to what was not sampled"
    );
    Ok(())
}

/// `/metrics` of both programs is what every scraper can read, and counts what happened.
pub(super) async fn metrics_can_be_scraped(stack: &mut Stack) -> Result<()> {
    let seen = observe(stack).await?;
    let page = Page::read(&seen.gateway_page).context("/metrics of the gateway")?;
    ensure!(page.kind("http_server_request_duration_seconds") == Some("histogram"), "no durations");
    for name in [
        "http_server_request_duration_seconds_count",
        "sealgate_decisions_total",
        "sealgate_released_bytes_total",
        "sealgate_build_info",
    ] {
        ensure!(page.sum(name) > 0.0, "{name} did not move");
    }
    ensure!(seen.gateway_page.contains(&format!("http_route=\"{ROUTE}\"")), "no route is named by its template");
    let page = Page::read(&seen.sidecar_page).context("/metrics of the sidecar")?;
    for name in
        ["sealgate_log_size_leaves", "sealgate_log_additions_total", "sealgate_log_commit_duration_seconds_count"]
    {
        ensure!(page.sum(name) > 0.0, "{name} did not move");
    }
    Ok(())
}

/// Ids, names, tokens, query values, header values: none of them is in what the collector received, in the log lines (at the finest level)
/// or on the pages of metrics. The requests include refused, malformed and failing ones.
pub(super) async fn nothing_of_a_patient_a_token_or_a_query_is_told(stack: &mut Stack) -> Result<()> {
    let seen = observe(stack).await?;
    let places = [
        ("the collector", &seen.collected),
        ("the gateway's log", &seen.gateway_log),
        ("the sidecar's log", &seen.sidecar_log),
        ("/metrics of the gateway", &seen.gateway_page),
        ("/metrics of the sidecar", &seen.sidecar_page),
    ];
    let went = seen.upstream.join("\n");
    for word in ["quillfeather", "alder", "birch"] {
        ensure!(went.contains(word), "{word} was in no request to the FHIR server: nothing was tried");
    }
    for (place, text) in places {
        ensure!(text.lines().count() > 1, "{place} is empty: nothing was looked at");
        let text = text.to_lowercase();
        for secret in &seen.secrets {
            if let Some(line) = text.lines().find(|line| line.contains(&secret.to_lowercase())) {
                bail!("{secret} stands in {place}: {line}");
            }
        }
    }
    Ok(())
}

/// Each metric that the pages promise moves when its thing happens, and the span of a request is one of a server, named by method and route
/// (OpenTelemetry semantic conventions, "HTTP server").
pub(super) async fn everything_promised_is_measured(stack: &mut Stack) -> Result<()> {
    let seen = observe(stack).await?;
    let page = Page::read(&seen.gateway_page)?;
    let mut still = Vec::new();
    for name in [
        "http_client_request_duration_seconds_count",
        "sealgate_unauthenticated_total",
        "sealgate_decision_duration_seconds_count",
        "sealgate_events_total",
        "sealgate_consent_cache_total",
        "sealgate_consent_age_seconds_count",
    ] {
        if page.sum(name) == 0.0 {
            still.push(name);
        }
    }
    ensure!(still.is_empty(), "these did not move: {still:?}");
    let spans = spans(&seen.collected);
    let own = request_span(&spans)?;
    ensure!(own.kind == "SPAN_KIND_SERVER", "the span is a {}", own.kind);
    ensure!(own.name == format!("GET {ROUTE}"), "the span is called {}", own.name);
    for name in ["http.request.method", "http.route", "http.response.status_code"] {
        ensure!(own.attributes.contains_key(name), "{name} is not in {:?}", own.attributes);
    }
    Ok(())
}

/// The gateway's own span under the client's.
fn request_span(spans: &[Span]) -> Result<&Span> {
    spans.iter().find(|span| span.parent == PARENT).context("no span has the client's as its parent")
}

impl Observed {
    /// The `traceparent` of each GET of this address, in small letters, to the FHIR server.
    fn traceparents(&self, address: &str) -> Vec<String> {
        let line = format!("get {}/{address} ", self.upstream_path);
        let of_these = self.upstream.iter().filter(|head| head.starts_with(&line));
        let header =
            |head: &String| head.lines().find_map(|line| line.strip_prefix("traceparent: ")).map(str::to_owned);
        of_these.filter_map(header).collect()
    }
}

/// Starts a gateway and a sidecar that export to a collector, lets them work, fail and end, and gathers what they left.
async fn observe(stack: &Stack) -> Result<Observed> {
    let mut collector = Collector::start(&stack.tools, "e2e-telemetry-collector").await?;
    let folder = tempfile::tempdir()?;
    let telemetry = |level: &str| -> Result<toml::Table> {
        Ok(toml::Table::try_from(json!({"telemetry": {"otlp_endpoint": collector.otlp, "log_level": level}}))?)
    };
    let sidecar = SidecarOptions {
        name: "e2e-telemetry-sidecar".to_owned(),
        folder: folder.path().join("sidecar"),
        origin: "log.demo.example/telemetry".to_owned(),
        cadence_seconds: 2,
        more: telemetry("trace")?,
    };
    let mut sidecar = Sidecar::start(sidecar, None).await?;
    let relay = Relay::to(stack.upstream.base()).await?;
    let upstream_path = Url::parse(&relay.base)?.path().trim_end_matches('/').to_lowercase();
    let mut more = settings::gateway()?;
    more.extend(telemetry("trace")?);
    let mut gateway = Gateway::start(GatewayOptions {
        name: "e2e-telemetry-gateway".to_owned(),
        folder: folder.path().join("gateway"),
        port: None,
        upstream: relay.base.clone(),
        issuer: stack.issuer.url.clone(),
        audience: stack.issuer.audience.clone(),
        sidecar_socket: sidecar.socket.clone(),
        log_key: sidecar.log_key.clone(),
        more,
    })
    .await?;

    let token = stack.issuer.token(&Role::Doctor.claims())?;
    let upstream = work(&gateway, &token, relay).await?;
    let client = fhir::client()?;
    let page = async |base: &str| -> Result<String> {
        let answer = client.get(format!("{base}/metrics")).send().await?.error_for_status()?;
        let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        ensure!(kind.starts_with("text/plain; version=0.0.4"), "metrics of type {kind}");
        Ok(answer.text().await?)
    };
    let (gateway_page, sidecar_page) = (page(&gateway.admin).await?, page(&sidecar.url).await?);

    // The end sends what is left.
    let logs = (gateway.process()?.log().to_path_buf(), sidecar.process()?.log().to_path_buf());
    gateway.stop().await?;
    sidecar.stop().await?;
    let collected = collected(&mut collector).await?;
    let mut secrets: Vec<String> = WORDS.iter().map(|word| (*word).to_owned()).collect();
    secrets.extend(["alder", "birch", "cedar", "maya", "tomas", "ines", "okafor"].map(str::to_owned));
    secrets.extend(token.split('.').skip(1).map(str::to_owned));
    secrets.push(gateway.admin_token.clone());
    Ok(Observed {
        collected,
        upstream,
        upstream_path,
        gateway_page,
        sidecar_page,
        gateway_log: std::fs::read_to_string(logs.0)?,
        sidecar_log: std::fs::read_to_string(logs.1)?,
        secrets,
    })
}

/// Requests of every kind, at last with the FHIR server out of reach; gives what went to it before.
async fn work(gateway: &Gateway, token: &str, relay: Relay) -> Result<Vec<String>> {
    let doctor = gateway.fhir(token)?;
    let traced = async |path: &str, traceparent: &str| -> Result<Answer> {
        let request = doctor
            .request(Method::GET, path)
            .header("traceparent", traceparent)
            .header("tracestate", "vendor=quillstate")
            .header("baggage", "patient=quillbaggage");
        Fhir::send(request).await
    };
    // Twice: a record that is shipped before its request goes on is in no trace.
    for _ in 0..2 {
        traced("Condition/alder-hypertension", &format!("00-{TRACE}-{PARENT}-01")).await?.success()?;
    }
    traced("Patient/alder", &format!("00-{UNSAMPLED}-{PARENT}-00")).await?.success()?;
    traced("Observation/alder-bp", "00-quillstate-quillbaggage-01").await?.success()?;
    doctor.get("Condition?patient=Patient/birch").await?.success()?;
    doctor.get("Patient?family=Quillfeather&_id=alder").await?.success()?;
    doctor.get("Condition?patient=Patient/alder&code=http://example.org|quillfeather").await?.success()?;

    let expect = |answer: Answer, status: StatusCode| -> Result<()> {
        ensure!(answer.status == status, "expected {status}, got {}", answer.status);
        Ok(())
    };
    expect(doctor.get("Patient/cedar").await?, StatusCode::NOT_FOUND)?;
    let operation = doctor.get("Patient/alder/$quillfeather").await?;
    ensure!(operation.status.is_client_error(), "an operation answers {}", operation.status);
    let stranger = gateway.fhir("quilltoken.quilltoken.quilltoken")?;
    expect(stranger.get("Patient/alder").await?, StatusCode::UNAUTHORIZED)?;
    let broken = doctor.request(Method::PUT, "Condition/alder-hypertension");
    let broken = broken.header("content-type", "application/fhir+json").body("{\"resourceType\":\"quillbody");
    expect(Fhir::send(broken).await?, StatusCode::BAD_REQUEST)?;
    let foreign = json!({"resourceType": "Condition", "id": "alder-hypertension", "note": [{"text": "quillbody"}]});
    let refused = doctor.write(Method::PUT, "Condition/birch-other", &foreign).await?;
    ensure!(refused.status.is_client_error(), "another id answers {}", refused.status);

    // What was recorded is in the log before the wire is cut.
    let upstream = relay.requests();
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(relay);
    let failed = doctor.get("Observation/alder-bp?_elements=quillfeather").await?;
    ensure!(failed.status.is_server_error() || failed.status.is_client_error(), "it answers {}", failed.status);
    let failed = doctor.get("Observation/alder-bp").await?;
    ensure!(failed.status.is_server_error(), "without the FHIR server it answers {}", failed.status);
    Ok(upstream)
}

/// What the collector printed, as soon as spans of both and metrics are there.
async fn collected(collector: &mut Collector) -> Result<String> {
    let begin = Instant::now();
    loop {
        let text = collector.process.output()?;
        let parts = [
            "Str(fhir-gateway)",
            "Str(anchor-sidecar)",
            "http.server.request.duration",
            "sealgate.log.size",
            "LogRecord #",
            "the log is open",
            PARENT,
        ];
        let missing: Vec<_> = parts.iter().filter(|part| !text.contains(**part)).collect();
        if missing.is_empty() {
            return Ok(text);
        }
        ensure!(begin.elapsed() < Duration::from_secs(20), "after 20 s the collector has not received {missing:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
