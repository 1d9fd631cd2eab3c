//! Proofs of presence in a Merkle Patricia trie (Ethereum yellow paper, appendix D).
//!
//! The nodes are decoded by alloy-trie; the walk is our own, because alloy-trie 0.9's `verify_proof` must be
//! told the value beforehand, and panics where a hostile proof's extensions add up to more than 64 nibbles.

use alloy_primitives::keccak256;
use alloy_rlp::Decodable;
use alloy_trie::Nibbles;
use alloy_trie::nodes::{RlpNode, TrieNode};

use super::EthereumError;
use crate::ids::Hash;

/// The value that a trie holds under a key of 32 bytes.
///
/// INVARIANT: every node of `proof` is used, and each has the hash that its parent names; so a value comes
/// out only if the trie with this root holds it.
pub(super) fn trie_value<N: AsRef<[u8]>>(root: &Hash, key: &[u8; 32], proof: &[N]) -> Result<Vec<u8>, EthereumError> {
    let path = Nibbles::unpack(key);
    let mut walked = 0;
    let mut expected = *root.as_bytes();
    for (place, bytes) in proof.iter().enumerate() {
        let bytes = bytes.as_ref();
        if keccak256(bytes).0 != expected {
            return Err(EthereumError::Link { place });
        }
        match descend(decode(bytes, place)?, &path, &mut walked, place)? {
            Step::Value(value) if place + 1 == proof.len() => return Ok(value),
            Step::Value(_) => return Err(EthereumError::Surplus),
            Step::Next(hash) => expected = hash,
        }
    }
    Err(EthereumError::NoValue)
}

enum Step {
    Next([u8; 32]),
    Value(Vec<u8>),
}

/// Goes down from one node of the proof, through the nodes that are embedded in it.
fn descend(mut node: TrieNode, path: &Nibbles, walked: &mut usize, place: usize) -> Result<Step, EthereumError> {
    loop {
        let child = match node {
            TrieNode::EmptyRoot => return Err(EthereumError::NoValue),
            TrieNode::Leaf(leaf) => {
                let whole = advance(path, walked, &leaf.key) && *walked == path.len();
                return if whole { Ok(Step::Value(leaf.value)) } else { Err(EthereumError::NoValue) };
            }
            TrieNode::Extension(extension) => {
                if !advance(path, walked, &extension.key) {
                    return Err(EthereumError::NoValue);
                }
                extension.child
            }
            TrieNode::Branch(branch) => {
                let nibble = path.get(*walked).ok_or(EthereumError::NoValue)?;
                if !branch.state_mask.is_bit_set(nibble) {
                    return Err(EthereumError::NoValue);
                }
                *walked += 1;
                let before = (0..nibble).filter(|other| branch.state_mask.is_bit_set(*other)).count();
                branch.stack.get(before).ok_or(EthereumError::Node { place })?.clone()
            }
        };
        // An embedded node is shorter than its parent, so that this ends.
        match child_hash(&child) {
            Some(hash) => return Ok(Step::Next(hash)),
            None => node = decode(child.as_slice(), place)?,
        }
    }
}

fn child_hash(child: &RlpNode) -> Option<[u8; 32]> {
    child.as_hash().map(|hash| hash.0)
}

/// Follows `key` along `path`, if it leads there.
fn advance(path: &Nibbles, walked: &mut usize, key: &Nibbles) -> bool {
    let leads = (0..key.len()).all(|place| key.get(place) == path.get(*walked + place));
    *walked += key.len();
    leads
}

fn decode(mut bytes: &[u8], place: usize) -> Result<TrieNode, EthereumError> {
    let node = TrieNode::decode(&mut bytes).map_err(|_| EthereumError::Node { place })?;
    if bytes.is_empty() { Ok(node) } else { Err(EthereumError::Node { place }) }
}
