//! What the journal's handles, its writer and the shipper know of each other without asking the disk.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::Notify;

/// Counters and flags of an open journal; written by the writer only, after its commits.
#[derive(Debug, Default)]
pub(super) struct State {
    failed: AtomicBool,
    closed: AtomicBool,
    head: AtomicU64,
    shipped: AtomicU64,
    waiting_bytes: AtomicU64,
    oldest_waiting: AtomicU64,
    file_bytes: AtomicU64,
    commits: AtomicU64,
    commit_nanoseconds: AtomicU64,
    /// Tells the shipper that records wait.
    pub(super) waiting: Notify,
}

/// What has been recorded but has no receipt of the log yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Records without a receipt.
    pub unshipped: u64,
    /// How long the oldest of them has waited.
    pub oldest_age: Option<Duration>,
    /// Bytes of their sealed payloads.
    pub bytes: u64,
}

/// Counters for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// Records in the file.
    pub records: u64,
    /// Records with a receipt of the log.
    pub shipped: u64,
    /// Transactions committed since the journal was opened.
    pub commits: u64,
    /// Time spent in them, the disk's sync included.
    pub commit_time: Duration,
    /// Bytes of the database file (SQLite's write-ahead log apart).
    pub file_bytes: u64,
}

/// What one commit moved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moved {
    pub(super) head: u64,
    pub(super) shipped: u64,
    pub(super) waiting_bytes: u64,
    /// Milliseconds since 1970; 0 where nothing waits.
    pub(super) oldest_waiting: u64,
    pub(super) file_bytes: u64,
}

impl State {
    pub(super) fn moved(&self, moved: Moved) {
        self.head.store(moved.head, Ordering::Release);
        self.shipped.store(moved.shipped, Ordering::Release);
        self.waiting_bytes.store(moved.waiting_bytes, Ordering::Release);
        self.oldest_waiting.store(moved.oldest_waiting, Ordering::Release);
        self.file_bytes.store(moved.file_bytes, Ordering::Release);
        if moved.head > moved.shipped {
            self.waiting.notify_one();
        }
    }

    pub(super) fn committed(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.commit_nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.file_bytes.load(Ordering::Acquire)
    }

    pub(super) fn backlog(&self, now: OffsetDateTime) -> Backlog {
        let shipped = self.shipped.load(Ordering::Acquire);
        let unshipped = self.head.load(Ordering::Acquire).saturating_sub(shipped);
        let oldest = self.oldest_waiting.load(Ordering::Acquire);
        Backlog {
            unshipped,
            oldest_age: (unshipped > 0).then(|| Duration::from_millis(milliseconds(now).saturating_sub(oldest))),
            bytes: self.waiting_bytes.load(Ordering::Acquire),
        }
    }

    pub(super) fn statistics(&self) -> Statistics {
        Statistics {
            records: self.head.load(Ordering::Acquire),
            shipped: self.shipped.load(Ordering::Acquire),
            commits: self.commits.load(Ordering::Relaxed),
            commit_time: Duration::from_nanos(self.commit_nanoseconds.load(Ordering::Relaxed)),
            file_bytes: self.file_bytes(),
        }
    }
}

/// Milliseconds since 1970 UTC, 0 before it.
pub(super) fn milliseconds(time: OffsetDateTime) -> u64 {
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}
