//! `fsck`: everything that the log holds, recomputed from its leaves and compared with everything that was derived,
//! shown or acknowledged. It only reads, and may run beside a live sidecar.

mod tiles;

use std::{collections::HashMap, fmt, path::Path};

use evidence::{
    bundle::{Anchor, AnchorLink, ProofBundle},
    checkpoint::Checkpoint,
    ids::{Hash, LeafIndex, Origin, TreeSize},
    leaf::LEAF_BYTES,
    merkle::{CompactRange, leaf_hash},
    note::NoteVerifier,
    trust::{ChainTrust, TrustFile},
    verify::{BlockBasis, Finality, TrustedBlock},
};
use serde::{Deserialize, Serialize};

use crate::{
    anchors::Anchors,
    group::Stream,
    integrate::INTEGRATED_FILE,
    store::{self, Reader, Record, StoreError},
    tiles::Tiles,
};

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about: a file, a record, a receipt.
    pub at: String,
    /// What differs.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

/// What was checked and what differs.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Leaves in the records.
    pub leaves: u64,
    /// Records.
    pub records: u64,
    /// Tiles compared.
    pub tiles: u64,
    /// Final anchors compared.
    pub anchors: u64,
    /// Receipts compared.
    pub receipts: u64,
    /// Whether the chain's head was compared.
    pub chain: bool,
    /// Everything that differs; empty when the log is whole. At most [`FINDINGS`] are kept.
    pub findings: Vec<Finding>,
}

/// Findings that are kept; a log with more is no less broken.
pub const FINDINGS: usize = 1000;

impl Report {
    fn find(&mut self, at: impl Into<String>, what: impl fmt::Display) {
        if self.findings.len() < FINDINGS {
            self.findings.push(Finding { at: at.into(), what: what.to_string() });
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { leaves, records, tiles, anchors, receipts, chain, findings } = self;
        write!(f, "{leaves} leaves in {records} records, {tiles} tiles, {anchors} final anchors, {receipts} receipts")?;
        write!(f, "{}", if *chain { " and the chain's head were compared." } else { " were compared." })?;
        if findings.is_empty() {
            return write!(f, "\nEverything is whole.");
        }
        write!(f, "\n{} thing(s) differ:", findings.len())?;
        findings.iter().try_for_each(|finding| write!(f, "\n  {finding}"))
    }
}

/// A receipt that somebody kept: the answer of `/v1/leaves` or of `/v1/leaf`.
#[derive(Debug, Deserialize)]
struct Receipt {
    #[serde(alias = "first_index")]
    index: LeafIndex,
    checkpoint: String,
}

/// What to compare the log with, besides itself.
#[derive(Debug, Default)]
pub struct Outside<'a> {
    /// Receipts, one JSON object a line.
    pub receipts: Option<&'a str>,
    /// Size and root of the contract's head.
    pub chain: Option<(TreeSize, Hash)>,
}

/// Recomputes and compares everything under `dir`.
///
/// # Errors
/// [`StoreError`] when the record store cannot be read at all; everything else is a finding.
pub fn check(dir: &Path, origin: &Origin, key: &NoteVerifier, outside: &Outside<'_>) -> Result<Report, StoreError> {
    let mut report = Report::default();
    let reader = Reader::open(&dir.join(store::FILE))?;
    for line in reader.integrity()? {
        report.find(store::FILE, line);
    }
    let (stored_origin, stored_key) = reader.log()?;
    if stored_origin != origin.as_str() || stored_key != key.to_string() {
        report.find(store::FILE, format!("belongs to log {stored_origin} with key {stored_key}"));
    }

    let tile_store = Tiles::of_log(dir);
    let integrated = shown(&dir.join(INTEGRATED_FILE), origin, key, &mut report);
    let published = shown(&tile_store.checkpoint_file(), origin, key, &mut report);
    let integrated_size = integrated.as_ref().map_or(0, |checkpoint| checkpoint.size.get());

    let heads = records(&reader, origin, key, tiles::Comparison::new(&tile_store, integrated_size), &mut report)?;
    for (name, checkpoint) in [(INTEGRATED_FILE, &integrated), ("tiles/checkpoint", &published)] {
        if let Some(Checkpoint { size, root, .. }) = checkpoint {
            heads.compare(name, *size, *root, &mut report);
        }
    }
    if let (Some(published), Some(integrated)) = (&published, &integrated)
        && published.size > integrated.size
    {
        report.find("tiles/checkpoint", "is newer than what is integrated");
    }
    anchors(dir, &reader, &TrustFile::new(origin.clone(), key.clone()), &heads, &mut report)?;
    if let Some(text) = outside.receipts {
        receipts(text, &reader, origin, key, &mut report)?;
    }
    if let Some((size, root)) = outside.chain {
        report.chain = true;
        heads.compare("chain", size, root, &mut report);
    }
    Ok(report)
}

/// The root after each record.
struct Heads(HashMap<u64, Hash>);

impl Heads {
    fn compare(&self, at: &str, size: TreeSize, root: Hash, report: &mut Report) {
        match self.0.get(&size.get()) {
            Some(found) if *found == root => {}
            Some(found) => report.find(at, format!("has root {root} at size {size}, the leaves give {found}")),
            None => report.find(at, format!("is of size {size}, which no record has")),
        }
    }
}

/// Walks every record once: chain, checksum, leaves, root, checkpoint, runs, tiles.
fn records(
    reader: &Reader,
    origin: &Origin,
    key: &NoteVerifier,
    mut tiles: tiles::Comparison<'_>,
    report: &mut Report,
) -> Result<Heads, StoreError> {
    let mut heads = Heads(HashMap::from([(0, evidence::merkle::empty_root())]));
    let mut walk = Walk { range: CompactRange::new(), previous: Hash::new([0; 32]), lease: 0, next: HashMap::new() };
    let mut at = TreeSize::new(0);
    let mut runs = 0_u64;
    while let Some((record, stored)) = reader.record_after(at)? {
        report.records += 1;
        let name = format!("record of size {}", record.size);
        walk.compare(&name, &record, stored, report);
        checkpoint(&name, &record, origin, key, report);
        for leaf in record.leaves.chunks(LEAF_BYTES) {
            tiles.leaf(leaf, report);
        }
        for run in record.runs() {
            runs += 1;
            if reader.run(run.source, run.epoch, run.first)? != Some(run) {
                report.find(&name, format!("the index lacks sequence {} of source {}", run.first, run.source));
            }
        }
        heads.0.insert(record.size.get(), walk.range.root());
        report.leaves = walk.range.size().get();
        at = record.size;
    }
    let mut indexed = 0_u64;
    reader.each_run(|_| indexed += 1)?;
    if indexed != runs {
        report.find(store::FILE, format!("the index has {indexed} runs, the records have {runs}"));
    }
    tiles.finish(report);
    Ok(heads)
}

/// What one record hands to the next.
struct Walk {
    range: CompactRange,
    previous: Hash,
    lease: u64,
    next: HashMap<Stream, u64>,
}

impl Walk {
    fn compare(&mut self, name: &str, record: &Record, stored: Hash, report: &mut Report) {
        let digest = record.digest();
        if digest != stored {
            report.find(name, "its checksum differs from its content");
        }
        if record.previous != self.previous {
            report.find(name, "it does not follow the record before it: one is missing or was changed");
        }
        self.previous = stored;
        if record.first.get() != self.range.size().get() {
            report.find(name, format!("begins at leaf {}, not at {}", record.first, self.range.size()));
        }
        if record.lease < self.lease {
            report.find(name, "was written under an older lease than the record before it");
        }
        self.lease = record.lease;
        for leaf in record.parsed_leaves() {
            let Some(leaf) = leaf else {
                report.find(name, "holds something that is no leaf");
                continue;
            };
            let next = self.next.entry((leaf.source, leaf.epoch)).or_insert(0);
            if leaf.sequence.get() != *next {
                report.find(name, format!("source {} has sequence {} instead of {next}", leaf.source, leaf.sequence));
            }
            *next = leaf.sequence.get().saturating_add(1);
        }
        let appended = self.range.append_all(record.leaves.chunks(LEAF_BYTES).map(leaf_hash));
        if appended.is_err() || self.range.size() != record.size {
            report.find(name, format!("its leaves end at {}", self.range.size()));
        }
        if self.range.root() != record.root {
            report.find(name, format!("its leaves give root {}, it holds {}", self.range.root(), record.root));
        }
        if self.range.peaks() != record.range {
            report.find(name, "its compact range is not the one of its leaves");
        }
    }
}

fn checkpoint(name: &str, record: &Record, origin: &Origin, key: &NoteVerifier, report: &mut Report) {
    match Checkpoint::open(&record.checkpoint, origin, key, &[]) {
        Err(error) => report.find(name, format!("its checkpoint is not the log's: {error}")),
        Ok(opened) if (opened.checkpoint.size, opened.checkpoint.root) != (record.size, record.root) => {
            report.find(name, "its checkpoint is of another size or root");
        }
        Ok(_) => {}
    }
}

/// A checkpoint file; what is wrong with it is a finding.
fn shown(path: &Path, origin: &Origin, key: &NoteVerifier, report: &mut Report) -> Option<Checkpoint> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            report.find(path.display().to_string(), error);
            return None;
        }
    };
    match Checkpoint::open(&text, origin, key, &[]) {
        Ok(opened) => Some(opened.checkpoint),
        Err(error) => {
            report.find(path.display().to_string(), error);
            None
        }
    }
}

/// Every final anchor: its head is one of ours, and its header, account and storage proofs hold.
///
/// Whether its block is the chain's own is for `verify`, which asks a node.
fn anchors(dir: &Path, reader: &Reader, log: &TrustFile, heads: &Heads, report: &mut Report) -> Result<(), StoreError> {
    let anchors = Anchors::of_log(dir);
    let sequences = match anchors.sequences() {
        Ok(sequences) => sequences,
        Err(error) => {
            report.find(crate::anchors::DIR, error);
            return Ok(());
        }
    };
    for seq in sequences {
        let name = format!("{}/{seq}.json", crate::anchors::DIR);
        match anchors.read(seq) {
            Ok(Some(anchor)) => {
                report.anchors += 1;
                if anchor.seq != seq {
                    report.find(&name, format!("is anchor {}", anchor.seq));
                }
                heads.compare(&name, anchor.size, anchor.root, report);
                if let Some(head) = reader.at(anchor.size)? {
                    proofs(&name, anchor, head.checkpoint, log.clone(), report);
                }
            }
            Ok(None) => report.find(&name, "vanished"),
            Err(error) => report.find(&name, error),
        }
    }
    Ok(())
}

/// Verifies an anchor as a verifier would who believes its contract and its block.
fn proofs(name: &str, anchor: Anchor, checkpoint: String, mut log: TrustFile, report: &mut Report) {
    log.chains.push(ChainTrust {
        chain_id: anchor.chain_id,
        contract: Some(anchor.contract),
        code_hash: Some(anchor.code_hash),
        log_id: Some(anchor.log_id),
    });
    let block = TrustedBlock {
        chain_id: anchor.chain_id,
        number: anchor.block_number,
        hash: anchor.block_hash,
        finality: Finality::Final,
        basis: BlockBasis::User,
    };
    let mut bundle = ProofBundle::new(None, Vec::new(), checkpoint);
    bundle.anchors.push(AnchorLink { consistency: Vec::new(), anchor });
    for anchor in evidence::verify::verify(&bundle, &log, &block.into()).anchors {
        for finding in anchor.verdict.findings() {
            report.find(name, finding);
        }
    }
}

fn receipts(
    text: &str,
    reader: &Reader,
    origin: &Origin,
    key: &NoteVerifier,
    report: &mut Report,
) -> Result<(), StoreError> {
    for (line, number) in text.lines().zip(1_u64..) {
        let name = format!("receipt in line {number}");
        let receipt: Receipt = match serde_json::from_str(line) {
            Ok(receipt) => receipt,
            Err(error) => {
                report.find(name, format!("is no receipt: {error}"));
                continue;
            }
        };
        report.receipts += 1;
        if let Err(error) = Checkpoint::open(&receipt.checkpoint, origin, key, &[]) {
            report.find(name, format!("is not of this log: {error}"));
            continue;
        }
        match reader.holding(receipt.index)? {
            Some(held) if held.checkpoint == receipt.checkpoint => {}
            Some(_) => report.find(name, format!("leaf {} is held under another checkpoint", receipt.index)),
            None => report.find(name, format!("leaf {} is not in the log", receipt.index)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
