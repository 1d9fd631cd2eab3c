//! Identifiers, sizes and hashes as types of their own.
//!
//! Every type has exactly one printed form, which is also its JSON form; any other spelling is refused,
//! so that equal things have equal bytes.

mod address;
mod bytes;
mod names;
mod numbers;
mod timestamp;

#[cfg(test)]
mod tests;

pub use address::Address;
pub(crate) use bytes::decode_hex;
pub use bytes::{Commitment, EventId, Hash, LogId, Salt, SourceId};
pub(crate) use names::is_name;
pub use names::{Origin, TenantId};
pub(crate) use numbers::parse_decimal;
pub use numbers::{ChainId, Epoch, LeafIndex, Sequence, TreeSize};
pub use timestamp::Timestamp;

/// Why a text is not the identifier that it should be.
///
/// It names the kind only: the text itself may be anything that a stranger sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not lower-case hexadecimal of the right length.
    #[error("{kind} must be {length} bytes as lower-case hexadecimal")]
    Hex {
        /// What was being read.
        kind: &'static str,
        /// How many bytes it has.
        length: usize,
    },
    /// Not the one decimal form of an integer in range.
    #[error("{kind} must be a decimal integer in range, without sign or leading zero")]
    Decimal {
        /// What was being read.
        kind: &'static str,
    },
    /// Not a lower-case hyphenated UUID.
    #[error("event id must be a lower-case hyphenated UUID")]
    Uuid,
    /// Not an Ethereum address.
    #[error("address must be 0x and 40 hexadecimal digits, lower-case or with an EIP-55 checksum")]
    Address,
    /// Not a UTC time with milliseconds.
    #[error("time must be RFC 3339 in UTC with milliseconds, such as 2026-11-22T16:20:00.123Z")]
    Timestamp,
    /// Not usable as a name.
    #[error("{kind} must have 1 to {limit} bytes and hold neither control characters, spaces nor plus signs")]
    Name {
        /// What was being read.
        kind: &'static str,
        /// The most bytes it may have.
        limit: usize,
    },
}
