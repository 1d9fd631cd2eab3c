//! The final anchors on disk, `anchors/<seq>.json`, as the sender writes them: kept for ever, read here only.

use std::{
    io,
    path::{Path, PathBuf},
};

use evidence::{bundle::Anchor, ids::TreeSize};

use crate::volume::VolumeError;

/// Directory of the final anchors inside the log's directory.
pub const DIR: &str = "anchors";

/// Why an anchor cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AnchorFileError {
    /// The disk failed.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The file is no anchor.
    #[error("{path} is no anchor: {source}; run `anchor-sidecar fsck`")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// The final anchors of a log.
#[derive(Debug, Clone)]
pub struct Anchors {
    dir: PathBuf,
}

impl Anchors {
    /// The anchors of the log in `dir`.
    pub fn of_log(dir: &Path) -> Self {
        Self { dir: dir.join(DIR) }
    }

    /// Sequence numbers of the final anchors, ascending.
    ///
    /// # Errors
    /// [`AnchorFileError::Volume`].
    pub fn sequences(&self) -> Result<Vec<u64>, AnchorFileError> {
        let failed = |error| VolumeError::io(&self.dir, error);
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error).into()),
        };
        let mut sequences = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let seq: Option<u64> =
                name.to_str().and_then(|name| name.strip_suffix(".json")).and_then(|seq| seq.parse().ok());
            sequences.extend(seq);
        }
        sequences.sort_unstable();
        Ok(sequences)
    }

    /// One anchor; `None` when there is none of that number.
    ///
    /// # Errors
    /// [`AnchorFileError`].
    pub fn read(&self, seq: u64) -> Result<Option<Anchor>, AnchorFileError> {
        let path = self.dir.join(format!("{seq}.json"));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(VolumeError::io(&path, error).into()),
        };
        let anchor = serde_json::from_str(&text);
        anchor.map(Some).map_err(|source| AnchorFileError::Damaged { path: path.display().to_string(), source })
    }

    /// The newest final anchor.
    ///
    /// # Errors
    /// [`AnchorFileError`].
    pub fn newest(&self) -> Result<Option<Anchor>, AnchorFileError> {
        match self.sequences()?.last() {
            Some(seq) => self.read(*seq),
            None => Ok(None),
        }
    }

    /// The first final anchor whose tree has at least `size` leaves.
    ///
    /// Sizes never shrink from one anchor to the next (the contract checks it), so it is searched by halving.
    ///
    /// # Errors
    /// [`AnchorFileError`].
    pub fn covering(&self, size: TreeSize) -> Result<Option<Anchor>, AnchorFileError> {
        let sequences = self.sequences()?;
        let (mut low, mut high) = (0, sequences.len());
        let mut found = None;
        while low < high {
            let middle = low.midpoint(high);
            let Some(seq) = sequences.get(middle) else { break };
            match self.read(*seq)? {
                Some(anchor) if anchor.size >= size => {
                    found = Some(anchor);
                    high = middle;
                }
                _ => low = middle + 1,
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
