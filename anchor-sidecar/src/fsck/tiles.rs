//! The tiles that the leaves give, compared with those on disk, one at a time.

use evidence::{
    ids::Hash,
    merkle::{
        CompactRange, leaf_hash,
        tile::{TileKind, TilePath},
    },
};

use super::Report;
use crate::tiles::{TILE_WIDTH, Tiles, entries_tile, hashes_tile, tile_path};

/// Compares every tile of the integrated tree; memory is one tile for each level.
pub(super) struct Comparison<'t> {
    tiles: &'t Tiles,
    integrated: u64,
    leaves: u64,
    rows: Vec<Row>,
    entries: Vec<u8>,
}

/// The tile of one level that is being filled.
#[derive(Default)]
struct Row {
    index: u64,
    hashes: Vec<Hash>,
}

impl<'t> Comparison<'t> {
    /// A comparison with the tiles of a tree of `integrated` leaves.
    pub(super) fn new(tiles: &'t Tiles, integrated: u64) -> Self {
        Self { tiles, integrated, leaves: 0, rows: Vec::new(), entries: Vec::new() }
    }

    /// Takes the next leaf.
    pub(super) fn leaf(&mut self, leaf: &[u8], report: &mut Report) {
        if self.leaves >= self.integrated {
            return;
        }
        self.entries.extend_from_slice(leaf);
        self.leaves += 1;
        if self.leaves.is_multiple_of(TILE_WIDTH) {
            let entries = std::mem::take(&mut self.entries);
            self.compare(TileKind::Entries, self.leaves / TILE_WIDTH - 1, TILE_WIDTH, &entries_tile(&entries), report);
        }
        let mut carry = Some(leaf_hash(leaf));
        let mut level = 0_u8;
        while let Some(hash) = carry.take() {
            let place = usize::from(level);
            if self.rows.len() == place {
                self.rows.push(Row::default());
            }
            let Some(row) = self.rows.get_mut(place) else { return };
            row.hashes.push(hash);
            if width(row) == TILE_WIDTH {
                let (hashes, index) = (std::mem::take(&mut row.hashes), row.index);
                row.index += 1;
                self.compare(TileKind::Hashes { level }, index, TILE_WIDTH, &hashes_tile(&hashes), report);
                let mut range = CompactRange::new();
                // 256 hashes never fill a tree.
                carry = range.append_all(hashes).ok().map(|_| range.root());
            }
            level = level.saturating_add(1);
        }
    }

    /// Compares the partial tiles at the end.
    pub(super) fn finish(self, report: &mut Report) {
        for (row, level) in self.rows.iter().zip(0_u8..) {
            if !row.hashes.is_empty() {
                let bytes = hashes_tile(&row.hashes);
                self.compare(TileKind::Hashes { level }, row.index, width(row), &bytes, report);
            }
        }
        let rest = self.leaves % TILE_WIDTH;
        if rest > 0 {
            let bytes = entries_tile(&self.entries);
            self.compare(TileKind::Entries, self.leaves / TILE_WIDTH, rest, &bytes, report);
        }
    }

    fn compare(&self, kind: TileKind, index: u64, width: u64, expected: &[u8], report: &mut Report) {
        let Some(tile) = tile_path(kind, index, width) else { return };
        report.tiles += 1;
        match std::fs::read(self.tiles.file(&tile)) {
            Ok(found) if found == expected => {}
            Ok(_) => report.find(name(&tile), "differs from what the leaves give"),
            // A partial tile goes when the full one is there; that one was or will be compared.
            Err(error) => report.find(name(&tile), error),
        }
    }
}

fn width(row: &Row) -> u64 {
    u64::try_from(row.hashes.len()).unwrap_or(u64::MAX)
}

fn name(tile: &TilePath) -> String {
    format!("{}/{tile}", crate::tiles::DIR)
}
