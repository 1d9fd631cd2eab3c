//! A faulty counterpart: it passes requests on to the real FHIR server, but for those that it is told to answer wrongly.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::harness::fhir::client;

/// What happens to a request.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// These bytes, whatever they are, then the end of the connection.
    Says(Vec<u8>),
    /// These bytes, then silence for a minute.
    SaysAndHangs(Vec<u8>),
    /// These bytes, a pause, and those.
    SaysAndThen(Vec<u8>, Duration, Vec<u8>),
    /// The right answer, later.
    Late(Duration),
    /// It is carried out, and the connection ends without an answer.
    DoesAndCloses,
    /// The connection ends.
    Closes,
    /// The right answer, and nobody listens any more when it comes, until [`Faulty::up`] after [`Faulty::down`].
    AnswersAndIsGone,
}

struct Shared {
    /// The real server.
    behind: String,
    base: String,
    client: reqwest::Client,
    /// The first whose prefix fits `METHOD target` answers.
    faults: Mutex<Vec<(String, Fault)>>,
    seen: Mutex<Vec<String>>,
    /// Told when nobody shall listen any more.
    gone: Notify,
}

/// A running faulty counterpart.
pub(super) struct Faulty {
    /// Its FHIR base.
    pub(super) base: String,
    port: u16,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Faulty {
    /// Starts one before this server.
    pub(super) async fn start(behind: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let base = format!("http://127.0.0.1:{port}/fhir");
        let shared = Arc::new(Shared {
            behind: behind.to_owned(),
            base: base.clone(),
            client: client()?,
            faults: Mutex::default(),
            seen: Mutex::default(),
            gone: Notify::new(),
        });
        let accepting = Some(tokio::spawn(accept(listener, Arc::clone(&shared))));
        Ok(Self { base, port, shared, accepting })
    }

    /// From now on requests that begin like this (`GET Consent?`) end like that; all others are passed on.
    pub(super) fn answers(&self, begin: &str, fault: Fault) {
        *self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner) = vec![(begin.to_owned(), fault)];
    }

    /// From now on everything is passed on.
    pub(super) fn behaves(&self) {
        self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The requests that came since this was last asked: `METHOD target`.
    pub(super) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Nobody listens any more.
    pub(super) async fn down(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // It ends by being cancelled.
            let _ = accepting.await;
        }
    }

    /// Somebody listens again.
    pub(super) async fn up(&mut self) -> Result<()> {
        if self.accepting.is_none() {
            let listener = TcpListener::bind(("127.0.0.1", self.port)).await?;
            self.accepting = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
        }
        Ok(())
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.gone.notified() => return,
        };
        let Ok((stream, _)) = stream else { return };
        let shared = Arc::clone(&shared);
        // A client that goes away ends its own connection only.
        tokio::spawn(async move { drop(serve(stream, &shared).await) });
    }
}

struct Head {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> Result<()> {
    let (head, body) = request(&mut stream).await?;
    let line = format!("{} {}", head.method, head.target);
    shared.seen.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
    let fault = {
        let faults = shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.iter().find(|(begin, _)| line.starts_with(begin.as_str())).map(|(_, fault)| fault.clone())
    };
    match fault {
        None => stream.write_all(&passed_on(shared, &head, body).await?).await?,
        Some(Fault::Says(bytes)) => stream.write_all(&bytes).await?,
        Some(Fault::SaysAndHangs(bytes)) => {
            stream.write_all(&bytes).await?;
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        Some(Fault::SaysAndThen(first, pause, then)) => {
            stream.write_all(&first).await?;
            tokio::time::sleep(pause).await;
            stream.write_all(&then).await?;
        }
        Some(Fault::Late(pause)) => {
            tokio::time::sleep(pause).await;
            stream.write_all(&passed_on(shared, &head, body).await?).await?;
        }
        Some(Fault::DoesAndCloses) => drop(passed_on(shared, &head, body).await?),
        Some(Fault::Closes) => {}
        Some(Fault::AnswersAndIsGone) => {
            let answer = passed_on(shared, &head, body).await?;
            shared.gone.notify_one();
            tokio::time::sleep(Duration::from_millis(100)).await;
            stream.write_all(&answer).await?;
        }
    }
    stream.shutdown().await?;
    Ok(())
}

async fn request(stream: &mut TcpStream) -> Result<(Head, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        anyhow::ensure!(stream.read_buf(&mut bytes).await? > 0, "no whole head");
    };
    let mut body = bytes.split_off(end);
    body.drain(..4);
    let text = String::from_utf8(bytes)?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let method = first.next().context("no method")?.to_owned();
    let path = first.next().context("no target")?;
    // What is asked for outside of the base stands there with its slash.
    let target = path.strip_prefix("/fhir").map_or(path, |below| below.strip_prefix('/').unwrap_or(below)).to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| value.parse::<usize>());
    let length = length.transpose()?.unwrap_or(0);
    while body.len() < length {
        anyhow::ensure!(stream.read_buf(&mut body).await? > 0, "no whole body");
    }
    Ok((Head { method, target, headers }, body))
}

/// The real server's answer, as if it came from here.
async fn passed_on(shared: &Shared, head: &Head, body: Vec<u8>) -> Result<Vec<u8>> {
    let joint = if head.target.starts_with('?') { "" } else { "/" };
    let method = reqwest::Method::from_bytes(head.method.as_bytes())?;
    let mut request = shared.client.request(method, format!("{}{joint}{}", shared.behind, head.target));
    for (name, value) in &head.headers {
        if matches!(name.as_str(), "accept" | "content-type" | "if-match" | "prefer" | "cache-control") {
            request = request.header(name, value);
        }
    }
    let text = String::from_utf8_lossy(&body).replace(&shared.base, &shared.behind);
    let answer = request.body(text).send().await?;
    let status = answer.status().as_u16();
    let mut headers = Vec::new();
    for name in ["content-type", "etag", "last-modified", "location"] {
        if let Some(value) = answer.headers().get(name) {
            headers.push((name, value.to_str()?.replace(&shared.behind, &shared.base)));
        }
    }
    let text = answer.text().await?.replace(&shared.behind, &shared.base);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Ok(http(status, &headers, text.as_bytes(), text.len()))
}

/// An HTTP answer that says this length of its body, true or not.
pub(super) fn http(status: u16, headers: &[(&str, &str)], body: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status} Any\r\nconnection: close\r\ncontent-length: {length}\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// An honest HTTP answer with FHIR JSON.
pub(super) fn fhir(status: u16, body: &[u8]) -> Fault {
    Fault::Says(http(status, &[("content-type", "application/fhir+json")], body, body.len()))
}
