//! Log lines, metrics and traces. No label and no field ever holds more than ids of the log.

mod otlp;

use std::{
    io::IsTerminal as _,
    sync::{Arc, OnceLock},
    time::Duration,
};

use opentelemetry::{metrics::Meter, trace::TracerProvider as _};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
pub use otlp::adopt;
use prometheus::{
    Encoder as _, Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};
use tracing::{Level, Metadata};
use tracing_subscriber::{
    Layer as _,
    filter::{FilterExt as _, FilterFn},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{
    config::{LogFormat, TelemetryConfig},
    log::Log,
};
use otlp::{Exporters, Timings};

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A metric is registered twice or badly named.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// An exporter cannot be built.
    #[error("OTLP: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The exporter's client cannot be built.
    #[error("OTLP: {0}")]
    Client(#[from] reqwest::Error),
    /// A subscriber is set already.
    #[error("log lines: {0}")]
    Subscriber(#[from] tracing_subscriber::util::TryInitError),
}

/// The sidecar's measurements; names and meanings are listed in docs/operations.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Leaves in the log.
    pub log_size: IntGauge,
    /// Leaves in tiles.
    pub integrated_size: IntGauge,
    /// Leaves that no final anchor covers.
    pub unanchored: IntGauge,
    /// Age of the oldest of them in seconds; 0 when there is none.
    pub unanchored_age: Gauge,
    /// Unix time of the last final anchor's block; 0 before the first.
    pub last_anchor: Gauge,
    /// Number of final anchors.
    pub anchors_final: IntGauge,
    /// Anchors on their way.
    pub anchors_pending: IntGauge,
    /// 1 while the chain cannot be seen.
    pub anchor_blind: IntGauge,
    /// 1 while the sender waits for an operator (fees, funds, publisher, revert), or anchoring is overdue.
    pub anchor_alarm: IntGauge,
    /// 1 while the oldest leaf without a final anchor is older than the configured limit.
    pub anchor_overdue: IntGauge,
    /// 1 when the sender has ended.
    pub anchor_stopped: IntGauge,
    /// Anchors that the gas account pays for at the present price.
    pub runway: Gauge,
    /// 1 when the start-up comparison is done.
    pub compared: IntGauge,
    /// Requests of the write side by outcome.
    pub additions: IntCounterVec,
    /// Times that somebody has seen more of the log than the volume holds.
    pub rollback_detected: IntCounter,
    group_size: Histogram,
    commit_seconds: Histogram,
    /// The two histograms over OTLP, where they are exported.
    timings: OnceLock<Timings>,
}

impl Metrics {
    /// Registers every metric.
    ///
    /// # Errors
    /// [`TelemetryError::Metrics`].
    pub fn new() -> Result<Arc<Self>, TelemetryError> {
        let registry = Registry::new();
        let size_buckets = prometheus::exponential_buckets(1.0, 4.0, 9)?;
        let time_buckets = prometheus::exponential_buckets(0.000_125, 2.0, 14)?;
        let metrics = Self {
            log_size: IntGauge::new("sealgate_log_size_leaves", "Leaves in the log.")?,
            integrated_size: IntGauge::new("sealgate_log_integrated_size_leaves", "Leaves whose tiles are on disk.")?,
            unanchored: IntGauge::new("sealgate_log_unanchored_leaves", "Leaves that no final anchor covers.")?,
            unanchored_age: Gauge::new(
                "sealgate_log_unanchored_age_seconds",
                "Age in seconds of the oldest leaf that no final anchor covers; at a start as old as the anchor before it.",
            )?,
            last_anchor: Gauge::new(
                "sealgate_anchor_last_timestamp_seconds",
                "Block time of the newest final anchor.",
            )?,
            anchors_final: IntGauge::new(
                "sealgate_anchor_final_sequence",
                "Sequence number of the newest final anchor.",
            )?,
            anchors_pending: IntGauge::new("sealgate_anchor_pending", "Anchors that are not final yet.")?,
            anchor_blind: IntGauge::new("sealgate_anchor_blind", "1 while the chain cannot be seen.")?,
            anchor_alarm: IntGauge::new(
                "sealgate_anchor_alarm",
                "1 while somebody should look: anchoring is overdue, or the sender waits for fees, funds, publisher or contract.",
            )?,
            anchor_overdue: IntGauge::new(
                "sealgate_anchor_overdue",
                "1 while the oldest leaf that no final anchor covers is older than anchor.overdue_seconds.",
            )?,
            anchor_stopped: IntGauge::new("sealgate_anchor_stopped", "1 when the sender has ended.")?,
            runway: Gauge::new(
                "sealgate_anchor_runway_anchors",
                "Anchors that the gas account pays for at the present price.",
            )?,
            compared: IntGauge::new("sealgate_log_compared", "1 when the start-up comparison is done.")?,
            additions: IntCounterVec::new(
                Opts::new("sealgate_log_additions_total", "Requests of the write side by outcome."),
                &["outcome"],
            )?,
            rollback_detected: IntCounter::new(
                "sealgate_log_rollback_detected_total",
                "Times that somebody had seen more of the log, or another log, than this volume holds.",
            )?,
            group_size: Histogram::with_opts(
                HistogramOpts::new("sealgate_log_group_leaves", "Leaves in one record.").buckets(size_buckets),
            )?,
            commit_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "sealgate_log_commit_duration_seconds",
                    "Time of one record's transaction and sync.",
                )
                .buckets(time_buckets),
            )?,
            timings: OnceLock::new(),
            registry,
        };
        let collectors: [Box<dyn prometheus::core::Collector>; 17] = [
            Box::new(metrics.log_size.clone()),
            Box::new(metrics.integrated_size.clone()),
            Box::new(metrics.unanchored.clone()),
            Box::new(metrics.unanchored_age.clone()),
            Box::new(metrics.last_anchor.clone()),
            Box::new(metrics.anchors_final.clone()),
            Box::new(metrics.anchors_pending.clone()),
            Box::new(metrics.anchor_blind.clone()),
            Box::new(metrics.anchor_alarm.clone()),
            Box::new(metrics.anchor_overdue.clone()),
            Box::new(metrics.anchor_stopped.clone()),
            Box::new(metrics.runway.clone()),
            Box::new(metrics.compared.clone()),
            Box::new(metrics.additions.clone()),
            Box::new(metrics.rollback_detected.clone()),
            Box::new(metrics.group_size.clone()),
            Box::new(metrics.commit_seconds.clone()),
        ];
        for collector in collectors {
            metrics.registry.register(collector)?;
        }
        Ok(Arc::new(metrics))
    }

    /// One record was written.
    pub fn group_committed(&self, leaves: usize, took: Duration) {
        self.group_size.observe(u32::try_from(leaves).unwrap_or(u32::MAX).into());
        self.commit_seconds.observe(took.as_secs_f64());
        if let Some(timings) = self.timings.get() {
            timings.group_committed(leaves, took);
        }
    }

    /// Exports every metric over OTLP too; once.
    pub fn export(&self, meter: &Meter, log: &Log) {
        otlp::observe(meter, self, log);
        let _ = self.timings.set(Timings::new(meter));
    }

    /// Every metric in the text form of Prometheus.
    ///
    /// # Errors
    /// [`TelemetryError::Metrics`].
    pub fn text(&self) -> Result<Vec<u8>, TelemetryError> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// The crates whose spans and ordinary log lines are kept; of others only warnings are.
const OWN: [&str; 2] = ["anchor_sidecar", "evidence"];

/// Keeps the exporters alive; flushes them when dropped. Drop it where blocking is allowed.
#[must_use = "telemetry stops when this is dropped"]
#[derive(Debug)]
pub struct Telemetry(Option<Exporters>);

impl Telemetry {
    /// What metrics are exported with; absent without an end point.
    #[must_use]
    pub fn meter(&self) -> Option<Meter> {
        self.0.as_ref().map(Exporters::meter)
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(exporters) = self.0.take() {
            exporters.shutdown();
        }
    }
}

/// Sets log lines on standard error and, where configured, traces, metrics and log lines over OTLP. Call it outside an async
/// runtime.
///
/// # Errors
/// [`TelemetryError`].
pub fn start(config: &TelemetryConfig) -> Result<Telemetry, TelemetryError> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let levels = FilterFn::new(|metadata| is_own(metadata) || *metadata.level() <= Level::WARN);
    let levels = levels.with_max_level_hint(config.log_level).and(config.log_level);
    let lines = match config.log_format {
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).with_filter(levels).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_filter(levels).boxed(),
    };
    let exporters = config.otlp_endpoint.as_ref().map(|endpoint| Exporters::start(endpoint, &config.service_name));
    let exporters = exporters.transpose()?;
    let traces = exporters.as_ref().map(|exporters| {
        tracing_opentelemetry::layer()
            .with_tracer(exporters.traces.tracer("anchor-sidecar"))
            .with_location(false)
            .with_threads(false)
            .with_filter(FilterFn::new(is_own))
    });
    // Our own lines only: what the exporters themselves have to say must not be exported again.
    let exported = exporters.as_ref().map(|exporters| {
        let own = FilterFn::new(is_own).with_max_level_hint(config.log_level).and(config.log_level);
        OpenTelemetryTracingBridge::new(&exporters.logs).with_filter(own)
    });
    tracing_subscriber::registry().with(traces).with(exported).with(lines).try_init()?;
    Ok(Telemetry(exporters))
}

fn is_own(metadata: &Metadata<'_>) -> bool {
    OWN.contains(&metadata.target().split("::").next().unwrap_or_default())
}
