//! Durations and sizes as people write them.

use std::time::Duration;

/// Reads `500ms`, `30s`, `5m`, `12h` or `7d`; no sign, no fraction, no space.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (count, unit) = number_and_unit(text)?;
    match unit {
        "ms" => Some(Duration::from_millis(count)),
        "s" => Some(Duration::from_secs(count)),
        "m" => count.checked_mul(60).map(Duration::from_secs),
        "h" => count.checked_mul(3_600).map(Duration::from_secs),
        "d" => count.checked_mul(86_400).map(Duration::from_secs),
        _ => None,
    }
}

/// Reads `512 B`, `16 KiB`, `4 MiB` or `1 GiB`, with or without the space, in bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let (count, unit) = number_and_unit(text)?;
    let factor = match unit.trim_start_matches(' ') {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    count.checked_mul(factor)
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(end)?;
    Some((count.parse().ok()?, unit))
}
