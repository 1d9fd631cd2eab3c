#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]
use alloy_primitives::{address, b256};

use super::*;

#[test]
fn the_artefact_is_whole() {
    let artefact = Artefact::embedded().unwrap();
    assert!(artefact.bytecode.len() > artefact.deployed_bytecode.len());
}

#[test]
fn the_abi_is_the_contract_s() {
    let artefact: serde_json::Value = serde_json::from_str(ARTEFACT).unwrap();
    let signature = |name: &str| {
        let function = artefact["abi"].as_array().unwrap().iter().find(|entry| entry["name"] == name).unwrap();
        let inputs = function["inputs"].as_array().unwrap();
        let types: Vec<_> = inputs.iter().map(|input| input["type"].as_str().unwrap()).collect();
        format!("{name}({})", types.join(","))
    };
    assert_eq!(AnchorRegistry::anchorCall::SIGNATURE, signature("anchor"));
    assert_eq!(AnchorRegistry::anchorSignedCall::SIGNATURE, signature("anchorSigned"));
    assert_eq!(AnchorRegistry::registerCall::SIGNATURE, signature("register"));
    assert_eq!(AnchorRegistry::headCall::SIGNATURE, signature("head"));
}

#[test]
fn the_signed_type_is_the_contract_s() {
    assert_eq!(eip712::Head::eip712_encode_type(), "Head(bytes32 logId,uint64 expectedSeq,uint64 size,bytes32 root)");
}

#[test]
fn the_digest_is_bound_to_everything() {
    let anchoring = Anchoring {
        log_id: LogId::new([1; 32]),
        expected_seq: 4,
        head: Head { size: 9.into(), root: Hash::new([2; 32]) },
        proof: vec![Hash::new([3; 32])],
    };
    let contract = Address::repeat_byte(5);
    let digest = anchoring.digest(1, contract);
    let others = [
        anchoring.digest(2, contract),
        anchoring.digest(1, Address::repeat_byte(6)),
        Anchoring { log_id: LogId::new([9; 32]), ..anchoring.clone() }.digest(1, contract),
        Anchoring { expected_seq: 5, ..anchoring.clone() }.digest(1, contract),
        Anchoring { head: Head { size: 10.into(), ..anchoring.head }, ..anchoring.clone() }.digest(1, contract),
        Anchoring { head: Head { root: Hash::new([8; 32]), ..anchoring.head }, ..anchoring.clone() }
            .digest(1, contract),
    ];
    assert!(others.iter().all(|other| *other != digest));
    assert_eq!(Anchoring { proof: Vec::new(), ..anchoring }.digest(1, contract), digest, "the proof is not signed");
}

#[test]
fn the_log_id_is_the_hash_of_six_words() {
    let id = log_id(
        31337,
        address!("5fbdb2315678afecb367f032d93f642f64180aa3"),
        B256::repeat_byte(1),
        B256::repeat_byte(2),
        Address::repeat_byte(3),
        Address::ZERO,
    );
    let mut words = Vec::new();
    words.extend(b256!("0000000000000000000000000000000000000000000000000000000000007a69"));
    words.extend([&[0; 12], address!("5fbdb2315678afecb367f032d93f642f64180aa3").as_slice()].concat());
    words.extend([1; 32]);
    words.extend([2; 32]);
    words.extend([[0; 12].as_slice(), &[3; 20]].concat());
    words.extend([0; 32]);
    assert_eq!(id.as_bytes(), &keccak256(words).0);
}

#[test]
fn a_malformed_head_is_an_error() {
    assert!(head_answer(&Bytes::new()).is_err());
    assert!(head_answer(&Bytes::from(vec![0; 127])).is_err());
    assert!(head_answer(&Bytes::from(vec![0xff; 128])).is_err(), "dirty high bits");
    let head = head_answer(&Bytes::from(vec![0; 128])).unwrap();
    assert_eq!((head.seq, head.head.size.get()), (0, 0));
}
