//! What a block of an Ethereum-compatible chain proves about the contract AnchorRegistry.
//!
//! The way down: block hash → [`decode_header`] → state root → [`prove_account`] → storage root →
//! [`prove_slot`] → the log's head. Who says that the block hash is the chain's is another question, and
//! the caller's ([`crate::verify::BlockTrust`]).

use alloy_primitives::keccak256;
use alloy_rlp::Header as RlpHeader;

use crate::ids::{Address, Hash, LogId, Timestamp, TreeSize};

mod trie;

#[cfg(test)]
mod tests;

use trie::trie_value;

/// The place of `mapping(bytes32 => Log) logs` in the contract's storage.
const LOGS_SLOT: u8 = 0;

/// Parent hash, uncles, beneficiary, three roots, bloom, difficulty, number, two gas fields, time, extra data,
/// mix hash and nonce: what every header has. Later forks append (EIP-1559, EIP-4895, EIP-4844, EIP-7685, …).
const HEADER_FIELDS: usize = 15;
/// No fork has made a header longer than this by far.
const MAX_RLP_ITEMS: usize = 64;
const STATE_ROOT: usize = 3;
const NUMBER: usize = 8;
const TIMESTAMP: usize = 11;

/// Why bytes of the chain prove nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EthereumError {
    /// The header is not the RLP of a block header.
    #[error("the block header is malformed")]
    Header,
    /// A node of a proof is not the RLP of a trie node.
    #[error("node {place} of the proof is malformed")]
    Node {
        /// Which, from 0.
        place: usize,
    },
    /// A node of a proof has another hash than its parent (or the root) names.
    #[error("node {place} of the proof is not the one that its parent names")]
    Link {
        /// Which, from 0.
        place: usize,
    },
    /// The proof ends before the value, or shows that there is none.
    #[error("the proof does not reach a value")]
    NoValue,
    /// The proof goes on after the value.
    #[error("the proof goes on after the value")]
    Surplus,
    /// The account is not four fields.
    #[error("the account is malformed")]
    Account,
    /// The slot holds another value.
    #[error("the storage slot holds another value than is stated")]
    SlotValue,
}

/// What a block header says that concerns an anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHeader {
    /// Keccak-256 of the header's RLP: the block hash.
    pub hash: Hash,
    /// The block number.
    pub number: u64,
    /// When the block says that it was made; whole seconds.
    pub time: Timestamp,
    /// The root of the state trie.
    pub state_root: Hash,
}

/// What an account proof says that concerns an anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// The root of the account's storage trie.
    pub storage_root: Hash,
    /// Keccak-256 of the account's code.
    pub code_hash: Hash,
}

/// The first slot of a log: `{address publisher; uint48 size; uint48 seq}`, packed from the low end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadSlot {
    /// Who may publish.
    pub publisher: Address,
    /// How many leaves the anchored head has.
    pub size: TreeSize,
    /// How many heads were anchored.
    pub seq: u64,
}

/// Reads a block header.
///
/// # Errors
/// [`EthereumError::Header`]
pub fn decode_header(rlp: &[u8]) -> Result<BlockHeader, EthereumError> {
    let fields = header_fields(rlp).ok_or(EthereumError::Header)?;
    let integer = |place: usize| fields.get(place).and_then(|field| rlp_integer(field));
    let seconds = integer(TIMESTAMP).ok_or(EthereumError::Header)?;
    let millis = seconds.checked_mul(1000).ok_or(EthereumError::Header)?;
    Ok(BlockHeader {
        hash: Hash::new(keccak256(rlp).0),
        number: integer(NUMBER).ok_or(EthereumError::Header)?,
        time: Timestamp::from_unix_millis(millis).map_err(|_| EthereumError::Header)?,
        state_root: fields
            .get(STATE_ROOT)
            .and_then(|field| Hash::try_from(*field).ok())
            .ok_or(EthereumError::Header)?,
    })
}

/// The fields of a header, if there are as many as a header has.
fn header_fields(rlp: &[u8]) -> Option<Vec<&[u8]>> {
    rlp_strings(rlp).filter(|fields| fields.len() >= HEADER_FIELDS)
}

/// The items of a list of strings that nothing follows.
fn rlp_strings(rlp: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = rlp;
    let mut list = RlpHeader::decode_bytes(&mut rest, true).ok()?;
    let mut items = Vec::new();
    while !list.is_empty() && items.len() < MAX_RLP_ITEMS {
        items.push(RlpHeader::decode_bytes(&mut list, false).ok()?);
    }
    (rest.is_empty() && list.is_empty()).then_some(items)
}

/// A scalar of the yellow paper: big-endian without leading zeros.
fn rlp_integer(bytes: &[u8]) -> Option<u64> {
    if bytes.len() > 8 || bytes.first() == Some(&0) {
        return None;
    }
    Some(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// Proves an account from a state root; `proof` as `eth_getProof` gives `accountProof`.
///
/// # Errors
/// [`EthereumError`], which says where the proof breaks.
pub fn prove_account<N: AsRef<[u8]>>(
    state_root: &Hash,
    address: &Address,
    proof: &[N],
) -> Result<Account, EthereumError> {
    let value = trie_value(state_root, &keccak256(address.as_bytes()).0, proof)?;
    // [nonce, balance, storageRoot, codeHash] (yellow paper, section 4.1).
    match rlp_strings(&value).as_deref() {
        Some([_, _, storage_root, code_hash]) => Ok(Account {
            storage_root: Hash::try_from(*storage_root).map_err(|_| EthereumError::Account)?,
            code_hash: Hash::try_from(*code_hash).map_err(|_| EthereumError::Account)?,
        }),
        _ => Err(EthereumError::Account),
    }
}

/// Proves that a storage slot holds a value that is not zero; `proof` as `eth_getProof` gives `storageProof[].proof`.
///
/// # Errors
/// [`EthereumError`], which says where the proof breaks.
pub fn prove_slot<N: AsRef<[u8]>>(
    storage_root: &Hash,
    slot: &Hash,
    value: &Hash,
    proof: &[N],
) -> Result<(), EthereumError> {
    let found = trie_value(storage_root, &keccak256(slot.as_bytes()).0, proof)?;
    if found == rlp_word(value) { Ok(()) } else { Err(EthereumError::SlotValue) }
}

/// The RLP of a 256-bit integer.
fn rlp_word(word: &Hash) -> Vec<u8> {
    let digits: Vec<u8> = word.as_bytes().iter().copied().skip_while(|byte| *byte == 0).collect();
    alloy_rlp::encode(digits.as_slice())
}

/// The two storage slots of a log: `keccak256(abi.encode(logId, uint256(0)))`, and the next.
///
/// The first holds a [`HeadSlot`], the second the root.
#[must_use]
pub fn head_slots(log_id: &LogId) -> [Hash; 2] {
    let mut preimage = [0; 64];
    let slot = [[0; 31].as_slice(), &[LOGS_SLOT]].concat();
    for (to, from) in preimage.iter_mut().zip(log_id.as_bytes().iter().chain(&slot)) {
        *to = *from;
    }
    let first = keccak256(preimage).0;
    let mut second = first;
    for byte in second.iter_mut().rev() {
        let (sum, carry) = byte.overflowing_add(1);
        *byte = sum;
        if !carry {
            break;
        }
    }
    [Hash::new(first), Hash::new(second)]
}

impl HeadSlot {
    /// Unpacks the word of the first slot.
    #[must_use]
    pub fn unpack(word: &Hash) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, publisher @ ..] = *word.as_bytes();
        Self {
            publisher: Address::new(publisher),
            size: TreeSize::new(u64::from_be_bytes([0, 0, g, h, i, j, k, l])),
            seq: u64::from_be_bytes([0, 0, a, b, c, d, e, f]),
        }
    }
}
