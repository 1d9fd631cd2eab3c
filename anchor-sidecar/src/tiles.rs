//! Tiles as files, in the layout of C2SP tlog-tiles, so that the directory can be served as it is.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use evidence::{
    ids::{Hash, TreeSize},
    leaf::LEAF_BYTES,
    merkle::tile::{self, TileKind, TilePath},
};

use crate::volume::{Batch, VolumeError};

/// Hashes or entries in a full tile.
pub const TILE_WIDTH: u64 = 256;
const _: () = assert!(TILE_WIDTH == tile::TILE_WIDTH as u64);

/// Directory of the tiles inside the log's directory.
pub const DIR: &str = "tiles";

/// Why a tile cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TileError {
    /// It is not there.
    #[error("tile {path} is absent; `anchor-sidecar fsck --rebuild-tiles` makes it again")]
    Absent {
        /// Its path.
        path: String,
    },
    /// It does not hold what its path says.
    #[error("tile {path} is damaged; `anchor-sidecar fsck --rebuild-tiles` makes it again")]
    Damaged {
        /// Its path.
        path: String,
    },
    /// The disk failed.
    #[error(transparent)]
    Volume(#[from] VolumeError),
}

/// The directory with the tiles and the published checkpoint.
#[derive(Debug, Clone)]
pub struct Tiles {
    dir: PathBuf,
}

impl Tiles {
    /// The tiles of the log in `dir`.
    pub fn of_log(dir: &Path) -> Self {
        Self { dir: dir.join(DIR) }
    }

    /// File of the checkpoint that strangers see.
    pub fn checkpoint_file(&self) -> PathBuf {
        self.dir.join("checkpoint")
    }

    /// Directory of all tiles, without the checkpoint.
    pub fn tree(&self) -> PathBuf {
        self.dir.join("tile")
    }

    /// File of a tile.
    pub fn file(&self, tile: &TilePath) -> PathBuf {
        self.dir.join(tile.to_string())
    }

    /// The first `width` hashes of a tile, from the narrowest file that has them.
    ///
    /// # Errors
    /// [`TileError`].
    pub fn hashes(&self, level: u8, index: u64, width: u64) -> Result<Vec<Hash>, TileError> {
        let (path, bytes) = self.read(TileKind::Hashes { level }, index, width)?;
        let wanted = usize::try_from(width).unwrap_or(usize::MAX).saturating_mul(Hash::LENGTH);
        let damaged = || TileError::Damaged { path: path.clone() };
        let bytes = bytes.get(..wanted).ok_or_else(damaged)?;
        bytes.chunks(Hash::LENGTH).map(Hash::try_from).collect::<Result<_, _>>().map_err(|_| damaged())
    }

    /// The first `width` entries of an entries tile, as the file holds them.
    ///
    /// # Errors
    /// [`TileError`].
    pub fn entries(&self, index: u64, width: u64) -> Result<Vec<u8>, TileError> {
        let (path, mut bytes) = self.read(TileKind::Entries, index, width)?;
        let wanted = usize::try_from(width).unwrap_or(usize::MAX).saturating_mul(ENTRY_BYTES);
        if bytes.len() < wanted {
            return Err(TileError::Damaged { path });
        }
        bytes.truncate(wanted);
        Ok(bytes)
    }

    /// Reads the partial tile of this width; else the full one, or a wider partial one, which begin with the same bytes.
    fn read(&self, kind: TileKind, index: u64, width: u64) -> Result<(String, Vec<u8>), TileError> {
        let exact = tile_path(kind, index, width);
        let full = tile_path(kind, index, TILE_WIDTH);
        for tile in [exact, full].into_iter().chain(std::iter::once_with(|| self.wider(kind, index, width))).flatten() {
            let file = self.file(&tile);
            match fs::read(&file) {
                Ok(bytes) => return Ok((tile.to_string(), bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(VolumeError::io(&file, error).into()),
            }
        }
        Err(TileError::Absent { path: exact.map_or_else(String::new, |tile| tile.to_string()) })
    }

    /// The widest partial tile, where it is at least this wide: not every width had a checkpoint of its own.
    fn wider(&self, kind: TileKind, index: u64, width: u64) -> Option<TilePath> {
        let some = self.file(&tile_path(kind, index, width)?);
        let widths =
            fs::read_dir(some.parent()?).ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let widest: u64 = widths.max()?;
        tile_path(kind, index, widest).filter(|_| widest >= width)
    }

    /// Writes a tile; durable when the batch is finished.
    ///
    /// # Errors
    /// [`VolumeError::Io`].
    pub fn write(&self, batch: &mut Batch, tile: &TilePath, bytes: &[u8]) -> Result<(), VolumeError> {
        batch.write(&self.file(tile), bytes)
    }

    /// Removes the partial tiles of a tile that is full and synced; the full one answers for them.
    ///
    /// # Errors
    /// [`VolumeError::Io`].
    pub fn remove_partials(&self, full: &TilePath) -> Result<(), VolumeError> {
        let mut dir = self.file(full).into_os_string();
        dir.push(".p");
        match fs::remove_dir_all(&dir) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(VolumeError::io(Path::new(&dir), error)),
        }
    }
}

/// Bytes of one entry in an entries tile: a big-endian u16 length, then the leaf.
pub const ENTRY_BYTES: usize = LEAF_BYTES + 2;

/// The bytes of an entries tile over leaves that lie one after the other (C2SP tlog-tiles, Log entries).
pub fn entries_tile(leaves: &[u8]) -> Vec<u8> {
    let length = u16::try_from(LEAF_BYTES).unwrap_or(u16::MAX).to_be_bytes();
    leaves.chunks(LEAF_BYTES).flat_map(|leaf| length.iter().chain(leaf).copied()).collect()
}

/// The bytes of a tile of hashes.
pub fn hashes_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// The tiles, by index and width, of a row that grows from `before` to `after` hashes.
pub fn grown(before: u64, after: u64) -> impl Iterator<Item = (u64, u64)> {
    let first = before / TILE_WIDTH;
    let last = after.div_ceil(TILE_WIDTH);
    (first..last)
        .map(move |index| (index, (after - index * TILE_WIDTH).min(TILE_WIDTH)))
        .filter(move |(index, width)| index * TILE_WIDTH + width > before)
}

/// The path of a tile; `None` when there is no such tile.
pub fn tile_path(kind: TileKind, index: u64, width: u64) -> Option<TilePath> {
    TilePath::new(kind, index, u16::try_from(width).ok()?).ok()
}

/// Size that the tree must have for a tile to be whole.
pub fn needed_size(tile: &TilePath) -> Option<TreeSize> {
    let level = match tile.kind() {
        TileKind::Hashes { level } => u32::from(level),
        TileKind::Entries => 0,
    };
    let hashes = tile.index().checked_mul(TILE_WIDTH)?.checked_add(tile.width().into())?;
    hashes.checked_mul(1_u64.checked_shl(level.checked_mul(8)?)?).map(TreeSize::new)
}
