//! `deploy` and `register`: the operator's one-off transactions.

use std::{path::PathBuf, sync::Arc};

use alloy_primitives::B256;
use evidence::{
    ids::{Address, Origin},
    note::NoteVerifier,
};
use serde_json::json;
use url::Url;

use super::{
    http,
    output::{Exit, Failure, Output},
};
use crate::{
    anchor::{
        deploy::{self, Registration},
        fees::FeePolicy,
        signer::{DigestSigner, LocalKey},
    },
    anchoring::endpoint,
    rpc::{Rpc, RpcLimits},
};

/// Who sends the transaction, through which node, at what price.
#[derive(Debug, clap::Args)]
struct SendArguments {
    /// JSON-RPC end point.
    #[arg(long)]
    rpc: Url,
    /// The paying account's secp256k1 key: an encrypted key file (keystore v3) or 64 hex digits.
    #[arg(long)]
    key_file: PathBuf,
    /// File with the password of an encrypted key.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// Highest fee per gas, in gwei, that is offered.
    #[arg(long, default_value_t = 200)]
    max_fee_gwei: u64,
}

impl SendArguments {
    fn open(&self) -> Result<(Rpc, Arc<LocalKey>, FeePolicy), Failure> {
        let key = LocalKey::read(&self.key_file, self.password_file.as_deref()).map_err(Failure::usage)?;
        let rpc = endpoint(&self.rpc, RpcLimits::default()).map_err(Failure::usage)?;
        let ceiling = u128::from(self.max_fee_gwei).saturating_mul(1_000_000_000);
        Ok((rpc, Arc::new(key), FeePolicy { ceiling, floor: 50_000_000 }))
    }
}

/// What `deploy` needs.
#[derive(Debug, clap::Args)]
pub(super) struct DeployArguments {
    #[command(flatten)]
    send: SendArguments,
}

/// Deploys the embedded contract; prints its address and the hash of its code.
pub(super) fn deploy(arguments: &DeployArguments, output: &Output) -> Result<Exit, Failure> {
    let (rpc, key, policy) = arguments.send.open()?;
    let deployed = http::block_on(async { deploy::deploy(&rpc, key.as_ref(), policy).await.map_err(Failure::failed) })?;
    let (contract, code_hash) = (Address::new(deployed.contract.into_array()), hex::encode(deployed.code_hash));
    output.answer(
        format_args!("contract: {contract}\ncode hash: {code_hash}\nblock: {}", deployed.block_number),
        &json!({
            "contract": contract, "code_hash": code_hash, "transaction": deployed.transaction.to_string(),
            "block_number": deployed.block_number.to_string(),
        }),
    )?;
    Ok(Exit::Done)
}

/// What `register` needs.
#[derive(Debug, clap::Args)]
pub(super) struct RegisterArguments {
    #[command(flatten)]
    send: SendArguments,
    /// Address of the AnchorRegistry.
    #[arg(long)]
    contract: Address,
    /// The log's public key, as `keygen log` printed it; its name is the log's origin.
    #[arg(long)]
    log_key: NoteVerifier,
    /// The log's origin, to be sure; it must be the key's name.
    #[arg(long)]
    origin: Option<Origin>,
    /// Who may anchor; default: the account that sends this transaction.
    #[arg(long)]
    publisher: Option<Address>,
    /// Who may rotate the publisher and freeze the log; default: the account that sends this transaction.
    #[arg(long)]
    admin: Option<Address>,
}

/// Registers the log, or finds it registered; prints its id.
pub(super) fn register(arguments: &RegisterArguments, output: &Output) -> Result<Exit, Failure> {
    let RegisterArguments { send, contract, log_key, origin, publisher, admin } = arguments;
    let name: Origin = log_key.name().parse().map_err(Failure::usage)?;
    if origin.as_ref().is_some_and(|origin| *origin != name) {
        return Err(Failure::usage(format!("--origin differs from the key's name, which is {name}")));
    }
    let (rpc, key, policy) = send.open()?;
    let account = |given: &Option<Address>| {
        given.map_or_else(|| key.address(), |address| alloy_primitives::Address::from(*address.as_bytes()))
    };
    let log_key_hash = B256::from(*log_key.vkey_hash().as_bytes());
    let registration = Registration::of(&name, log_key_hash, account(publisher), account(admin));
    let contract = alloy_primitives::Address::from(*contract.as_bytes());
    let registered = http::block_on(async {
        deploy::register(&rpc, key.as_ref(), policy, contract, &registration).await.map_err(Failure::failed)
    })?;
    let log_id = registered.log_id;
    let already = if registered.transaction.is_none() { " (it was registered before)" } else { "" };
    output.answer(
        format_args!("log id: {log_id}{already}"),
        &json!({
            "log_id": log_id, "origin": name, "seq": registered.head.seq.to_string(),
            "size": registered.head.head.size, "transaction": registered.transaction.map(|hash| hash.to_string()),
        }),
    )?;
    Ok(Exit::Done)
}
