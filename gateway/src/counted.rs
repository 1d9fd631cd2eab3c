//! Requests without a caller: counted by reason and minute, recorded once a minute (EVIDENCE.md 1).
//!
//! A flood of them must not fill the journal, and what they are told discloses nothing.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// Counters of the minute under way.
#[derive(Debug, Default)]
pub struct Counted {
    reasons: Mutex<BTreeMap<String, u64>>,
}

/// More reasons than the table of problems has rows are counted together.
const MOST_REASONS: usize = 128;

impl Counted {
    /// Counts one request. `reason` is a rule's name or the name of a public document, never something a client sent.
    pub fn add(&self, reason: &str) {
        let mut reasons = self.reasons.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = reasons.contains_key(reason) || reasons.len() < MOST_REASONS;
        *reasons.entry(if known { reason } else { "other" }.to_owned()).or_default() += 1;
    }

    /// Takes the counts of the minute; empty where nothing came.
    pub fn take(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut *self.reasons.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Puts counts back that could not be recorded.
    pub fn restore(&self, counts: BTreeMap<String, u64>) {
        let mut reasons = self.reasons.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (reason, count) in counts {
            *reasons.entry(reason).or_default() += count;
        }
    }
}
