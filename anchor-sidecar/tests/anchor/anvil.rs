//! A real Ethereum node for the tests: anvil, mining only when it is told to.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anchor_sidecar::rpc::{Rpc, RpcLimits};
use serde_json::{Value, json};
use url::Url;

/// Anvil's first well-known account.
pub(crate) const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

pub(crate) struct Anvil {
    child: Child,
    pub(crate) url: Url,
    client: reqwest::Client,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // Only this very child, and it is waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where anvil is: `SEALGATE_ANVIL`, else among the pinned tools that `contracts/check --tools` installs.
#[expect(clippy::disallowed_methods, reason = "a test finds its tools by the environment")]
fn program() -> Option<PathBuf> {
    if let Ok(named) = std::env::var("SEALGATE_ANVIL") {
        return Some(named.into());
    }
    let tools = match std::env::var("SEALGATE_TOOLS") {
        Ok(tools) => PathBuf::from(tools),
        Err(_) => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/tools"),
    };
    let anvil = tools.join("contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil");
    anvil.exists().then_some(anvil)
}

impl Anvil {
    /// Starts a chain with `slots` to an epoch (safe = tip − slots, final = tip − 2 × slots); `None`, loudly, without anvil.
    pub(crate) async fn start(slots: u64, more: &[&str]) -> Option<Self> {
        let Some(program) = program() else {
            eprintln!(
                "SKIPPED, NOT TESTED: no anvil; run anchor-sidecar/contracts/check --tools or set SEALGATE_ANVIL"
            );
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--slots-in-an-epoch", &slots.to_string()])
            .args(["--silent", "--hardfork", "prague"])
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url: Url = format!("http://127.0.0.1:{port}").parse().unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let anvil = Self { child, url, client };
        for _ in 0..200 {
            if anvil.rpc().chain_id().await.is_ok() {
                return Some(anvil);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("anvil did not start");
    }

    pub(crate) fn rpc(&self) -> Rpc {
        Rpc::new("rpc 1", self.url.clone(), RpcLimits::default()).unwrap()
    }

    pub(crate) async fn ask(&self, method: &str, parameters: Value) -> Value {
        let question = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
        let answer: Value =
            self.client.post(self.url.clone()).json(&question).send().await.unwrap().json().await.unwrap();
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Mines `blocks` blocks.
    pub(crate) async fn mine(&self, blocks: u64) {
        for _ in 0..blocks {
            self.ask("evm_mine", json!([])).await;
        }
    }

    pub(crate) async fn automine(&self, on: bool) {
        self.ask("evm_setAutomine", json!([on])).await;
    }

    /// Replaces the last `depth` blocks by empty ones.
    pub(crate) async fn reorganise(&self, depth: u64) {
        self.ask("anvil_reorg", json!([depth, []])).await;
    }

    pub(crate) async fn next_base_fee(&self, wei: u64) {
        self.ask("anvil_setNextBlockBaseFeePerGas", json!([format!("{wei:#x}")])).await;
    }

    pub(crate) async fn pool(&self) -> Vec<String> {
        let content = self.ask("txpool_content", json!([])).await;
        let mut hashes = Vec::new();
        for part in ["pending", "queued"] {
            for account in content[part].as_object().unwrap().values() {
                for transaction in account.as_object().unwrap().values() {
                    hashes.push(transaction["hash"].as_str().unwrap().to_owned());
                }
            }
        }
        hashes
    }
}
