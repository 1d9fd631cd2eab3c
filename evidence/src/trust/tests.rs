#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::json;

use super::*;

fn vkey(name: &str, kind: KeyKind, seed: u8) -> String {
    crate::note::NoteSigner::from_seed(name, kind, &[seed; 32]).unwrap().verifier().to_string()
}

fn log() -> String {
    vkey("log.example", KeyKind::Ed25519, 1)
}

fn witness(seed: u8) -> String {
    vkey(&format!("w{seed}.example"), KeyKind::CosignatureV1, seed)
}

fn parse(value: &serde_json::Value) -> Result<TrustFile, TrustError> {
    TrustFile::parse(&serde_json::to_vec_pretty(value).unwrap())
}

#[test]
fn the_log_is_enough() {
    let trust = parse(&json!({"v": 1, "origin": "log.example", "log_key": log()})).unwrap();
    assert_eq!(trust, TrustFile::new("log.example".parse().unwrap(), log().parse().unwrap()));
    assert_eq!(trust.clock_skew(), Duration::from_secs(30));
    assert_eq!(TrustFile::parse(trust.to_json().unwrap().as_bytes()).unwrap(), trust);
}

#[test]
fn everything_that_can_be_pinned_reads_back() {
    let trust = parse(&json!({
        "v": 1, "origin": "log.example", "log_key": log(), "clock_skew_seconds": 5,
        "witnesses": {"quorum": 1, "keys": [witness(2), witness(3)]},
        "chains": [{"chain_id": "1", "contract": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "code_hash": "11".repeat(32), "log_id": "22".repeat(32)}, {"chain_id": "5"}],
    }))
    .unwrap();
    assert_eq!(trust.chain(ChainId::new(5)).unwrap().contract, None);
    assert!(trust.chain(ChainId::new(1)).unwrap().contract.is_some());
    assert_eq!(TrustFile::parse(trust.to_json().unwrap().as_bytes()).unwrap(), trust);
}

#[test]
fn what_would_be_misread_is_refused() {
    let base = json!({"v": 1, "origin": "log.example", "log_key": log()});
    let with = |member: &str, value: serde_json::Value| {
        let mut file = base.clone();
        file[member] = value;
        parse(&file).unwrap_err()
    };
    assert!(matches!(with("witness", json!([])), TrustError::Shape { .. }));
    assert!(matches!(with("v", json!(2)), TrustError::Shape { .. }));
    assert!(matches!(with("origin", json!("a b")), TrustError::Shape { .. }));
    assert_eq!(with("log_key", json!(witness(2))), TrustError::LogKey);
    assert_eq!(with("witnesses", json!({"quorum": 1, "keys": [log()]})), TrustError::WitnessKeys);
    assert_eq!(with("witnesses", json!({"quorum": 1, "keys": [witness(2), witness(2)]})), TrustError::WitnessKeys);
    let one_key_two_names = [witness(2), vkey("other.example", KeyKind::CosignatureV1, 2)];
    assert_eq!(with("witnesses", json!({"quorum": 2, "keys": one_key_two_names})), TrustError::WitnessKeys);
    assert_eq!(with("witnesses", json!({"quorum": 2, "keys": [witness(2)]})), TrustError::Quorum);
    assert_eq!(with("witnesses", json!({"quorum": 0, "keys": [witness(2)]})), TrustError::Quorum);
    let twice = json!([{"chain_id": "1"}, {"chain_id": "1"}]);
    assert_eq!(with("chains", twice), TrustError::Chain { chain_id: ChainId::new(1) });
    assert!(matches!(with("chains", json!([{"chain_id": 1}])), TrustError::Shape { .. }));
    let text = format!("{{\"v\":1,\"origin\":\"a\",\"origin\":\"log.example\",\"log_key\":\"{}\"}}", log());
    assert!(matches!(TrustFile::parse(text.as_bytes()), Err(TrustError::Json(_))));
    assert_eq!(TrustFile::parse(&vec![b' '; MAX_TRUST_BYTES + 1]), Err(TrustError::TooLarge));
}
