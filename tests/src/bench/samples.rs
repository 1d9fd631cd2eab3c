//! What repeated measurements come to: a median and how far the rounds lie apart.

use std::time::Duration;

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// So many a second.
    PerSecond,
    /// Millions of bytes a second.
    MegabytesPerSecond,
    /// Seconds, shown in the unit that fits.
    Seconds,
    /// Bytes, shown in MiB or KiB.
    Bytes,
    /// Gas of a transaction.
    Gas,
}

/// A measured quantity: the median of its rounds, and the lowest and highest of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantity {
    /// What it counts.
    pub unit: Unit,
    /// Median of the rounds.
    pub median: f64,
    /// The lowest round.
    pub low: f64,
    /// The highest round.
    pub high: f64,
    /// How many rounds there were; 0 for a figure that somebody else published.
    pub rounds: usize,
}

impl Quantity {
    /// The quantity out of its rounds; `None` without any.
    #[must_use]
    pub fn of(unit: Unit, rounds: &[f64]) -> Option<Self> {
        let mut sorted = rounds.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        Some(Self { unit, median: middle(&sorted)?, low, high, rounds: sorted.len() })
    }

    /// A figure that somebody else published.
    #[must_use]
    pub const fn published(unit: Unit, figure: f64) -> Self {
        Self { unit, median: figure, low: figure, high: figure, rounds: 0 }
    }

    /// The median, and in brackets the rounds' range where there is one.
    #[must_use]
    pub fn shown(&self) -> String {
        let median = self.unit.shown(self.median);
        if self.rounds < 2 {
            return median;
        }
        format!("{median} ({} … {})", self.unit.shown(self.low), self.unit.shown(self.high))
    }
}

impl Unit {
    /// A number in this unit, for people.
    #[must_use]
    pub fn shown(self, number: f64) -> String {
        match self {
            Self::PerSecond => format!("{}/s", grouped(number)),
            Self::MegabytesPerSecond => format!("{} MB/s", grouped(number)),
            Self::Gas => format!("{} gas", grouped(number)),
            Self::Seconds if number < 1e-3 => format!("{} µs", plain(number * 1e6)),
            Self::Seconds if number < 1.0 => format!("{} ms", plain(number * 1e3)),
            Self::Seconds => format!("{} s", plain(number)),
            Self::Bytes if number.abs() < 1e6 => format!("{} KiB", plain(number / 1024.0)),
            Self::Bytes => format!("{} MiB", plain(number / (1024.0 * 1024.0))),
        }
    }
}

/// Three digits, not more.
fn plain(number: f64) -> String {
    match number.abs() {
        size if size < 10.0 => format!("{number:.2}"),
        size if size < 100.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

/// Whole, with a comma before every three digits.
fn grouped(number: f64) -> String {
    if number.abs() < 100.0 {
        return plain(number);
    }
    let digits = format!("{:.0}", number.abs());
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    if number < 0.0 { format!("-{shown}") } else { shown }
}

fn middle(sorted: &[f64]) -> Option<f64> {
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    match sorted.len() % 2 {
        0 => Some(f64::midpoint(*sorted.get(half.checked_sub(1)?)?, upper)),
        _ => Some(upper),
    }
}

/// Single waits, of which quantiles are asked.
#[derive(Debug, Default, Clone)]
pub struct Waits(Vec<Duration>);

impl Waits {
    /// Adds one.
    pub fn push(&mut self, wait: Duration) {
        self.0.push(wait);
    }

    /// Adds those of another.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The wait that this share of all (0 … 1) does not exceed, in seconds; 0 where nothing was measured.
    pub fn quantile(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
        let place = (last as f64 * share).round() as usize;
        self.0.get(place).map_or(0.0, Duration::as_secs_f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ranges() {
        let quantity = Quantity::of(Unit::PerSecond, &[30_000.0, 10_000.0, 20_500.0]).unwrap();
        assert_eq!(quantity.shown(), "20,500/s (10,000/s … 30,000/s)");
        assert_eq!(Quantity::of(Unit::Seconds, &[0.0012, 0.0014]).unwrap().median, 0.0013);
        assert_eq!(Quantity::of(Unit::Seconds, &[]), None);
    }

    #[test]
    fn units_fit_the_size() {
        assert_eq!(Unit::Seconds.shown(0.000_015_2), "15.2 µs");
        assert_eq!(Unit::Seconds.shown(0.25), "250 ms");
        assert_eq!(Unit::Bytes.shown(45.0 * 1024.0 * 1024.0), "45.0 MiB");
        assert_eq!(Unit::Gas.shown(45_600.0), "45,600 gas");
    }

    #[test]
    fn quantiles_of_waits() {
        let mut waits = Waits::default();
        (1..=101).rev().for_each(|ms| waits.push(Duration::from_millis(ms)));
        assert_eq!((waits.quantile(0.0), waits.quantile(0.5), waits.quantile(1.0)), (0.001, 0.051, 0.101));
        assert_eq!(Waits::default().quantile(0.5), 0.0);
    }
}
