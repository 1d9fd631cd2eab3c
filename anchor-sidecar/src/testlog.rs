//! A log in a temporary directory, and the one checker that re-verifies everything after each step.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::{path::Path, sync::Arc};

use evidence::{
    checkpoint::Checkpoint,
    ids::{Commitment, Epoch, Sequence, SourceId},
    leaf::Leaf,
    merkle::{inclusion_path, verify_inclusion},
    note::{KeyKind, NoteSigner},
};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::{
    compare::Claim,
    config::{self, Config},
    fsck,
    group::{Addition, Stream},
    log::{Log, LogError},
    sequence::{AddError, Receipt},
    telemetry::Metrics,
};

pub(crate) const ORIGIN: &str = "log.example.org/test";

/// The key of every test log.
pub(crate) fn signer() -> NoteSigner {
    NoteSigner::from_seed(ORIGIN, KeyKind::Ed25519, &[7; 32]).unwrap()
}

/// Source number `n` in its first epoch.
pub(crate) fn stream(n: u8) -> Stream {
    (SourceId::new([n; 16]), Epoch::new(1))
}

/// A commitment that differs for each source and sequence number.
pub(crate) fn commitment(stream: Stream, sequence: u64) -> Commitment {
    let mut bytes = [0x5a; 32];
    bytes[..8].copy_from_slice(&sequence.to_be_bytes());
    bytes[8..24].copy_from_slice(stream.0.as_bytes());
    Commitment::new(bytes)
}

/// An addition of `count` leaves from `first` on.
pub(crate) fn addition(stream: Stream, first: u64, count: u64) -> Addition {
    let commitments = (first..first + count).map(|sequence| commitment(stream, sequence)).collect();
    Addition { stream, first: Sequence::new(first), commitments }
}

/// The configuration of a log in `dir`, with more lines of TOML.
pub(crate) fn configuration(dir: &Path, more: &str) -> Config {
    let key = dir.join("log.key");
    std::fs::write(&key, signer().to_skey()).unwrap();
    let text = format!(
        "[log]\norigin = \"{ORIGIN}\"\ndir = \"{}\"\nkey_file = \"{}\"\n[ingest]\nsocket = \"{}\"\n{more}",
        dir.join("log").display(),
        key.display(),
        dir.join("ingest.sock").display(),
    );
    config::from_text(&text, []).unwrap()
}

/// A log that is open and, unless closed, sequencing.
pub(crate) struct TestLog {
    pub(crate) dir: TempDir,
    pub(crate) config: Config,
}

impl TestLog {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let config = configuration(dir.path(), "");
        Self { dir, config }
    }

    /// Opens the log without comparing it.
    pub(crate) fn open_idle(&self) -> Result<(Arc<Log>, UnboundedReceiver<String>), LogError> {
        let (fatal, fatals) = unbounded_channel();
        Ok((Log::open(&self.config, Metrics::new().unwrap(), fatal)?, fatals))
    }

    /// Opens the log, hears a source without receipts, and sequences.
    pub(crate) fn open(&self) -> Arc<Log> {
        let (log, _) = self.open_idle().unwrap();
        log.hear(&Claim::NoReceipts).unwrap();
        log
    }

    pub(crate) fn log_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("log")
    }

    /// Recomputes the whole log on disk; the names of what differs.
    pub(crate) fn differences(&self) -> Vec<String> {
        let report =
            fsck::check(&self.log_dir(), &self.config.log.origin, signer().verifier(), &fsck::Outside::default());
        report.unwrap().findings.iter().map(ToString::to_string).collect()
    }
}

/// Adds and waits for the receipt.
pub(crate) async fn add(log: &Log, addition: Addition) -> Result<Receipt, AddError> {
    log.sequencer().unwrap().add(addition).await
}

/// A receipt proves each of its leaves: signature, size, inclusion.
pub(crate) fn assert_proves(log: &Log, receipt: &Receipt, addition: &Addition) {
    let opened = Checkpoint::open(&receipt.head.checkpoint, &log.origin, &log.key, &[]).unwrap().checkpoint;
    assert_eq!((opened.size, opened.root), (receipt.head.size, receipt.head.root));
    let (source, epoch) = addition.stream;
    for offset in 0..receipt.count {
        let sequence = Sequence::new(addition.first.get() + offset);
        let commitment = addition.commitments[usize::try_from(offset).unwrap()];
        let leaf = Leaf { source, epoch, sequence, commitment };
        let index = evidence::ids::LeafIndex::new(receipt.index.get() + offset);
        let path = inclusion_path(&*log.nodes, index, opened.size).unwrap();
        verify_inclusion(&leaf.hash(), index, opened.size, &path, &opened.root).unwrap();
    }
}
