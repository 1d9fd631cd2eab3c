//! Emergency access: how much of it is in force, and what waits for its review.

use std::time::Duration;

use super::gauges::{Row, count};

/// The break-glass grants at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GlassReading {
    /// Grants that count now.
    pub in_force: u64,
    /// Grants without a review.
    pub unreviewed: u64,
    /// Of these, the ones whose review is overdue.
    pub overdue: u64,
    /// The age of the oldest without a review; zero where there is none.
    pub oldest: Duration,
}

pub(super) const ROWS: &[Row<GlassReading>] = &[
    (
        "sealgate_break_glass_in_force",
        "sealgate.break_glass.in_force",
        "Break-glass grants that count now.",
        |reading| count(reading.in_force),
    ),
    (
        "sealgate_break_glass_unreviewed",
        "sealgate.break_glass.unreviewed",
        "Break-glass grants that wait for their review.",
        |reading| count(reading.unreviewed),
    ),
    (
        "sealgate_break_glass_overdue",
        "sealgate.break_glass.overdue",
        "Break-glass grants whose review is overdue.",
        |reading| count(reading.overdue),
    ),
    (
        "sealgate_break_glass_oldest_unreviewed_seconds",
        "sealgate.break_glass.oldest_unreviewed",
        "Age of the oldest break-glass grant without a review; 0 where there is none.",
        |reading| reading.oldest.as_secs_f64(),
    ),
];
