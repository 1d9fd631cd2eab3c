//! The load: keep-alive connections that ask, wait for the whole answer, and ask again. It costs little, so that what answers is measured.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::cost;
use super::samples::Waits;

/// A connection over which one request is under way at a time.
pub struct Connection<S> {
    stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// A connection over this stream.
    pub fn over(stream: S) -> Self {
        Self { stream, buffer: Vec::with_capacity(16 << 10) }
    }

    /// Sends a request and reads the whole answer; gives its status and the bytes of its body.
    ///
    /// # Errors
    /// When the connection ends before the answer does, or the answer has no length.
    pub async fn ask(&mut self, request: &[u8]) -> Result<(u16, usize)> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.read().await?;
        };
        let text =
            std::str::from_utf8(self.buffer.get(..head).unwrap_or_default()).context("a head that is no text")?;
        let status: u16 = text.split(' ').nth(1).context("no status")?.parse()?;
        let length: usize = header(text, "content-length").context("an answer without a length")?.parse()?;
        while self.buffer.len() < head + length {
            self.read().await?;
        }
        Ok((status, length))
    }

    async fn read(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the connection ended within an answer");
        }
        Ok(())
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The text of a GET.
#[must_use]
pub fn get(authority: &str, target: &str, token: Option<&str>) -> Vec<u8> {
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!("GET {target} HTTP/1.1\r\nhost: {authority}\r\naccept: application/fhir+json\r\n{authorization}\r\n")
        .into_bytes()
}

/// What some load came to.
#[derive(Debug, Default)]
pub struct Load {
    /// Answers 200.
    pub answers: u64,
    /// How long it lasted.
    pub seconds: f64,
    /// How long each answer took.
    pub waits: Waits,
}

impl Load {
    /// Answers a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.answers as f64 / self.seconds
    }
}

/// Who is asked what.
#[derive(Debug, Clone)]
pub struct Target {
    /// Address and port.
    pub authority: String,
    /// The whole request.
    pub request: Vec<u8>,
}

impl Target {
    /// A GET of `path` below a base such as `http://127.0.0.1:8080/fhir`.
    ///
    /// # Errors
    /// When the base is no http URL.
    pub fn get(base: &str, path: &str, token: Option<&str>) -> Result<Self> {
        let rest = base.strip_prefix("http://").context("a base without http")?;
        let (authority, root) = rest.split_once('/').unwrap_or((rest, ""));
        let target = if root.is_empty() { format!("/{path}") } else { format!("/{root}/{path}") };
        Ok(Self { authority: authority.to_owned(), request: get(authority, &target, token) })
    }

    /// Asks as fast as the answers come, over so many connections, on a thread of its own that stays on `core`.
    ///
    /// # Errors
    /// When an answer is not 200.
    pub async fn saturated(&self, connections: usize, time: Duration, core: Option<usize>) -> Result<Load> {
        let target = self.clone();
        on_a_thread(core, async move {
            let end = Instant::now() + time;
            let tasks: Vec<_> = (0..connections)
                .map(|_| {
                    let target = target.clone();
                    tokio::task::spawn_local(async move { target.one_after_the_other(end).await })
                })
                .collect();
            let mut load = Load { seconds: time.as_secs_f64(), ..Load::default() };
            for task in tasks {
                let (answers, waits) = task.await??;
                load.answers += answers;
                load.waits.extend(waits);
            }
            Ok(load)
        })
        .await
    }

    async fn one_after_the_other(&self, end: Instant) -> Result<(u64, Waits)> {
        let mut connection = self.connect().await?;
        let (mut answers, mut waits) = (0, Waits::default());
        while Instant::now() < end {
            let begun = Instant::now();
            self.expect_200(&mut connection).await?;
            waits.push(begun.elapsed());
            answers += 1;
        }
        Ok((answers, waits))
    }

    async fn connect(&self) -> Result<Connection<TcpStream>> {
        let stream =
            TcpStream::connect(&self.authority).await.with_context(|| format!("nobody at {}", self.authority))?;
        stream.set_nodelay(true)?;
        Ok(Connection::over(stream))
    }

    async fn expect_200(&self, connection: &mut Connection<TcpStream>) -> Result<()> {
        let (status, _) = connection.ask(&self.request).await?;
        ensure!(status == 200, "an answer {status} under load");
        Ok(())
    }

    /// Asks at a fixed rate from so many threads, whether or not answers come late: who waits in line waits longer.
    ///
    /// # Errors
    /// When an answer is not 200.
    pub async fn paced(&self, rate: f64, threads: usize, time: Duration, core: Option<usize>) -> Result<Load> {
        let interval = Duration::from_secs_f64(threads as f64 / rate);
        let begin = Instant::now() + Duration::from_millis(50);
        let mut running = Vec::new();
        for thread in 0..threads {
            let target = self.clone();
            let offset = interval.mul_f64(thread as f64 / threads as f64);
            running.push(tokio::spawn(on_a_thread(core, async move {
                let mut connection = target.connect().await?;
                let (mut answers, mut waits) = (0, Waits::default());
                let mut due = begin + offset;
                while due < begin + time {
                    let now = Instant::now();
                    // The runtime's own clock is too coarse; the thread has nothing else to do.
                    std::thread::sleep(due.saturating_duration_since(now));
                    let asked = if now > due { due } else { Instant::now() };
                    target.expect_200(&mut connection).await?;
                    waits.push(asked.elapsed());
                    answers += 1;
                    due += interval;
                }
                Ok(Load { answers, seconds: time.as_secs_f64(), waits })
            })));
        }
        let mut load = Load { seconds: time.as_secs_f64(), ..Load::default() };
        for thread in running {
            let one = thread.await??;
            load.answers += one.answers;
            load.waits.extend(one.waits);
        }
        Ok(load)
    }
}

/// Runs a future, tasks of the same thread with it, on a thread of its own.
///
/// # Errors
/// Those of the future, and when no thread can be had.
pub async fn on_a_thread<T: Send + 'static>(
    core: Option<usize>,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let (done, result) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("load".to_owned()).spawn(move || {
        let run = || {
            if let Some(core) = core {
                cost::keep_thread_to(core)?;
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            tokio::task::LocalSet::new().block_on(&runtime, work)
        };
        // Whoever waited has gone.
        drop(done.send(run()));
    })?;
    result.await.context("the load's thread ended early")?
}
