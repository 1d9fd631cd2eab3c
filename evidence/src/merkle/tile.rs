//! Tiles: 256 hashes of one level in one resource (C2SP tlog-tiles).

use std::fmt;
use std::str::FromStr;

use crate::ids::parse_decimal;

/// How many hashes a full tile has.
pub const TILE_WIDTH: u16 = 256;

/// How many levels of the tree one level of tiles spans.
pub const TILE_HEIGHT: u8 = 8;

/// The highest level that a path may name (C2SP tlog-tiles, Merkle Tree).
pub const MAX_TILE_LEVEL: u8 = 63;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Hashes of the tree, `level` × 8 levels above the leaves.
    Hashes {
        /// The level of the tile.
        level: u8,
    },
    /// The entries themselves, each after its length as a big-endian u16.
    Entries,
}

/// The path of a tile: `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    kind: TileKind,
    index: u64,
    width: u16,
}

/// Why a path names no tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// Not of the form that C2SP tlog-tiles fixes.
    #[error("not the path of a tile")]
    Path,
    /// A level over [`MAX_TILE_LEVEL`].
    #[error("a tile's level lies between 0 and {MAX_TILE_LEVEL}")]
    Level,
    /// A width of 0 or over 256.
    #[error("a tile's width lies between 1 and {TILE_WIDTH}")]
    Width,
}

impl TilePath {
    /// The tile `index` of a kind with `width` hashes or entries, 256 where it is full.
    ///
    /// # Errors
    /// [`TileError`] where level or width is out of range.
    pub const fn new(kind: TileKind, index: u64, width: u16) -> Result<Self, TileError> {
        if let TileKind::Hashes { level } = kind
            && level > MAX_TILE_LEVEL
        {
            return Err(TileError::Level);
        }
        if width == 0 || width > TILE_WIDTH {
            return Err(TileError::Width);
        }
        Ok(Self { kind, index, width })
    }

    /// What the tile holds.
    #[must_use]
    pub const fn kind(&self) -> TileKind {
        self.kind
    }

    /// The place of the tile in its level.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or entries the tile has, 1 to 256.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether the tile is not full yet.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.width < TILE_WIDTH
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes { level } => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        let (mut rest, mut groups) = (self.index, Vec::new());
        loop {
            groups.push(rest % 1000);
            rest /= 1000;
            if rest == 0 {
                break;
            }
        }
        for (place, group) in groups.iter().enumerate().rev() {
            if place > 0 {
                write!(f, "x{group:03}/")?;
            } else {
                write!(f, "{group:03}")?;
            }
        }
        if self.is_partial() { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for TilePath {
    type Err = TileError;

    fn from_str(text: &str) -> Result<Self, TileError> {
        let (kind, rest) = text.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or(TileError::Path)?;
        let kind = if kind == "entries" {
            TileKind::Entries
        } else {
            let level = decimal(kind)?;
            TileKind::Hashes { level: u8::try_from(level).map_err(|_| TileError::Level)? }
        };
        let (groups, width) = match rest.split_once(".p/") {
            Some((groups, width)) => (groups, partial_width(width)?),
            None => (rest, TILE_WIDTH),
        };
        let path = Self::new(kind, tile_index(groups)?, width)?;
        // One path for one tile: what prints differently (x000/123) is refused.
        if path.to_string() == text { Ok(path) } else { Err(TileError::Path) }
    }
}

fn decimal(text: &str) -> Result<u64, TileError> {
    parse_decimal("tile", text).map_err(|_| TileError::Path)
}

fn partial_width(text: &str) -> Result<u16, TileError> {
    match u16::try_from(decimal(text)?) {
        Ok(width) if width < TILE_WIDTH => Ok(width),
        _ => Err(TileError::Width),
    }
}

/// `x001/x234/067` is 1234067.
fn tile_index(groups: &str) -> Result<u64, TileError> {
    let mut index = 0_u64;
    for group in groups.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(TileError::Path);
        }
        let group: u64 = digits.parse().map_err(|_| TileError::Path)?;
        index = index.checked_mul(1000).and_then(|index| index.checked_add(group)).ok_or(TileError::Path)?;
    }
    Ok(index)
}

/// Where the hashes below a node of the tree lie: `count` hashes from `first` on in one tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TileRange {
    /// The level of the tile.
    pub tile_level: u8,
    /// The place of the tile in its level.
    pub tile_index: u64,
    /// The first hash, 0 to 255.
    pub first: u16,
    /// How many hashes, a power of two from 1 to 128; their tree's root is the node.
    pub count: u16,
}

/// Where to find the node that is the root of the complete subtree `index` of 2^`level` leaves.
///
/// # Errors
/// [`TileError::Path`] where no tree of 2^64 leaves has such a node.
pub fn node_in_tile(level: u8, index: u64) -> Result<TileRange, TileError> {
    let rise = level % TILE_HEIGHT;
    let hashes = index.checked_shl(u32::from(rise)).ok_or(TileError::Path)?;
    if level >= 64 || hashes >> rise != index || (level > 0 && index >= 1 << (64 - level)) {
        return Err(TileError::Path);
    }
    Ok(TileRange {
        tile_level: level / TILE_HEIGHT,
        tile_index: hashes / u64::from(TILE_WIDTH),
        first: u16::try_from(hashes % u64::from(TILE_WIDTH)).map_err(|_| TileError::Path)?,
        count: 1 << rise,
    })
}

/// How many hashes a level of tiles holds for a tree of `size` leaves.
#[must_use]
pub const fn hashes_at(tile_level: u8, size: u64) -> u64 {
    match size.checked_shr(TILE_HEIGHT as u32 * tile_level as u32) {
        Some(hashes) => hashes,
        None => 0,
    }
}
