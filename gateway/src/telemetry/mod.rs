//! Logs, traces and metrics.
//!
//! Nothing of a patient, a token or a query may stand in a log line, a span or a label. What enforces it:
//! - metric labels are `&'static str` or a status, so no text of a request can become one;
//! - spans and log lines come from the project's own modules only, whose fields are the allow-list below; other crates may
//!   only warn, because at finer levels HTTP libraries write addresses and headers.
//!
//! Fields that our log lines and spans may carry: `request_id`, `trace_id`, `route`, `method`, `status`, `interaction`,
//! `resource_type`, `rule`, `policies`, `outcome`, `entries`, `bytes`, `duration_ms`, `issuer`, `client`, `file`, `key`,
//! `peer`, `error` (of our own error types, which hold no values), `warning`, `check`, `reason`, `version`, `listen`,
//! `grant` (the id of a break-glass grant, which names nobody).

mod feed;
mod gauges;
mod glass;
mod measured;
mod metrics;
mod trace;
mod traced;
mod watch;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterFn, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};
use url::Url;

pub use feed::FeedReading;
pub use glass::GlassReading;
pub use measured::{CacheResult, DecisionOutcome, JournalReading, Peer, RequestDone, ShadowResult};
pub use metrics::{ActiveRequest, Metrics, MetricsFault};
pub use trace::{TraceParent, adopt, outgoing};
pub use traced::Traced;
pub use watch::WatchReading;

use crate::config::{LogFormat, TelemetryConfig};

/// Time for one export.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// The crates whose spans and finer log lines are kept.
const OWN: [&str; 3] = ["fhir_gateway", "gateway_core", "evidence"];

/// The exporters, while the program runs.
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    meters: Option<SdkMeterProvider>,
    logs: Option<SdkLoggerProvider>,
}

/// Telemetry that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryFault {
    /// The HTTP client of the exporters cannot be made.
    #[error("the exporters' HTTP client cannot be made")]
    Client,
    /// An exporter cannot be made.
    #[error(transparent)]
    Exporter(#[from] ExporterBuildError),
    /// Metrics cannot be registered.
    #[error(transparent)]
    Metrics(#[from] MetricsFault),
    /// Something else already takes the log lines.
    #[error("a log subscriber is already installed")]
    Installed,
}

impl Telemetry {
    /// Installs the log subscriber, starts the exporters if an endpoint is configured, and makes the metrics.
    pub fn start(config: &TelemetryConfig) -> Result<(Self, Metrics), TelemetryFault> {
        let (traces, meters, logs) = match &config.otlp_endpoint {
            None => (None, None, None),
            Some(endpoint) => {
                let client = exporter_client()?;
                let resource = resource(&config.service_name);
                let traces = tracer_provider(endpoint, &client, resource.clone())?;
                let meters = meter_provider(endpoint, &client, resource.clone())?;
                (Some(traces), Some(meters), Some(logger_provider(endpoint, &client, resource)?))
            }
        };
        let spans = traces.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("fhir-gateway"))
                .with_location(false)
                .with_threads(false)
                .with_filter(own_only())
        });
        // Our own lines only: what the exporters themselves have to say must not be exported again.
        let exported = logs.as_ref().map(OpenTelemetryTracingBridge::new);
        let exported = exported.map(|bridge| bridge.with_filter(levels(config)).with_filter(own_only()));
        Registry::default()
            .with(spans)
            .with(exported)
            .with(log_lines(config).with_filter(quiet_others()))
            .try_init()
            .map_err(|_| TelemetryFault::Installed)?;
        let metrics = Metrics::new(meters.as_ref())?;
        Ok((Self { traces, meters, logs }, metrics))
    }

    /// Sends what is left and stops; waits a bounded time. Call it outside the async runtime or where blocking is allowed.
    pub fn shutdown(self) {
        if let Some(traces) = self.traces
            && let Err(error) = traces.shutdown_with_timeout(EXPORT_TIMEOUT)
        {
            tracing::warn!(%error, "the last spans were not exported");
        }
        if let Some(meters) = self.meters
            && let Err(error) = meters.shutdown_with_timeout(EXPORT_TIMEOUT)
        {
            tracing::warn!(%error, "the last metrics were not exported");
        }
        if let Some(logs) = self.logs
            && let Err(error) = logs.shutdown_with_timeout(EXPORT_TIMEOUT)
        {
            tracing::warn!(%error, "the last log lines were not exported");
        }
    }
}

fn log_lines<S>(config: &TelemetryConfig) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    let levels = levels(config);
    match config.log_format {
        LogFormat::Json => {
            let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_span_list(false);
            lines.with_writer(std::io::stderr).with_filter(levels).boxed()
        }
        LogFormat::Text => {
            tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::stderr).with_filter(levels).boxed()
        }
    }
}

/// `config` has parsed the filter already; an unreadable one falls back to the quietest sensible level.
fn levels(config: &TelemetryConfig) -> Targets {
    config.log_level.parse().unwrap_or_else(|_| Targets::new().with_default(Level::INFO))
}

fn is_own(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    OWN.contains(&root)
}

fn own_only() -> FilterFn {
    FilterFn::new(is_own)
}

fn quiet_others() -> FilterFn {
    FilterFn::new(|metadata| is_own(metadata) || (metadata.is_event() && *metadata.level() <= Level::WARN))
}

fn resource(service_name: &str) -> Resource {
    Resource::builder_empty()
        .with_service_name(service_name.to_owned())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

/// A blocking client: the SDK exports from threads of its own, where there is no async runtime. It is made on a thread of
/// its own too, because it may not be made inside one.
fn exporter_client() -> Result<reqwest::blocking::Client, TelemetryFault> {
    let make = || {
        reqwest::blocking::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(EXPORT_TIMEOUT)
            .build()
    };
    let made = std::thread::spawn(make).join().map_err(|_| TelemetryFault::Client)?;
    made.map_err(|_| TelemetryFault::Client)
}

fn tracer_provider(
    endpoint: &Url,
    client: &reqwest::blocking::Client,
    resource: Resource,
) -> Result<SdkTracerProvider, TelemetryFault> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client.clone())
        .with_endpoint(signal(endpoint, "v1/traces"))
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

fn meter_provider(
    endpoint: &Url,
    client: &reqwest::blocking::Client,
    resource: Resource,
) -> Result<SdkMeterProvider, TelemetryFault> {
    let exporter = MetricExporter::builder()
        .with_http()
        .with_http_client(client.clone())
        .with_endpoint(signal(endpoint, "v1/metrics"))
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    Ok(SdkMeterProvider::builder().with_resource(resource).with_periodic_exporter(exporter).build())
}

fn logger_provider(
    endpoint: &Url,
    client: &reqwest::blocking::Client,
    resource: Resource,
) -> Result<SdkLoggerProvider, TelemetryFault> {
    let exporter = LogExporter::builder()
        .with_http()
        .with_http_client(client.clone())
        .with_endpoint(signal(endpoint, "v1/logs"))
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    Ok(SdkLoggerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

/// OTLP/HTTP: each signal has its path below the base (OTLP 1.x, "OTLP/HTTP Request").
fn signal(endpoint: &Url, path: &str) -> String {
    format!("{}/{path}", endpoint.as_str().trim_end_matches('/'))
}

#[cfg(test)]
mod tests;
