#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]
use alloy_primitives::keccak256;

use super::*;

/// The key of the Web3 Secret Storage definition's own examples.
const SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
/// That definition's PBKDF2 example; its password is `testpassword`.
const KEYSTORE: &str = r#"{
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": { "iv": "6087dab2f9fdbbfaddc31a909735c1e6" },
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144, "dklen": 32, "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3
}"#;

fn file(dir: &tempfile::TempDir, name: &str, text: &str) -> std::path::PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn hex_and_keystore_files_hold_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    let password = file(&dir, "password", "testpassword\nnot the password\n");
    let plain = LocalKey::read(&file(&dir, "plain", &format!("{SECRET}\n")), None).unwrap();
    let prefixed = LocalKey::read(&file(&dir, "prefixed", &format!("0x{SECRET}")), None).unwrap();
    let encrypted = LocalKey::read(&file(&dir, "encrypted", KEYSTORE), Some(&password)).unwrap();
    assert_eq!(plain.address(), prefixed.address());
    assert_eq!(plain.address(), encrypted.address());
}

#[test]
fn a_signature_is_recoverable_deterministic_and_low() {
    let key = LocalKey::from_bytes(&[7; 32]).unwrap();
    let digest = keccak256("a head");
    let signature = key.sign(digest).unwrap();
    assert_eq!(signature.recover_address_from_prehash(&digest).unwrap(), key.address());
    assert_eq!(signature, key.sign(digest).unwrap());
    assert!(signature.normalize_s().is_none(), "s is low already");
}

#[test]
fn bad_key_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = file(&dir, "password", "wrong");
    let read = |name: &str, text: &str, password| LocalKey::read(&file(&dir, name, text), password).unwrap_err();
    assert!(matches!(read("short", "abcd", None), SignerError::Form { .. }));
    assert!(matches!(read("words", "not a key", None), SignerError::Form { .. }));
    assert!(matches!(read("zero", &"0".repeat(64), None), SignerError::Key { .. }));
    assert!(matches!(read("order", &"f".repeat(64), None), SignerError::Key { .. }));
    assert!(matches!(read("locked", KEYSTORE, None), SignerError::NoPassword { .. }));
    assert!(matches!(read("locked", KEYSTORE, Some(&wrong)), SignerError::Password { .. }));
    assert!(matches!(LocalKey::read(&dir.path().join("absent"), None), Err(SignerError::File { .. })));
}

#[test]
fn debug_shows_the_address_only() {
    let key = LocalKey::from_bytes(&[7; 32]).unwrap();
    let shown = format!("{key:?}");
    assert!(shown.contains(&key.address().to_string()) && !shown.contains("0707"), "{shown}");
}
