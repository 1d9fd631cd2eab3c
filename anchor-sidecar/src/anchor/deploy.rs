//! One-off transactions of an operator: deploying the contract and registering a log in it.

use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, TxKind, keccak256};
use evidence::ids::LogId;

use super::{
    act::Sent,
    fees::{self, FeePolicy, Market},
    registry::{self, Artefact, ChainHead, RegistryError},
    signer::{DigestSigner, SignerError},
    transaction::Unsigned,
};
use crate::rpc::{At, Receipt, Rpc, RpcError};

/// Why the contract was not deployed or the log not registered.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The node.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The artefact or the contract's answer.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The key.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The node did not take the transaction.
    #[error("the node did not take the transaction: {0}")]
    NotSent(RpcError),
    /// It was not mined in time; it may be later.
    #[error("transaction {0} is not mined yet; look for it before trying again")]
    NotMined(B256),
    /// It was mined and failed.
    #[error("transaction {0} failed in the contract")]
    Failed(B256),
    /// The ceiling is below what the chain asks.
    #[error("the fee ceiling lies below what the chain asks at present")]
    TooExpensive,
    /// The node has no block.
    #[error("the node has no block")]
    NoBlock,
    /// The deployed code is not the compiled one.
    #[error("the deployed code has hash {found}, not {expected}")]
    Code {
        /// Hash of what is there.
        found: B256,
        /// Hash of the artefact's code.
        expected: B256,
    },
    /// The contract stores something else than was registered.
    #[error("the contract does not hold the registered log under {0}")]
    NotRegistered(LogId),
}

/// A deployed contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployed {
    /// Its address.
    pub contract: Address,
    /// Hash of its code.
    pub code_hash: B256,
    /// The deploying transaction.
    pub transaction: B256,
    /// Its block.
    pub block_number: u64,
}

/// A registered log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    /// Its id.
    pub log_id: LogId,
    /// The registering transaction; none when it was registered before.
    pub transaction: Option<B256>,
    /// What the contract holds of it.
    pub head: ChainHead,
}

/// What is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registration {
    /// Keccak-256 of the origin line.
    pub origin_hash: B256,
    /// Hash of the log's checkpoint key, as the operator pins it.
    pub log_key_hash: B256,
    /// Who may append.
    pub publisher: Address,
    /// Who may rotate the publisher and freeze the log; zero for nobody.
    pub admin: Address,
}

impl Registration {
    /// The registration of a log by its origin.
    #[must_use]
    pub fn of(origin: &evidence::ids::Origin, log_key_hash: B256, publisher: Address, admin: Address) -> Self {
        Self { origin_hash: keccak256(origin.as_str()), log_key_hash, publisher, admin }
    }

    /// The id that the contract gives it.
    #[must_use]
    pub fn log_id(&self, chain_id: u64, contract: Address) -> LogId {
        registry::log_id(chain_id, contract, self.origin_hash, self.log_key_hash, self.publisher, self.admin)
    }
}

/// Deploys the embedded contract and checks the code that is there afterwards.
///
/// # Errors
/// [`DeployError`].
pub async fn deploy(rpc: &Rpc, signer: &dyn DigestSigner, policy: FeePolicy) -> Result<Deployed, DeployError> {
    let artefact = Artefact::embedded()?;
    let nonce = rpc.nonce(signer.address(), At::Pending).await?;
    let receipt = transact(rpc, signer, policy, nonce, TxKind::Create, artefact.bytecode).await?;
    let contract = signer.address().create(nonce);
    let found = keccak256(rpc.code(contract, At::Latest).await?);
    if found != artefact.code_hash {
        return Err(DeployError::Code { found, expected: artefact.code_hash });
    }
    Ok(Deployed { contract, code_hash: found, transaction: receipt.transaction, block_number: receipt.block_number })
}

/// Registers a log; a log that is registered already is found and left alone.
///
/// # Errors
/// [`DeployError`].
pub async fn register(
    rpc: &Rpc,
    signer: &dyn DigestSigner,
    policy: FeePolicy,
    contract: Address,
    registration: &Registration,
) -> Result<Registered, DeployError> {
    let expected = Artefact::embedded()?.code_hash;
    let found = keccak256(rpc.code(contract, At::Latest).await?);
    if found != expected {
        return Err(DeployError::Code { found, expected });
    }
    let log_id = registration.log_id(rpc.chain_id().await?, contract);
    if let Some(head) = stored(rpc, contract, log_id).await? {
        return Ok(Registered { log_id, transaction: None, head });
    }
    let Registration { origin_hash, log_key_hash, publisher, admin } = *registration;
    let input = registry::register_call(origin_hash, log_key_hash, publisher, admin);
    let nonce = rpc.nonce(signer.address(), At::Pending).await?;
    let receipt = transact(rpc, signer, policy, nonce, TxKind::Call(contract), input).await?;
    let head = stored(rpc, contract, log_id).await?.ok_or(DeployError::NotRegistered(log_id))?;
    Ok(Registered { log_id, transaction: Some(receipt.transaction), head })
}

/// What the contract holds of a log; `None` when it is not registered.
///
/// # Errors
/// [`DeployError`].
pub async fn stored(rpc: &Rpc, contract: Address, log_id: LogId) -> Result<Option<ChainHead>, DeployError> {
    match rpc.eth_call(contract, &registry::head_call(log_id), At::Latest).await {
        Ok(answer) => Ok(Some(registry::head_answer(&answer)?)),
        Err(RpcError::Refused { refusal: crate::rpc::Refusal::Reverted, .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Sends one transaction and waits two minutes for its receipt.
async fn transact(
    rpc: &Rpc,
    signer: &dyn DigestSigner,
    policy: FeePolicy,
    nonce: u64,
    to: TxKind,
    input: Bytes,
) -> Result<Receipt, DeployError> {
    let tip = rpc.block(At::Latest).await?.ok_or(DeployError::NoBlock)?;
    let market = match tip.base_fee {
        Some(base_fee) => Market::Dynamic { base_fee, tip: rpc.suggested_tip().await? },
        None => Market::Legacy { price: rpc.gas_price().await? },
    };
    let fees = fees::first(market, policy).ok_or(DeployError::TooExpensive)?;
    let gas = rpc.estimate_gas(signer.address(), to.to().copied(), &input).await?;
    let gas_limit = gas.saturating_add(gas / 5);
    let chain_id = rpc.chain_id().await?;
    let (hash, raw) = Unsigned { chain_id, nonce, gas_limit, fees, to, input }.sign(signer)?;
    if let Err(refused) = rpc.send_raw(&raw).await
        && !matches!(Sent::of(&Err(refused.clone())), Sent::Accepted | Sent::Unclear)
    {
        return Err(DeployError::NotSent(refused));
    }
    for _ in 0..480 {
        if let Some(receipt) = rpc.receipt(hash).await? {
            return if receipt.succeeded { Ok(receipt) } else { Err(DeployError::Failed(hash)) };
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Err(DeployError::NotMined(hash))
}
