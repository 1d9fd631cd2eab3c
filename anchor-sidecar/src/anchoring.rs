//! anchor → confirm: the sender on a thread of its own, and what follows from what it sees on the chain.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use evidence::{
    ethereum::decode_header,
    ids::{Hash, TreeSize},
    merkle::{consistency_path, empty_root},
};
use tokio::sync::watch;

use crate::{
    anchor::{
        Anchor, AnchorError, AnchorStatus, Head, HeadSource, Keys, Settings, SourceError,
        signer::{LocalKey, SignerError},
    },
    anchors::Anchors,
    clock,
    compare::Claim,
    config::AnchorConfig,
    log::{Log, LogError},
    overdue::Unanchored,
    public::SenderView,
    rpc::{Rpc, RpcError, RpcLimits},
    sequence::size_of,
};

/// Why the sender cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum AnchoringError {
    /// An end point.
    #[error("anchor.rpc: {0}")]
    Rpc(#[from] RpcError),
    /// The key.
    #[error("anchor.publisher_key_file: {0}")]
    Key(#[from] SignerError),
    /// The journal or the embedded contract.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// The thread.
    #[error("the sender's thread: {0}")]
    Thread(std::io::Error),
}

impl HeadSource for Log {
    fn newest(&self) -> Head {
        match self.integrated.borrow().as_ref() {
            Some(head) => Head { size: head.size, root: head.root },
            None => Head { size: TreeSize::new(0), root: empty_root() },
        }
    }

    fn consistency(&self, from: TreeSize, to: TreeSize) -> Result<Vec<Hash>, SourceError> {
        Ok(consistency_path(&*self.nodes, from, to)?)
    }
}

/// A running sender.
#[derive(Debug)]
pub struct Anchoring {
    status: watch::Receiver<AnchorStatus>,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Anchoring {
    /// Opens the sender's journal and starts its thread.
    ///
    /// What the sender must not survive ends the process; another chain or contract than configured ends only the
    /// sender, loudly, since the log can go on without.
    ///
    /// # Errors
    /// [`AnchoringError`].
    pub fn start(config: &AnchorConfig, log: &Arc<Log>) -> Result<Self, AnchoringError> {
        let endpoints = config.rpc.iter().map(|url| endpoint(url, RpcLimits::default())).collect::<Result<_, _>>()?;
        let key = LocalKey::read(&config.publisher_key_file, config.publisher_password_file.as_deref())?;
        let settings = Settings::of(config, log.dir()).map_err(AnchorError::Registry)?;
        let source: Arc<dyn HeadSource> = Arc::<Log>::clone(log);
        let anchor = Anchor::open(settings, endpoints, Keys::one(Arc::new(key)), source)?;
        let status = anchor.status();
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(AnchoringError::Thread)?;
        let log = Arc::clone(log);
        let work = move || match runtime.block_on(anchor.run(stopped)) {
            Ok(()) => {}
            Err(error @ (AnchorError::Identity(_) | AnchorError::Registry(_) | AnchorError::Signer(_))) => {
                tracing::error!(%error, "anchoring has stopped; the log goes on without anchors");
            }
            Err(
                error @ (AnchorError::Equivocation(_)
                | AnchorError::Journal(_)
                | AnchorError::Capture(_)
                | AnchorError::Source(_)),
            ) => log.end(error.to_string()),
        };
        let thread = std::thread::Builder::new().name("anchor".into()).spawn(work).map_err(AnchoringError::Thread)?;
        Ok(Self { status, stop, thread: Mutex::new(Some(thread)) })
    }

    /// What the sender is doing, for the read side.
    pub fn view(&self) -> SenderView {
        let status = self.status.clone();
        SenderView::new(move || serde_json::to_value(&*status.borrow()).unwrap_or(serde_json::Value::Null))
    }

    /// What the sender is doing.
    pub fn status(&self) -> watch::Receiver<AnchorStatus> {
        self.status.clone()
    }

    /// Ends the sender; its journal is ready for the next start at any moment. Blocks.
    pub fn stop(&self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic was reported by the thread's own hook.
            let _ = thread.join();
        }
    }
}

/// An end point named by its host, since the rest of an RPC URL may be secret.
///
/// # Errors
/// [`RpcError`].
pub fn endpoint(url: &url::Url, limits: RpcLimits) -> Result<Rpc, RpcError> {
    Rpc::new(url.host_str().unwrap_or("end point"), url.clone(), limits)
}

/// Follows what the sender sees: the contract's head is heard by the start-up comparison, and strangers see it too.
///
/// # Errors
/// [`LogError`] after which the process must end.
pub async fn follow(log: Arc<Log>, mut status: watch::Receiver<AnchorStatus>) -> Result<(), LogError> {
    let mut seen: Option<Head> = None;
    loop {
        let head = status.borrow_and_update().head.as_ref().map(|seen| seen.head);
        if let Some(head) = head.filter(|head| seen != Some(*head)) {
            let log = Arc::clone(&log);
            let heard = tokio::task::spawn_blocking(move || {
                log.hear(&Claim::Chain { size: head.size, root: head.root })?;
                log.publish_size(head.size)
            });
            match heard.await {
                Ok(heard) => heard?,
                // The runtime is ending.
                Err(_) => return Ok(()),
            }
            seen = Some(head);
        }
        if status.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// Measures once a second how far the anchors are behind, for `/metrics`, and raises the alarm when that is too long,
/// whatever the reason.
pub async fn measure(log: Arc<Log>, mut status: watch::Receiver<AnchorStatus>, overdue_after: Duration) {
    let mut unanchored = found(&log).await;
    let mut overdue = false;
    let mut timed = None;
    loop {
        let metrics = &log.metrics;
        let now = status.borrow_and_update().clone();
        let anchored = now.last_final.as_ref().map_or(0, |head| head.head.size.get());
        unanchored.see(size_of(&log.sequenced), anchored, Instant::now());
        let age = unanchored.age(Instant::now());
        metrics.unanchored.set(signed(unanchored.leaves()));
        metrics.unanchored_age.set(age.as_secs_f64());
        if overdue != (age > overdue_after) {
            overdue = !overdue;
            tell(overdue, unanchored.leaves(), age, &now);
        }
        metrics.anchor_overdue.set(i64::from(overdue));
        metrics.anchor_blind.set(i64::from(now.blind.is_some()));
        metrics.anchor_stopped.set(i64::from(now.stopped.is_some()));
        let waits = now.state.is_some_and(crate::anchor::state::Waiting::is_alarm);
        metrics.anchor_alarm.set(i64::from(waits || overdue));
        metrics.anchors_pending.set(i64::try_from(now.pending.len()).unwrap_or(i64::MAX));
        let runway = now.runway_anchors.and_then(|anchors| anchors.parse::<f64>().ok());
        metrics.runway.set(runway.unwrap_or(0.0));
        let newest = now.last_final.map(|head| head.seq);
        if let Some(seq) = newest.filter(|seq| timed != Some(*seq)) {
            metrics.anchors_final.set(signed(seq));
            let anchors = Anchors::of_log(log.dir());
            let anchor = tokio::task::spawn_blocking(move || anchors.read(seq)).await;
            if let Ok(Ok(Some(anchor))) = anchor
                && let Ok(header) = decode_header(anchor.header_rlp.as_ref())
            {
                let seconds = Duration::from_millis(header.time.unix_millis()).as_secs_f64();
                metrics.last_anchor.set(seconds);
                timed = Some(seq);
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What waits at the start: the newest final anchor is on disk, whether the chain can be seen or not.
async fn found(log: &Arc<Log>) -> Unanchored {
    let anchors = Anchors::of_log(log.dir());
    let newest = tokio::task::spawn_blocking(move || anchors.newest()).await;
    let newest = newest.ok().and_then(Result::ok).flatten();
    let anchored = newest.as_ref().map_or(0, |anchor| anchor.size.get());
    let time = newest.and_then(|anchor| decode_header(anchor.header_rlp.as_ref()).ok()).map(|header| header.time);
    let age = time.zip(clock::now()).map_or(0, |(time, now)| now.unix_millis().saturating_sub(time.unix_millis()));
    Unanchored::found(size_of(&log.sequenced), anchored, Duration::from_millis(age), Instant::now())
}

fn tell(overdue: bool, leaves: u64, age: Duration, status: &AnchorStatus) {
    if overdue {
        let state = status.state.map(tracing::field::debug);
        let (seconds, blind) = (age.as_secs(), status.blind.is_some());
        tracing::error!(leaves, seconds, blind, state, "anchoring is overdue; the log goes on without anchors");
    } else {
        tracing::info!("anchoring has caught up");
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
