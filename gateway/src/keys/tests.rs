#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::os::unix::fs::PermissionsExt as _;

use evidence::ids::{EventId, SourceId, TenantId};
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;

fn kek(byte: u8) -> KeyEncryptionKey {
    KeyEncryptionKey::new(Zeroizing::new([byte; 32])).unwrap()
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

#[test]
fn a_key_file_is_hex_or_base64_and_closed_to_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kek");
    let made = KeyEncryptionKey::create(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let check = |key: &KeyEncryptionKey| key.check_value(&SourceId::new([1; 16])).unwrap();
    assert_eq!(check(&KeyEncryptionKey::read(&path).unwrap()), check(&made));
    assert!(matches!(KeyEncryptionKey::create(&path), Err(KeyError::File { .. })), "never overwritten");

    std::fs::write(&path, "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n").unwrap();
    assert_eq!(check(&KeyEncryptionKey::read(&path).unwrap()), check(&kek(7)));
    std::fs::write(&path, "07".repeat(32)).unwrap();
    assert_eq!(check(&KeyEncryptionKey::read(&path).unwrap()), check(&kek(7)));

    for malformed in ["", "07", &"07".repeat(31), &"07".repeat(33), &"zz".repeat(32), "BwcHBwc="] {
        std::fs::write(&path, malformed).unwrap();
        assert!(matches!(KeyEncryptionKey::read(&path), Err(KeyError::Malformed { .. })), "{malformed}");
    }
    std::fs::write(&path, "07".repeat(32)).unwrap();
    for (mode, good) in [(0o400, true), (0o440, true), (0o640, true), (0o644, false), (0o660, false), (0o604, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let read = KeyEncryptionKey::read(&path);
        assert_eq!(read.is_ok(), good, "{mode:o}");
        assert!(good || matches!(read, Err(KeyError::Mode { .. })));
    }
    assert!(matches!(KeyEncryptionKey::read(&directory.path().join("none")), Err(KeyError::File { .. })));
}

#[test]
fn a_secret_is_unwrapped_by_its_key_in_its_context_only() {
    let (index, id) = (BlindIndex::new([3; 32]), EventId::new([4; 16]));
    let secret = Secret::random().unwrap();
    let query = secret.seal_query("name=x", b"id").unwrap();
    let wrapped = kek(1).wrap(&tenant("a"), Context::Patient(&index), &secret).unwrap();
    assert_eq!(wrapped.as_bytes().len(), WRAPPED_LENGTH);
    let again = kek(1).unwrap(&tenant("a"), Context::Patient(&index), wrapped.as_bytes()).unwrap();
    assert_eq!(again.open_query(&query, b"id").unwrap().as_str(), "name=x");
    assert!(again.open_query(&query, b"other").is_err());

    let other = BlindIndex::new([5; 32]);
    let refused = |kek: &KeyEncryptionKey, tenant: &TenantId, context: Context<'_>, bytes: &[u8]| {
        matches!(kek.unwrap(tenant, context, bytes), Err(KeyError::Unauthentic { .. }))
    };
    assert!(refused(&kek(2), &tenant("a"), Context::Patient(&index), wrapped.as_bytes()));
    assert!(refused(&kek(1), &tenant("b"), Context::Patient(&index), wrapped.as_bytes()));
    assert!(refused(&kek(1), &tenant("a"), Context::Patient(&other), wrapped.as_bytes()));
    assert!(refused(&kek(1), &tenant("a"), Context::Event(&id), wrapped.as_bytes()));
    for place in 0..WRAPPED_LENGTH {
        let mut bytes = wrapped.as_bytes().to_vec();
        bytes[place] ^= 1;
        assert!(refused(&kek(1), &tenant("a"), Context::Patient(&index), &bytes), "byte {place}");
        assert!(refused(&kek(1), &tenant("a"), Context::Patient(&index), &bytes[..place]), "length {place}");
    }
}

#[test]
fn blind_indices_tell_tenants_and_patients_apart() {
    let index = |kek: &KeyEncryptionKey, name: &str, patient: &str| kek.blind_index(&tenant(name), patient);
    let one = index(&kek(1), "ab", "Patient/x");
    assert_eq!(one, index(&kek(1), "ab", "Patient/x"));
    let others = [
        index(&kek(2), "ab", "Patient/x"),
        index(&kek(1), "a", "bPatient/x"),
        index(&kek(1), "abP", "atient/x"),
        index(&kek(1), "ab", "Patient/X"),
        index(&kek(1), "ab", "Patient/x1"),
    ];
    assert!(others.iter().all(|other| *other != one));
}

/// Fixed by hand from RFC 5869 and RFC 2104 with another implementation (Python's `hmac`), so that a change of a
/// label or of an encoding, which would make every journal unreadable, cannot pass.
#[test]
fn the_derivations_are_these() {
    let key = kek(7);
    assert_eq!(hex::encode(key.check_value(&SourceId::new([1; 16])).unwrap()), CHECK_VALUE);
    assert_eq!(hex::encode(key.blind_index(&tenant("hospital"), "Patient/x").as_bytes()), BLIND_INDEX);
    let secret = Secret::new(Zeroizing::new([9; 32]));
    assert_eq!(hex::encode(secret.keys().unwrap().salt_key().as_bytes()), SALT_KEY);
    let sealed = hex::decode(QUERY_SEALED).unwrap();
    assert_eq!(secret.open_query(&sealed, &[4; 16]).unwrap().as_str(), "family=Test");
    let payload = hex::decode(PAYLOAD_SEALED).unwrap();
    assert_eq!(secret.keys().unwrap().open_payload(&payload, b"place").unwrap().as_slice(), b"{}");
    let wrapped = hex::decode(WRAPPED).unwrap();
    let opened = key.unwrap(&tenant("hospital"), Context::Event(&EventId::new([4; 16])), &wrapped).unwrap();
    assert_eq!(opened.bytes(), [9; 32]);
}

const CHECK_VALUE: &str = "f51cc336254057acbfca20a5331c7e718885b592948027d00e65b00a633e59d8";
const BLIND_INDEX: &str = "00048663c80c3ad2c47e77eea217a97901c57b4b34489b19f6eb44f37c57fd61";
const SALT_KEY: &str = "7fc8e4af82e8d5cb79d60d3739012c9c098735c4cabce16f02e8e7fb7fdf3c3d";
const QUERY_SEALED: &str = "000102030405060708090a0b5a4bc08f5dc10b7a67e3e9ff5cd5a2ced45cf692cb6d79ff002699";
const PAYLOAD_SEALED: &str = "000102030405060708090a0b9220135e90d4d8c0fad1b7efbbfb6f135887";
const WRAPPED: &str = "000102030405060708090a0b47c23e05fedb673c57027751476a3227a1757397e095df1aa1aa5592cb97d75c04f4fb67f41855ba31e8760ba1362625";

#[test]
fn nothing_secret_prints() {
    let secret = Secret::new(Zeroizing::new([9; 32]));
    let printed = format!("{:?} {:?} {:?}", kek(9), secret, secret.keys().unwrap());
    assert!(!printed.contains('9'), "{printed}");
}

proptest! {
    #[test]
    fn a_payload_opens_as_sealed_and_no_bit_may_change(
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        place in proptest::collection::vec(any::<u8>(), 0..64),
        flip in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let keys = Secret::random().unwrap().keys().unwrap();
        let mut sealed = keys.seal_payload(&payload, &place).unwrap();
        let opened = keys.open_payload(&sealed, &place).unwrap();
        prop_assert_eq!(opened.as_slice(), payload.as_slice());
        let at = flip.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(keys.open_payload(&sealed, &place).is_err());
    }
}
