//! secp256k1 keys: where they come from, and what is asked of them.
//!
//! Two roles (EVIDENCE 4): the publisher's key vouches for heads, the gas account's key pays. They may be one. Each signs
//! a 32-byte digest and nothing else, so that a key that lives elsewhere (KMS, web3signer) fits behind the same trait.

use std::{fmt, io::Read as _, path::Path};

use alloy_primitives::{Address, B256, Signature};
use alloy_signer::SignerSync as _;
use alloy_signer_local::PrivateKeySigner;
use zeroize::Zeroizing;

/// Why a key cannot be had or does not sign.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is neither form of key.
    #[error("{path} is neither 64 hex digits nor an encrypted key file (keystore v3)")]
    Form {
        /// The file.
        path: String,
    },
    /// An encrypted key file needs a password.
    #[error("{path} is encrypted, and no password file is given for it")]
    NoPassword {
        /// The file.
        path: String,
    },
    /// The password is wrong, or the file is damaged.
    #[error("{path} cannot be decrypted: the password is wrong or the file is damaged")]
    Password {
        /// The file.
        path: String,
    },
    /// The number is no key of the curve.
    #[error("{path} holds no valid secp256k1 key")]
    Key {
        /// The file.
        path: String,
    },
    /// The key did not sign.
    #[error("the key did not sign: {0}")]
    Sign(String),
}

/// A key that signs digests.
pub trait DigestSigner: fmt::Debug + Send + Sync {
    /// The account of the key.
    fn address(&self) -> Address;

    /// Signs a digest (low s).
    ///
    /// # Errors
    /// [`SignerError::Sign`].
    fn sign(&self, digest: B256) -> Result<Signature, SignerError>;
}

/// A key in this process's memory.
pub struct LocalKey(PrivateKeySigner);

impl LocalKey {
    /// Reads a key file: 64 hex digits (with or without `0x`), or an encrypted key file (keystore v3) whose password is the
    /// first line of `password_file`.
    ///
    /// # Errors
    /// [`SignerError`].
    pub fn read(path: &Path, password_file: Option<&Path>) -> Result<Self, SignerError> {
        let named = path.display().to_string();
        let text = text_of(path)?;
        let text = text.trim();
        if text.starts_with('{') {
            let Some(password_file) = password_file else { return Err(SignerError::NoPassword { path: named }) };
            let password = text_of(password_file)?;
            let password = password.lines().next().unwrap_or_default();
            return PrivateKeySigner::decrypt_keystore(path, password)
                .map(Self)
                .map_err(|_| SignerError::Password { path: named });
        }
        let mut bytes = Zeroizing::new([0_u8; 32]);
        hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), bytes.as_mut_slice())
            .map_err(|_| SignerError::Form { path: named.clone() })?;
        Self::from_bytes(&bytes).ok_or(SignerError::Key { path: named })
    }

    /// A key from its 32 bytes; `None` for a number that is no key.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        PrivateKeySigner::from_slice(bytes).ok().map(Self)
    }
}

impl fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalKey({})", self.0.address())
    }
}

impl DigestSigner for LocalKey {
    fn address(&self) -> Address {
        self.0.address()
    }

    fn sign(&self, digest: B256) -> Result<Signature, SignerError> {
        self.0.sign_hash_sync(&digest).map_err(|error| SignerError::Sign(error.to_string()))
    }
}

/// The text of a small secret file, wiped after use.
fn text_of(path: &Path) -> Result<Zeroizing<String>, SignerError> {
    let failed = |source| SignerError::File { path: path.display().to_string(), source };
    let mut text = Zeroizing::new(String::with_capacity(4096));
    std::fs::File::open(path).map_err(failed)?.take(64 * 1024).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
