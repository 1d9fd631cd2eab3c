//! Serde for types whose JSON form is the text that they print and parse.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};

/// Reads a JSON string and parses it by the type's own `FromStr`.
pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: Display,
{
    deserializer.deserialize_str(Printed(PhantomData))
}

struct Printed<T>(PhantomData<T>);

impl<T> Visitor<'_> for Printed<T>
where
    T: FromStr,
    T::Err: Display,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// Implements `Serialize` by `Display` and `Deserialize` by `FromStr`.
macro_rules! serde_as_printed {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::printed::deserialize(deserializer)
            }
        }
    };
}
pub(crate) use serde_as_printed;

/// A 64-bit integer as a decimal string, for `#[serde(with = "crate::printed::decimal")]`.
///
/// JSON numbers are doubles (RFC 8785 section 3.2.2.3), which hold no more than 53 bits.
pub(crate) mod decimal {
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        super::deserialize::<D, super::Decimal>(deserializer).map(|decimal| decimal.0)
    }
}

/// A `u64` in its one decimal form: digits only, no leading zero.
pub(crate) struct Decimal(pub(crate) u64);

impl FromStr for Decimal {
    type Err = crate::ids::IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        crate::ids::parse_decimal("integer", text).map(Self)
    }
}

/// The version of a format: the number 1, and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VersionOne;

impl serde::Serialize for VersionOne {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(1)
    }
}

impl<'de> serde::Deserialize<'de> for VersionOne {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            _ => Err(de::Error::custom("version is unknown")),
        }
    }
}

/// Bytes of any number, printed as lower-case hexadecimal.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct HexBytes(pub Vec<u8>);

impl Display for HexBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for HexBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HexBytes({self})")
    }
}

impl AsRef<[u8]> for HexBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for HexBytes {
    type Err = crate::ids::IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = crate::ids::IdError::Hex { kind: "bytes", length: text.len() / 2 };
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(wrong);
        }
        hex::decode(text).map(Self).map_err(|_| wrong)
    }
}

serde_as_printed!(HexBytes);
