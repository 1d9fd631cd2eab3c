//! Names that people choose.

use std::fmt;
use std::str::FromStr;

use super::IdError;
use crate::printed::serde_as_printed;

macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $kind:literal, $limit:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The most bytes that it may have.
            pub const LIMIT: usize = $limit;

            /// Accepts a name.
            ///
            /// # Errors
            /// [`IdError::Name`] where it is empty, too long or holds a control character, a space or a plus sign.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                if is_name(&text, $limit) { Ok(Self(text)) } else { Err(IdError::Name { kind: $kind, limit: $limit }) }
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        serde_as_printed!($name);
    };
}

name! {
    /// The origin of a log: the first line of its checkpoints and the name of its key.
    ///
    /// C2SP tlog-checkpoint recommends a URL without scheme; this project requires what a key name
    /// requires (C2SP signed-note), so that one text can be both.
    Origin, "origin", 255
}
name! {
    /// The tenant for which an event was recorded; part of every commitment.
    TenantId, "tenant", 128
}

/// C2SP signed-note, Format: key names are not empty and hold neither Unicode spaces nor plus.
pub(crate) fn is_name(text: &str, limit: usize) -> bool {
    !text.is_empty() && text.len() <= limit && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}
