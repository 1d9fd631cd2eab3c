//! Salted commitments to access events (`docs/spec/commitment.md`).
//!
//! A commitment is what leaves the gateway. Whoever lacks the salt learns nothing from it, not even by
//! guessing events; whoever has salt and event can recompute it.

use hkdf::Hkdf;
use sha2::Sha256;
use sha3::{Digest, Keccak256};

use crate::ids::{Commitment, EventId, Salt, TenantId};

#[cfg(test)]
mod tests;

const SALT_LABEL: &[u8] = b"sealgate/salt/v1";
const COMMIT_LABEL: &[u8] = b"sealgate/commit/v1";

/// The salt of an event: `HKDF-SHA-256(ikm = salt key, salt = none, info = "sealgate/salt/v1" ‖ event id)`.
///
/// Deterministic, so that committing to the same event again gives the same leaf. The salt key is a
/// secret of the patient (or of a patientless event); once it is erased the salt cannot be made again.
#[must_use]
pub fn salt(salt_key: &[u8; 32], event: EventId) -> Salt {
    let mut info = [0; SALT_LABEL.len() + EventId::LENGTH];
    for (to, from) in info.iter_mut().zip(SALT_LABEL.iter().chain(event.as_bytes())) {
        *to = *from;
    }
    let mut salt = [0; 32];
    // INVARIANT: HKDF-SHA-256 expands to at most 255 × 32 bytes (RFC 5869 section 2.3); 32 always fit.
    let expanded = Hkdf::<Sha256>::new(None, salt_key).expand(&info, &mut salt);
    debug_assert!(expanded.is_ok(), "32 bytes are within what HKDF-SHA-256 expands to");
    Salt::new(salt)
}

/// The commitment to an event in its canonical form.
///
/// `Keccak-256("sealgate/commit/v1" ‖ 0x00 ‖ u32 BE len(tenant) ‖ tenant ‖ salt ‖ u32 BE len(event) ‖ event)`.
/// The lengths make the parts unambiguous; an event longer than 4 GiB cannot exist
/// ([`crate::event::MAX_EVENT_BYTES`]).
#[must_use]
pub fn commit(tenant: &TenantId, salt: &Salt, canonical_event: &[u8]) -> Commitment {
    let mut hasher = Keccak256::new();
    hasher.update(COMMIT_LABEL);
    hasher.update([0]);
    hasher.update(length(tenant.as_str().as_bytes()));
    hasher.update(tenant.as_str().as_bytes());
    hasher.update(salt.as_bytes());
    hasher.update(length(canonical_event));
    hasher.update(canonical_event);
    Commitment::new(hasher.finalize().into())
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()
}
