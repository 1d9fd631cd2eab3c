//! A part as a process of its own: started in a process group of its own, its output in a log file, ready within a limit, ended by its id.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, ChildStdin, Command};

use super::{orphans, say, workspace};

/// A TCP port of 127.0.0.1 that nobody listens on just now.
///
/// # Errors
/// When the machine has none left.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port of 127.0.0.1 can be bound")?;
    Ok(listener.local_addr()?.port())
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Part {
    name: String,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
}

impl Part {
    /// A part that is called `name` in logs and messages.
    #[must_use]
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|one| one.as_ref().to_owned()));
        self
    }

    /// Adds a variable to the inherited environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Starts it in this folder.
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Starts it; its output goes to `target/e2e/logs/NAME.log`, which begins anew.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(self) -> Result<Running> {
        let log = workspace::target("e2e/logs")?.join(format!("{}.log", self.name));
        let out = File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .envs(self.environment)
            .stdin(Stdio::piped())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .kill_on_drop(true);
        if let Some(folder) = self.folder {
            command.current_dir(folder);
        }
        let mut child =
            command.spawn().with_context(|| format!("{}: {} cannot be started", self.name, self.program.display()))?;
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .with_context(|| format!("{}: it ended at once", self.name))?;
        orphans::adopt(group.as_raw_nonzero().get());
        let stdin = child.stdin.take();
        Ok(Running { name: self.name, log, group, child, _stdin: stdin })
    }
}

/// A started part; it is killed, its whole process group with it, when this value goes.
#[derive(Debug)]
pub struct Running {
    name: String,
    log: PathBuf,
    group: Pid,
    child: Child,
    /// Held open: some parts end when their standard input closes.
    _stdin: Option<ChildStdin>,
}

impl Running {
    /// Its name in logs and messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id, which is its process group's too.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    /// The file that takes its output.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What it wrote so far.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn output(&self) -> Result<String> {
        let bytes = std::fs::read(&self.log).with_context(|| format!("{} cannot be read", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits until `probe` gives a value; says every few seconds that it waits, and shows the end of the log where it fails.
    ///
    /// # Errors
    /// When the part ends before it is ready, or is not ready within `limit`.
    pub async fn ready<T>(&mut self, limit: Duration, mut probe: impl AsyncFnMut(&str) -> Option<T>) -> Result<T> {
        let begin = Instant::now();
        let mut told = begin;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "{} ended before it was ready ({status}); the end of {}:\n{}",
                    self.name,
                    self.log.display(),
                    self.tail()
                );
            }
            if let Some(value) = probe(&self.output()?).await {
                return Ok(value);
            }
            if begin.elapsed() > limit {
                bail!(
                    "{} was not ready within {} s; the end of {}:\n{}",
                    self.name,
                    limit.as_secs(),
                    self.log.display(),
                    self.tail()
                );
            }
            if told.elapsed() > Duration::from_secs(5) {
                told = Instant::now();
                say::step(&format!(
                    "waiting for {} ({} s of at most {} s)",
                    self.name,
                    begin.elapsed().as_secs(),
                    limit.as_secs()
                ));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The last lines of its output.
    #[must_use]
    pub fn tail(&self) -> String {
        let output = self.output().unwrap_or_default();
        let lines: Vec<&str> = output.lines().collect();
        let skipped = lines.len().saturating_sub(30);
        lines.into_iter().skip(skipped).map(|line| format!("    {line}\n")).collect()
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends SIGTERM to the process and waits for its orderly end.
    ///
    /// # Errors
    /// When it does not end within `limit`; it is killed then.
    pub async fn terminate(self, limit: Duration) -> Result<ExitStatus> {
        self.ask_to_end()?;
        self.ended(limit).await
    }

    /// Sends SIGTERM to the process and does not wait.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn ask_to_end(&self) -> Result<()> {
        kill_process(self.group, Signal::TERM).with_context(|| format!("{} cannot be signalled", self.name))
    }

    /// Sends SIGINT, as Ctrl-C in a terminal does, and does not wait.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn interrupt(&self) -> Result<()> {
        kill_process(self.group, Signal::INT).with_context(|| format!("{} cannot be signalled", self.name))
    }

    /// Waits for the end of a process that was asked to end.
    ///
    /// # Errors
    /// When it does not end within `limit`; it is killed then.
    pub async fn ended(mut self, limit: Duration) -> Result<ExitStatus> {
        if let Ok(status) = tokio::time::timeout(limit, self.child.wait()).await {
            return Ok(status?);
        }
        bail!(
            "{} did not end within {} s of SIGTERM; the end of {}:\n{}",
            self.name,
            limit.as_secs(),
            self.log.display(),
            self.tail()
        );
    }

    /// `kill -9`, as a crash would: the process has no chance to tidy up.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn crash(mut self) -> Result<()> {
        // It may have ended by itself a moment ago.
        let _ = kill_process_group(self.group, Signal::KILL);
        self.child.wait().await?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.alive() {
            let _ = kill_process_group(self.group, Signal::KILL);
            // Waits for the end, so that ports and locks are free when this value has gone; SIGKILL takes a moment only.
            for _ in 0..200 {
                if !self.alive() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        orphans::forget(self.id());
    }
}
