//! Which traces the records of the journal belong to, until they are shipped: so that the trace of a request shows its
//! sequencing in the log.
//!
//! It is kept in memory and bounded. What a restart or the bound takes away is a link in a trace, nothing else.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use evidence::ids::{Epoch, Sequence};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Records that are remembered; a log that is away for longer has batches without links.
const MOST: usize = 4_096;
/// Links of one span (OpenTelemetry SDK specification, "Span Limits": LinkCountLimit).
const LINKS: usize = 128;

/// The spans that records were made in.
#[derive(Debug, Default)]
pub struct Traced(Mutex<VecDeque<Made>>);

#[derive(Debug)]
struct Made {
    epoch: Epoch,
    sequence: Sequence,
    span: SpanContext,
}

impl Traced {
    /// Notes that these records were made in the current span, where that one is exported.
    pub fn note(&self, places: impl Iterator<Item = (Epoch, Sequence)>) {
        let span = Span::current().context().span().span_context().clone();
        if !span.is_sampled() {
            return;
        }
        // The last record stands for the batch: with it all are in the log.
        let Some((epoch, sequence)) = places.last() else { return };
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() == MOST {
            made.pop_front();
        }
        made.push_back(Made { epoch, sequence, span });
    }

    /// The span of a call that ships so many records from `first` on: in the trace of the request where they are of one,
    /// else in a trace of its own, linked to each of theirs.
    pub fn shipping(&self, epoch: Epoch, first: Sequence, records: usize) -> Span {
        let span = tracing::info_span!("POST /v1/leaves", "otel.kind" = "client", entries = records);
        let mut spans = self.take(epoch, first.get()..first.get().saturating_add(records as u64));
        spans.dedup();
        if let Some((first, others)) = spans.split_first()
            && others.iter().all(|other| other.trace_id() == first.trace_id())
        {
            // It fails only where there is no exporter, and then there is nothing to tell.
            let _ = span.set_parent(Context::new().with_remote_span_context(first.clone()));
            spans.remove(0);
        }
        spans.into_iter().take(LINKS).for_each(|linked| span.add_link(linked));
        span
    }

    /// Takes out what is shipped with these records. What was noted too late for its own batch, or belongs to an earlier
    /// epoch, goes without a link: better none than a wrong one.
    fn take(&self, epoch: Epoch, records: Range<u64>) -> Vec<SpanContext> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spans = Vec::new();
        made.retain(|record| {
            let later = (record.epoch, record.sequence.get()) >= (epoch, records.end);
            if record.epoch == epoch && records.contains(&record.sequence.get()) {
                spans.push(record.span.clone());
            }
            later
        });
        spans
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::panic, reason = "a failed expectation is a failed test")]

    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Kept(std::sync::Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(batch);
            Ok(())
        }
    }

    /// The spans that come of this.
    fn spans(work: impl FnOnce(&Traced)) -> Vec<SpanData> {
        let exporter = Kept::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(Registry::default().with(layer), || work(&Traced::default()));
        exporter.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn request(traced: &Traced, places: Range<u64>) {
        let places = places.map(|sequence| (Epoch::new(1), Sequence::new(sequence)));
        tracing::info_span!("request").in_scope(|| traced.note(places));
    }

    fn ship(traced: &Traced, records: Range<u64>) {
        let count = usize::try_from(records.end - records.start).unwrap_or(usize::MAX);
        traced.shipping(Epoch::new(1), Sequence::new(records.start), count).in_scope(|| ());
    }

    #[test]
    fn the_records_of_one_request_are_shipped_in_its_trace() {
        let seen = spans(|traced| {
            request(traced, 0..3);
            ship(traced, 0..3);
        });
        let (request, shipping) = (&seen[0], &seen[1]);
        assert_eq!(shipping.name, "POST /v1/leaves");
        assert_eq!(shipping.span_context.trace_id(), request.span_context.trace_id());
        assert_eq!((shipping.parent_span_id, shipping.links.len()), (request.span_context.span_id(), 0));
    }

    #[test]
    fn those_of_several_are_linked_and_each_once() {
        let seen = spans(|traced| {
            request(traced, 0..2);
            request(traced, 2..4);
            request(traced, 4..6);
            ship(traced, 0..4);
            request(traced, 1..2);
            ship(traced, 4..6);
            ship(traced, 6..9);
        });
        let [first, second, third, both, late, last, none] = seen.as_slice() else { panic!("{} spans", seen.len()) };
        let linked: Vec<_> = both.links.iter().map(|link| link.span_context.trace_id()).collect();
        assert_eq!(linked, [first.span_context.trace_id(), second.span_context.trace_id()]);
        assert_eq!(both.parent_span_id, opentelemetry::trace::SpanId::INVALID);
        assert_eq!(last.span_context.trace_id(), third.span_context.trace_id());
        assert!(last.links.is_empty() && late.links.is_empty(), "what is noted too late is linked to nothing");
        assert_eq!((none.links.len(), none.parent_span_id), (0, opentelemetry::trace::SpanId::INVALID));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let seen = spans(|traced| {
            for sequence in 0..5_000 {
                request(traced, sequence..sequence + 1);
            }
            assert_eq!(traced.0.lock().unwrap_or_else(PoisonError::into_inner).len(), MOST);
            ship(traced, 0..5_000);
        });
        assert_eq!(seen.last().map(|span| span.links.len()), Some(LINKS));
    }
}
