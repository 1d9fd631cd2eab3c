//! How long leaves have waited for a final anchor. Pure: the time is an argument.
//!
//! Leaves carry no time (EVIDENCE.md 2), so a leaf's age runs from when this process first saw it. Of those that it found at its
//! start it is only known that they came after the newest final anchor: they count as old as that.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Most sizes remembered; a day of a busy log without any anchor. Later leaves count with the last of them.
const SAMPLES: usize = 86_400;

/// The leaves that no final anchor covers.
#[derive(Debug)]
pub struct Unanchored {
    samples: VecDeque<Sample>,
    size: u64,
    anchored: u64,
}

/// The log's size at a moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    size: u64,
    seen: Instant,
    /// How old it was then.
    before: Duration,
}

impl Unanchored {
    /// A log as it is found at the start: `anchored` leaves are covered, by an anchor of that age.
    #[must_use]
    pub fn found(size: u64, anchored: u64, age: Duration, now: Instant) -> Self {
        let waiting = size > anchored;
        let samples = waiting.then_some(Sample { size, seen: now, before: age }).into_iter().collect();
        Self { samples, size, anchored }
    }

    /// The log and its newest final anchor, now.
    pub fn see(&mut self, size: u64, anchored: u64, now: Instant) {
        self.size = size;
        // A sender that has not looked yet knows of no anchor; the one on disk stays.
        self.anchored = self.anchored.max(anchored);
        let known = self.samples.back().map_or(self.anchored, |sample| sample.size);
        if known < size && self.samples.len() < SAMPLES {
            self.samples.push_back(Sample { size, seen: now, before: Duration::ZERO });
        }
        while self.samples.front().is_some_and(|sample| sample.size <= self.anchored) {
            self.samples.pop_front();
        }
    }

    /// How many they are.
    #[must_use]
    pub fn leaves(&self) -> u64 {
        self.size.saturating_sub(self.anchored)
    }

    /// The age of the oldest; zero where there is none.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        self.samples.front().map_or(Duration::ZERO, |oldest| oldest.before + now.saturating_duration_since(oldest.seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_oldest_leaf_that_no_final_anchor_covers_gives_the_age() {
        let start = Instant::now();
        let mut waiting = Unanchored::found(0, 0, Duration::ZERO, start);
        assert_eq!((waiting.leaves(), waiting.age(start + 9 * SECOND)), (0, Duration::ZERO));
        waiting.see(5, 0, start + 10 * SECOND);
        waiting.see(9, 0, start + 20 * SECOND);
        waiting.see(9, 0, start + 30 * SECOND);
        assert_eq!((waiting.leaves(), waiting.age(start + 30 * SECOND)), (9, 20 * SECOND));
        // An anchor in the middle of a sample: its last leaves still wait, as old as its first.
        waiting.see(9, 3, start + 31 * SECOND);
        assert_eq!((waiting.leaves(), waiting.age(start + 31 * SECOND)), (6, 21 * SECOND));
        waiting.see(9, 5, start + 32 * SECOND);
        assert_eq!((waiting.leaves(), waiting.age(start + 32 * SECOND)), (4, 12 * SECOND));
        waiting.see(9, 9, start + 33 * SECOND);
        assert_eq!((waiting.leaves(), waiting.age(start + 99 * SECOND)), (0, Duration::ZERO));
    }

    #[test]
    fn a_restart_does_not_make_leaves_young() {
        let start = Instant::now();
        let mut waiting = Unanchored::found(20, 12, 3600 * SECOND, start);
        // The chain is away: the sender knows of no anchor at all.
        waiting.see(25, 0, start + SECOND);
        assert_eq!((waiting.leaves(), waiting.age(start + SECOND)), (13, 3601 * SECOND));
        waiting.see(25, 20, start + 2 * SECOND);
        assert_eq!((waiting.leaves(), waiting.age(start + 2 * SECOND)), (5, SECOND));
        let mut whole = Unanchored::found(12, 12, 3600 * SECOND, start);
        assert_eq!(whole.age(start), Duration::ZERO, "an idle log is never late");
        whole.see(13, 0, start + SECOND);
        assert_eq!(whole.age(start + 3 * SECOND), 2 * SECOND);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let start = Instant::now();
        let mut waiting = Unanchored::found(0, 0, Duration::ZERO, start);
        for size in 1..=100_000 {
            waiting.see(size, 0, start);
        }
        assert_eq!((waiting.samples.len(), waiting.leaves()), (SAMPLES, 100_000));
        waiting.see(100_000, 90_000, start + SECOND);
        assert_eq!(waiting.leaves(), 10_000);
    }
}
