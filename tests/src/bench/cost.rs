//! What a process or a thread has cost so far, out of `/proc`, and which cores it may use.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::process::Command;

/// Clock ticks a second in `/proc/<pid>/stat`; Linux has shown 100 to programs since 2.6, whatever its own timer does.
const TICKS: f64 = 100.0;

/// Seconds that all threads of a process have run, in user and in system mode.
///
/// # Errors
/// When the process is gone.
pub fn process_seconds(process: i32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).context("the process is gone")?;
    // The name in brackets may hold spaces; after it stand the fields from the third on (proc(5)).
    let fields = text.rsplit_once(')').map(|(_, rest)| rest).context("/proc has another form than expected")?;
    let field = |at: usize| -> Result<f64> {
        Ok(fields.split_whitespace().nth(at).context("/proc has fewer fields than expected")?.parse()?)
    };
    Ok((field(11)? + field(12)?) / TICKS)
}

/// Seconds that the calling thread has run, by the scheduler's own count in nanoseconds.
///
/// # Errors
/// On a kernel that does not count.
pub fn thread_seconds() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").context("this kernel counts no threads")?;
    let nanoseconds: f64 = text.split_whitespace().next().context("an empty count")?.parse()?;
    Ok(nanoseconds / 1e9)
}

/// A line of `/proc/<process>/status` in bytes: `VmRSS`, `VmHWM`. `self` is this process.
///
/// # Errors
/// When the process is gone.
pub fn memory(process: &str, name: &str) -> Result<f64> {
    let text =
        std::fs::read_to_string(Path::new("/proc").join(process).join("status")).context("the process is gone")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).context("no such line")?;
    let kilobytes: f64 = line.split_whitespace().next().context("an empty line")?.parse()?;
    Ok(kilobytes * 1024.0)
}

/// Lets the peak of a process's memory begin anew.
///
/// # Errors
/// When the system does not let us.
pub fn forget_peak(process: i32) -> Result<()> {
    std::fs::write(format!("/proc/{process}/clear_refs"), "5").context("the peak of memory cannot be reset")
}

/// How many cores there are.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Keeps the calling thread, and those that it starts from now on, to one core; does nothing on a machine with one.
///
/// # Errors
/// When the system refuses.
pub fn keep_thread_to(core: usize) -> Result<()> {
    if cores() < 2 {
        return Ok(());
    }
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).context("a thread cannot be kept to a core")
}

/// Keeps a process, all its threads with it, to one core.
///
/// # Errors
/// Without `taskset` of util-linux, or when the system refuses.
pub async fn keep_process_to(process: i32, core: usize) -> Result<()> {
    if cores() < 2 {
        return Ok(());
    }
    let output = Command::new("taskset")
        .args(["-a", "-p", "-c", &core.to_string(), &process.to_string()])
        .output()
        .await
        .context("taskset (util-linux) is missing")?;
    ensure!(output.status.success(), "taskset: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
