//! W3C Trace Context in and out. `tracestate` and `baggage` end here: they carry what callers choose.

use std::fmt;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// A `traceparent` header (W3C Trace Context, 3.2), understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace: u128,
    parent: u64,
    flags: u8,
}

impl TraceParent {
    /// Reads version 00, and of later versions the part that they share with it (W3C Trace Context, 4.3). What is
    /// malformed is as if it were absent, so a caller cannot put text into the log with it.
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let version = u8::from_str_radix(lower_hex(version, 2)?, 16).ok()?;
        let ends = parts.next().is_none();
        if version == 0xff || (version == 0 && !ends) {
            return None;
        }
        let read = Self {
            trace: u128::from_str_radix(lower_hex(trace, 32)?, 16).ok()?,
            parent: u64::from_str_radix(lower_hex(parent, 16)?, 16).ok()?,
            flags: u8::from_str_radix(lower_hex(flags, 2)?, 16).ok()?,
        };
        (read.trace != 0 && read.parent != 0).then_some(read)
    }

    /// The trace id, 32 hex digits, for logs and events.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }
}

/// The header that passes it on.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of the flags only `sampled` has a meaning that we can answer for.
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.parent, self.flags & 1)
    }
}

/// Makes `span` a child of the caller's span; does nothing where no traces are exported.
pub fn adopt(span: &Span, parent: &TraceParent) {
    let context = SpanContext::new(
        TraceId::from(parent.trace),
        SpanId::from(parent.parent),
        TraceFlags::new(parent.flags & 1),
        true,
        TraceState::default(),
    );
    // It fails only where there is no exporter, and then there is nothing to adopt.
    let _ = span.set_parent(Context::new().with_remote_span_context(context));
}

/// What to send on: our own span where traces are exported, else the caller's header as it came.
pub fn outgoing(span: &Span, incoming: Option<&TraceParent>) -> Option<TraceParent> {
    let context = span.context();
    let own = context.span().span_context().clone();
    if !own.is_valid() {
        return incoming.copied();
    }
    Some(TraceParent {
        trace: u128::from_be_bytes(own.trace_id().to_bytes()),
        parent: u64::from_be_bytes(own.span_id().to_bytes()),
        flags: own.trace_flags().to_u8(),
    })
}

fn lower_hex(text: &str, length: usize) -> Option<&str> {
    let well = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    well.then_some(text)
}
