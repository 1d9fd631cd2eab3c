//! On what it was measured: processor, memory, system, disk, versions.

use anyhow::Result;
use tokio::process::Command;

use super::samples::Unit;
use super::{Bench, cost, disk};
use crate::harness::clock;

/// Facts of the machine and the build, each a name and a value.
///
/// # Errors
/// When the disk fails.
pub async fn facts(bench: &Bench) -> Result<Vec<(&'static str, String)>> {
    let of = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix(':').map(str::to_owned));
        line.map(|value| value.trim().to_owned()).unwrap_or_else(|| "unknown".to_owned())
    };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown").to_owned();
    let mut syncs = disk::synced_appends(&bench.folder("machine")?, bench.time(2))?;
    let sync = |share, waits: &mut super::samples::Waits| Unit::Seconds.shown(waits.quantile(share));
    let date = clock::now();
    Ok(vec![
        ("date", format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())),
        ("commit", said("git", &["describe", "--always", "--dirty", "--abbrev=12"]).await),
        ("processor", format!("{} × {}", cost::cores(), of("/proc/cpuinfo", "model name"))),
        ("memory", of("/proc/meminfo", "MemTotal")),
        ("kernel", said("uname", &["-sr"]).await),
        ("compiler", said("rustc", &["--version"]).await),
        ("disk", format!("4 KiB appended and synced: p50 {}, p99 {}", sync(0.5, &mut syncs), sync(0.99, &mut syncs))),
        ("load before the run", format!("{load} (another than about 0 means that others worked here too)")),
    ])
}

/// The first line that a program prints; `unknown` where it is not there.
pub async fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().await;
    let output = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&output).into_owned();
    text.lines().next().map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}
