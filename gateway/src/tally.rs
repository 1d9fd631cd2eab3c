//! What the gateway did since it started: the counters of its heartbeats, against which an auditor reconciles.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use evidence::event::{Counts, HeartbeatCounters};

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Tally {
    requests: AtomicU64,
    permits: AtomicU64,
    refusals: AtomicU64,
    redactions: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    /// A request was answered with data, these in its first window.
    pub fn permitted(&self, counts: Counts) {
        self.requests.fetch_add(1, Relaxed);
        self.permits.fetch_add(1, Relaxed);
        self.continued(counts);
    }

    /// A further window of an answer.
    pub fn continued(&self, counts: Counts) {
        self.redactions.fetch_add(counts.redactions, Relaxed);
        self.bytes.fetch_add(counts.bytes, Relaxed);
    }

    /// A request was answered without data, in so many bytes.
    pub fn refused(&self, bytes: usize) {
        self.requests.fetch_add(1, Relaxed);
        self.refusals.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// The counters, with the number of events that the journal holds.
    pub fn read(&self, events: u64) -> HeartbeatCounters {
        HeartbeatCounters {
            requests: self.requests.load(Relaxed),
            permits: self.permits.load(Relaxed),
            refusals: self.refusals.load(Relaxed),
            redactions: self.redactions.load(Relaxed),
            events,
            bytes: self.bytes.load(Relaxed),
        }
    }
}
