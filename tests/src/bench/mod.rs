//! `cargo bench-all`: ours and theirs in turn in one run, as the numbers' goals ask; ratios count, absolute figures of a shared machine do not.
//!
//! Each row is one file; [`report`] prints the table and keeps `docs/benchmarks.md`.

pub mod cost;
pub mod data;
pub mod decision;
pub mod disk;
pub mod front;
pub mod gas;
pub mod google;
pub mod http;
pub mod ingest;
pub mod journal;
pub mod line;
pub mod log;
pub mod machine;
pub mod proxies;
pub mod read_path;
pub mod report;
pub mod samples;
pub mod searchset;
pub mod start;
pub mod stub;

use std::path::PathBuf;
use std::pin::Pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::harness::tools::Tools;
use crate::harness::{say, workspace};
use line::{Line, Measured};

/// What every row works with.
pub struct Bench {
    /// Where peers come from.
    pub tools: Tools,
    /// One short round in the place of three: to see that it works, not to know figures.
    pub quick: bool,
}

impl Bench {
    /// How often ours and theirs take turns.
    #[must_use]
    pub const fn rounds(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }

    /// How long one round lasts.
    #[must_use]
    pub fn time(&self, seconds: u64) -> Duration {
        let whole = Duration::from_secs(seconds);
        if self.quick { whole / 4 } else { whole }
    }

    /// An empty folder for a row, on the disk of the target folder: the system's temporary one may be memory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = workspace::target("bench")?.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be emptied", folder.display()))?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

/// A measurement that gives the lines of one row or of several.
pub struct Row {
    /// The numbers' rows that it gives.
    pub numbers: &'static [u8],
    /// What it measures.
    pub what: &'static str,
    run: for<'a> fn(&'a Bench) -> Pin<Box<dyn Future<Output = Measured> + 'a>>,
}

macro_rules! row {
    ($numbers:expr, $what:literal, $($function:ident)::+) => {
        Row { numbers: &$numbers, what: $what, run: |bench| Box::pin($($function)::+(bench)) }
    };
}

/// All of them, in the order in which they run.
#[must_use]
pub fn rows() -> Vec<Row> {
    vec![
        row!([1, 2, 3], "a read beside plain proxies and another gateway", read_path::reads),
        row!([4], "half of a searchset hidden", searchset::half_hidden),
        row!([5], "a searchset of 100 MB", searchset::streamed),
        row!([6], "consent decisions", decision::decisions),
        row!([7], "token checks", decision::tokens),
        row!([8], "the journal", journal::durable),
        row!([9, 10], "the log in-process", log::in_process),
        row!([11], "the log over HTTP", ingest::over_http),
        row!([15], "gas of real anchors", gas::anchors),
        row!([18], "start, memory, size", start::start),
    ]
}

/// What became of one row.
pub struct Outcome {
    /// The numbers' rows.
    pub numbers: &'static [u8],
    /// What was to be measured.
    pub what: &'static str,
    /// The lines, or why there are none.
    pub lines: Result<Vec<Line>, String>,
    /// How long it took.
    pub took: Duration,
}

/// Measures the rows with these numbers; all of them where none is named. A row that fails says why and the others go on.
pub async fn run(bench: &Bench, wanted: &[u8]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for row in rows() {
        if !wanted.is_empty() && !row.numbers.iter().any(|number| wanted.contains(number)) {
            continue;
        }
        let begun = Instant::now();
        let lines = say::while_running(row.what, (row.run)(bench)).await.map_err(|error| format!("{error:#}"));
        if let Err(why) = &lines {
            say::loud(&format!("not measured: {}: {why}", row.what));
        }
        outcomes.push(Outcome { numbers: row.numbers, what: row.what, lines, took: begun.elapsed() });
    }
    outcomes
}
