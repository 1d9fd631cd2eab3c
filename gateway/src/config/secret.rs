//! Where secrets are; the configuration holds the place and never the secret.

use std::path::PathBuf;

use secrecy::SecretString;
use zeroize::Zeroizing;

/// Most bytes of a secret file.
const MAX_SECRET: u64 = 16 * 1024;

/// The place of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file; white space at its end does not belong to the secret.
    File(PathBuf),
    /// An environment variable, by name.
    Environment(String),
}

/// Why a secret cannot be had; never says what was found.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SecretError {
    /// The file is missing or may not be read.
    #[error("the file cannot be read ({0})")]
    Unreadable(std::io::ErrorKind),
    /// The file is longer than any secret.
    #[error("the file is longer than 16 KiB")]
    TooLong,
    /// The bytes are no text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// Nothing is there.
    #[error("it is empty or not set")]
    Empty,
}

impl SecretSource {
    /// Reads the secret; call it again to see a rotated one.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        let text = match self {
            Self::File(path) => {
                let unreadable = |error: std::io::Error| SecretError::Unreadable(error.kind());
                if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_SECRET {
                    return Err(SecretError::TooLong);
                }
                let bytes = Zeroizing::new(std::fs::read(path).map_err(unreadable)?);
                Zeroizing::new(std::str::from_utf8(&bytes).map_err(|_| SecretError::NotText)?.to_owned())
            }
            Self::Environment(name) => {
                let value = std::env::var_os(name).ok_or(SecretError::Empty)?;
                Zeroizing::new(value.into_string().map_err(|_| SecretError::NotText)?)
            }
        };
        let trimmed = text.trim_end();
        if trimmed.is_empty() { Err(SecretError::Empty) } else { Ok(SecretString::from(trimmed.to_owned())) }
    }
}
