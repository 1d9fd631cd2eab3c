//! What the chain itself says of a proof bundle: the contract's storage read from the node, and every hash from the event up to the stored root
//! computed here, from docs/spec and RFC 9162 alone. No line of Sealgate's own verification takes part.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::state::State;
use crate::harness::{anvil, fhir};

type Hash = [u8; 32];

/// The parts of a bundle (docs/spec/proof.md) that are looked at. Bundles are canonical JSON, so an event's text in the file is its canonical form.
#[derive(Deserialize)]
struct Bundle {
    tenant: String,
    records: Vec<Record>,
    checkpoint: String,
    anchors: Vec<Link>,
}

#[derive(Deserialize)]
struct Record {
    event: Box<RawValue>,
    salt: String,
    leaf: String,
    index: String,
    inclusion: Vec<String>,
}

#[derive(Deserialize)]
struct Link {
    consistency: Vec<String>,
    anchor: Anchor,
}

#[derive(Deserialize)]
struct Anchor {
    block_number: String,
    block_hash: String,
}

/// A head of the log as the contract holds it.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    size: u64,
    sequence: u64,
    root: Hash,
}

/// What was found: the events, and where the head that covers them stands.
#[derive(Debug)]
pub struct Proven {
    /// The events, parsed.
    pub events: Vec<Value>,
    /// The block whose state was read; it is final.
    pub block: u64,
    /// Leaves under the root that the contract holds.
    pub size: u64,
}

/// Proves each record of the bundle against the root in the contract's storage: event → commitment → leaf → checkpoint's root → anchored root.
///
/// # Errors
/// With the first thing that does not fit.
pub async fn proves(state: &State, bundle: &[u8]) -> Result<Proven> {
    let bundle: Bundle = serde_json::from_slice(bundle).context("a bundle of another form")?;
    let link = bundle.anchors.first().context("a bundle without an anchor")?;
    let block: u64 = link.anchor.block_number.parse()?;
    let node = Node { client: fhir::client()?, rpc: &state.chain_rpc };
    let found = node.block(&format!("{block:#x}")).await?;
    ensure!(hash(text(&found, "hash")?)? == hash(&link.anchor.block_hash)?, "the chain has another block {block}");
    ensure!(quantity(&node.block("finalized").await?, "number")? >= block, "block {block} is not final");
    let head = node.head(state, block).await?;

    // A C2SP checkpoint: origin, size, root, one line each.
    let mut lines = bundle.checkpoint.lines();
    ensure!(lines.next() == Some(state.log_origin.as_str()), "a checkpoint of another log");
    let size: u64 = lines.next().context("a checkpoint without a size")?.parse()?;
    let root = BASE64.decode(lines.next().context("a checkpoint without a root")?)?;
    let root: Hash = root.as_slice().try_into().context("a root of another length")?;
    grew(size, root, head.size, head.root, &hashes(&link.consistency)?)?;

    let mut events = Vec::new();
    for record in &bundle.records {
        let leaf = hex::decode(&record.leaf)?;
        let (_, committed) = leaf.split_last_chunk::<32>().context("a leaf without a commitment")?;
        let commitment = node.keccak(&opened(&bundle.tenant, record)?).await?;
        ensure!(commitment == *committed, "the event at {} is not the one that was committed to", record.index);
        included(leaf_hash(&leaf), record.index.parse()?, size, root, &hashes(&record.inclusion)?)?;
        events.push(serde_json::from_str(record.event.get())?);
    }
    Ok(Proven { events, block, size: head.size })
}

/// What the commitment is the Keccak-256 of (docs/spec/commitment.md).
fn opened(tenant: &str, record: &Record) -> Result<Vec<u8>> {
    let event = record.event.get().as_bytes();
    let mut bytes = b"sealgate/commit/v1\0".to_vec();
    bytes.extend(u32::try_from(tenant.len())?.to_be_bytes());
    bytes.extend(tenant.as_bytes());
    bytes.extend(hash(&record.salt)?);
    bytes.extend(u32::try_from(event.len())?.to_be_bytes());
    bytes.extend(event);
    Ok(bytes)
}

/// The chain's node, asked directly.
struct Node<'a> {
    client: reqwest::Client,
    rpc: &'a str,
}

impl Node<'_> {
    /// The log's head at the end of a block, read twice: from the contract's two storage slots, and from its function `head`. Both must agree.
    async fn head(&self, state: &State, block: u64) -> Result<Head> {
        let block = format!("{block:#x}");
        let id = hash(&state.log_id)?;
        let first = self.keccak(&[id, [0; 32]].concat()).await?;
        let word = self.storage(&state.contract, first, &block).await?;
        let stored = Head {
            sequence: number(word.get(0..6))?,
            size: number(word.get(6..12))?,
            root: self.storage(&state.contract, next(first), &block).await?,
        };
        let selector = self.keccak(b"head(bytes32)").await?;
        let data = [selector.get(..4).context("no selector")?, &id].concat();
        let call = json!([{"to": state.contract, "data": format!("0x{}", hex::encode(data))}, block]);
        let answer = self.call("eth_call", &call).await?;
        let answer = hex::decode(unprefixed(answer.as_str().context("no answer of the contract")?))?;
        let said = Head {
            size: number(answer.get(56..64))?,
            sequence: number(answer.get(88..96))?,
            root: answer.get(96..128).context("a short answer of the contract")?.try_into()?,
        };
        ensure!(stored == said, "the contract's storage holds {stored:?} and its function says {said:?}");
        Ok(stored)
    }

    async fn storage(&self, contract: &str, slot: Hash, block: &str) -> Result<Hash> {
        let slot = format!("0x{}", hex::encode(slot));
        let word = self.call("eth_getStorageAt", &json!([contract, slot, block])).await?;
        hash(word.as_str().context("a slot without a word")?)
    }

    async fn block(&self, which: &str) -> Result<Value> {
        self.call("eth_getBlockByNumber", &json!([which, false])).await
    }

    async fn keccak(&self, bytes: &[u8]) -> Result<Hash> {
        let digest = self.call("web3_sha3", &json!([format!("0x{}", hex::encode(bytes))])).await?;
        hash(digest.as_str().context("no digest")?)
    }

    async fn call(&self, method: &str, parameters: &Value) -> Result<Value> {
        anvil::call(&self.client, self.rpc, method, parameters).await
    }
}

/// RFC 9162, 2.1.3.2: the leaf stands at `index` in the tree of `size` leaves with this root.
fn included(leaf: Hash, index: u64, size: u64, root: Hash, path: &[Hash]) -> Result<()> {
    ensure!(index < size, "leaf {index} lies outside of {size}");
    let (mut fnode, mut snode, mut reached) = (index, size - 1, leaf);
    for step in path {
        ensure!(snode != 0, "the inclusion proof is too long");
        if fnode % 2 == 1 || fnode == snode {
            reached = node_hash(step, &reached);
            while fnode.is_multiple_of(2) && fnode != 0 {
                (fnode, snode) = (fnode >> 1, snode >> 1);
            }
        } else {
            reached = node_hash(&reached, step);
        }
        (fnode, snode) = (fnode >> 1, snode >> 1);
    }
    ensure!(snode == 0 && reached == root, "leaf {index} is not in the tree of {size} leaves");
    Ok(())
}

/// RFC 9162, 2.1.4.2: the second tree begins with the first.
fn grew(first: u64, first_root: Hash, second: u64, second_root: Hash, path: &[Hash]) -> Result<()> {
    if first == second {
        ensure!(path.is_empty() && first_root == second_root, "two trees of {first} leaves");
        return Ok(());
    }
    ensure!(0 < first && first < second, "a tree of {first} leaves did not grow into one of {second}");
    let mut path = path.to_vec();
    if first.is_power_of_two() {
        path.insert(0, first_root);
    }
    let (seed, steps) = path.split_first().context("an empty consistency proof")?;
    let (mut fnode, mut snode) = (first - 1, second - 1);
    while fnode % 2 == 1 {
        (fnode, snode) = (fnode >> 1, snode >> 1);
    }
    let (mut reached, mut grown) = (*seed, *seed);
    for step in steps {
        ensure!(snode != 0, "the consistency proof is too long");
        if fnode % 2 == 1 || fnode == snode {
            reached = node_hash(step, &reached);
            grown = node_hash(step, &grown);
            while fnode.is_multiple_of(2) && fnode != 0 {
                (fnode, snode) = (fnode >> 1, snode >> 1);
            }
        } else {
            grown = node_hash(&grown, step);
        }
        (fnode, snode) = (fnode >> 1, snode >> 1);
    }
    ensure!(
        snode == 0 && reached == first_root && grown == second_root,
        "the tree of {second} leaves does not begin with that of {first}"
    );
    Ok(())
}

fn leaf_hash(leaf: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(leaf).finalize().into()
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The slot after this one.
fn next(slot: Hash) -> Hash {
    let mut slot = slot;
    for byte in slot.iter_mut().rev() {
        let (sum, carried) = byte.overflowing_add(1);
        *byte = sum;
        if !carried {
            break;
        }
    }
    slot
}

fn number(bytes: Option<&[u8]>) -> Result<u64> {
    Ok(bytes.context("a word that is too short")?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

fn hash(text: &str) -> Result<Hash> {
    let bytes = hex::decode(unprefixed(text)).with_context(|| format!("{text} is no hexadecimal"))?;
    bytes.as_slice().try_into().with_context(|| format!("{text} has not 32 bytes"))
}

fn hashes(texts: &[String]) -> Result<Vec<Hash>> {
    texts.iter().map(|text| hash(text)).collect()
}

fn unprefixed(text: &str) -> &str {
    text.strip_prefix("0x").unwrap_or(text)
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value.get(name).and_then(Value::as_str).with_context(|| format!("the node names no {name}"))
}

fn quantity(value: &Value, name: &str) -> Result<u64> {
    Ok(u64::from_str_radix(unprefixed(text(value, name)?), 16)?)
}

#[cfg(test)]
mod tests;
