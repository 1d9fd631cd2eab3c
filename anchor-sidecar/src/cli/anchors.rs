//! `anchors list | status | show`: the log's anchors, as its sidecar tells them.

use std::fmt::Write as _;

use evidence::bundle::Anchor;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::{
    http,
    output::{Exit, Failure, Output},
};

/// Which view.
#[derive(Debug, clap::Subcommand)]
pub(super) enum AnchorsCommand {
    /// Every final anchor.
    List {
        /// The sidecar's read address.
        #[arg(long)]
        sidecar: Url,
        /// How many of the newest to show.
        #[arg(long, default_value_t = 20)]
        newest: usize,
    },
    /// The newest final anchor, what waits, and what the sender is doing.
    Status {
        /// The sidecar's read address.
        #[arg(long)]
        sidecar: Url,
    },
    /// One final anchor with its proofs.
    Show {
        /// Its sequence number in the contract.
        seq: u64,
        /// The sidecar's read address.
        #[arg(long)]
        sidecar: Url,
    },
}

#[derive(Deserialize, Serialize)]
struct List {
    r#final: Vec<u64>,
    newest: Option<Anchor>,
    sender: Value,
}

/// Shows it.
pub(super) fn anchors(command: &AnchorsCommand, output: &Output) -> Result<Exit, Failure> {
    http::block_on(async {
        let client = http::client()?;
        match command {
            AnchorsCommand::List { sidecar, newest } => {
                let list: List = get(&client, sidecar, "v1/anchors").await?;
                let mut anchors = Vec::new();
                for seq in list.r#final.iter().rev().take(*newest) {
                    anchors.push(get::<Anchor>(&client, sidecar, &format!("v1/anchors/{seq}")).await?);
                }
                let mut text = format!("{} final anchor(s)", list.r#final.len());
                for anchor in &anchors {
                    let _ = write!(text, "\n{}", sentence(anchor));
                }
                let rows: Vec<Value> = anchors.iter().map(row).collect();
                output.answer(text, &serde_json::json!({ "total": list.r#final.len(), "anchors": rows }))?;
            }
            AnchorsCommand::Status { sidecar } => {
                let status: Value = get(&client, sidecar, "v1/status").await?;
                let list: List = get(&client, sidecar, "v1/anchors").await?;
                let newest = list.newest.as_ref().map_or_else(|| "no final anchor yet".into(), sentence);
                let number = |name: &str| status.get(name).and_then(Value::as_str).unwrap_or("0").to_owned();
                let state = list.sender.get("state").and_then(Value::as_str).unwrap_or("unknown").to_owned();
                let (size, integrated) = (number("size"), number("integrated"));
                let overdue = status.get("overdue").and_then(Value::as_bool).unwrap_or(false);
                let late = if overdue { "; anchoring is overdue" } else { "" };
                let text =
                    format!("the log has {size} leaves, {integrated} in tiles\n{newest}\nthe sender is {state}{late}");
                let newest = list.newest.as_ref().map(row);
                output
                    .answer(text, &serde_json::json!({ "status": status, "newest": newest, "sender": list.sender }))?;
            }
            AnchorsCommand::Show { seq, sidecar } => {
                let anchor: Anchor = get(&client, sidecar, &format!("v1/anchors/{seq}")).await?;
                output.answer(sentence(&anchor), &anchor)?;
            }
        }
        Ok(Exit::Done)
    })
}

async fn get<T: serde::de::DeserializeOwned>(client: &reqwest::Client, base: &Url, path: &str) -> Result<T, Failure> {
    http::read(client.get(http::below(base, path)?), "the sidecar").await
}

fn sentence(anchor: &Anchor) -> String {
    let Anchor { seq, size, block_number, chain_id, block_hash, .. } = anchor;
    format!("anchor {seq}: {size} leaves in block {block_number} (0x{block_hash}) of chain {chain_id}")
}

/// An anchor without its proofs.
fn row(anchor: &Anchor) -> Value {
    let Anchor { seq, size, root, block_number, block_hash, chain_id, transaction, .. } = anchor;
    serde_json::json!({
        "seq": seq.to_string(), "size": size, "root": root, "chain_id": chain_id,
        "block_number": block_number.to_string(), "block_hash": block_hash, "transaction": transaction,
    })
}
