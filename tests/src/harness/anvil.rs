//! anvil, a real EVM node that finalises quickly.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::fhir;
use super::process::{Part, Running, free_port};
use super::tools::Tools;

/// The secret of the first account that every anvil fills with ether: public knowledge, worthless elsewhere.
pub const FUNDED_KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// A running anvil: a block a second, final after two epochs of one slot.
#[derive(Debug)]
pub struct Anvil {
    /// Its JSON-RPC address.
    pub rpc: String,
    /// Its chain id.
    pub chain_id: u64,
    /// Its process.
    pub process: Running,
    client: reqwest::Client,
}

impl Anvil {
    /// Installs anvil when needed, starts it and waits until it answers. `name` is its log's.
    ///
    /// # Errors
    /// When it cannot be installed, or is not ready within a minute.
    pub async fn start(tools: &Tools, name: &str) -> Result<Self> {
        let program = tools.anvil().await?;
        let port = free_port()?;
        let mut process = Part::new(name, program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--block-time", "1", "--slots-in-an-epoch", "1"])
            .start()?;
        let rpc = format!("http://127.0.0.1:{port}");
        let client = fhir::client()?;
        let chain_id = process
            .ready(Duration::from_secs(60), async |_: &str| {
                let id = call(&client, &rpc, "eth_chainId", &json!([])).await.ok()?;
                u64::from_str_radix(id.as_str()?.strip_prefix("0x")?, 16).ok()
            })
            .await?;
        Ok(Self { rpc, chain_id, process, client })
    }

    /// Calls a JSON-RPC method.
    ///
    /// # Errors
    /// When the node does not answer or answers with an error.
    pub async fn call(&self, method: &str, parameters: &Value) -> Result<Value> {
        call(&self.client, &self.rpc, method, parameters).await
    }
}

/// Calls a JSON-RPC method of any node.
///
/// # Errors
/// When the node does not answer or answers with an error.
pub async fn call(client: &reqwest::Client, rpc: &str, method: &str, parameters: &Value) -> Result<Value> {
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters});
    let mut answer: Value = client.post(rpc).json(&request).send().await?.error_for_status()?.json().await?;
    if let Some(error) = answer.get("error") {
        bail!("{method}: the node answers {error}");
    }
    answer.get_mut("result").map(Value::take).with_context(|| format!("{method}: an answer without a result"))
}
