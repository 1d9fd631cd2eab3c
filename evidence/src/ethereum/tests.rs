#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use alloy_primitives::{B256, Bytes, U256};
use alloy_sol_types::SolValue;
use alloy_trie::nodes::{ExtensionNode, LeafNode, RlpNode};
use alloy_trie::proof::{ProofRetainer, verify_proof};
use alloy_trie::{HashBuilder, Nibbles};
use proptest::prelude::*;

use super::*;

/// A trie over keys (hashed, as in Ethereum's secure tries) with the proof of one of them.
fn trie(entries: &[([u8; 32], Vec<u8>)], target: [u8; 32]) -> (Hash, Vec<Bytes>) {
    let mut sorted: Vec<(Nibbles, &Vec<u8>)> =
        entries.iter().map(|(key, value)| (Nibbles::unpack(keccak256(key)), value)).collect();
    sorted.sort();
    let target = Nibbles::unpack(keccak256(target));
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(vec![target]));
    for (key, value) in sorted {
        builder.add_leaf(key, value);
    }
    let root = builder.root();
    let proof = builder.take_proof_nodes().into_nodes_sorted().into_iter().map(|(_, node)| node).collect();
    (Hash::new(root.0), proof)
}

fn slots(count: u8) -> Vec<([u8; 32], Vec<u8>)> {
    (0..count).map(|n| ([n; 32], rlp_word(&Hash::new([n.wrapping_add(1); 32])))).collect()
}

#[test]
fn a_slot_is_proven_and_every_change_is_noticed() {
    for count in [1, 2, 3, 17, 200] {
        let (root, proof) = trie(&slots(count), [0; 32]);
        let (slot, value) = (Hash::new([0; 32]), Hash::new([1; 32]));
        assert_eq!(prove_slot(&root, &slot, &value, &proof), Ok(()), "{count}");
        assert_eq!(prove_slot(&root, &slot, &Hash::new([2; 32]), &proof), Err(EthereumError::SlotValue));
        assert!(prove_slot(&root, &Hash::new([0xee; 32]), &value, &proof).is_err());
        assert_eq!(prove_slot(&Hash::new([9; 32]), &slot, &value, &proof), Err(EthereumError::Link { place: 0 }));
        assert_eq!(prove_slot(&root, &slot, &value, &proof[..proof.len() - 1]), Err(EthereumError::NoValue));
        let mut longer = proof.clone();
        longer.push(proof[0].clone());
        assert_eq!(prove_slot(&root, &slot, &value, &longer), Err(EthereumError::Surplus));
        for place in 0..proof.len() {
            for bit in [0, 7, 100] {
                let mut bytes = proof[place].to_vec();
                let at = bit % (bytes.len() * 8);
                bytes[at / 8] ^= 1 << (at % 8);
                let mut changed = proof.clone();
                changed[place] = bytes.into();
                assert_eq!(prove_slot(&root, &slot, &value, &changed), Err(EthereumError::Link { place }));
            }
        }
    }
}

#[test]
fn an_account_is_proven_by_its_four_fields() {
    let address = Address::new([0xaa; 20]);
    let (storage_root, code_hash) = (B256::repeat_byte(5), B256::repeat_byte(6));
    let account = account_rlp(3, 7, storage_root, code_hash);
    let mut builder =
        HashBuilder::default().with_proof_retainer(ProofRetainer::new(vec![Nibbles::unpack(keccak256([0xaa; 20]))]));
    builder.add_leaf(Nibbles::unpack(keccak256([0xaa; 20])), &account);
    let root = Hash::new(builder.root().0);
    let proof: Vec<Bytes> = builder.take_proof_nodes().into_nodes_sorted().into_iter().map(|(_, node)| node).collect();
    let proven = prove_account(&root, &address, &proof).unwrap();
    assert_eq!(proven, Account { storage_root: Hash::new(storage_root.0), code_hash: Hash::new(code_hash.0) });
    assert_eq!(prove_account(&root, &Address::new([0xab; 20]), &proof), Err(EthereumError::NoValue));
}

fn account_rlp(nonce: u64, balance: u64, storage_root: B256, code_hash: B256) -> Vec<u8> {
    let mut payload = Vec::new();
    for item in [
        alloy_rlp::encode(nonce),
        alloy_rlp::encode(balance),
        alloy_rlp::encode(storage_root),
        alloy_rlp::encode(code_hash),
    ] {
        payload.extend(item);
    }
    let mut out = Vec::new();
    RlpHeader { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out
}

#[test]
fn a_header_of_every_fork_reads_as_its_authors_do() {
    use alloy_consensus::Header;
    let frontier =
        Header { number: 12_345_678, timestamp: 1_700_000_000, state_root: B256::repeat_byte(7), ..Header::default() };
    let london = Header { base_fee_per_gas: Some(7), ..frontier.clone() };
    let cancun = Header {
        withdrawals_root: Some(B256::ZERO),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        ..london.clone()
    };
    let prague = Header { requests_hash: Some(B256::ZERO), ..cancun.clone() };
    for header in [frontier, london, cancun, prague] {
        let read = decode_header(&alloy_rlp::encode(&header)).unwrap();
        assert_eq!(read.hash, Hash::new(header.hash_slow().0));
        assert_eq!((read.number, read.time.unix_millis()), (12_345_678, 1_700_000_000_000));
        assert_eq!(read.state_root, Hash::new([7; 32]));
    }
}

#[test]
fn what_is_no_header_is_refused() {
    let good = alloy_rlp::encode(alloy_consensus::Header::default());
    for wrong in
        [[].as_slice(), &[0xc0], &[0x80], &good[1..], &good[..good.len() - 1], &[good.as_slice(), &[0]].concat()]
    {
        assert_eq!(decode_header(wrong), Err(EthereumError::Header));
    }
    let late = alloy_consensus::Header { timestamp: u64::MAX, ..Default::default() };
    assert_eq!(decode_header(&alloy_rlp::encode(&late)), Err(EthereumError::Header));
}

#[test]
fn the_slots_of_a_log_are_those_of_the_solidity_layout() {
    let log_id = LogId::new([0x42; 32]);
    let first: U256 = keccak256((B256::repeat_byte(0x42), U256::ZERO).abi_encode()).into();
    let second = first + U256::from(1);
    assert_eq!(head_slots(&log_id), [Hash::new(first.to_be_bytes()), Hash::new(second.to_be_bytes())]);
}

#[test]
fn the_first_slot_is_packed_from_the_low_end() {
    let publisher = U256::from_be_slice(&[0xbb; 20]);
    let word: U256 =
        publisher | U256::from(0x0102_0304_0506_u64) << 160_usize | U256::from(0x0a0b_0c0d_0e0f_u64) << 208_usize;
    let head = HeadSlot::unpack(&Hash::new(word.to_be_bytes()));
    assert_eq!(head.publisher, Address::new([0xbb; 20]));
    assert_eq!(head.size, TreeSize::new(0x0102_0304_0506));
    assert_eq!(head.seq, 0x0a0b_0c0d_0e0f);
}

#[test]
fn a_hostile_proof_is_refused_and_nothing_falls() {
    // Two extensions of 40 nibbles each: together longer than any key.
    let key = Nibbles::from_nibbles([0; 40]);
    let leaf = alloy_rlp::encode(LeafNode::new(key, vec![1; 40]));
    let inner = alloy_rlp::encode(ExtensionNode::new(key, RlpNode::from_rlp(&leaf)));
    let outer = alloy_rlp::encode(ExtensionNode::new(key, RlpNode::from_rlp(&inner)));
    let root = keccak256(&outer).0;
    let proof = [outer, inner, leaf];
    assert!(trie_value(&Hash::new(root), &[0; 32], &proof).is_err());
    let trailing = [proof[0].clone(), vec![0]].concat();
    let root = Hash::new(keccak256(&trailing).0);
    assert_eq!(trie_value(&root, &[0; 32], &[trailing]), Err(EthereumError::Node { place: 0 }));
    assert_eq!(trie_value(&root, &[0; 32], &[[0; 0]; 0]), Err(EthereumError::NoValue));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_walk_agrees_with_alloy(keys in prop::collection::btree_set(any::<u8>(), 1..40), target in any::<u8>()) {
        let entries: Vec<_> = keys.iter().map(|n| ([*n; 32], rlp_word(&Hash::new([n.wrapping_add(1); 32])))).collect();
        let (root, proof) = trie(&entries, [target; 32]);
        let value = trie_value(&root, &keccak256([target; 32]).0, &proof).ok();
        prop_assert_eq!(value.is_some(), keys.contains(&target));
        let path = Nibbles::unpack(keccak256([target; 32]));
        prop_assert!(verify_proof(B256::from(*root.as_bytes()), path, value, &proof).is_ok());
    }

    #[test]
    fn short_values_are_embedded_and_found(values in prop::collection::btree_map(any::<u8>(), 1_u8..0x80, 1..40), target in any::<prop::sample::Index>()) {
        // Keys that differ only in their last bytes make nodes short enough to be embedded in their parents.
        let key = |n: u8| { let mut key = [0; 32]; key[31] = n; key };
        let target = *values.keys().nth(target.index(values.len())).unwrap();
        let path = Nibbles::unpack(key(target));
        let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(vec![path]));
        for (n, value) in &values {
            builder.add_leaf(Nibbles::unpack(key(*n)), &[*value]);
        }
        let root = Hash::new(builder.root().0);
        // Proofs hold the root and the nodes that are named by hash; embedded ones stand in their parents.
        let nodes = builder.take_proof_nodes().into_nodes_sorted().into_iter().map(|(_, node)| node).enumerate();
        let proof: Vec<Bytes> = nodes.filter(|(place, node)| *place == 0 || node.len() >= 32).map(|(_, node)| node).collect();
        prop_assert_eq!(trie_value(&root, &key(target), &proof), Ok(vec![values[&target]]));
    }

    #[test]
    fn no_bytes_make_it_fall(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = decode_header(&bytes);
        let root = Hash::new(keccak256(&bytes).0);
        let _ = trie_value(&root, &[0; 32], &[bytes]);
    }
}
