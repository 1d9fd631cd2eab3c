//! What is counted and timed, once for Prometheus (admin port) and, where an endpoint is configured, for OTLP.
//!
//! INVARIANT: every label is a `&'static str` or a status, so neither a patient nor a token nor a query can be one.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider as _, UpDownCounter};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder, core::Collector,
};

use super::feed::{self, FeedReading};
use super::gauges::{Gauges, Row};
use super::glass::{self, GlassReading};
use super::measured::{CacheResult, DecisionOutcome, JournalReading, Peer, RequestDone, ShadowResult};
use super::watch::{self, WatchReading};

/// Bounds of durations in seconds (OpenTelemetry semantic conventions, `http.server.request.duration`, and finer below).
const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0];
/// A decision takes microseconds.
const SHORT_SECONDS: [f64; 9] = [1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 1e-4, 2.5e-4, 1e-3, 1e-2];
/// The age of facts.
const AGES: [f64; 8] = [0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 300.0];

/// Metrics that cannot be registered: two of one name.
#[derive(Debug, thiserror::Error)]
#[error("a metric cannot be registered: {0}")]
pub struct MetricsFault(#[from] prometheus::Error);

/// What is counted and timed. One for the process; share it by `Arc`.
pub struct Metrics {
    registry: Registry,
    requests: HistogramVec,
    active: IntGauge,
    calls: HistogramVec,
    unauthenticated: IntCounterVec,
    decisions: IntCounterVec,
    decision_time: HistogramVec,
    redactions: IntCounterVec,
    events: IntCounterVec,
    released: IntCounterVec,
    reloads: IntCounterVec,
    glass_claims: IntCounterVec,
    shadow: IntCounterVec,
    consent_cache: IntCounterVec,
    consent_age: HistogramVec,
    journal: GaugeVec,
    journal_source: Arc<OnceLock<JournalSource>>,
    otlp: Option<Instruments>,
    meter: Option<Meter>,
}

type JournalSource = Box<dyn Fn() -> JournalReading + Send + Sync>;

/// The same for OTLP, by the names of the semantic conventions.
struct Instruments {
    requests: Histogram<f64>,
    active: UpDownCounter<i64>,
    calls: Histogram<f64>,
    unauthenticated: Counter<u64>,
    decisions: Counter<u64>,
    decision_time: Histogram<f64>,
    redactions: Counter<u64>,
    events: Counter<u64>,
    released: Counter<u64>,
    reloads: Counter<u64>,
    glass_claims: Counter<u64>,
    shadow: Counter<u64>,
    consent_cache: Counter<u64>,
    consent_age: Histogram<f64>,
}

impl Metrics {
    /// Makes and registers everything; `otlp` is the provider of [`super::Telemetry`], where one exports.
    pub fn new(otlp: Option<&SdkMeterProvider>) -> Result<Self, MetricsFault> {
        let registry = Registry::new();
        let journal_source = Arc::new(OnceLock::new());
        let build = gauges(&registry, "sealgate_build_info", "The version that runs.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        Ok(Self {
            requests: histogram(
                &registry,
                "http_server_request_duration_seconds",
                "Duration of requests of clients.",
                &["http_route", "http_request_method", "http_response_status_code"],
                &SECONDS,
            )?,
            active: active(&registry)?,
            calls: histogram(
                &registry,
                "http_client_request_duration_seconds",
                "Duration of calls to other servers; status 0: no answer.",
                &["peer", "http_response_status_code"],
                &SECONDS,
            )?,
            unauthenticated: counter(
                &registry,
                "sealgate_unauthenticated_total",
                "Requests without an accepted token, by reason.",
                &["reason"],
            )?,
            decisions: counter(
                &registry,
                "sealgate_decisions_total",
                "Decisions by outcome and rule.",
                &["outcome", "reason_class"],
            )?,
            decision_time: histogram(
                &registry,
                "sealgate_decision_duration_seconds",
                "Duration of the decision on one resource.",
                &[],
                &SHORT_SECONDS,
            )?,
            redactions: counter(&registry, "sealgate_redactions_total", "Elements removed from answers.", &[])?,
            events: counter(&registry, "sealgate_events_total", "Events recorded durably, by kind.", &["kind"])?,
            released: counter(&registry, "sealgate_released_bytes_total", "Bytes of answers released.", &[])?,
            reloads: counter(
                &registry,
                "sealgate_reloads_total",
                "Changed rules, by whether they were put in force.",
                &["result"],
            )?,
            glass_claims: glass_claims(&registry)?,
            shadow: counter(
                &registry,
                "sealgate_shadow_decisions_total",
                "Decisions of the shadow policy, by how they differ from those in force and by the rule that differs.",
                &["result", "reason_class"],
            )?,
            consent_cache: counter(
                &registry,
                "sealgate_consent_cache_total",
                "Look-ups of Consent facts, by result.",
                &["result"],
            )?,
            consent_age: histogram(
                &registry,
                "sealgate_consent_age_seconds",
                "Age of the Consent facts that decided.",
                &[],
                &AGES,
            )?,
            journal: gauges(&registry, "sealgate_journal", "The journal, by what is measured.", &["measure"])?,
            otlp: otlp.map(|provider| Instruments::new(&provider.meter("fhir-gateway"), &journal_source)),
            meter: otlp.map(|provider| provider.meter("fhir-gateway")),
            journal_source,
            registry,
        })
    }

    /// A request has been answered.
    pub fn request(&self, done: &RequestDone) {
        let status = Status::new(done.status);
        let seconds = done.duration.as_secs_f64();
        self.requests.with_label_values(&[done.route, done.method, status.as_str()]).observe(seconds);
        if let Some(otlp) = &self.otlp {
            otlp.requests.record(
                seconds,
                &[
                    KeyValue::new("http.route", done.route),
                    KeyValue::new("http.request.method", done.method),
                    KeyValue::new("http.response.status_code", i64::from(done.status)),
                ],
            );
        }
    }

    /// A request is at work until the guard is dropped.
    pub fn active(self: &Arc<Self>) -> ActiveRequest {
        self.active.inc();
        if let Some(otlp) = &self.otlp {
            otlp.active.add(1, &[]);
        }
        ActiveRequest(Arc::clone(self))
    }

    /// Another server has answered, or has not (`None`).
    pub fn call(&self, peer: Peer, status: Option<u16>, duration: Duration) {
        let peer = peer.label();
        let status = status.unwrap_or(0);
        self.calls.with_label_values(&[peer, Status::new(status).as_str()]).observe(duration.as_secs_f64());
        if let Some(otlp) = &self.otlp {
            let labels = [KeyValue::new("peer", peer), KeyValue::new("http.response.status_code", i64::from(status))];
            otlp.calls.record(duration.as_secs_f64(), &labels);
        }
    }

    /// No caller could be established; `reason` is [`crate::auth::AuthError::rule`].
    pub fn unauthenticated(&self, reason: &'static str) {
        self.unauthenticated.with_label_values(&[reason]).inc();
        if let Some(otlp) = &self.otlp {
            otlp.unauthenticated.add(1, &[KeyValue::new("reason", reason)]);
        }
    }

    /// A decision; `reason_class` is the name of the rule that decided.
    pub fn decision(&self, outcome: DecisionOutcome, reason_class: &'static str) {
        let outcome = outcome.label();
        self.decisions.with_label_values(&[outcome, reason_class]).inc();
        if let Some(otlp) = &self.otlp {
            otlp.decisions.add(1, &[KeyValue::new("outcome", outcome), KeyValue::new("reason_class", reason_class)]);
        }
    }

    /// How long the decision on one resource took.
    pub fn decision_time(&self, duration: Duration) {
        self.decision_time.with_label_values::<&str>(&[]).observe(duration.as_secs_f64());
        if let Some(otlp) = &self.otlp {
            otlp.decision_time.record(duration.as_secs_f64(), &[]);
        }
    }

    /// Elements were removed from an answer.
    pub fn redactions(&self, count: u64) {
        self.redactions.with_label_values::<&str>(&[]).inc_by(count);
        if let Some(otlp) = &self.otlp {
            otlp.redactions.add(count, &[]);
        }
    }

    /// Events of one kind have become durable.
    pub fn events(&self, kind: &'static str, count: u64) {
        self.events.with_label_values(&[kind]).inc_by(count);
        if let Some(otlp) = &self.otlp {
            otlp.events.add(count, &[KeyValue::new("kind", kind)]);
        }
    }

    /// Bytes of an answer have been released.
    pub fn released(&self, bytes: u64) {
        self.released.with_label_values::<&str>(&[]).inc_by(bytes);
        if let Some(otlp) = &self.otlp {
            otlp.released.add(bytes, &[]);
        }
    }

    /// Changed rules were put in force, or refused because they are faulty.
    pub fn reload(&self, in_force: bool) {
        let result = if in_force { "in-force" } else { "refused" };
        self.reloads.with_label_values(&[result]).inc();
        if let Some(otlp) = &self.otlp {
            otlp.reloads.add(1, &[KeyValue::new("result", result)]);
        }
    }

    /// The shadow policy was compared, or was not; `reason_class` is the name of the rule by which it differs.
    pub fn shadow(&self, result: ShadowResult, reason_class: &'static str, count: u64) {
        let result = result.label();
        self.shadow.with_label_values(&[result, reason_class]).inc_by(count);
        if let Some(otlp) = &self.otlp {
            otlp.shadow.add(count, &[KeyValue::new("result", result), KeyValue::new("reason_class", reason_class)]);
        }
    }

    /// Consent facts were looked up.
    pub fn consent_cache(&self, result: CacheResult) {
        let result = result.label();
        self.consent_cache.with_label_values(&[result]).inc();
        if let Some(otlp) = &self.otlp {
            otlp.consent_cache.add(1, &[KeyValue::new("result", result)]);
        }
    }

    /// The age of the facts that a decision was made on.
    pub fn consent_age(&self, age: Duration) {
        self.consent_age.with_label_values::<&str>(&[]).observe(age.as_secs_f64());
        if let Some(otlp) = &self.otlp {
            otlp.consent_age.record(age.as_secs_f64(), &[]);
        }
    }

    /// Where readings of the journal come from; the first one given counts. It is asked at each scrape and export.
    pub fn watch_journal(&self, source: impl Fn() -> JournalReading + Send + Sync + 'static) {
        let _ = self.journal_source.set(Box::new(source));
    }

    /// Where readings of the feed of AuditEvents come from. It is asked at each scrape and export.
    ///
    /// # Errors
    /// There is a feed already.
    pub fn watch_feed(&self, source: impl Fn() -> FeedReading + Send + Sync + 'static) -> Result<(), MetricsFault> {
        self.watch(feed::ROWS, source)
    }

    /// Where readings of emergency access come from. It is asked at each scrape and export.
    ///
    /// # Errors
    /// There is one already.
    pub fn watch_glass(&self, source: impl Fn() -> GlassReading + Send + Sync + 'static) -> Result<(), MetricsFault> {
        self.watch(glass::ROWS, source)
    }

    /// Where readings of the watch over the Consents come from. It is asked at each scrape and export.
    ///
    /// # Errors
    /// There is a watch already.
    pub fn watch_consents(
        &self,
        source: impl Fn() -> WatchReading + Send + Sync + 'static,
    ) -> Result<(), MetricsFault> {
        self.watch(watch::ROWS, source)
    }

    fn watch<R: 'static>(
        &self,
        rows: &'static [Row<R>],
        source: impl Fn() -> R + Send + Sync + 'static,
    ) -> Result<(), MetricsFault> {
        let gauges = Gauges::new(rows, source)?;
        if let Some(meter) = &self.meter {
            gauges.export(meter);
        }
        self.registry.register(Box::new(gauges))?;
        Ok(())
    }

    /// Emergency access was claimed, and granted or refused.
    pub fn glass_claim(&self, granted: bool) {
        let result = if granted { "granted" } else { "refused" };
        self.glass_claims.with_label_values(&[result]).inc();
        if let Some(otlp) = &self.otlp {
            otlp.glass_claims.add(1, &[KeyValue::new("result", result)]);
        }
    }

    /// The Prometheus text format 0.0.4.
    pub fn render(&self) -> Result<String, MetricsFault> {
        if let Some(source) = self.journal_source.get() {
            for (measure, value) in source().measures() {
                self.journal.with_label_values(&[measure]).set(value);
            }
        }
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}

/// A request at work.
pub struct ActiveRequest(Arc<Metrics>);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.active.dec();
        if let Some(otlp) = &self.0.otlp {
            otlp.active.add(-1, &[]);
        }
    }
}

impl Instruments {
    fn new(meter: &Meter, journal: &Arc<OnceLock<JournalSource>>) -> Self {
        let seconds = |name: &'static str, bounds: &[f64]| {
            meter.f64_histogram(name).with_unit("s").with_boundaries(bounds.to_vec()).build()
        };
        let journal = Arc::clone(journal);
        // The instrument lives as long as its provider; the callback is what is wanted of it.
        let _ = meter
            .f64_observable_gauge("sealgate.journal")
            .with_callback(move |observer| {
                let Some(source) = journal.get() else { return };
                for (measure, value) in source().measures() {
                    observer.observe(value, &[KeyValue::new("measure", measure)]);
                }
            })
            .build();
        Self {
            requests: seconds("http.server.request.duration", &SECONDS),
            active: meter.i64_up_down_counter("http.server.active_requests").build(),
            calls: seconds("http.client.request.duration", &SECONDS),
            unauthenticated: meter.u64_counter("sealgate.unauthenticated").build(),
            decisions: meter.u64_counter("sealgate.decisions").build(),
            decision_time: seconds("sealgate.decision.duration", &SHORT_SECONDS),
            redactions: meter.u64_counter("sealgate.redactions").build(),
            events: meter.u64_counter("sealgate.events").build(),
            released: meter.u64_counter("sealgate.released").with_unit("By").build(),
            reloads: meter.u64_counter("sealgate.reloads").build(),
            glass_claims: meter.u64_counter("sealgate.break_glass.claims").build(),
            shadow: meter.u64_counter("sealgate.shadow.decisions").build(),
            consent_cache: meter.u64_counter("sealgate.consent.cache").build(),
            consent_age: seconds("sealgate.consent.age", &AGES),
        }
    }
}

/// Three digits without an allocation.
struct Status([u8; 3]);

impl Status {
    fn new(status: u16) -> Self {
        let digit = |place: u16| b'0' + u8::try_from(status / place % 10).unwrap_or(0);
        Self([digit(100), digit(10), digit(1)])
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("000")
    }
}

/// Both results from the start on: the first claim is an increase too, and somebody waits for it.
fn glass_claims(registry: &Registry) -> Result<IntCounterVec, MetricsFault> {
    let help = "Claims of emergency access, by whether it was granted.";
    let claims = counter(registry, "sealgate_break_glass_claims_total", help, &["result"])?;
    for result in ["granted", "refused"] {
        claims.with_label_values(&[result]);
    }
    Ok(claims)
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, MetricsFault> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    bounds: &[f64],
) -> Result<HistogramVec, MetricsFault> {
    registered(registry, HistogramVec::new(HistogramOpts::new(name, help).buckets(bounds.to_vec()), labels)?)
}

fn counter(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, MetricsFault> {
    registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, MetricsFault> {
    registered(registry, GaugeVec::new(Opts::new(name, help), labels)?)
}

fn active(registry: &Registry) -> Result<IntGauge, MetricsFault> {
    let gauge = IntGauge::new("http_server_active_requests", "Requests at work.")?;
    registered(registry, gauge)
}
