//! Traces, metrics and log lines over OTLP (HTTP with protobuf).

use std::time::Duration;

use actix_web::HttpRequest;
use opentelemetry::{
    KeyValue,
    metrics::{Histogram, Meter, MeterProvider as _},
    propagation::{Extractor, TextMapPropagator as _},
};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource, logs::SdkLoggerProvider, metrics::SdkMeterProvider, propagation::TraceContextPropagator,
    trace::SdkTracerProvider,
};
use prometheus::core::Collector as _;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use url::Url;

use super::{Metrics, TelemetryError};
use crate::{log::Log, sequence::size_of};

/// Time for one export, and for the last one at the end.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// One exporter for each signal.
#[derive(Debug)]
pub(super) struct Exporters {
    pub(super) traces: SdkTracerProvider,
    pub(super) logs: SdkLoggerProvider,
    meters: SdkMeterProvider,
}

impl Exporters {
    /// The SDK exports from threads of its own, so the client blocks.
    pub(super) fn start(endpoint: &Url, service_name: &str) -> Result<Self, TelemetryError> {
        let client = reqwest::blocking::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(EXPORT_TIMEOUT)
            .build()?;
        let signal = |name: &str| format!("{}/v1/{name}", endpoint.as_str().trim_end_matches('/'));
        let resource = Resource::builder_empty()
            .with_service_name(service_name.to_owned())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let spans = SpanExporter::builder().with_http().with_http_client(client.clone());
        let spans = spans.with_endpoint(signal("traces")).with_timeout(EXPORT_TIMEOUT).build()?;
        let points = MetricExporter::builder().with_http().with_http_client(client.clone());
        let points = points.with_endpoint(signal("metrics")).with_timeout(EXPORT_TIMEOUT).build()?;
        let lines = LogExporter::builder().with_http().with_http_client(client);
        let lines = lines.with_endpoint(signal("logs")).with_timeout(EXPORT_TIMEOUT).build()?;
        Ok(Self {
            traces: SdkTracerProvider::builder().with_resource(resource.clone()).with_batch_exporter(spans).build(),
            meters: SdkMeterProvider::builder().with_resource(resource.clone()).with_periodic_exporter(points).build(),
            logs: SdkLoggerProvider::builder().with_resource(resource).with_batch_exporter(lines).build(),
        })
    }

    pub(super) fn meter(&self) -> Meter {
        self.meters.meter("anchor-sidecar")
    }

    /// Sends what is left. The process ends: a failure to flush can only be lost with it.
    pub(super) fn shutdown(self) {
        let _ = self.traces.shutdown_with_timeout(EXPORT_TIMEOUT);
        let _ = self.meters.shutdown_with_timeout(EXPORT_TIMEOUT);
        let _ = self.logs.shutdown_with_timeout(EXPORT_TIMEOUT);
    }
}

/// Reads the gauges and counters of `/metrics` at each export, under the same names with dots.
pub(super) fn observe(meter: &Meter, metrics: &Metrics, log: &Log) {
    let (sequenced, integrated) = (log.sequenced.clone(), log.integrated.clone());
    gauge(meter, "sealgate.log.size", move || count(size_of(&sequenced)));
    gauge(meter, "sealgate.log.integrated_size", move || count(size_of(&integrated)));
    for (name, read) in [
        ("sealgate.log.unanchored", metrics.unanchored.clone()),
        ("sealgate.log.compared", metrics.compared.clone()),
        ("sealgate.anchor.final_sequence", metrics.anchors_final.clone()),
        ("sealgate.anchor.pending", metrics.anchors_pending.clone()),
        ("sealgate.anchor.blind", metrics.anchor_blind.clone()),
        ("sealgate.anchor.alarm", metrics.anchor_alarm.clone()),
        ("sealgate.anchor.overdue", metrics.anchor_overdue.clone()),
        ("sealgate.anchor.stopped", metrics.anchor_stopped.clone()),
    ] {
        gauge(meter, name, move || read.get() as f64);
    }
    for (name, read) in [
        ("sealgate.log.unanchored_age", metrics.unanchored_age.clone()),
        ("sealgate.anchor.last_timestamp", metrics.last_anchor.clone()),
        ("sealgate.anchor.runway", metrics.runway.clone()),
    ] {
        gauge(meter, name, move || read.get());
    }
    let (additions, rollbacks) = (metrics.additions.clone(), metrics.rollback_detected.clone());
    // The instruments live as long as their provider; the callbacks are what is wanted of them.
    let _ = meter
        .u64_observable_counter("sealgate.log.additions")
        .with_callback(move |observer| {
            for family in additions.collect() {
                for sample in family.get_metric() {
                    // INVARIANT: the one label is an outcome of the write side, static text.
                    let labels = sample.get_label().iter();
                    let labels: Vec<_> =
                        labels.map(|label| KeyValue::new(label.name().to_owned(), label.value().to_owned())).collect();
                    observer.observe(sample.get_counter().get_value() as u64, &labels);
                }
            }
        })
        .build();
    let _ = meter
        .u64_observable_counter("sealgate.log.rollback_detected")
        .with_callback(move |observer| observer.observe(rollbacks.get(), &[]))
        .build();
}

fn gauge(meter: &Meter, name: &'static str, read: impl Fn() -> f64 + Send + Sync + 'static) {
    let _ = meter.f64_observable_gauge(name).with_callback(move |observer| observer.observe(read(), &[])).build();
}

/// Gauges are floating point; counts stay exact up to 2^53.
fn count(number: u64) -> f64 {
    number as f64
}

/// What is distributed, not read.
#[derive(Debug)]
pub(super) struct Timings {
    group: Histogram<u64>,
    commit: Histogram<f64>,
}

impl Timings {
    pub(super) fn new(meter: &Meter) -> Self {
        let seconds = (0..14).map(|power| 0.000_125 * f64::from(1 << power)).collect();
        Self {
            group: meter.u64_histogram("sealgate.log.group").build(),
            commit: meter.f64_histogram("sealgate.log.commit.duration").with_unit("s").with_boundaries(seconds).build(),
        }
    }

    pub(super) fn group_committed(&self, leaves: usize, took: Duration) {
        self.group.record(leaves as u64, &[]);
        self.commit.record(took.as_secs_f64(), &[]);
    }
}

/// `traceparent` alone: `tracestate` and `baggage` carry what others choose.
struct TraceParent<'a>(&'a HttpRequest);

impl Extractor for TraceParent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        if key != "traceparent" {
            return None;
        }
        self.0.headers().get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

/// Puts a span under the caller's, where the caller names one; does nothing where no traces are exported.
pub fn adopt(span: &Span, request: &HttpRequest) {
    let parent = TraceContextPropagator::new().extract(&TraceParent(request));
    // It fails only where there is no exporter, and then there is nothing to adopt.
    let _ = span.set_parent(parent);
}
