//! A FHIR server that costs next to nothing, so that what stands before it is measured: fixed answers over keep-alive connections, on a thread
//! of its own.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::cost;

/// What is answered to targets that begin with some text.
#[derive(Clone)]
pub enum Reply {
    /// This, whole: head and body.
    Whole(Bytes),
    /// A head, then pieces that differ by their number, then an end; written as fast as it is taken.
    Streamed {
        /// Head of the answer and beginning of the body.
        begin: Bytes,
        /// What stands before and after the number, five digits, of a piece; between two pieces stands a comma.
        piece: (Bytes, Bytes),
        /// How many pieces.
        times: usize,
        /// End of the body.
        end: Bytes,
    },
}

/// An answer 200 with a FHIR JSON body.
#[must_use]
pub fn fhir(body: &[u8], headers: &str) -> Reply {
    let mut answer = head(body.len(), headers).into_bytes();
    answer.extend_from_slice(body);
    Reply::Whole(answer.into())
}

/// The head of such an answer.
#[must_use]
pub fn head(length: usize, headers: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/fhir+json;charset=utf-8\r\n{headers}content-length: {length}\r\n\r\n"
    )
}

/// The running server; it ends when this value goes.
pub struct Stub {
    /// Its FHIR base.
    pub base: String,
    streamed: Arc<Mutex<Option<Instant>>>,
    _end: oneshot::Sender<()>,
}

impl Stub {
    /// Answers on a free port: the first reply whose text begins the target below `/fhir/`, else 404. `core` is where its thread stays.
    ///
    /// # Errors
    /// When no port or thread can be had.
    pub fn start(replies: Vec<(&'static str, Reply)>, core: Option<usize>) -> Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).context("no port for the FHIR server")?;
        listener.set_nonblocking(true)?;
        let base = format!("http://{}/fhir", listener.local_addr()?);
        let streamed = Arc::default();
        let (end, ended) = oneshot::channel();
        let shared = Arc::new(Shared { replies, streamed: Arc::clone(&streamed) });
        std::thread::Builder::new().name("fhir-server".to_owned()).spawn(move || {
            if let Some(core) = core {
                // Only the cores' shares would change.
                let _ = cost::keep_thread_to(core);
            }
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, shared) => {}
                    _ = ended => {}
                }
            });
        })?;
        Ok(Self { base, streamed, _end: end })
    }

    /// When the last streamed answer was taken whole.
    #[must_use]
    pub fn streamed_at(&self) -> Option<Instant> {
        *self.streamed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Shared {
    replies: Vec<(&'static str, Reply)>,
    streamed: Arc<Mutex<Option<Instant>>>,
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        // A client that goes away ends its connection, nothing else.
        tokio::spawn(async move { drop(serve(stream, &shared).await) });
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        // Only GETs are asked here: a request ends with its head.
        let head: Vec<u8> = buffer.drain(..end).collect();
        match shared.reply(&head) {
            Some(Reply::Whole(answer)) => stream.write_all(answer).await?,
            Some(Reply::Streamed { begin, piece, times, end }) => {
                stream.write_all(begin).await?;
                for place in 0..*times {
                    if place > 0 {
                        stream.write_all(b",").await?;
                    }
                    stream.write_all(&piece.0).await?;
                    stream.write_all(format!("{place:05}").as_bytes()).await?;
                    stream.write_all(&piece.1).await?;
                }
                stream.write_all(end).await?;
                *shared.streamed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            }
            None => stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await?,
        }
    }
}

impl Shared {
    fn reply(&self, head: &[u8]) -> Option<&Reply> {
        let target = head.split(|byte| *byte == b' ').nth(1)?.strip_prefix(b"/fhir/")?;
        self.replies.iter().find(|(begin, _)| target.starts_with(begin.as_bytes())).map(|(_, reply)| reply)
    }
}
