//! The sender: brings the log's newest head into the contract, and stays with it until the chain cannot undo it.
//!
//! One poll is: look ([`observe`]), work out the next step ([`state::step`]), journal it, do it (`act`), until there is
//! only waiting left. There is no other path: a restart and a reorganisation are polls like any other.
//!
//! Heads are cumulative, so at most one nonce is under way and there is no counter of nonces: the chain's own at the
//! pinned block is the truth, and a fee bump carries the newest head.

mod act;
pub mod capture;
pub mod deploy;
pub mod fees;
pub mod flight;
pub mod journal;
mod memory;
pub mod observe;
pub mod registry;
pub mod signer;
pub mod state;
mod status;
mod transaction;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256};
use evidence::{
    ids::{ChainId, Hash, LogId, TreeSize},
    merkle::verify_consistency,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

pub use status::{AnchorStatus, PendingAnchor, SeenHead};

use crate::{config::AnchorConfig, rpc::Rpc};
use capture::{CaptureError, Place};
use fees::FeePolicy;
use flight::Book;
use journal::{Journal, JournalError};
use memory::Memory;
use observe::{Chain, ChainView, ObserveError};
use registry::{Artefact, RegistryError};
use signer::{DigestSigner, SignerError};
use state::{Equivocation, Lineage, Observation, Policy, Waiting, step};

/// A head of the log: what an anchor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Leaves in the tree.
    pub size: TreeSize,
    /// Its root.
    pub root: Hash,
}

/// Why the log did not answer.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// The log, as the sender sees it. Calls may block for a few reads from disk.
pub trait HeadSource: Send + Sync {
    /// The newest head that is durable, tiles included.
    fn newest(&self) -> Head;

    /// The RFC 9162 consistency proof between two sizes up to the newest; empty from size 0 and between equal sizes.
    ///
    /// # Errors
    /// Where the tree cannot be read.
    fn consistency(&self, from: TreeSize, to: TreeSize) -> Result<Vec<Hash>, SourceError>;
}

/// How the sender works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The chain.
    pub chain_id: ChainId,
    /// The AnchorRegistry.
    pub contract: evidence::ids::Address,
    /// The log's id in it.
    pub log_id: LogId,
    /// Hash of the contract's code; of the embedded artefact where the operator gave none.
    pub code_hash: Hash,
    /// Time between two anchors, also of an idle log.
    pub cadence: Duration,
    /// Time between two looks at the chain.
    pub poll: Duration,
    /// Depth at which blocks are final, on chains without the `finalized` tag.
    pub finality_depth: Option<u64>,
    /// Fees, bumps, patience.
    pub policy: Policy,
    /// `anchor.db`.
    pub journal: PathBuf,
    /// Directory of `<seq>.json`.
    pub anchors: PathBuf,
}

impl Settings {
    /// The settings of a configured chain for the log in `dir`.
    ///
    /// # Errors
    /// [`RegistryError::Artefact`].
    pub fn of(config: &AnchorConfig, dir: &std::path::Path) -> Result<Self, RegistryError> {
        let code_hash = match config.code_hash {
            Some(hash) => hash,
            None => Hash::new(Artefact::embedded()?.code_hash.0),
        };
        Ok(Self {
            chain_id: config.chain_id,
            contract: config.contract,
            log_id: config.log_id,
            code_hash,
            cadence: config.cadence,
            poll: (config.cadence / 2).clamp(Duration::from_millis(250), Duration::from_secs(4)),
            finality_depth: config.finality_depth,
            policy: Policy {
                // Estimators may suggest one wei; a twentieth of a gwei is mined in quiet hours.
                fees: FeePolicy { ceiling: config.max_fee_per_gas, floor: 50_000_000 },
                bump_after_blocks: 3,
                bump_after: Duration::from_secs(6),
                resend_held: Duration::from_secs(600),
                patience: 3,
            },
            journal: dir.join("anchor.db"),
            anchors: dir.join(crate::anchors::DIR),
        })
    }
}

/// Why the sender ended.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// Two histories, or an old volume. Somebody must be called.
    #[error("EQUIVOCATION: {0}; anchoring has stopped: {recovery}", recovery = crate::compare::RECOVERY)]
    Equivocation(#[from] Equivocation),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The evidence cannot be kept.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The key.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The contract.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Another chain or another contract than configured.
    #[error(transparent)]
    Identity(ObserveError),
    /// The log.
    #[error("the log: {0}")]
    Source(SourceError),
}

/// The two keys (EVIDENCE 4); often one and the same in small installations.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Vouches for heads.
    pub publisher: Arc<dyn DigestSigner>,
    /// Pays.
    pub gas: Arc<dyn DigestSigner>,
}

impl Keys {
    /// One key for both.
    #[must_use]
    pub fn one(key: Arc<dyn DigestSigner>) -> Self {
        Self { publisher: Arc::clone(&key), gas: key }
    }
}

/// The sender.
pub struct Anchor {
    settings: Settings,
    place: Place,
    chain: Chain,
    keys: Keys,
    source: Arc<dyn HeadSource>,
    journal: Journal,
    status: watch::Sender<AnchorStatus>,
    now: Arc<Notify>,
    memory: Memory,
}

/// Most steps in one poll: more means that two of them undo each other.
const MOST_STEPS: usize = 32;

impl Anchor {
    /// Opens the journal; nothing is asked of the chain yet.
    ///
    /// # Errors
    /// [`AnchorError::Journal`].
    pub fn open(
        settings: Settings,
        endpoints: Vec<Rpc>,
        keys: Keys,
        source: Arc<dyn HeadSource>,
    ) -> Result<Self, AnchorError> {
        let contract = Address::from(*settings.contract.as_bytes());
        let chain_id = settings.chain_id.get();
        let journal = Journal::open(&settings.journal, chain_id, contract, settings.log_id)?;
        let place = Place {
            chain_id: settings.chain_id,
            contract: settings.contract,
            code_hash: settings.code_hash,
            log_id: settings.log_id,
        };
        let (log_id, finality_depth) = (settings.log_id, settings.finality_depth);
        let chain = Chain { endpoints, chain_id, contract, log_id, finality_depth };
        let status = AnchorStatus::starting(keys.publisher.address(), keys.gas.address());
        Ok(Self {
            settings,
            place,
            chain,
            keys,
            source,
            journal,
            status: watch::Sender::new(status),
            now: Arc::new(Notify::new()),
            memory: Memory::default(),
        })
    }

    /// What the sender is doing, kept up to date.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<AnchorStatus> {
        self.status.subscribe()
    }

    /// Asks for an anchor before its time; also wakes a sleeping sender.
    #[must_use]
    pub fn trigger(&self) -> Arc<Notify> {
        Arc::clone(&self.now)
    }

    /// Makes the next poll plan an anchor, whatever the time.
    pub fn ask(&mut self) {
        self.memory.asked = true;
    }

    /// Works until `stop` is true or its sender is gone, or until something that must not be survived.
    ///
    /// # Errors
    /// [`AnchorError`]; [`AnchorError::Equivocation`] and [`AnchorError::Identity`] need an operator.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), AnchorError> {
        let now = self.trigger();
        loop {
            if *stop.borrow() {
                return Ok(());
            }
            if let Err(error) = self.poll().await {
                let why = error.to_string();
                self.status.send_modify(|status| status.stopped = Some(why));
                return Err(error);
            }
            tokio::select! {
                () = tokio::time::sleep(self.settings.poll) => {}
                () = now.notified() => self.ask(),
                changed = stop.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }

    /// One poll: all steps that what is seen allows.
    ///
    /// # Errors
    /// [`AnchorError`].
    pub async fn poll(&mut self) -> Result<(), AnchorError> {
        let mut book = self.journal.book()?;
        let view = match self.look(&book).await {
            Ok(view) => view,
            Err(error @ (ObserveError::Chain { .. } | ObserveError::Code { .. })) => {
                return Err(AnchorError::Identity(error));
            }
            Err(error) => {
                tracing::warn!(%error, "the chain cannot be seen; the log goes on");
                let disagree = matches!(error, ObserveError::Disagree { .. });
                self.status.send_modify(|status| status.blind(error.to_string(), disagree));
                return Ok(());
            }
        };
        let lineage = self.lineage(view.head.head)?;
        self.memory.count(&book, &view);
        for _ in 0..MOST_STEPS {
            let seen = self.observation(&view, lineage);
            let step = step(&book, &seen, &self.settings.policy);
            let waiting = self.perform(&book, &seen, step).await?;
            book = self.journal.book()?;
            if let Some(waiting) = waiting {
                self.report(&book, &view, waiting)?;
                return Ok(());
            }
        }
        tracing::error!("the sender's steps undo each other; it pauses until the next poll");
        self.report(&book, &view, Waiting::Reconcile)
    }

    /// Looks at the chain; the first time also whether it is the right one.
    async fn look(&mut self, book: &Book) -> Result<ChainView, ObserveError> {
        if !self.memory.identified {
            self.chain.check_identity(B256::from(*self.settings.code_hash.as_bytes())).await?;
            self.memory.identified = true;
        }
        let view = self.chain.view(self.keys.gas.address(), book).await?;
        let from = self.memory.tip;
        // Never below the highest seen, unless it lasts: then the chain itself became shorter.
        if view.tip.number < from && self.memory.tip_went_back < self.settings.policy.patience {
            self.memory.tip_went_back = self.memory.tip_went_back.saturating_add(1);
            return Err(ObserveError::WentBack { from, to: view.tip.number });
        }
        self.memory.tip = view.tip.number;
        self.memory.tip_went_back = 0;
        Ok(view)
    }

    /// How the contract's head relates to our log; proven once for each head.
    fn lineage(&mut self, chain: Head) -> Result<Lineage, AnchorError> {
        let newest = self.source.newest();
        if let Some((head, size)) = self.memory.lineage
            && head == chain
            && size <= newest.size
        {
            return Ok(Lineage::Ours);
        }
        if chain.size > newest.size {
            return Ok(Lineage::Ahead);
        }
        let proof = self.source.consistency(chain.size, newest.size).map_err(AnchorError::Source)?;
        if verify_consistency(chain.size, &chain.root, newest.size, &newest.root, &proof).is_err() {
            return Ok(Lineage::Foreign);
        }
        self.memory.lineage = Some((chain, newest.size));
        Ok(Lineage::Ours)
    }

    fn observation(&self, view: &ChainView, lineage: Lineage) -> Observation {
        let memory = &self.memory;
        let newest = self.source.newest();
        let pace = memory.sending.iter().map(|(hash, sending)| (*hash, sending.pace(view.tip.number))).collect();
        Observation {
            tip: view.tip,
            safe: view.safe,
            finalized: view.finalized,
            head: view.head,
            final_seq: view.final_seq,
            lineage,
            publishes: view.head.publisher == self.keys.publisher.address(),
            nonce: view.nonce,
            balance: view.balance,
            market: view.market,
            receipts: view.receipts.clone(),
            canonical: view.canonical.clone(),
            pace,
            unexplained_polls: memory.unexplained.clone(),
            undone_polls: memory.undone,
            newest,
            due: self.is_due(view.head.head, newest),
        }
    }

    /// By time, idle logs too; at once after a start that finds something new; never for a log without leaves.
    fn is_due(&self, anchored: Head, newest: Head) -> bool {
        if newest.size.get() == 0 {
            return false;
        }
        match self.memory.planned {
            _ if self.memory.asked => true,
            Some(planned) => planned.elapsed() >= self.settings.cadence,
            None => anchored != newest,
        }
    }

    fn report(&mut self, book: &Book, view: &ChainView, waiting: Waiting) -> Result<(), AnchorError> {
        if self.memory.planned.is_none() && waiting == Waiting::Idle {
            // Nothing new at the start: the first heartbeat is one cadence away.
            self.memory.planned = Some(Instant::now());
        }
        if waiting.is_alarm() {
            tracing::warn!(state = ?waiting, "anchoring is held up; the log goes on");
        }
        let last_final = self.journal.final_inclusion(book.final_seq)?.map(|there| (book.final_seq, there));
        self.status.send_modify(|status| status.update(book, view, waiting, last_final));
        Ok(())
    }
}

impl std::fmt::Debug for Anchor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Anchor").field("settings", &self.settings).field("keys", &self.keys).finish_non_exhaustive()
    }
}
