//! What the disk alone can do: appended bytes made durable, one after the other.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::samples::Waits;

/// Appends 4 KiB and syncs the data, again and again for this long.
///
/// # Errors
/// When the disk fails.
pub fn synced_appends(folder: &Path, time: Duration) -> Result<Waits> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    let block = [0x5a; 4096];
    let mut waits = Waits::default();
    let end = Instant::now() + time;
    while Instant::now() < end {
        let begun = Instant::now();
        append(file.as_file_mut(), &block)?;
        waits.push(begun.elapsed());
    }
    Ok(waits)
}

fn append(file: &mut File, block: &[u8]) -> Result<()> {
    file.write_all(block)?;
    file.sync_data()?;
    Ok(())
}
