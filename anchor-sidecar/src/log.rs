//! The log as the servers see it: opened from its volume, idle until compared, then sequencing.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError, mpsc::sync_channel},
    thread::JoinHandle,
    time::Duration,
};

use evidence::{
    checkpoint::{Checkpoint, CheckpointError},
    ids::{LogId, Origin, TenantId, TreeSize},
    note::{NoteError, NoteSigner, NoteVerifier},
};
use tokio::sync::{mpsc::UnboundedSender, watch};
use zeroize::Zeroizing;

use crate::{
    compare::{Claim, CompareError, Compared, Comparison},
    config::{Config, FINALITY, Limits, LogConfig},
    integrate::{INTEGRATED_FILE, IntegrateError, Integrator},
    nodes::Nodes,
    sequence::{self, SequenceError, Sequencer, Writer},
    store::{self, Holding, Reader, Store, StoreError},
    telemetry::Metrics,
    tiles::Tiles,
    volume::{self, Volume, VolumeError},
};

/// Why the log cannot be opened or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The directory.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The record store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tiles.
    #[error(transparent)]
    Integrate(#[from] IntegrateError),
    /// The sequencer.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// Somebody has seen more of the log, or another one.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// The key file holds no log key.
    #[error("{path} holds no log key in C2SP text form; `anchor-sidecar keygen log` makes one ({source})")]
    Key {
        /// The file.
        path: String,
        /// What is wrong.
        source: NoteError,
    },
    /// The key is another log's.
    #[error("the key in {path} is named {found}, but log.origin is {origin}; they must be equal")]
    KeyName {
        /// The file.
        path: String,
        /// Name of the key.
        found: String,
        /// Origin of the log.
        origin: Origin,
    },
    /// A checkpoint on disk is not the log's.
    #[error("{path} is no checkpoint of this log ({source}); run `anchor-sidecar fsck`")]
    Shown {
        /// The file.
        path: String,
        /// What is wrong.
        source: CheckpointError,
    },
    /// A checkpoint on disk is not in the records.
    #[error("{path} shows size {size}, which the records do not have; {}", crate::compare::RECOVERY)]
    ShownUnknown {
        /// The file.
        path: String,
        /// Size of the checkpoint.
        size: u64,
    },
}

/// Reads the log key and checks that it bears the log's name.
///
/// # Errors
/// [`LogError::Key`], [`LogError::KeyName`], [`LogError::Volume`].
pub fn log_key(config: &LogConfig) -> Result<NoteSigner, LogError> {
    let path = config.key_file.display().to_string();
    let text = std::fs::read_to_string(&config.key_file).map_err(|error| VolumeError::io(&config.key_file, error))?;
    let text = Zeroizing::new(text);
    let signer = NoteSigner::from_skey(text.trim()).map_err(|source| LogError::Key { path: path.clone(), source })?;
    if signer.verifier().name() != config.origin.as_str() {
        let found = signer.verifier().name().to_owned();
        return Err(LogError::KeyName { path, found, origin: config.origin.clone() });
    }
    Ok(signer)
}

/// A head that others may see or hear of; the newest one.
pub type Heads = watch::Receiver<Option<Arc<Holding>>>;

/// The log, shared by all servers.
#[derive(Debug)]
pub struct Log {
    /// The log's origin.
    pub origin: Origin,
    /// The public half of the log key.
    pub key: NoteVerifier,
    /// The log's id in the contract, where it is anchored.
    pub log_id: Option<LogId>,
    /// Tenant whose commitments the log holds, where the configuration says so.
    pub tenant: Option<TenantId>,
    /// Longest time until a leaf that is recorded now should be final; absent without a chain.
    pub anchored_within: Option<Duration>,
    /// The bounds.
    pub limits: Limits,
    /// The measurements.
    pub metrics: Arc<Metrics>,
    /// The nodes of the tree.
    pub nodes: Arc<Nodes>,
    /// Newest recorded head.
    pub sequenced: Heads,
    /// Newest head whose tiles are on disk: what is anchored and what the inside sees.
    pub integrated: Heads,
    /// The head that strangers see.
    published: watch::Sender<Option<Arc<Holding>>>,
    publishing: Mutex<()>,
    readers: Readers,
    comparison: Comparison,
    idle: Mutex<Option<Writer>>,
    sequencer: OnceLock<Sequencer>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    fatal: UnboundedSender<String>,
    dir: PathBuf,
    _volume: Volume,
}

impl Log {
    /// Opens the log on its volume, brings tiles up to the records, and starts the integrator; sequences nothing yet.
    ///
    /// `fatal` gets the sentence with which the process must end.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn open(config: &Config, metrics: Arc<Metrics>, fatal: UnboundedSender<String>) -> Result<Arc<Self>, LogError> {
        let signer = log_key(&config.log)?;
        let key = signer.verifier().clone();
        let origin = config.log.origin.clone();
        let volume = Volume::hold(&config.log.dir, config.log.danger_network_file_system)?;
        let dir = volume.dir().to_owned();
        let store = Store::open(&dir, &origin, &key.to_string())?;
        let reader = store.reader()?;
        let tip = reader.tip()?;
        let tiles = Tiles::of_log(&dir);

        let integrated = shown(&dir.join(INTEGRATED_FILE), &origin, &key, &reader)?;
        let published = shown(&tiles.checkpoint_file(), &origin, &key, &reader)?;
        let start = integrated.as_ref().map(|head| (head.size, head.root));
        let mut integrator = Integrator::open(&dir, store.reader()?, tiles, tip.as_ref(), start)?;
        // INVARIANT: what was ever anchored or published is integrated before anybody asks for the newest head.
        integrator.catch_up(tip.as_ref())?;
        let (nodes, integrated) = (Arc::clone(integrator.nodes()), integrator.shown());

        let newest = tip
            .as_ref()
            .map(|tip| Arc::new(Holding { size: tip.size, root: tip.root, checkpoint: tip.checkpoint.clone() }));
        let sequenced = watch::Sender::new(newest);
        let (wake, woken) = sync_channel(1);
        let comparison = Comparison::new(origin.clone(), key.clone(), Arc::clone(&nodes), config.anchor.is_some());
        let log = Arc::new(Self {
            origin: origin.clone(),
            key,
            log_id: config.anchor.as_ref().map(|anchor| anchor.log_id),
            tenant: config.log.tenant.clone(),
            anchored_within: config.anchor.as_ref().map(|anchor| anchor.cadence.saturating_add(FINALITY)),
            limits: config.limits.clone(),
            metrics: Arc::clone(&metrics),
            nodes: Arc::clone(&nodes),
            sequenced: sequenced.subscribe(),
            integrated: integrated.clone(),
            published: watch::Sender::new(published.map(Arc::new)),
            publishing: Mutex::new(()),
            readers: Readers { path: dir.join(store::FILE), idle: Mutex::new(Vec::new()) },
            comparison,
            idle: Mutex::new(None),
            sequencer: OnceLock::new(),
            threads: Mutex::new(Vec::new()),
            fatal,
            dir,
            _volume: volume,
        });
        let limits = config.limits.clone();
        let every = limits.integrate_every;
        let heads = sequenced.subscribe();
        log.watched("integrator", move || integrator.run(&heads, &woken, every))?;
        let writer = Writer { store, reader, signer, origin, tip, nodes, sequenced, integrated, wake, limits, metrics };
        *log.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
        Ok(log)
    }

    /// The sequencer; `None` before the start-up comparison is done.
    pub fn sequencer(&self) -> Option<&Sequencer> {
        self.sequencer.get()
    }

    /// Hears what somebody outside has seen; begins to sequence when that is enough, stops when it contradicts.
    ///
    /// # Errors
    /// [`LogError::Compare`]; a fatal one has also ended the process's work.
    pub fn hear(self: &Arc<Self>, claim: &Claim) -> Result<(), LogError> {
        match self.comparison.compare(claim) {
            Ok(Some(compared)) => self.permit(compared),
            Ok(None) => Ok(()),
            Err(error) => {
                if error.is_fatal() {
                    self.metrics.rollback_detected.inc();
                    self.end(error.to_string());
                }
                Err(error.into())
            }
        }
    }

    fn permit(self: &Arc<Self>, compared: Compared) -> Result<(), LogError> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = idle.take() else { return Ok(()) };
        let (sequencer, thread) = match sequence::start(writer, compared) {
            Ok(started) => started,
            Err(error) => {
                self.end(error.to_string());
                return Err(error.into());
            }
        };
        self.watched("sequencer-end", move || match thread.join() {
            Ok(ended) => ended,
            Err(_) => Err(StoreError::Damaged { size: 0, what: "the sequencer panicked" }.into()),
        })?;
        // INVARIANT: `idle` was full, so this is the first and only time.
        let _ = self.sequencer.set(sequencer);
        self.metrics.compared.set(1);
        tracing::info!(size = self.nodes.size().get(), "compared with the outside; sequencing begins");
        Ok(())
    }

    /// Runs `work` on a thread of its own; its error ends the process.
    fn watched<E: std::fmt::Display>(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<(), E> + Send + 'static,
    ) -> Result<(), LogError> {
        let fatal = self.fatal.clone();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            if let Err(error) = work() {
                // The receiver is gone only when the process is ending already.
                let _ = fatal.send(error.to_string());
            }
        });
        let thread = thread.map_err(|error| VolumeError::io(Path::new(name), error))?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Ends the process's work with a sentence.
    pub fn end(&self, why: String) {
        // The receiver is gone only when the process is ending already.
        let _ = self.fatal.send(why);
    }

    /// Records what is queued, writes the last tiles, and ends both threads. Blocks.
    pub fn stop(&self) {
        match self.sequencer.get() {
            Some(sequencer) => sequencer.stop(),
            None => drop(self.idle.lock().unwrap_or_else(PoisonError::into_inner).take()),
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A panic was reported by the thread's own hook.
            let _ = thread.join();
        }
    }

    /// The head that strangers see.
    pub fn published(&self) -> Heads {
        self.published.subscribe()
    }

    /// Shows the newest integrated head to strangers; durable before it is seen.
    ///
    /// # Errors
    /// [`LogError::Volume`].
    pub fn publish(&self) -> Result<(), LogError> {
        let head = self.integrated.borrow().clone();
        self.publish_head(head)
    }

    /// As [`Log::publish`], but the head of this size, where that is integrated.
    ///
    /// # Errors
    /// [`LogError::Volume`], [`LogError::Store`].
    pub fn publish_size(&self, size: TreeSize) -> Result<(), LogError> {
        if size.get() > crate::sequence::size_of(&self.integrated) {
            return Ok(());
        }
        let head = self.read(|reader| reader.at(size))?;
        self.publish_head(head.map(Arc::new))
    }

    /// INVARIANT: the head is integrated, so every tile that it needs is synced.
    fn publish_head(&self, head: Option<Arc<Holding>>) -> Result<(), LogError> {
        let Some(head) = head else { return Ok(()) };
        let _one = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.published.borrow().as_ref().is_some_and(|shown| shown.size >= head.size) {
            return Ok(());
        }
        volume::replace(&self.nodes.tiles().checkpoint_file(), head.checkpoint.as_bytes())?;
        self.published.send_replace(Some(head));
        Ok(())
    }

    /// Reads the record store on a connection of the pool.
    ///
    /// # Errors
    /// What `read` gives, or [`StoreError`] when no connection can be made.
    pub fn read<T, E: From<StoreError>>(&self, read: impl FnOnce(&Reader) -> Result<T, E>) -> Result<T, E> {
        let idle = self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => Reader::open(&self.readers.path)?,
        };
        let answer = read(&reader);
        self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        answer
    }

    /// The log's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Connections for reading; as many as ever read at once.
#[derive(Debug)]
struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Reader>>,
}

/// A checkpoint file, verified, and found in the records; `None` when there is no such file.
fn shown(path: &Path, origin: &Origin, key: &NoteVerifier, reader: &Reader) -> Result<Option<Holding>, LogError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(VolumeError::io(path, error).into()),
    };
    let name = || path.display().to_string();
    let opened =
        Checkpoint::open(&text, origin, key, &[]).map_err(|source| LogError::Shown { path: name(), source })?;
    let size = opened.checkpoint.size;
    match reader.at(size)?.filter(|head| head.root == opened.checkpoint.root) {
        Some(head) => Ok(Some(head)),
        None => Err(LogError::ShownUnknown { path: name(), size: size.get() }),
    }
}
