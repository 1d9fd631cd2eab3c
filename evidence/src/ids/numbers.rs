//! Counters and positions. Those of 64 bit are strings in JSON, whose numbers hold only 53.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::IdError;
use crate::printed::serde_as_printed;

macro_rules! number {
    ($(#[$meta:meta])* $name:ident, $inner:ty, $kind:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name($inner);

        impl $name {
            /// Wraps the number.
            #[must_use]
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }

            /// The number that lies `by` further on, or nothing where it would overflow.
            #[must_use]
            pub const fn checked_add(self, by: $inner) -> Option<Self> {
                match self.0.checked_add(by) {
                    Some(value) => Some(Self(value)),
                    None => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let value = parse_decimal($kind, text)?;
                <$inner>::try_from(value).map(Self).map_err(|_| IdError::Decimal { kind: $kind })
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }
    };
}

number! {
    /// The epoch of a source: a restored journal opens the next one. A JSON number.
    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    Epoch, u32, "epoch"
}
number! {
    /// The place of an event in its source and epoch, without gaps; the first is 0.
    Sequence, u64, "sequence"
}
number! {
    /// The place of a leaf in the log; the first is 0.
    LeafIndex, u64, "leaf index"
}
number! {
    /// How many leaves a tree has.
    TreeSize, u64, "tree size"
}
number! {
    /// The id of an Ethereum-compatible chain (EIP-155).
    ChainId, u64, "chain id"
}

serde_as_printed!(Sequence);
serde_as_printed!(LeafIndex);
serde_as_printed!(TreeSize);
serde_as_printed!(ChainId);

/// Reads the one decimal form of a `u64`: digits only, no leading zero.
pub(crate) fn parse_decimal(kind: &'static str, text: &str) -> Result<u64, IdError> {
    let wrong = IdError::Decimal { kind };
    if !text.bytes().all(|byte| byte.is_ascii_digit()) || (text.len() > 1 && text.starts_with('0')) {
        return Err(wrong);
    }
    text.parse().map_err(|_| wrong)
}
