#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use super::*;

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

#[test]
fn the_salt_is_hkdf_over_key_and_event() {
    // HKDF told by hand (RFC 5869): PRK = HMAC(zeros, key), OKM = HMAC(PRK, info ‖ 0x01).
    let key = [7; 32];
    let event = EventId::new([9; 16]);
    let prk = hmac_sha256(&[0; 32], &key);
    let okm = hmac_sha256(&prk, &[b"sealgate/salt/v1".as_slice(), &[9; 16], &[1]].concat());
    assert_eq!(salt(&key, event), Salt::new(okm));
    assert_ne!(salt(&key, EventId::new([8; 16])), salt(&key, event));
    assert_ne!(salt(&[8; 32], event), salt(&key, event));
}

#[test]
fn the_commitment_is_keccak_over_the_parts_with_their_lengths() {
    let event = br#"{"v":1}"#;
    let by_hand =
        [b"sealgate/commit/v1".as_slice(), &[0], &[0, 0, 0, 10], b"hospital-a", &[5; 32], &[0, 0, 0, 7], event]
            .concat();
    let expected: [u8; 32] = alloy_primitives::keccak256(by_hand).0;
    assert_eq!(commit(&tenant("hospital-a"), &Salt::new([5; 32]), event), Commitment::new(expected));
}

#[test]
fn every_part_matters() {
    let base = commit(&tenant("a"), &Salt::new([1; 32]), b"event");
    assert_ne!(base, commit(&tenant("b"), &Salt::new([1; 32]), b"event"));
    assert_ne!(base, commit(&tenant("a"), &Salt::new([2; 32]), b"event"));
    assert_ne!(base, commit(&tenant("a"), &Salt::new([1; 32]), b"Event"));
}

fn hmac_sha256(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    block[..32].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|b| b ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|b| b ^ 0x5c)).chain_update(inner).finalize().into()
}
