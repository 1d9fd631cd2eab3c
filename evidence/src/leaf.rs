//! The leaves of the log (`docs/spec/log.md`).

use std::fmt;
use std::str::FromStr;

use crate::ids::{Commitment, Epoch, Hash, IdError, Sequence, SourceId, decode_hex};
use crate::merkle::leaf_hash;
use crate::printed::serde_as_printed;

#[cfg(test)]
mod tests;

/// How many bytes a leaf has.
pub const LEAF_BYTES: usize = 62;

const VERSION: u8 = 1;
/// Keccak-256 commitments in an RFC 6962 tree with SHA-256.
const ALGORITHM: u8 = 1;

/// One entry of the log: where an event stands in its source, and the commitment to it.
///
/// INVARIANT: nothing in it names a time, a user, a patient or a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Leaf {
    /// The journal that recorded the event.
    pub source: SourceId,
    /// The journal's epoch.
    pub epoch: Epoch,
    /// The event's place in that epoch.
    pub sequence: Sequence,
    /// The commitment to the event.
    pub commitment: Commitment,
}

/// Why bytes are not a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Not [`LEAF_BYTES`] long.
    #[error("a leaf has {LEAF_BYTES} bytes")]
    Length,
    /// Of a version that this program does not know.
    #[error("leaf version {version} is unknown")]
    Version {
        /// The version found.
        version: u8,
    },
    /// Of an algorithm that this program does not know.
    #[error("leaf algorithm {algorithm} is unknown")]
    Algorithm {
        /// The algorithm found.
        algorithm: u8,
    },
    /// Not hexadecimal.
    #[error(transparent)]
    Hex(#[from] IdError),
}

impl Leaf {
    /// The bytes: `version ‖ algorithm ‖ source (16) ‖ epoch (u32 BE) ‖ sequence (u64 BE) ‖ commitment (32)`.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; LEAF_BYTES] {
        let mut bytes = [0; LEAF_BYTES];
        let parts = [VERSION, ALGORITHM]
            .into_iter()
            .chain(*self.source.as_bytes())
            .chain(self.epoch.get().to_be_bytes())
            .chain(self.sequence.get().to_be_bytes())
            .chain(*self.commitment.as_bytes());
        for (to, from) in bytes.iter_mut().zip(parts) {
            *to = from;
        }
        bytes
    }

    /// Reads the bytes of a leaf.
    ///
    /// # Errors
    /// [`LeafError`] where the length, version or algorithm is another.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LeafError> {
        let bytes: &[u8; LEAF_BYTES] = bytes.try_into().map_err(|_| LeafError::Length)?;
        let ([version, algorithm], rest) = bytes.split_first_chunk::<2>().ok_or(LeafError::Length)?;
        if *version != VERSION {
            return Err(LeafError::Version { version: *version });
        }
        if *algorithm != ALGORITHM {
            return Err(LeafError::Algorithm { algorithm: *algorithm });
        }
        let (source, rest) = rest.split_first_chunk::<16>().ok_or(LeafError::Length)?;
        let (epoch, rest) = rest.split_first_chunk::<4>().ok_or(LeafError::Length)?;
        let (sequence, rest) = rest.split_first_chunk::<8>().ok_or(LeafError::Length)?;
        let commitment = rest.first_chunk::<32>().ok_or(LeafError::Length)?;
        Ok(Self {
            source: SourceId::new(*source),
            epoch: Epoch::new(u32::from_be_bytes(*epoch)),
            sequence: Sequence::new(u64::from_be_bytes(*sequence)),
            commitment: Commitment::new(*commitment),
        })
    }

    /// The hash of this leaf in the tree: `SHA-256(0x00 ‖ leaf)` (RFC 6962 section 2.1).
    #[must_use]
    pub fn hash(&self) -> Hash {
        leaf_hash(&self.to_bytes())
    }
}

/// Prints as lower-case hexadecimal of its bytes.
impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_bytes()))
    }
}

impl FromStr for Leaf {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        Self::from_bytes(&decode_hex::<LEAF_BYTES>("leaf", text)?)
    }
}

serde_as_printed!(Leaf);
