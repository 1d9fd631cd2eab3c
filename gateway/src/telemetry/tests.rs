#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, mpsc};

use tracing::Span;
use tracing_subscriber::fmt::MakeWriter;

use super::*;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn metrics_have_the_names_of_the_conventions_and_the_values_that_were_measured() {
    let metrics = Arc::new(Metrics::new(None).unwrap());
    let done = RequestDone { route: "/{type}/{id}", method: "GET", status: 200, duration: Duration::from_millis(3) };
    metrics.request(&done);
    metrics.request(&RequestDone { status: 404, ..done });
    metrics.call(Peer::Upstream, None, Duration::from_secs(1));
    metrics.unauthenticated("token-expired");
    metrics.decision(DecisionOutcome::Hide, "consent-deny");
    metrics.decision_time(Duration::from_micros(3));
    metrics.redactions(2);
    metrics.events("disclosure", 5);
    metrics.released(1024);
    metrics.consent_cache(CacheResult::Hit);
    metrics.consent_age(Duration::from_secs(2));
    metrics.watch_journal(|| JournalReading { unshipped: 7, writable: true, ..JournalReading::default() });
    let fed = FeedReading {
        behind: 4,
        oldest_age: Duration::from_millis(1500),
        last_success: Some(evidence::ids::Timestamp::from_unix_millis(1_700_000_000_500).unwrap()),
        set_aside: 1,
        stopped: true,
        ..FeedReading::default()
    };
    metrics.watch_feed(move || fed).unwrap();
    assert!(metrics.watch_feed(FeedReading::default).is_err(), "there is one feed");
    let watched = WatchReading {
        age: Duration::from_millis(2500),
        polls: 9,
        failures: 2,
        failing: true,
        changes: 3,
        ..WatchReading::default()
    };
    metrics.watch_consents(move || watched).unwrap();
    let at_work = metrics.active();
    let text = metrics.render().unwrap();
    for line in [
        "http_server_request_duration_seconds_count{http_request_method=\"GET\",http_response_status_code=\"200\",http_route=\"/{type}/{id}\"} 1",
        "http_server_request_duration_seconds_bucket{http_request_method=\"GET\",http_response_status_code=\"404\",http_route=\"/{type}/{id}\",le=\"0.0025\"} 0",
        "http_server_request_duration_seconds_bucket{http_request_method=\"GET\",http_response_status_code=\"404\",http_route=\"/{type}/{id}\",le=\"0.005\"} 1",
        "http_server_active_requests 1",
        "http_client_request_duration_seconds_count{http_response_status_code=\"000\",peer=\"upstream\"} 1",
        "sealgate_unauthenticated_total{reason=\"token-expired\"} 1",
        "sealgate_decisions_total{outcome=\"hide\",reason_class=\"consent-deny\"} 1",
        "sealgate_decision_duration_seconds_count 1",
        "sealgate_redactions_total 2",
        "sealgate_events_total{kind=\"disclosure\"} 5",
        "sealgate_released_bytes_total 1024",
        "sealgate_consent_cache_total{result=\"hit\"} 1",
        "sealgate_consent_age_seconds_count 1",
        "sealgate_journal{measure=\"unshipped_events\"} 7",
        "sealgate_journal{measure=\"writable\"} 1",
        "sealgate_audit_event_feed_behind_events 4",
        "sealgate_audit_event_feed_oldest_seconds 1.5",
        "sealgate_audit_event_feed_last_success_timestamp_seconds 1700000000.5",
        "sealgate_audit_event_feed_delivered 0",
        "sealgate_audit_event_feed_set_aside 1",
        "sealgate_audit_event_feed_stopped 1",
        "sealgate_consent_watch_age_seconds 2.5",
        "sealgate_consent_watch_polls 9",
        "sealgate_consent_watch_failures 2",
        "sealgate_consent_watch_failing 1",
        "sealgate_consent_watch_changes 3",
        "sealgate_consent_watch_notifications 0",
        "sealgate_consent_watch_sees_deletions 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
    }
    drop(at_work);
    assert!(metrics.render().unwrap().contains("http_server_active_requests 0"));
}

#[test]
fn a_traceparent_is_understood_or_dropped() {
    let parent = TraceParent::parse(PARENT).unwrap();
    assert_eq!(parent.to_string(), PARENT);
    assert_eq!(parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    let later = PARENT.replacen("00-", "01-", 1) + "-more";
    assert_eq!(TraceParent::parse(&later), Some(parent), "a later version is read as far as it is known");
    for bad in [
        "",
        "00",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
    ] {
        assert_eq!(TraceParent::parse(bad), None, "{bad}");
    }
}

#[test]
fn without_an_exporter_the_callers_trace_is_passed_on() {
    let parent = TraceParent::parse(PARENT).unwrap();
    assert_eq!(outgoing(&Span::none(), Some(&parent)), Some(parent));
    assert_eq!(outgoing(&Span::none(), None), None);
}

#[test]
fn with_an_exporter_our_span_is_the_callers_child() {
    let provider = SdkTracerProvider::builder().build();
    let subscriber = Registry::default().with(tracing_opentelemetry::layer().with_tracer(provider.tracer("test")));
    tracing::subscriber::with_default(subscriber, || {
        let parent = TraceParent::parse(PARENT).unwrap();
        let span = tracing::info_span!("request");
        adopt(&span, &parent);
        let sent = outgoing(&span, Some(&parent)).unwrap();
        assert_eq!(sent.trace_id(), parent.trace_id());
        assert_ne!(sent, parent, "the parent of what follows is our span");
    });
}

/// What other crates write at finer levels holds addresses and headers; only our own lines and warnings come through.
#[test]
fn only_our_own_lines_and_warnings_are_written() {
    let written = Written::default();
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(written.clone());
    let subscriber = Registry::default().with(lines.with_filter(quiet_others()));
    tracing::subscriber::with_default(subscriber, || {
        tracing::debug!("ours, fine");
        tracing::debug!(target: "hyper::client", "GET /Patient?name=secret");
        tracing::info!(target: "reqwest", "Authorization: Bearer secret");
        tracing::info!(target: "fhir_gateway_lookalike", "secret");
        let span = tracing::info_span!(target: "h2", "headers", authorization = "secret");
        span.in_scope(|| tracing::info!("ours, inside"));
        tracing::warn!(target: "actix_server", "a warning");
    });
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("ours, fine") && text.contains("ours, inside") && text.contains("a warning"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

/// The exporters speak OTLP/HTTP to what listens at the endpoint: real bytes over a real socket.
#[test]
fn spans_and_metrics_reach_the_endpoint() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let (sender, received) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            loop {
                let read = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..read]);
                if read == 0 || whole(&request) {
                    break;
                }
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            if sender.send(request).is_err() {
                return;
            }
        }
    });
    let client = exporter_client().unwrap();
    let resource = resource("gateway-under-test");
    let traces = tracer_provider(&endpoint, &client, resource.clone()).unwrap();
    let meters = meter_provider(&endpoint, &client, resource.clone()).unwrap();
    let metrics = Metrics::new(Some(&meters)).unwrap();
    metrics.decision(DecisionOutcome::Permit, "consent-permit");
    metrics.watch_journal(|| JournalReading { unshipped: 3, ..JournalReading::default() });
    let layer = tracing_opentelemetry::layer().with_tracer(traces.tracer("fhir-gateway")).with_filter(own_only());
    tracing::subscriber::with_default(Registry::default().with(layer), || {
        tracing::info_span!("interpret-the-request").in_scope(|| ());
        tracing::info_span!(target: "hyper", "somebody-elses").in_scope(|| ());
    });
    let logs = logger_provider(&endpoint, &client, resource).unwrap();
    let bridge = OpenTelemetryTracingBridge::new(&logs).with_filter(own_only());
    tracing::subscriber::with_default(Registry::default().with(bridge), || {
        tracing::warn!(reason = "of-ours", "a line of ours");
        tracing::warn!(target: "hyper", "a line of somebody else");
    });
    Telemetry { traces: Some(traces), meters: Some(meters), logs: Some(logs) }.shutdown();

    let mut requests = Vec::new();
    while let Ok(request) = received.recv_timeout(Duration::from_secs(5)) {
        requests.push(String::from_utf8_lossy(&request).into_owned());
        if requests.len() == 3 {
            break;
        }
    }
    let to = |path: &str| {
        requests.iter().find(|text| text.starts_with(&format!("POST {path} "))).unwrap_or_else(|| panic!("{path}"))
    };
    assert!(to("/v1/traces").contains("interpret-the-request") && to("/v1/traces").contains("gateway-under-test"));
    assert!(!to("/v1/traces").contains("somebody-elses"));
    assert!(to("/v1/metrics").contains("sealgate.decisions") && to("/v1/metrics").contains("consent-permit"));
    assert!(to("/v1/metrics").contains("unshipped_events"));
    let logs = to("/v1/logs");
    assert!(logs.contains("a line of ours") && logs.contains("of-ours") && !logs.contains("somebody else"));
}

/// Whether an HTTP request with a content length has arrived whole.
fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some(head) = text.find("\r\n\r\n") else { return false };
    let length = text[..head].lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    let head = request.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    request.len() >= head + 4 + length.unwrap_or(0usize)
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
