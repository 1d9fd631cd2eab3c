//! A wire that can be cut: TCP passed on to a peer, until it is not.

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running forwarder.
pub(super) struct Forwarder {
    /// The peer's address as it is reached through here.
    pub(super) url: String,
    whole: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Forwarder {
    /// Starts one before `http://host:port`.
    pub(super) async fn start(peer: &str) -> Result<Self> {
        let peer = peer.strip_prefix("http://").context("a peer without TLS")?.trim_end_matches('/').to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (whole, watched) = watch::channel(true);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if *watched.borrow() {
                    tokio::spawn(pass(stream, peer.clone(), watched.clone()));
                }
            }
        });
        Ok(Self { url, whole, accepting })
    }

    /// Connections end, and new ones end at once.
    pub(super) fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// New connections reach the peer again.
    pub(super) fn mend(&self) {
        self.whole.send_replace(true);
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(mut near: TcpStream, peer: String, mut whole: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(peer).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = whole.wait_for(|whole| !whole) => {}
    }
}
