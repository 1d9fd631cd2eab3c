//! Integration: from records to tiles, and the checkpoint that the tiles allow to be shown.
//!
//! Everything here is derived from the records and can be made again; nothing here is on the path of a receipt.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use evidence::{
    ids::{Hash, LeafIndex, TreeSize},
    leaf::LEAF_BYTES,
    merkle::{leaf_hash, root_at, tile::TileKind},
};
use tokio::sync::watch;

use crate::{
    nodes::{NodeError, Nodes, tile_rows},
    store::{Holding, Reader, Record, StoreError, Tip},
    tiles::{TILE_WIDTH, TileError, entries_tile, grown, hashes_tile, tile_path},
    volume::{self, Batch, VolumeError},
};

/// File that holds the newest checkpoint whose tiles are synced.
pub const INTEGRATED_FILE: &str = "integrated";

/// Leaves after which a long replay writes tiles, so that memory stays bounded.
const REPLAY_STEP: u64 = 1 << 18;

/// Why integration ends; the process ends with it.
#[derive(Debug, thiserror::Error)]
pub enum IntegrateError {
    /// The record store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A tile failed.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// A node failed.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The disk failed.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The leaves do not give the root that was signed.
    #[error("the leaves up to {size} give root {computed}, but {signed} was signed; run `anchor-sidecar fsck`")]
    Root {
        /// Size of the tree.
        size: TreeSize,
        /// Root over the leaves.
        computed: Hash,
        /// Root in the record.
        signed: Hash,
    },
    /// The record store is older than what was shown of it.
    #[error("the record store ends at size {found}, but a checkpoint of size {shown} was made from it")]
    Behind {
        /// Size of the newest record.
        found: TreeSize,
        /// Size of the checkpoint on disk.
        shown: TreeSize,
    },
}

/// Writes tiles for what is recorded.
#[derive(Debug)]
pub struct Integrator {
    nodes: Arc<Nodes>,
    reader: Reader,
    integrated_file: PathBuf,
    integrated: u64,
    shown: watch::Sender<Option<Arc<Holding>>>,
}

impl Integrator {
    /// Finds out what is integrated and replays the records after it; a new tree when tiles are absent or damaged.
    ///
    /// `integrated` is the checkpoint in [`INTEGRATED_FILE`], already verified; `tip` the newest record.
    ///
    /// # Errors
    /// [`IntegrateError`].
    pub fn open(
        dir: &Path,
        reader: Reader,
        tiles: crate::tiles::Tiles,
        tip: Option<&Tip>,
        integrated: Option<(TreeSize, Hash)>,
    ) -> Result<Self, IntegrateError> {
        let tip_size = tip.map_or(TreeSize::new(0), |tip| tip.size);
        if let Some((shown, _)) = integrated.filter(|(shown, _)| *shown > tip_size) {
            return Err(IntegrateError::Behind { found: tip_size, shown });
        }
        let (nodes, start) = match integrated.map(|(size, root)| (size, reopen(&tiles, size, root))) {
            Some((size, Some(nodes))) => (nodes, size),
            Some((_, None)) => {
                tracing::warn!("tiles at the edge of the log are absent or damaged; all tiles are made again");
                (Nodes::empty(tiles), TreeSize::new(0))
            }
            None => (Nodes::empty(tiles), TreeSize::new(0)),
        };
        let head = match start.get() {
            0 => None,
            _ => reader.at(start)?.map(Arc::new),
        };
        let mut integrator = Self {
            nodes: Arc::new(nodes),
            reader,
            integrated_file: dir.join(INTEGRATED_FILE),
            integrated: start.get(),
            shown: watch::Sender::new(head),
        };
        integrator.replay()?;
        if let Some(tip) = tip {
            let computed = root_at(&*integrator.nodes, tip.size)?;
            if computed != tip.root {
                return Err(IntegrateError::Root { size: tip.size, computed, signed: tip.root });
            }
        }
        Ok(integrator)
    }

    /// The nodes of the tree.
    pub fn nodes(&self) -> &Arc<Nodes> {
        &self.nodes
    }

    /// Shows the newest head whose tiles are synced.
    pub fn shown(&self) -> watch::Receiver<Option<Arc<Holding>>> {
        self.shown.subscribe()
    }

    /// Appends the hashes of the recorded leaves that are not integrated yet.
    fn replay(&mut self) -> Result<(), IntegrateError> {
        while let Some((record, _)) = self.reader.record_after(self.nodes.size())? {
            let hashes: Vec<Hash> = record.leaves.chunks(LEAF_BYTES).map(leaf_hash).collect();
            self.nodes.append(&hashes);
            if record.size.get().saturating_sub(self.integrated) >= REPLAY_STEP {
                let Record { size, root, checkpoint, .. } = record;
                self.integrate(&Holding { size, root, checkpoint })?;
            }
        }
        Ok(())
    }

    /// Integrates up to the newest record at once.
    ///
    /// # Errors
    /// [`IntegrateError`].
    pub fn catch_up(&mut self, tip: Option<&Tip>) -> Result<(), IntegrateError> {
        match tip {
            Some(Tip { size, root, checkpoint, .. }) if size.get() > self.integrated => {
                self.integrate(&Holding { size: *size, root: *root, checkpoint: checkpoint.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Integrates what `sequenced` shows, at most once in `every`, until the sequencer is gone.
    ///
    /// # Errors
    /// [`IntegrateError`].
    pub fn run(
        mut self,
        sequenced: &watch::Receiver<Option<Arc<Holding>>>,
        wake: &Receiver<()>,
        every: Duration,
    ) -> Result<(), IntegrateError> {
        let mut last: Option<Instant> = None;
        loop {
            let head = sequenced.borrow().clone();
            let pending = head.filter(|head| head.size.get() > self.integrated);
            let rest = last.map_or(Duration::ZERO, |last| every.saturating_sub(last.elapsed()));
            match pending {
                Some(head) if rest.is_zero() => {
                    self.integrate(&head)?;
                    last = Some(Instant::now());
                }
                pending => {
                    let woken = match pending {
                        // What is pending is written when its time has come.
                        Some(_) => wake.recv_timeout(rest),
                        None => wake.recv().map_err(|_| RecvTimeoutError::Disconnected),
                    };
                    if woken == Err(RecvTimeoutError::Disconnected) {
                        let head = sequenced.borrow().clone();
                        return match head.filter(|head| head.size.get() > self.integrated) {
                            Some(head) => self.integrate(&head),
                            None => Ok(()),
                        };
                    }
                }
            }
        }
    }

    /// Tiles → sync → checkpoint file → show → trim.
    ///
    /// CRASH: until the checkpoint file is renamed the tiles count as not written; they are made again with the same
    /// bytes. A checkpoint is shown only when every tile that it needs is synced.
    fn integrate(&mut self, head: &Holding) -> Result<(), IntegrateError> {
        let (before, after) = (self.integrated, head.size.get());
        let _span = tracing::info_span!("integrate", before, after).entered();
        let mut batch = Batch::default();
        let mut full = Vec::new();
        for (level, count) in tile_rows(after) {
            let old = tile_rows(before).find(|(of, _)| *of == level).map_or(0, |(_, count)| count);
            let kind = TileKind::Hashes { level };
            for (index, width) in grown(old, count) {
                let from = index * TILE_WIDTH;
                let hashes =
                    self.nodes.row(level, from, from + width).ok_or(NodeError::Absent { level, index: from })?;
                self.write(&mut batch, &mut full, kind, (index, width), &hashes_tile(&hashes))?;
            }
        }
        for (index, width) in grown(before, after) {
            let from = index * TILE_WIDTH;
            let leaves = self.reader.leaves(LeafIndex::new(from), TreeSize::new(from + width))?;
            self.write(&mut batch, &mut full, TileKind::Entries, (index, width), &entries_tile(&leaves))?;
        }
        batch.finish()?;
        volume::replace(&self.integrated_file, head.checkpoint.as_bytes())?;
        self.integrated = after;
        self.nodes.trim(head.size);
        self.shown.send_replace(Some(Arc::new(head.clone())));
        for tile in full {
            self.nodes.tiles().remove_partials(&tile)?;
        }
        Ok(())
    }

    fn write(
        &self,
        batch: &mut Batch,
        full: &mut Vec<evidence::merkle::tile::TilePath>,
        kind: TileKind,
        (index, width): (u64, u64),
        bytes: &[u8],
    ) -> Result<(), IntegrateError> {
        let Some(tile) = tile_path(kind, index, width) else {
            return Err(TileError::Damaged { path: format!("{index} of width {width}") }.into());
        };
        self.nodes.tiles().write(batch, &tile, bytes)?;
        if !tile.is_partial() {
            full.push(tile);
        }
        Ok(())
    }
}

/// The nodes of an integrated tree, where its tiles still give its root.
fn reopen(tiles: &crate::tiles::Tiles, size: TreeSize, root: Hash) -> Option<Nodes> {
    let nodes = Nodes::at(tiles.clone(), size).ok()?;
    let computed = root_at(&nodes, size).ok()?;
    (computed == root).then_some(nodes)
}

#[cfg(test)]
mod tests;
