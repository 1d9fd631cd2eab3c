//! Gauges whose readings are taken when somebody asks, for Prometheus and OTLP.

use std::sync::Arc;

use opentelemetry::metrics::Meter;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, Opts};

/// Prometheus' name, OTLP's name, what it tells, and how it is read.
pub(super) type Row<R> = (&'static str, &'static str, &'static str, fn(&R) -> f64);

/// The readings of one source as gauges.
pub(super) struct Gauges<R: 'static> {
    source: Arc<dyn Fn() -> R + Send + Sync>,
    rows: &'static [Row<R>],
    gauges: Vec<Gauge>,
}

impl<R: 'static> Gauges<R> {
    pub(super) fn new(
        rows: &'static [Row<R>],
        source: impl Fn() -> R + Send + Sync + 'static,
    ) -> Result<Self, prometheus::Error> {
        let gauges = rows.iter().map(|(name, _, help, _)| Gauge::with_opts(Opts::new(*name, *help)));
        Ok(Self { source: Arc::new(source), rows, gauges: gauges.collect::<Result<_, _>>()? })
    }

    /// The same over OTLP.
    pub(super) fn export(&self, meter: &Meter) {
        for (_, name, help, value) in self.rows {
            let (source, value) = (Arc::clone(&self.source), *value);
            // The instrument lives as long as its provider; the callback is what is wanted of it.
            let _ = meter
                .f64_observable_gauge(*name)
                .with_description(*help)
                .with_callback(move |observer| observer.observe(value(&source()), &[]))
                .build();
        }
    }
}

impl<R: 'static> Collector for Gauges<R> {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let reading = (self.source)();
        let set = self.gauges.iter().zip(self.rows).flat_map(|(gauge, (_, _, _, value))| {
            gauge.set(value(&reading));
            gauge.collect()
        });
        set.collect()
    }
}

/// Gauges are floating point; counts stay exact up to 2^53.
pub(super) fn count(number: u64) -> f64 {
    number as f64
}
