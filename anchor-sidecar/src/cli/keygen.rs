//! `keygen`: new keys from the system's randomness, into files that only their owner may read.

use std::path::PathBuf;

use clap::Subcommand;
use evidence::{
    ids::Origin,
    note::{KeyKind, NoteSigner},
};
use serde_json::json;
use zeroize::Zeroizing;

use super::output::{Exit, Failure, Output};
use crate::volume::create_secret;

/// Which key to make.
#[derive(Debug, Subcommand)]
pub(super) enum KeygenCommand {
    /// The log's Ed25519 key, which signs checkpoints.
    Log {
        /// The log's origin; also the key's name.
        #[arg(long)]
        origin: Origin,
        /// File to make.
        #[arg(long)]
        out: PathBuf,
    },
    /// The publisher's secp256k1 key, which sends anchors, as 64 hex digits.
    Publisher {
        /// File to make.
        #[arg(long)]
        out: PathBuf,
    },
}

/// Makes the key and prints its public half.
pub(super) fn keygen(command: &KeygenCommand, output: &Output) -> Result<Exit, Failure> {
    match command {
        KeygenCommand::Log { origin, out } => {
            let seed = random()?;
            let signer = NoteSigner::from_seed(origin.as_str(), KeyKind::Ed25519, &seed).map_err(Failure::failed)?;
            let text = Zeroizing::new(format!("{}\n", signer.to_skey()));
            create_secret(out, text.as_bytes()).map_err(Failure::failed)?;
            let key = signer.verifier();
            output.answer(
                format_args!("log key written to {}\nlog key (public): {key}", out.display()),
                &json!({ "file": out, "log_key": key, "log_key_hash": key.vkey_hash() }),
            )?;
        }
        KeygenCommand::Publisher { out } => {
            let (secret, address) = loop {
                let secret = random()?;
                // All but about one in 2^128 values are keys.
                if let Ok(signer) = alloy_signer_local::PrivateKeySigner::from_slice(secret.as_slice()) {
                    break (secret, signer.address());
                }
            };
            let text = Zeroizing::new(format!("{}\n", hex::encode(secret.as_slice())));
            create_secret(out, text.as_bytes()).map_err(Failure::failed)?;
            output.answer(
                format_args!("publisher key written to {}\npublisher address: {address}", out.display()),
                &json!({ "file": out, "address": address.to_string() }),
            )?;
        }
    }
    Ok(Exit::Done)
}

fn random() -> Result<Zeroizing<[u8; 32]>, Failure> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(Failure::failed)?;
    Ok(bytes)
}
