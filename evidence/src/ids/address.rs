//! Ethereum addresses.

use std::fmt;
use std::str::FromStr;

use super::{IdError, decode_hex};
use crate::printed::serde_as_printed;

/// An Ethereum address; prints as `0x` and lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 20]);

impl Address {
    /// Wraps the bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl FromStr for Address {
    type Err = IdError;

    /// Accepts lower-case digits, or mixed case whose checksum is right (EIP-55).
    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text.strip_prefix("0x").ok_or(IdError::Address)?;
        if let Ok(bytes) = decode_hex("address", digits) {
            return Ok(Self(bytes));
        }
        alloy_primitives::Address::parse_checksummed(text, None)
            .map(|address| Self(address.into_array()))
            .map_err(|_| IdError::Address)
    }
}

serde_as_printed!(Address);
