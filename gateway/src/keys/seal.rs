//! AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce in front: `nonce (12) ‖ ciphertext ‖ tag (16)`.

use aes_gcm::aead::{Aead, AeadInPlace, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{KeyError, random};

/// Bytes of the nonce in front of a ciphertext.
const NONCE: usize = 12;
/// Bytes that sealing adds to a plaintext.
pub(super) const OVERHEAD: usize = NONCE + 16;

/// Thirty-two bytes that are overwritten when dropped.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// Derives the key that `label` and `context` name from an extracted secret (RFC 5869 section 2.3).
pub(super) fn derive(secret: &Hkdf<Sha256>, label: &'static str, context: &[&[u8]]) -> Result<Key, KeyError> {
    let mut key = Key::default();
    let mut info = Vec::with_capacity(context.len() + 1);
    info.push(label.as_bytes());
    info.extend_from_slice(context);
    secret.expand_multi_info(&info, key.as_mut_slice()).map_err(|_| KeyError::Derivation { what: label })?;
    Ok(key)
}

/// The cipher of a key.
pub(super) fn cipher(key: &Key) -> Aes256Gcm {
    Aes256Gcm::new(key.as_slice().into())
}

/// Seals `plaintext`, bound to `associated`.
pub(super) fn seal(
    cipher: &Aes256Gcm,
    plaintext: &[u8],
    associated: &[u8],
    what: &'static str,
) -> Result<Vec<u8>, KeyError> {
    let mut sealed = vec![0_u8; NONCE];
    random::fill(&mut sealed)?;
    sealed.reserve_exact(plaintext.len() + OVERHEAD);
    sealed.extend_from_slice(plaintext);
    let Some((nonce, body)) = sealed.split_at_mut_checked(NONCE) else {
        return Err(KeyError::Derivation { what });
    };
    let tag = cipher
        .encrypt_in_place_detached(Nonce::from_slice(nonce), associated, body)
        .map_err(|_| KeyError::Derivation { what })?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Opens what [`seal`] made under the same key and associated data.
pub(super) fn open(
    cipher: &Aes256Gcm,
    sealed: &[u8],
    associated: &[u8],
    what: &'static str,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let Some((nonce, body)) = sealed.split_at_checked(NONCE) else {
        return Err(KeyError::Unauthentic { what });
    };
    cipher
        .decrypt(Nonce::from_slice(nonce), Payload { msg: body, aad: associated })
        .map(Zeroizing::new)
        .map_err(|_| KeyError::Unauthentic { what })
}
