//! The answer as people and programs read it.

use std::fmt;

use serde::Serialize;

use super::{BlockBasis, BlockTrust, TrustedBlock, Verdict};
use crate::checkpoint::OpenedCheckpoint;
use crate::event::AccessEvent;
use crate::ids::{Address, ChainId, Epoch, EventId, Hash, LeafIndex, Origin, Sequence, SourceId, Timestamp, TreeSize};
use crate::printed::decimal;
use crate::trust::TrustFile;

/// What came of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The whole: the worst of the three ticks.
    pub verdict: Verdict,
    /// First tick: every event is the one that was committed to.
    pub content: Verdict,
    /// Second tick: every record is in the log at its place.
    pub logged: Verdict,
    /// Third tick: the log is anchored.
    pub anchored: Verdict,
    /// Each record by itself.
    pub records: Vec<RecordReport>,
    /// The log's head that covers the records, where it is the trusted log's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogReport>,
    /// Each anchor by itself.
    pub anchors: Vec<AnchorReport>,
    /// What was believed.
    pub trust: TrustReport,
}

/// What came of one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordReport {
    /// The journal.
    pub source: SourceId,
    /// Its epoch.
    pub epoch: Epoch,
    /// The place in the journal.
    pub sequence: Sequence,
    /// The place in the log.
    pub index: LeafIndex,
    /// The event, where it is the one that was committed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventReport>,
    /// First tick.
    pub content: Verdict,
    /// Second tick.
    pub logged: Verdict,
}

/// Which event it is; nothing of what it says about a patient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventReport {
    /// Its id.
    pub id: EventId,
    /// Its kind.
    pub kind: &'static str,
    /// When it was recorded.
    pub at: Timestamp,
}

/// The head of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogReport {
    /// Which log.
    pub origin: Origin,
    /// How many leaves.
    pub size: TreeSize,
    /// The root over them.
    pub root: Hash,
    /// The trusted witnesses that cosigned.
    pub cosignatures: Vec<CosignatureReport>,
}

/// A trusted witness's cosignature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CosignatureReport {
    /// The witness.
    pub witness: String,
    /// When it cosigned: seconds since 1970-01-01T00:00:00Z.
    #[serde(with = "decimal")]
    pub timestamp: u64,
}

/// What came of one anchor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnchorReport {
    /// The chain.
    pub chain_id: ChainId,
    /// The contract.
    pub contract: Address,
    /// How many heads had been anchored.
    #[serde(with = "decimal")]
    pub seq: u64,
    /// The anchored size.
    pub size: TreeSize,
    /// The block.
    #[serde(with = "decimal")]
    pub block_number: u64,
    /// Its hash.
    pub block_hash: Hash,
    /// When it was made, where its header and the head in its state are proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_time: Option<Timestamp>,
    /// The transaction, as stated; not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction: Option<Hash>,
    /// Why the block is believed to be the chain's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_trusted_by: Option<BlockBasis>,
    /// Third tick.
    pub verdict: Verdict,
}

/// What was believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrustReport {
    /// The log.
    pub origin: Origin,
    /// Its key.
    pub log_key: String,
    /// How many cosignatures were asked for.
    pub witness_quorum: u32,
    /// The chains that were pinned.
    pub chains: Vec<ChainId>,
    /// How many seconds the clocks may differ.
    #[serde(with = "decimal")]
    pub clock_skew_seconds: u64,
    /// The blocks that were believed.
    pub blocks: Vec<TrustedBlock>,
}

impl EventReport {
    pub(super) fn of(event: &AccessEvent) -> Self {
        Self { id: event.id, kind: event.kind(), at: event.at }
    }
}

impl LogReport {
    pub(super) fn of(opened: &OpenedCheckpoint) -> Self {
        let cosignatures = opened
            .signatures
            .iter()
            .filter_map(|by| by.timestamp.map(|timestamp| CosignatureReport { witness: by.name.clone(), timestamp }));
        Self {
            origin: opened.checkpoint.origin.clone(),
            size: opened.checkpoint.size,
            root: opened.checkpoint.root,
            cosignatures: cosignatures.collect(),
        }
    }
}

impl TrustReport {
    pub(super) fn of(trust: &TrustFile, blocks: &BlockTrust) -> Self {
        Self {
            origin: trust.origin.clone(),
            log_key: trust.log_key.to_string(),
            witness_quorum: trust.witnesses.as_ref().map_or(0, |policy| policy.quorum),
            chains: trust.chains.iter().map(|chain| chain.chain_id).collect(),
            clock_skew_seconds: trust.clock_skew().as_secs(),
            blocks: blocks.blocks.clone(),
        }
    }
}

/// Plain sentences, one a line.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.verdict)?;
        for record in &self.records {
            writeln!(f)?;
            write!(f, "Record at place {}", record.index)?;
            match &record.event {
                Some(event) => writeln!(f, ": {} event {}, recorded at {}", event.kind, event.id, event.at)?,
                None => writeln!(f)?,
            }
            tick(f, "content is unchanged", &record.content)?;
            match &self.log {
                Some(log) => tick(f, &format!("is in the log {}, size {}", log.origin, log.size), &record.logged)?,
                None => tick(f, "is in the log", &record.logged)?,
            }
        }
        writeln!(f, "\nAnchors")?;
        if self.anchors.is_empty() {
            tick(f, "the log is anchored", &self.anchored)?;
        }
        for anchor in &self.anchors {
            let mut what = format!(
                "head {} of size {} is anchored in block {} of chain {}",
                anchor.seq, anchor.size, anchor.block_number, anchor.chain_id
            );
            if let Some(time) = anchor.block_time {
                what += &format!(" at {time}");
            }
            tick(f, &what, &anchor.verdict)?;
        }
        write!(f, "\nBelieved: the key of the log {}", self.trust.origin)?;
        match self.trust.witness_quorum {
            0 => write!(f, ", no witness")?,
            quorum => write!(f, ", {quorum} witnesses")?,
        }
        for block in &self.trust.blocks {
            write!(f, ", block {} of chain {} by {}", block.number, block.chain_id, block.basis)?;
        }
        writeln!(f, ".")
    }
}

fn tick(f: &mut fmt::Formatter<'_>, what: &str, verdict: &Verdict) -> fmt::Result {
    writeln!(f, "  {verdict}: {what}")?;
    verdict.findings().iter().try_for_each(|finding| writeln!(f, "    {finding}"))
}
