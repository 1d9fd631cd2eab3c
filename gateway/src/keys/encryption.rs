//! The key-encryption key: wraps secrets and blinds patient references.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use evidence::ids::{EventId, SourceId, TenantId};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::secret::Secret;
use super::{KeyError, random, seal};

/// Bytes of a wrapped secret: nonce, 32 bytes, tag.
pub const WRAPPED_LENGTH: usize = 32 + seal::OVERHEAD;

/// Permission bits that no key file may have: anything for others, write and execute for the group.
///
/// The group may read: Kubernetes mounts a Secret as 0440 where an `fsGroup` is set.
const FORBIDDEN_MODE: u32 = 0o037;

/// A key file holds 44 (base64) or 64 (hex) characters; what is longer than this is no key file.
const FILE_LIMIT: u64 = 256;

/// The key that wraps all others; lies in a file (later: is unwrapped by a KMS at start), never in the journal.
///
/// Each wrapped secret gets an AES key of its own, derived from its context, so that the number of secrets wrapped
/// under one key (NIST SP 800-38D section 8.3 allows 2^32 random nonces) never becomes a limit.
#[derive(Clone)]
pub struct KeyEncryptionKey {
    key: Zeroizing<[u8; 32]>,
    index: Zeroizing<[u8; 32]>,
}

/// What a wrapped secret belongs to; part of its key and of its associated data.
#[derive(Debug, Clone, Copy)]
pub enum Context<'a> {
    /// The secret of a patient.
    Patient(&'a BlindIndex),
    /// The secret of one event that names no patient.
    Event(&'a EventId),
}

/// HMAC-SHA-256 of tenant and patient reference: finds a patient's records without naming the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlindIndex([u8; 32]);

/// A wrapped secret as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped(Vec<u8>);

impl KeyEncryptionKey {
    /// Takes 32 bytes as the key.
    ///
    /// # Errors
    /// [`KeyError::Derivation`] is not reached for keys of this length; it stands for HKDF's own limit.
    pub fn new(key: Zeroizing<[u8; 32]>) -> Result<Self, KeyError> {
        let index = seal::derive(&Hkdf::new(None, key.as_slice()), "sealgate/kek/index/v1", &[])?;
        Ok(Self { key, index })
    }

    /// Reads the key from a file that holds 32 bytes in hex or base64 and a line end or none.
    ///
    /// # Errors
    /// The file cannot be read, is open to others, or holds something else.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let unreadable = |source| KeyError::File { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
        if mode & FORBIDDEN_MODE != 0 {
            return Err(KeyError::Mode { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::with_capacity(FILE_LIMIT as usize));
        file.take(FILE_LIMIT).read_to_string(&mut text).map_err(unreadable)?;
        let key = parse_key(text.trim()).ok_or_else(|| KeyError::Malformed { path: path.to_owned() })?;
        Self::new(key)
    }

    /// Makes a new random key and writes it, in hex and durably, to a file that must not exist yet (mode 0600).
    ///
    /// # Errors
    /// The file exists or cannot be written, or there is no randomness.
    pub fn create(path: &Path) -> Result<Self, KeyError> {
        let mut key = Zeroizing::new([0_u8; 32]);
        random::fill(key.as_mut_slice())?;
        let text = Zeroizing::new(hex::encode(key.as_slice()));
        let write = || -> std::io::Result<()> {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            std::fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
        };
        write().map_err(|source| KeyError::File { path: path.to_owned(), source })?;
        Self::new(key)
    }

    /// The key that seals paging cursors; replicas that share this key-encryption key open each other's.
    ///
    /// # Errors
    /// [`KeyError::Derivation`] is not reached for keys of this length.
    pub fn cursor_key(&self) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        seal::derive(&Hkdf::new(None, self.key.as_slice()), "sealgate/kek/cursor/v1", &[])
    }

    /// The blind index of a patient reference (`Patient/x`) of a tenant.
    ///
    /// Input of the HMAC: `u32 BE len(tenant) ‖ tenant ‖ reference`, so that no two pairs meet.
    #[must_use]
    pub fn blind_index(&self, tenant: &TenantId, patient: &str) -> BlindIndex {
        let mut block = Zeroizing::new([0_u8; 64]);
        for (to, from) in block.iter_mut().zip(self.index.iter()) {
            *to = *from;
        }
        // RFC 2104 section 2 pads a shorter key with zeros: the block is that padded key, and cannot have a wrong length.
        let mut mac = <Hmac<Sha256> as hmac::digest::KeyInit>::new((&*block).into());
        let tenant = tenant.as_str().as_bytes();
        mac.update(&length(tenant));
        mac.update(tenant);
        mac.update(patient.as_bytes());
        BlindIndex(mac.finalize().into_bytes().into())
    }

    /// Wraps a secret for its context: AES-256-GCM, associated data = tenant and context.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn wrap(&self, tenant: &TenantId, context: Context<'_>, secret: &Secret) -> Result<Wrapped, KeyError> {
        let associated = associated(tenant, context);
        let key = self.wrapping_key(&associated)?;
        seal::seal(&seal::cipher(&key), secret.bytes(), &associated, "wrapped secret").map(Wrapped)
    }

    /// Unwraps a secret of that context.
    ///
    /// # Errors
    /// [`KeyError::Unauthentic`]: another key, another context, or it was altered.
    pub fn unwrap(&self, tenant: &TenantId, context: Context<'_>, wrapped: &[u8]) -> Result<Secret, KeyError> {
        let associated = associated(tenant, context);
        let key = self.wrapping_key(&associated)?;
        let plain = seal::open(&seal::cipher(&key), wrapped, &associated, "wrapped secret")?;
        let bytes: &[u8; 32] =
            plain.as_slice().try_into().map_err(|_| KeyError::Unauthentic { what: "wrapped secret" })?;
        Ok(Secret::new(Zeroizing::new(*bytes)))
    }

    /// A value that tells this key from others without revealing it; stored with the journal of `source`.
    ///
    /// # Errors
    /// As [`KeyEncryptionKey::new`].
    pub fn check_value(&self, source: &SourceId) -> Result<[u8; 32], KeyError> {
        let secret = Hkdf::new(None, self.key.as_slice());
        seal::derive(&secret, "sealgate/kek/check/v1", &[source.as_bytes().as_slice()]).map(|value| *value)
    }

    fn wrapping_key(&self, associated: &[u8]) -> Result<seal::Key, KeyError> {
        seal::derive(&Hkdf::new(None, self.key.as_slice()), "sealgate/kek/wrap/v1", &[associated])
    }
}

impl std::fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KeyEncryptionKey(withheld)")
    }
}

impl BlindIndex {
    /// The bytes, as they are stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Takes stored bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl Wrapped {
    /// The bytes, as they are stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// `u32 BE len(tenant) ‖ tenant ‖ 'P' or 'E' ‖ blind index or event id`.
fn associated(tenant: &TenantId, context: Context<'_>) -> Vec<u8> {
    let tenant = tenant.as_str().as_bytes();
    let mut bytes = Vec::with_capacity(tenant.len() + 37);
    bytes.extend_from_slice(&length(tenant));
    bytes.extend_from_slice(tenant);
    match context {
        Context::Patient(index) => {
            bytes.push(b'P');
            bytes.extend_from_slice(index.as_bytes());
        }
        Context::Event(id) => {
            bytes.push(b'E');
            bytes.extend_from_slice(id.as_bytes());
        }
    }
    bytes
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()
}

fn parse_key(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0_u8; 32]);
    if text.len() == 64 {
        hex::decode_to_slice(text, key.as_mut_slice()).ok()?;
        return Some(key);
    }
    let decoded = Zeroizing::new(BASE64.decode(text).ok()?);
    *key = decoded.as_slice().try_into().ok()?;
    Some(key)
}
