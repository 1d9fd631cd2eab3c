#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::eip2718::Decodable2718 as _;
use alloy_primitives::{Address, keccak256};

use super::*;
use crate::anchor::signer::LocalKey;

#[test]
fn signed_bytes_say_what_was_meant_and_are_the_same_each_time() {
    let key = LocalKey::from_bytes(&[7; 32]).unwrap();
    for fees in [Fees::Dynamic { tip: 2, cap: 9 }, Fees::Legacy { price: 9 }] {
        let unsigned = Unsigned {
            chain_id: 31337,
            nonce: 4,
            gas_limit: 70_000,
            fees,
            to: TxKind::Call(Address::repeat_byte(5)),
            input: Bytes::from(vec![1, 2, 3]),
        };
        let (hash, raw) = unsigned.clone().sign(&key).unwrap();
        assert_eq!((hash, raw.clone()), unsigned.sign(&key).unwrap());
        assert_eq!(hash, keccak256(&raw));
        let read = TxEnvelope::decode_2718(&mut raw.as_ref()).unwrap();
        let signer = read.signature().recover_address_from_prehash(&read.signature_hash());
        assert_eq!(signer.unwrap(), key.address());
        assert_eq!((read.chain_id(), read.nonce(), read.gas_limit()), (Some(31337), 4, 70_000));
        assert_eq!((read.to(), read.value()), (Some(Address::repeat_byte(5)), U256::ZERO));
        assert_eq!((read.max_fee_per_gas(), read.input().as_ref()), (9, [1, 2, 3].as_slice()));
    }
}
