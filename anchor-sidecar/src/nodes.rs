//! The nodes of the tree: its right edge in memory, the rest in tiles.
//!
//! The sequencer appends leaf hashes here before it acknowledges, so that a receipt's proof needs no disk; the
//! integrator writes them into tiles and then trims what the tiles hold.

#[cfg(test)]
mod tests;

use std::sync::{PoisonError, RwLock};

use evidence::{
    ids::{Hash, TreeSize},
    merkle::{
        MerkleError, NodeSource, node_hash,
        tile::{hashes_at, node_in_tile},
    },
};

use crate::tiles::{TILE_WIDTH, TileError, Tiles};

/// Why a node cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The tree does not have it.
    #[error("the tree has no node {index} at level {level}")]
    Absent {
        /// Level; leaves are 0.
        level: u8,
        /// Index in its level.
        index: u64,
    },
    /// The question makes no sense for this tree.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
    /// A tile failed.
    #[error(transparent)]
    Tile(#[from] TileError),
}

/// One level of tile hashes from some tile's start to the edge.
#[derive(Debug, Clone, Default)]
struct Row {
    /// Index of the first hash; a multiple of [`TILE_WIDTH`].
    first: u64,
    hashes: Vec<Hash>,
}

impl Row {
    fn len(&self) -> u64 {
        self.first.saturating_add(u64::try_from(self.hashes.len()).unwrap_or(u64::MAX))
    }

    fn slice(&self, from: u64, to: u64) -> Option<&[Hash]> {
        let start = usize::try_from(from.checked_sub(self.first)?).ok()?;
        let end = usize::try_from(to.checked_sub(self.first)?).ok()?;
        self.hashes.get(start..end)
    }
}

/// The part of the tree that is not yet, or not wholly, in full tiles.
///
/// INVARIANT: row `l` holds every hash of tile level `l` from `first` to its end; `first` lies at the start of a tile
/// and never behind the last partial tile's start.
#[derive(Debug, Clone, Default)]
struct Edge {
    rows: Vec<Row>,
}

impl Edge {
    fn append(&mut self, hash: Hash) {
        let mut carry = Some(hash);
        let mut level = 0;
        while let Some(hash) = carry.take() {
            if self.rows.len() == level {
                self.rows.push(Row::default());
            }
            let Some(row) = self.rows.get_mut(level) else { return };
            row.hashes.push(hash);
            if row.len().is_multiple_of(TILE_WIDTH) {
                let tile = row.len().saturating_sub(TILE_WIDTH);
                carry = row.slice(tile, row.len()).map(subtree);
            }
            level += 1;
        }
    }

    fn size(&self) -> u64 {
        self.rows.first().map_or(0, Row::len)
    }
}

/// Root of a complete subtree over 1, 2, 4, … hashes (RFC 6962 section 2.1).
fn subtree(hashes: &[Hash]) -> Hash {
    match hashes {
        [one] => *one,
        [left, right] => node_hash(left, right),
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            node_hash(&subtree(left), &subtree(right))
        }
    }
}

/// Every node of the log's tree.
#[derive(Debug)]
pub struct Nodes {
    edge: RwLock<Edge>,
    tiles: Tiles,
}

impl Nodes {
    /// An empty tree over a place for tiles.
    pub fn empty(tiles: Tiles) -> Self {
        Self { edge: RwLock::new(Edge::default()), tiles }
    }

    /// The tree of `size` leaves whose tiles are all on disk; only the partial ones are read.
    ///
    /// # Errors
    /// [`TileError`] when a partial tile is absent or damaged.
    pub fn at(tiles: Tiles, size: TreeSize) -> Result<Self, TileError> {
        let mut rows = Vec::new();
        for (level, count) in tile_rows(size.get()) {
            let width = count % TILE_WIDTH;
            let first = count - width;
            let hashes = if width == 0 { Vec::new() } else { tiles.hashes(level, first / TILE_WIDTH, width)? };
            rows.push(Row { first, hashes });
        }
        Ok(Self { edge: RwLock::new(Edge { rows }), tiles })
    }

    /// Appends leaf hashes at the right.
    pub fn append(&self, hashes: &[Hash]) {
        let mut edge = self.edge.write().unwrap_or_else(PoisonError::into_inner);
        for hash in hashes {
            edge.append(*hash);
        }
    }

    /// Leaves that the tree has, in tiles or not.
    pub fn size(&self) -> TreeSize {
        TreeSize::new(self.edge.read().unwrap_or_else(PoisonError::into_inner).size())
    }

    /// Hashes `from..to` of a tile level, from memory; `None` for those that were trimmed.
    pub fn row(&self, level: u8, from: u64, to: u64) -> Option<Vec<Hash>> {
        let edge = self.edge.read().unwrap_or_else(PoisonError::into_inner);
        edge.rows.get(usize::from(level))?.slice(from, to).map(<[Hash]>::to_vec)
    }

    /// Forgets what full tiles of the tree of `size` leaves hold.
    ///
    /// INVARIANT: only called when those tiles are synced.
    pub fn trim(&self, size: TreeSize) {
        let mut edge = self.edge.write().unwrap_or_else(PoisonError::into_inner);
        for ((_, count), row) in tile_rows(size.get()).zip(edge.rows.iter_mut()) {
            let keep = count - count % TILE_WIDTH;
            if let Ok(drop) = usize::try_from(keep.saturating_sub(row.first)) {
                row.hashes.drain(..drop.min(row.hashes.len()));
                row.first = row.first.max(keep);
            }
        }
    }

    /// The place of the tiles.
    pub fn tiles(&self) -> &Tiles {
        &self.tiles
    }
}

impl NodeSource for Nodes {
    type Error = NodeError;

    fn node(&self, level: u8, index: u64) -> Result<Hash, NodeError> {
        let absent = NodeError::Absent { level, index };
        let Ok(range) = node_in_tile(level, index) else { return Err(absent) };
        let (first, count) = (u64::from(range.first), u64::from(range.count));
        let from = range.tile_index.saturating_mul(TILE_WIDTH).saturating_add(first);
        if let Some(hashes) = self.row(range.tile_level, from, from.saturating_add(count)) {
            return Ok(subtree(&hashes));
        }
        // Not at the edge: its tile is full, since the edge keeps every partial one.
        let hashes = self.tiles.hashes(range.tile_level, range.tile_index, TILE_WIDTH)?;
        let start = usize::from(range.first);
        hashes.get(start..start.saturating_add(usize::from(range.count))).map(subtree).ok_or(absent)
    }
}

/// Every tile level of a tree with the number of hashes that it has.
pub fn tile_rows(size: u64) -> impl Iterator<Item = (u8, u64)> {
    (0_u8..8).map(move |level| (level, hashes_at(level, size))).take_while(|(_, count)| *count > 0)
}
