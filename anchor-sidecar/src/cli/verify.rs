//! `verify`: a bundle against a trust file and a chain, with one of the four verdicts.

use std::path::{Path, PathBuf};

use evidence::{
    bundle::{Anchor, ProofBundle},
    ids::{ChainId, Hash},
    trust::TrustFile,
    verify::{BlockBasis, BlockTrust, Finality, TrustedBlock},
};
use serde_json::json;
use url::Url;

use super::{
    http,
    output::{Exit, Failure, Output},
};
use crate::{
    anchoring::endpoint,
    rpc::{At, RpcLimits},
};

/// What to verify, and what is believed.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyArguments {
    /// The proof bundle, `*.sealproof.json`.
    file: PathBuf,
    /// The trust file: which log, which chain, which contract.
    #[arg(long)]
    trust: PathBuf,
    /// JSON-RPC end point of a node that you trust; several must agree.
    #[arg(long)]
    rpc: Vec<Url>,
    /// Hash of the anchor's block, from a source of your own, instead of an end point.
    #[arg(long, conflicts_with = "rpc", value_parser = block_hash)]
    block_hash: Option<Hash>,
    /// Depth at which a block counts as final, for chains without the `finalized` tag.
    #[arg(long, requires = "rpc")]
    finality_depth: Option<u64>,
}

fn block_hash(text: &str) -> Result<Hash, String> {
    text.strip_prefix("0x").unwrap_or(text).parse().map_err(|error: evidence::ids::IdError| error.to_string())
}

/// Verifies and says so; the exit code is the verdict's.
pub(super) fn verify(arguments: &VerifyArguments, output: &Output) -> Result<Exit, Failure> {
    let trust = TrustFile::parse(&read(&arguments.trust)?)
        .map_err(|error| Failure::usage(format!("{}: {error}", arguments.trust.display())))?;
    let bundle = match ProofBundle::parse(&read(&arguments.file)?) {
        Ok(bundle) => bundle,
        Err(error) => {
            let message = format!("{}: {error}", arguments.file.display());
            output.answer(
                format_args!("NOT verified\n{message}"),
                &json!({ "verdict": { "verdict": "not-verified", "differs": [{ "code": "bundle", "message": message }] } }),
            )?;
            return Ok(Exit::Failed);
        }
    };
    let (blocks, note) = match arguments.block_hash {
        Some(hash) => (given(&bundle, hash), None),
        None => http::block_on(async { Ok(asked(&bundle, arguments).await) })?,
    };
    if let Some(note) = note {
        output.note(&note);
    }
    let report = evidence::verify::verify(&bundle, &trust, &blocks);
    output.answer(&report, &report)?;
    Ok(match report.verdict.exit_code() {
        0 => Exit::Done,
        2 => Exit::Waiting,
        3 => Exit::CannotCheck,
        _ => Exit::Failed,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// The user says which hash the block of the first anchor has.
fn given(bundle: &ProofBundle, hash: Hash) -> BlockTrust {
    bundle.anchors.first().map_or_else(BlockTrust::none, |link| {
        let Anchor { chain_id, block_number: number, .. } = link.anchor;
        TrustedBlock { chain_id, number, hash, finality: Finality::Final, basis: BlockBasis::User }.into()
    })
}

/// Asks every end point for each anchor's block; a sentence says why one is not believed.
async fn asked(bundle: &ProofBundle, arguments: &VerifyArguments) -> (BlockTrust, Option<String>) {
    let mut trusted = BlockTrust::none();
    let mut note = None;
    if arguments.rpc.is_empty() {
        return (trusted, note);
    }
    for Anchor { chain_id, block_number, .. } in bundle.anchors.iter().map(|link| &link.anchor) {
        if trusted.block(*chain_id, *block_number).is_some() {
            continue;
        }
        match agreed(*chain_id, *block_number, arguments).await {
            Ok(block) => trusted.blocks.push(block),
            Err(why) => note = Some(why),
        }
    }
    (trusted, note)
}

async fn agreed(chain_id: ChainId, number: u64, arguments: &VerifyArguments) -> Result<TrustedBlock, String> {
    let mut agreed: Option<TrustedBlock> = None;
    let endpoints = u32::try_from(arguments.rpc.len()).unwrap_or(u32::MAX);
    for url in &arguments.rpc {
        let block = one(url, chain_id, number, endpoints, arguments.finality_depth).await?;
        agreed = Some(match agreed {
            Some(before) if before.hash != block.hash => {
                return Err(format!("the end points do not agree on block {number} of chain {chain_id}"));
            }
            // Final only when all say so.
            Some(before) if before.finality == Finality::Pending => before,
            _ => block,
        });
    }
    agreed.ok_or_else(|| "no end point was given".into())
}

async fn one(
    url: &Url,
    chain_id: ChainId,
    number: u64,
    endpoints: u32,
    depth: Option<u64>,
) -> Result<TrustedBlock, String> {
    let name = url.host_str().unwrap_or("end point").to_owned();
    let failed = |error: crate::rpc::RpcError| format!("{name} cannot be asked: {error}");
    let rpc = endpoint(url, RpcLimits::default()).map_err(failed)?;
    let found = rpc.chain_id().await.map_err(failed)?;
    if found != chain_id.get() {
        return Err(format!("{name} is on chain {found}, the anchor on chain {chain_id}"));
    }
    let final_up_to = match depth {
        Some(depth) => rpc.block(At::Latest).await.map_err(failed)?.map(|tip| tip.number.saturating_sub(depth)),
        None => rpc.block(At::Finalized).await.map_err(failed)?.map(|block| block.number),
    };
    let block = rpc.block(At::Number(number)).await.map_err(failed)?;
    let block = block.ok_or_else(|| format!("{name} has no block {number}"))?;
    let finality = if final_up_to.is_some_and(|up_to| number <= up_to) { Finality::Final } else { Finality::Pending };
    let hash = Hash::new(block.hash.0);
    Ok(TrustedBlock { chain_id, number, hash, finality, basis: BlockBasis::Rpc { endpoints } })
}
