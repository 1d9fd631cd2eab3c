//! The contract as the sidecar sees it: the committed artefact, its calls, its storage.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{Eip712Domain, SolCall, SolStruct, SolValue, eip712_domain, sol};
use evidence::ids::{Hash, LogId};
use serde::Deserialize;

use super::Head;

/// `contracts/AnchorRegistry.json`, which `contracts/check` holds to the source byte for byte.
pub const ARTEFACT: &str = include_str!("../../contracts/AnchorRegistry.json");

sol! {
    /// The ABI, as far as it is called.
    #[allow(missing_docs)]
    interface AnchorRegistry {
        struct StoredHead {
            address publisher;
            uint48 size;
            uint48 seq;
            bytes32 root;
        }

        function register(bytes32 originHash, bytes32 logKeyHash, address publisher, address admin)
            external returns (bytes32 logId);
        function anchor(bytes32 logId, uint64 expectedSeq, uint64 size, bytes32 root, bytes32[] proof) external;
        function anchorSigned(
            bytes32 logId, uint64 expectedSeq, uint64 size, bytes32 root, bytes32[] proof, bytes signature
        ) external;
        function head(bytes32 logId) external view returns (StoredHead);
    }
}

/// The EIP-712 type that a publisher signs where another account pays; its name is part of the signature.
mod eip712 {
    #![allow(missing_docs, unreachable_pub, reason = "written by a macro")]

    alloy_sol_types::sol! {
        struct Head {
            bytes32 logId;
            uint64 expectedSeq;
            uint64 size;
            bytes32 root;
        }
    }
}

/// What the contract stores of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHead {
    /// Who may append; zero once frozen.
    pub publisher: Address,
    /// How many heads were anchored.
    pub seq: u64,
    /// The last of them.
    pub head: Head,
}

/// Why the artefact or an answer of the contract cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The embedded artefact is damaged.
    #[error("the embedded contract artefact is damaged: {0}")]
    Artefact(String),
    /// The contract's answer is not what its ABI says.
    #[error("the contract's answer is malformed: {0}")]
    Answer(String),
}

/// The compiled contract.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artefact {
    /// Keccak-256 of the runtime code: what every deployment must have.
    pub code_hash: B256,
    /// Code of the deploying transaction.
    pub bytecode: Bytes,
    /// The runtime code.
    pub deployed_bytecode: Bytes,
}

impl Artefact {
    /// The embedded artefact.
    ///
    /// # Errors
    /// [`RegistryError::Artefact`].
    pub fn embedded() -> Result<Self, RegistryError> {
        let artefact: Self =
            serde_json::from_str(ARTEFACT).map_err(|error| RegistryError::Artefact(error.to_string()))?;
        if keccak256(&artefact.deployed_bytecode) != artefact.code_hash {
            return Err(RegistryError::Artefact("its code hash is not that of its code".into()));
        }
        Ok(artefact)
    }
}

/// The id that the contract computes at registration:
/// keccak256(abi.encode(chain id, contract, origin hash, log key hash, publisher, admin)).
#[must_use]
pub fn log_id(
    chain_id: u64,
    contract: Address,
    origin_hash: B256,
    log_key_hash: B256,
    publisher: Address,
    admin: Address,
) -> LogId {
    let bound = (U256::from(chain_id), contract, origin_hash, log_key_hash, publisher, admin);
    LogId::new(keccak256(bound.abi_encode()).0)
}

/// Call data of `head`.
#[must_use]
pub fn head_call(log_id: LogId) -> Bytes {
    AnchorRegistry::headCall { logId: B256::from(*log_id.as_bytes()) }.abi_encode().into()
}

/// Reads the answer of `head`.
///
/// # Errors
/// [`RegistryError::Answer`].
pub fn head_answer(answer: &Bytes) -> Result<ChainHead, RegistryError> {
    let stored = AnchorRegistry::headCall::abi_decode_returns_validate(answer)
        .map_err(|error| RegistryError::Answer(error.to_string()))?;
    let head = Head { size: stored.size.to::<u64>().into(), root: Hash::new(stored.root.0) };
    Ok(ChainHead { publisher: stored.publisher, seq: stored.seq.to(), head })
}

/// Call data of `register`.
#[must_use]
pub fn register_call(origin_hash: B256, log_key_hash: B256, publisher: Address, admin: Address) -> Bytes {
    let call = AnchorRegistry::registerCall { originHash: origin_hash, logKeyHash: log_key_hash, publisher, admin };
    call.abi_encode().into()
}

/// A head to be anchored, with all that the contract asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchoring {
    /// The log.
    pub log_id: LogId,
    /// The stored sequence number.
    pub expected_seq: u64,
    /// The new head.
    pub head: Head,
    /// Consistency proof from the stored head.
    pub proof: Vec<Hash>,
}

impl Anchoring {
    /// Call data of `anchor`, for a publisher that pays itself.
    #[must_use]
    pub fn call(&self) -> Bytes {
        AnchorRegistry::anchorCall {
            logId: B256::from(*self.log_id.as_bytes()),
            expectedSeq: self.expected_seq,
            size: self.head.size.get(),
            root: B256::from(*self.head.root.as_bytes()),
            proof: self.proof_words(),
        }
        .abi_encode()
        .into()
    }

    /// Call data of `anchorSigned`, with the publisher's signature over [`Self::digest`].
    #[must_use]
    pub fn signed_call(&self, signature: [u8; 65]) -> Bytes {
        AnchorRegistry::anchorSignedCall {
            logId: B256::from(*self.log_id.as_bytes()),
            expectedSeq: self.expected_seq,
            size: self.head.size.get(),
            root: B256::from(*self.head.root.as_bytes()),
            proof: self.proof_words(),
            signature: signature.to_vec().into(),
        }
        .abi_encode()
        .into()
    }

    /// What the publisher signs (EIP-712; the contract's `headDigest`).
    #[must_use]
    pub fn digest(&self, chain_id: u64, contract: Address) -> B256 {
        let domain: Eip712Domain = eip712_domain! {
            name: "Sealgate AnchorRegistry",
            version: "1",
            chain_id: chain_id,
            verifying_contract: contract,
        };
        let head = eip712::Head {
            logId: B256::from(*self.log_id.as_bytes()),
            expectedSeq: self.expected_seq,
            size: self.head.size.get(),
            root: B256::from(*self.head.root.as_bytes()),
        };
        head.eip712_signing_hash(&domain)
    }

    fn proof_words(&self) -> Vec<B256> {
        self.proof.iter().map(|hash| B256::from(*hash.as_bytes())).collect()
    }
}

#[cfg(test)]
mod tests;
