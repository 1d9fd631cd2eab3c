//! Keys of notes and their text forms.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use sha3::Keccak256;

use super::{MAX_NAME_BYTES, NoteError, NoteSignature};
use crate::ids::{Hash, is_name};
use crate::printed::serde_as_printed;

const SECRET_START: &str = "PRIVATE+KEY+";

/// The first four bytes of `SHA-256(name ‖ 0x0A ‖ type ‖ public key)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(super) [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Notes: Ed25519 over the text (type 0x01). A log's key.
    Ed25519,
    /// Checkpoints that it has seen to be consistent, with the time (type 0x04, cosignature/v1). A witness's key.
    CosignatureV1,
}

impl KeyKind {
    const fn type_byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }

    const fn of_type_byte(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::Ed25519),
            0x04 => Some(Self::CosignatureV1),
            _ => None,
        }
    }
}

/// A public key by its name; prints as a vkey, `<name>+<key id>+<base64(type ‖ public key)>`.
#[derive(Clone, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    kind: KeyKind,
    key: VerifyingKey,
}

impl NoteVerifier {
    /// A key from its 32 bytes (RFC 8032).
    ///
    /// # Errors
    /// [`NoteError::Key`] where the name or the key is not acceptable.
    pub fn new(name: &str, kind: KeyKind, public_key: &[u8; 32]) -> Result<Self, NoteError> {
        let key = VerifyingKey::from_bytes(public_key).map_err(|_| NoteError::Key)?;
        if !is_name(name, MAX_NAME_BYTES) || key.is_weak() {
            return Err(NoteError::Key);
        }
        Ok(Self { name: name.to_owned(), kind, key })
    }

    /// The name of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the key signs.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The key itself (RFC 8032).
    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The id of the key under its name.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(self.name.as_bytes())
            .chain_update([b'\n', self.kind.type_byte()])
            .chain_update(self.key.as_bytes())
            .finalize()
            .into();
        let [a, b, c, d, ..] = digest;
        KeyId([a, b, c, d])
    }

    /// Keccak-256 of the vkey text: the `logKeyHash` that a log's registration in the contract binds.
    #[must_use]
    pub fn vkey_hash(&self) -> Hash {
        Hash::new(Keccak256::digest(self.to_string().as_bytes()).into())
    }

    pub(super) fn matches(&self, signature: &NoteSignature) -> bool {
        self.name == signature.name && self.key_id() == signature.key_id
    }

    /// Nothing where the signature does not fit; else the time of a cosignature.
    pub(super) fn verify(&self, text: &str, signature: &[u8]) -> Option<Option<u64>> {
        match self.kind {
            KeyKind::Ed25519 => {
                let signature = Signature::from_slice(signature).ok()?;
                self.key.verify_strict(text.as_bytes(), &signature).ok()?;
                Some(None)
            }
            KeyKind::CosignatureV1 => {
                let (timestamp, signature) = signature.split_first_chunk::<8>()?;
                let timestamp = u64::from_be_bytes(*timestamp);
                let signature = Signature::from_slice(signature).ok()?;
                if i64::try_from(timestamp).is_err() {
                    return None;
                }
                self.key.verify_strict(cosigned(text, timestamp).as_bytes(), &signature).ok()?;
                Some(Some(timestamp))
            }
        }
    }
}

impl fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}+{}", self.name, self.key_id(), encode(self.kind, self.key.as_bytes()))
    }
}

impl fmt::Debug for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteVerifier({self})")
    }
}

impl FromStr for NoteVerifier {
    type Err = NoteError;

    fn from_str(vkey: &str) -> Result<Self, NoteError> {
        let (name, key_id, kind, key) = decode(vkey)?;
        let verifier = Self::new(name, kind, &key)?;
        if verifier.key_id().to_string() == key_id { Ok(verifier) } else { Err(NoteError::Key) }
    }
}

serde_as_printed!(NoteVerifier);

/// A secret key by its name. `Debug` shows the public key only.
#[derive(Clone)]
pub struct NoteSigner {
    verifier: NoteVerifier,
    key: SigningKey,
}

impl NoteSigner {
    /// A key from its 32-byte seed (RFC 8032 section 5.1.5).
    ///
    /// # Errors
    /// [`NoteError::Key`] where the name is not acceptable.
    pub fn from_seed(name: &str, kind: KeyKind, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(seed);
        let verifier = NoteVerifier::new(name, kind, key.verifying_key().as_bytes())?;
        Ok(Self { verifier, key })
    }

    /// A key from its text, `PRIVATE+KEY+<name>+<key id>+<base64(type ‖ seed)>`.
    ///
    /// # Errors
    /// [`NoteError::Key`] where it is malformed, or the id is not the key's.
    pub fn from_skey(skey: &str) -> Result<Self, NoteError> {
        let (name, key_id, kind, seed) = decode(skey.strip_prefix(SECRET_START).ok_or(NoteError::Key)?)?;
        let signer = Self::from_seed(name, kind, &seed)?;
        if signer.verifier.key_id().to_string() == key_id { Ok(signer) } else { Err(NoteError::Key) }
    }

    /// The text of the secret key: write it nowhere but into a key file.
    #[must_use]
    pub fn to_skey(&self) -> String {
        let NoteVerifier { name, kind, .. } = &self.verifier;
        format!("{SECRET_START}{name}+{}+{}", self.verifier.key_id(), encode(*kind, self.key.as_bytes()))
    }

    /// The public key.
    #[must_use]
    pub const fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }

    pub(super) fn sign(&self, text: &str) -> Result<Vec<u8>, NoteError> {
        self.must_be(KeyKind::Ed25519)?;
        Ok(self.key.sign(text.as_bytes()).to_bytes().to_vec())
    }

    pub(super) fn cosign(&self, text: &str, timestamp: u64) -> Result<Vec<u8>, NoteError> {
        self.must_be(KeyKind::CosignatureV1)?;
        let signature = self.key.sign(cosigned(text, timestamp).as_bytes());
        Ok([timestamp.to_be_bytes().as_slice(), signature.to_bytes().as_slice()].concat())
    }

    fn must_be(&self, kind: KeyKind) -> Result<(), NoteError> {
        if self.verifier.kind == kind { Ok(()) } else { Err(NoteError::KeyKind { name: self.verifier.name.clone() }) }
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteSigner({})", self.verifier)
    }
}

/// C2SP tlog-cosignature, Ed25519 signed message.
fn cosigned(text: &str, timestamp: u64) -> String {
    format!("cosignature/v1\ntime {timestamp}\n{text}")
}

fn encode(kind: KeyKind, key: &[u8; 32]) -> String {
    let mut bytes = vec![kind.type_byte()];
    bytes.extend_from_slice(key);
    STANDARD.encode(bytes)
}

/// `<name>+<key id>+<base64(type ‖ key)>`; base64 may hold plus signs, names and ids cannot.
fn decode(text: &str) -> Result<(&str, &str, KeyKind, [u8; 32]), NoteError> {
    let (name, rest) = text.split_once('+').ok_or(NoteError::Key)?;
    let (key_id, encoded) = rest.split_once('+').ok_or(NoteError::Key)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| NoteError::Key)?;
    let (kind, key) = bytes.split_first().ok_or(NoteError::Key)?;
    let kind = KeyKind::of_type_byte(*kind).ok_or(NoteError::Key)?;
    let key = key.try_into().map_err(|_| NoteError::Key)?;
    Ok((name, key_id, kind, key))
}
