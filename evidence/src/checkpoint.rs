//! Checkpoints: the signed heads of a log (C2SP tlog-checkpoint).

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::ids::{Hash, IdError, Origin, TreeSize};
use crate::note::{Note, NoteError, NoteSigner, NoteVerifier, VerifiedSignature};

#[cfg(test)]
mod tests;

/// The head of a log: its origin, size and root.
///
/// INVARIANT: it prints and parses as the text of its note, three lines; extension lines are refused, because
/// nobody audits them (C2SP tlog-checkpoint, Note text).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// How many leaves.
    pub size: TreeSize,
    /// The root over them.
    pub root: Hash,
}

/// A checkpoint whose note was signed by a known key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedCheckpoint {
    /// The head.
    pub checkpoint: Checkpoint,
    /// The note that it stands in.
    pub note: Note,
    /// The known keys that signed it, each once.
    pub signatures: Vec<VerifiedSignature>,
}

/// Why a text is no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not exactly three lines.
    #[error("a checkpoint has three lines: origin, size and root")]
    Lines,
    /// The origin or the size is malformed.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The root is not the base64 of 32 bytes.
    #[error("the root must be 32 bytes as base64")]
    Root,
    /// The note is not acceptable.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The note is not signed by the log's key.
    #[error("the checkpoint is not signed by the key of the log")]
    NotByLog,
    /// The checkpoint is of another log.
    #[error("the checkpoint is of the log {found}, not of {expected}")]
    Origin {
        /// The origin that it names.
        found: Origin,
        /// The origin that it should name.
        expected: Origin,
    },
}

impl Checkpoint {
    /// Signs this head with the key of the log.
    ///
    /// # Errors
    /// [`NoteError::KeyKind`] for a key that is no log key.
    pub fn sign(&self, log_key: &NoteSigner) -> Result<Note, NoteError> {
        let mut note = Note::new(self.to_string())?;
        note.sign(log_key)?;
        Ok(note)
    }

    /// Reads a signed checkpoint of a log whose origin and key are known; `witnesses` may be empty.
    ///
    /// # Errors
    /// [`CheckpointError`] where it is malformed, of another log, not signed by the log's key, or where the
    /// signature of the log or of a known witness does not fit.
    pub fn open(
        note: &str,
        origin: &Origin,
        log_key: &NoteVerifier,
        witnesses: &[NoteVerifier],
    ) -> Result<OpenedCheckpoint, CheckpointError> {
        let note = Note::parse(note)?;
        let checkpoint: Self = note.text().parse()?;
        if checkpoint.origin != *origin {
            return Err(CheckpointError::Origin { found: checkpoint.origin, expected: origin.clone() });
        }
        let known: Vec<NoteVerifier> = std::iter::once(log_key).chain(witnesses).cloned().collect();
        let signatures = note.verify(&known)?;
        let log_key_id = log_key.key_id();
        if !signatures.iter().any(|by| by.name == log_key.name() && by.key_id == log_key_id) {
            return Err(CheckpointError::NotByLog);
        }
        Ok(OpenedCheckpoint { checkpoint, note, signatures })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, STANDARD.encode(self.root))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    /// Reads the text of a note, which says nothing about who signed it.
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?.split('\n');
        let (Some(origin), Some(size), Some(root), None) = (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Lines);
        };
        let root = STANDARD.decode(root).map_err(|_| CheckpointError::Root)?;
        Ok(Self {
            origin: origin.parse()?,
            size: size.parse()?,
            root: Hash::try_from(root.as_slice()).map_err(|_| CheckpointError::Root)?,
        })
    }
}
