//! A wire between gateway and FHIR server that notes what the gateway says on it. It changes nothing.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

/// The wire; it is cut when this value goes.
pub(super) struct Relay {
    /// The FHIR base at this end.
    pub(super) base: String,
    heard: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Leads to the server at this base.
    pub(super) async fn to(server: &str) -> Result<Self> {
        let mut base = Url::parse(server)?;
        let there = (base.host_str().context("no host")?.to_owned(), base.port_or_known_default().context("no port")?);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let here = listener.local_addr()?;
        base.set_host(Some("127.0.0.1"))?;
        base.set_port(Some(here.port())).ok().context("no port can be set")?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            // The connections end with this task.
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                connections.spawn(carry(near, there.clone(), Arc::clone(&notes)));
            }
        });
        Ok(Self { base: base.as_str().trim_end_matches('/').to_owned(), heard, task })
    }

    /// The heads of the requests that went by: request line and headers, in lower case.
    pub(super) fn requests(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&heard).to_lowercase();
        text.split("\r\n\r\n").filter(|head| head.contains(" http/1.1\r\n")).map(str::to_owned).collect()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(near: TcpStream, there: (String, u16), notes: Arc<Mutex<Vec<u8>>>) -> std::io::Result<()> {
    let far = TcpStream::connect(there).await?;
    let ((mut from, mut back), (mut answers, mut to)) = (near.into_split(), far.into_split());
    let up = async {
        let mut bytes = vec![0; 16 * 1024];
        // Kept apart from other connections, so that heads stay whole.
        let mut said = Vec::new();
        loop {
            let count = from.read(&mut bytes).await?;
            let Some(part) = bytes.get(..count).filter(|part| !part.is_empty()) else { break };
            said.extend_from_slice(part);
            if said.ends_with(b"\r\n\r\n") {
                notes.lock().unwrap_or_else(PoisonError::into_inner).append(&mut said);
            }
            to.write_all(part).await?;
        }
        to.shutdown().await
    };
    let down = async { tokio::io::copy(&mut answers, &mut back).await.map(drop) };
    tokio::try_join!(up, down).map(drop)
}
