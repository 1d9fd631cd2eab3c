//! The few JSON-RPC methods of an Ethereum node that the sidecar uses, one end point at a time.
//!
//! No redirects, no proxies of the environment, a limit on time and on bytes; every answer is parsed into a type or is an
//! error. URLs often hold keys, so no error and no log line shows one: an end point is named by its number.

mod refusal;
#[cfg(test)]
mod tests;

use std::time::Duration;

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::Url;

pub use refusal::Refusal;

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The node could not be asked, or its answer did not arrive; a sent transaction may have been accepted.
    #[error("{method}: {what}")]
    Transport {
        /// The method.
        method: &'static str,
        /// What went wrong.
        what: String,
    },
    /// The node refused.
    #[error("{method}: refused as {refusal} (code {code}): {message}")]
    Refused {
        /// The method.
        method: &'static str,
        /// JSON-RPC error code.
        code: i64,
        /// What the refusal means.
        refusal: Refusal,
        /// The node's words.
        message: String,
    },
    /// The answer is not what the method gives.
    #[error("{method}: the answer is malformed: {what}")]
    Malformed {
        /// The method.
        method: &'static str,
        /// What is wrong.
        what: String,
    },
}

/// How calls are bounded.
#[derive(Debug, Clone, Copy)]
pub struct RpcLimits {
    /// Longest time for one call.
    pub timeout: Duration,
    /// Largest answer in bytes.
    pub body: usize,
}

impl Default for RpcLimits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), body: 4 << 20 }
    }
}

/// Which block a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The tip of the chain.
    Latest,
    /// The newest block that a restart of the honest majority would not undo.
    Safe,
    /// The newest block that cannot be undone.
    Finalized,
    /// The tip and the node's own pool (for nonces).
    Pending,
    /// A block of the canonical chain by number.
    Number(u64),
    /// One very block (EIP-1898), refused if it is not canonical.
    Hash(B256),
}

impl At {
    fn parameter(self) -> Value {
        match self {
            Self::Latest => json!("latest"),
            Self::Safe => json!("safe"),
            Self::Finalized => json!("finalized"),
            Self::Pending => json!("pending"),
            Self::Number(number) => json!(U64::from(number)),
            Self::Hash(hash) => json!({ "blockHash": hash, "requireCanonical": true }),
        }
    }
}

/// What the sender needs of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRef {
    /// Height.
    pub number: u64,
    /// Hash of the header.
    pub hash: B256,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// Base fee in wei; absent on chains without EIP-1559.
    pub base_fee: Option<u128>,
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Its hash.
    pub transaction: B256,
    /// Block that holds it.
    pub block_hash: B256,
    /// Height of that block.
    pub block_number: u64,
    /// Whether it did what it should (status 1).
    pub succeeded: bool,
    /// Gas used.
    pub gas_used: u64,
}

/// Merkle-Patricia proofs of an account and some of its storage, as `eth_getProof` gives them (EIP-1186); unverified.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountProof {
    /// Nodes from the state root to the account.
    pub account_proof: Vec<Bytes>,
    /// The account's balance.
    pub balance: U256,
    /// Hash of its code.
    pub code_hash: B256,
    /// Its nonce.
    pub nonce: U64,
    /// Root of its storage.
    pub storage_hash: B256,
    /// One for each key asked for, in that order.
    pub storage_proof: Vec<StorageProof>,
}

/// Proof of one storage slot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StorageProof {
    /// The slot.
    pub key: U256,
    /// What it holds.
    pub value: U256,
    /// Nodes from the storage root to the slot.
    pub proof: Vec<Bytes>,
}

/// One end point.
#[derive(Debug, Clone)]
pub struct Rpc {
    client: reqwest::Client,
    url: Url,
    limits: RpcLimits,
    name: String,
}

impl Rpc {
    /// An end point that is named `name` in logs (`rpc 1`), never by its URL.
    ///
    /// # Errors
    /// [`RpcError::Transport`] when TLS cannot be set up.
    pub fn new(name: impl Into<String>, url: Url, limits: RpcLimits) -> Result<Self, RpcError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .connect_timeout(limits.timeout)
            .timeout(limits.timeout)
            .build()
            .map_err(|error| transport("client", &error))?;
        Ok(Self { client, url, limits, name: name.into() })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The chain's id.
    ///
    /// # Errors
    /// [`RpcError`]; so for every method below.
    pub async fn chain_id(&self) -> Result<u64, RpcError> {
        self.call::<U64>("eth_chainId", json!([])).await.map(|id| id.to())
    }

    /// A block; `None` when the node has none there.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn block(&self, at: At) -> Result<Option<BlockRef>, RpcError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Raw {
            number: U64,
            hash: B256,
            timestamp: U64,
            base_fee_per_gas: Option<U256>,
        }
        let (method, parameters) = block_question(at);
        let Some(raw) = self.call::<Option<Raw>>(method, parameters).await? else { return Ok(None) };
        let base_fee = raw.base_fee_per_gas.map(|fee| amount(method, fee)).transpose()?;
        Ok(Some(BlockRef { number: raw.number.to(), hash: raw.hash, timestamp: raw.timestamp.to(), base_fee }))
    }

    /// The header of a block with the hash that the node claims for it; `None` when the node has no such block.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn header(&self, hash: B256) -> Result<Option<Header>, RpcError> {
        self.call("eth_getBlockByHash", json!([hash, false])).await
    }

    /// An account's code.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn code(&self, account: Address, at: At) -> Result<Bytes, RpcError> {
        self.call("eth_getCode", json!([account, at.parameter()])).await
    }

    /// Number of transactions that an account has sent, by `at`.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn nonce(&self, account: Address, at: At) -> Result<u64, RpcError> {
        self.call::<U64>("eth_getTransactionCount", json!([account, at.parameter()])).await.map(|nonce| nonce.to())
    }

    /// An account's balance in wei.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn balance(&self, account: Address, at: At) -> Result<U256, RpcError> {
        self.call("eth_getBalance", json!([account, at.parameter()])).await
    }

    /// What a contract answers, without a transaction.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn eth_call(&self, to: Address, input: &Bytes, at: At) -> Result<Bytes, RpcError> {
        self.call("eth_call", json!([{ "to": to, "input": input }, at.parameter()])).await
    }

    /// Gas that a transaction would need at the tip.
    ///
    /// # Errors
    /// [`RpcError`]; [`Refusal::Reverted`] when it would fail.
    pub async fn estimate_gas(&self, from: Address, to: Option<Address>, input: &Bytes) -> Result<u64, RpcError> {
        let mut call = json!({ "from": from, "input": input });
        if let (Some(to), Some(fields)) = (to, call.as_object_mut()) {
            fields.insert("to".into(), json!(to));
        }
        self.call::<U64>("eth_estimateGas", json!([call])).await.map(|gas| gas.to())
    }

    /// The tip that the node suggests, in wei a gas.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn suggested_tip(&self) -> Result<u128, RpcError> {
        let method = "eth_maxPriorityFeePerGas";
        amount(method, self.call(method, json!([])).await?)
    }

    /// The legacy gas price that the node suggests, in wei a gas.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn gas_price(&self) -> Result<u128, RpcError> {
        amount("eth_gasPrice", self.call("eth_gasPrice", json!([])).await?)
    }

    /// Hands a signed transaction to the node.
    ///
    /// # Errors
    /// [`RpcError`]; after [`RpcError::Transport`] and [`RpcError::Malformed`] it may have been accepted all the same.
    pub async fn send_raw(&self, raw: &Bytes) -> Result<B256, RpcError> {
        self.call("eth_sendRawTransaction", json!([raw])).await
    }

    /// The receipt of a mined transaction; `None` while it is not.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn receipt(&self, transaction: B256) -> Result<Option<Receipt>, RpcError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Raw {
            transaction_hash: B256,
            block_hash: B256,
            block_number: U64,
            status: U64,
            gas_used: U64,
        }
        let method = "eth_getTransactionReceipt";
        let Some(raw) = self.call::<Option<Raw>>(method, json!([transaction])).await? else { return Ok(None) };
        if raw.transaction_hash != transaction {
            return Err(malformed(method, "the receipt of another transaction"));
        }
        Ok(Some(Receipt {
            transaction,
            block_hash: raw.block_hash,
            block_number: raw.block_number.to(),
            succeeded: raw.status.to::<u64>() == 1,
            gas_used: raw.gas_used.to(),
        }))
    }

    /// Whether the node knows a transaction, mined or in its pool.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn knows(&self, transaction: B256) -> Result<bool, RpcError> {
        let known: Option<Value> = self.call("eth_getTransactionByHash", json!([transaction])).await?;
        Ok(known.is_some())
    }

    /// Proofs of an account and storage slots of it.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn proof(&self, account: Address, slots: &[B256], at: At) -> Result<AccountProof, RpcError> {
        self.call("eth_getProof", json!([account, slots, at.parameter()])).await
    }

    async fn call<T: DeserializeOwned>(&self, method: &'static str, parameters: Value) -> Result<T, RpcError> {
        #[derive(Deserialize)]
        struct Answer {
            result: Option<Value>,
            error: Option<Failure>,
        }
        #[derive(Deserialize)]
        struct Failure {
            code: i64,
            #[serde(default)]
            message: String,
        }
        let question = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
        let response =
            self.client.post(self.url.clone()).json(&question).send().await.map_err(|e| transport(method, &e))?;
        let status = response.status();
        let body = bounded(method, response, self.limits.body).await?;
        // Some providers put JSON-RPC errors under HTTP errors: the body is asked first.
        let answer: Answer = serde_json::from_slice(&body).map_err(|error| {
            if status.is_success() {
                malformed(method, &error.to_string())
            } else {
                RpcError::Transport { method, what: format!("HTTP status {}", status.as_u16()) }
            }
        })?;
        if let Some(Failure { code, message }) = answer.error {
            let message: String = message.chars().filter(|c| !c.is_control()).take(200).collect();
            return Err(RpcError::Refused { method, code, refusal: Refusal::of(code, &message), message });
        }
        // `"result": null` is an answer (no such block, no receipt yet).
        serde_json::from_value(answer.result.unwrap_or(Value::Null)).map_err(|e| malformed(method, &e.to_string()))
    }
}

fn block_question(at: At) -> (&'static str, Value) {
    match at {
        At::Hash(hash) => ("eth_getBlockByHash", json!([hash, false])),
        At::Latest | At::Safe | At::Finalized | At::Pending | At::Number(_) => {
            ("eth_getBlockByNumber", json!([at.parameter(), false]))
        }
    }
}

async fn bounded(method: &'static str, mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, RpcError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| transport(method, &error))? {
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(malformed(method, "it is larger than the limit"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An amount of wei a gas; no chain has one beyond 128 bits.
fn amount(method: &'static str, fee: U256) -> Result<u128, RpcError> {
    u128::try_from(fee).map_err(|_| malformed(method, "a fee beyond 128 bits"))
}

fn malformed(method: &'static str, what: &str) -> RpcError {
    RpcError::Malformed { method, what: what.to_owned() }
}

/// Words for a failed exchange that do not hold the URL.
fn transport(method: &'static str, error: &reqwest::Error) -> RpcError {
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else if error.is_body() || error.is_decode() {
        "the answer broke off"
    } else if error.is_builder() {
        "the HTTP client cannot be built"
    } else {
        "the exchange failed"
    };
    RpcError::Transport { method, what: what.to_owned() }
}
