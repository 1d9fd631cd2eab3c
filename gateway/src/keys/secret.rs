//! A secret of a patient, or of one patientless event, and the keys that it stands for.

use aes_gcm::Aes256Gcm;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{KeyError, random, seal};

/// Thirty-two random bytes: what erasure deletes.
pub struct Secret(Zeroizing<[u8; 32]>);

/// The input of a commitment's salt; whoever has it can open that subject's commitments.
pub struct SaltKey(Zeroizing<[u8; 32]>);

/// The keys of one secret, ready for use.
pub struct SubjectKeys {
    salt: SaltKey,
    payload: Aes256Gcm,
}

impl Secret {
    /// Draws a new secret.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn random() -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        random::fill(bytes.as_mut_slice())?;
        Ok(Self(bytes))
    }

    pub(super) fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Derives the keys of this secret.
    ///
    /// # Errors
    /// [`KeyError::Derivation`] is not reached for keys of this length.
    pub fn keys(&self) -> Result<SubjectKeys, KeyError> {
        let secret = self.extracted();
        let payload = seal::derive(&secret, "sealgate/payload-key/v1", &[])?;
        Ok(SubjectKeys {
            salt: SaltKey(seal::derive(&secret, "sealgate/salt-key/v1", &[])?),
            payload: seal::cipher(&payload),
        })
    }

    /// Seals the query values of a request event under this secret, bound to `associated` (the event id).
    ///
    /// # Errors
    /// There is no randomness.
    pub fn seal_query(&self, query: &str, associated: &[u8]) -> Result<Vec<u8>, KeyError> {
        seal::seal(&self.query_cipher()?, query.as_bytes(), associated, "query")
    }

    /// Opens what [`Secret::seal_query`] made.
    ///
    /// # Errors
    /// [`KeyError::Unauthentic`]: another secret, another event, or it was altered.
    pub fn open_query(&self, sealed: &[u8], associated: &[u8]) -> Result<Zeroizing<String>, KeyError> {
        let plain = seal::open(&self.query_cipher()?, sealed, associated, "query")?;
        let text = std::str::from_utf8(&plain).map_err(|_| KeyError::Unauthentic { what: "query" })?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    fn query_cipher(&self) -> Result<Aes256Gcm, KeyError> {
        seal::derive(&self.extracted(), "sealgate/query-key/v1", &[]).map(|key| seal::cipher(&key))
    }

    fn extracted(&self) -> Hkdf<Sha256> {
        Hkdf::new(None, self.0.as_slice())
    }
}

impl SubjectKeys {
    /// The salt key.
    #[must_use]
    pub fn salt_key(&self) -> &SaltKey {
        &self.salt
    }

    /// Seals a payload, bound to `associated` (its place in the journal and its commitment).
    ///
    /// # Errors
    /// There is no randomness.
    pub fn seal_payload(&self, payload: &[u8], associated: &[u8]) -> Result<Vec<u8>, KeyError> {
        seal::seal(&self.payload, payload, associated, "payload")
    }

    /// Opens what [`SubjectKeys::seal_payload`] made.
    ///
    /// # Errors
    /// [`KeyError::Unauthentic`]: another key, another place, or it was altered.
    pub fn open_payload(&self, sealed: &[u8], associated: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        seal::open(&self.payload, sealed, associated, "payload")
    }
}

impl SaltKey {
    /// The bytes, for the salt of a commitment and nothing else.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(withheld)")
    }
}

impl std::fmt::Debug for SubjectKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SubjectKeys(withheld)")
    }
}
