//! Identifiers and hashes of fixed length.

use std::fmt;
use std::str::FromStr;

use super::IdError;
use crate::printed::serde_as_printed;

macro_rules! fixed_bytes {
    ($(#[$meta:meta])* $name:ident, $length:literal, $kind:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// How many bytes it has.
            pub const LENGTH: usize = $length;

            /// Wraps the bytes.
            #[must_use]
            pub const fn new(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl From<[u8; $length]> for $name {
            fn from(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = IdError;

            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                bytes.try_into().map(Self).map_err(|_| IdError::Hex { kind: $kind, length: $length })
            }
        }

        serde_as_printed!($name);
    };
}

macro_rules! printed_as_hex {
    ($name:ident, $kind:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                decode_hex($kind, text).map(Self)
            }
        }
    };
}

macro_rules! debug_as_printed {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

fixed_bytes! {
    /// The id of an access event: a UUID, version 7 where this project makes it (RFC 9562 section 5.7).
    EventId, 16, "event id"
}
fixed_bytes! {
    /// The id of a journal, made once with it.
    SourceId, 16, "source id"
}
fixed_bytes! {
    /// A 32-byte hash: a node or root of the tree, a digest, or a hash of the chain.
    Hash, 32, "hash"
}
fixed_bytes! {
    /// A salted commitment to one access event (`docs/spec/commitment.md`).
    Commitment, 32, "commitment"
}
fixed_bytes! {
    /// The name of a log in the contract, computed by the contract at registration.
    LogId, 32, "log id"
}
fixed_bytes! {
    /// The salt of one event's commitment.
    ///
    /// Without it nothing about the event can be told from its commitment, so `Debug` does not show it.
    Salt, 32, "salt"
}

printed_as_hex!(SourceId, "source id");
printed_as_hex!(Hash, "hash");
printed_as_hex!(Commitment, "commitment");
printed_as_hex!(LogId, "log id");
printed_as_hex!(Salt, "salt");

debug_as_printed!(EventId);
debug_as_printed!(SourceId);
debug_as_printed!(Hash);
debug_as_printed!(Commitment);
debug_as_printed!(LogId);

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(…)")
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(uuid::Uuid::from_bytes(self.0).as_hyphenated(), f)
    }
}

impl FromStr for EventId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let uuid = uuid::Uuid::try_parse(text).map_err(|_| IdError::Uuid)?;
        let id = Self(uuid.into_bytes());
        if id.to_string() == text { Ok(id) } else { Err(IdError::Uuid) }
    }
}

impl From<uuid::Uuid> for EventId {
    fn from(uuid: uuid::Uuid) -> Self {
        Self(uuid.into_bytes())
    }
}

/// Reads exactly `N` bytes of lower-case hexadecimal.
pub(crate) fn decode_hex<const N: usize>(kind: &'static str, text: &str) -> Result<[u8; N], IdError> {
    let wrong = IdError::Hex { kind, length: N };
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(wrong);
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| wrong)?;
    Ok(bytes)
}
