//! Who can read the journal: the key-encryption key, the secrets it wraps, and randomness.
//!
//! One random 32-byte secret per patient, made in the transaction of its first use and never derived from a master
//! key, so that deleting its wrapped form is erasure (EVIDENCE.md 2). An event that names no patient has a secret of
//! its own, wrapped beside it. HKDF labels (RFC 5869) separate what a secret is used for:
//!
//! ```text
//! KEK file ─┬─ "sealgate/kek/wrap/v1"  ‖ context → AES-256-GCM key that wraps the secret of that context
//!           ├─ "sealgate/kek/index/v1"           → HMAC-SHA-256 key of the blind index
//!           └─ "sealgate/kek/check/v1" ‖ source  → check value, tells a wrong KEK when the journal is opened
//! secret   ─┬─ "sealgate/salt-key/v1"            → salt key (the input of the salt of a commitment)
//!           ├─ "sealgate/payload-key/v1"         → AES-256-GCM key of payloads
//!           └─ "sealgate/query-key/v1"           → AES-256-GCM key of the query values of a request event
//! ```
//!
//! All randomness of the gateway comes from this module.

mod encryption;
mod random;
mod seal;
mod secret;

pub use encryption::{BlindIndex, Context, KeyEncryptionKey, WRAPPED_LENGTH, Wrapped};
pub use random::fill;
pub use secret::{SaltKey, Secret, SubjectKeys};

/// Why a key could not be read, used or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key file cannot be read or written.
    #[error("key file {path} cannot be used: {source}")]
    File {
        /// The path as configured.
        path: std::path::PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The key file can be read by others than its owner and group, or written by the group.
    #[error(
        "key file {path} has mode {mode:04o}, it must not be open to others (0600, or 0640 where its group must read it)"
    )]
    Mode {
        /// The path as configured.
        path: std::path::PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key file does not hold 32 bytes in hex or base64.
    #[error("key file {path} does not hold 32 bytes in hex or base64")]
    Malformed {
        /// The path as configured.
        path: std::path::PathBuf,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness,
    /// HKDF or AES-GCM refused its input (too long).
    #[error("{what} could not be derived or sealed")]
    Derivation {
        /// What was to be made.
        what: &'static str,
    },
    /// A ciphertext fails its authentication: another key, or it was altered.
    #[error("{what} fails its authentication")]
    Unauthentic {
        /// What was to be opened.
        what: &'static str,
    },
}

#[cfg(test)]
mod tests;
