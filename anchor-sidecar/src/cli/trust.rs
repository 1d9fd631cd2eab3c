//! `trust`: the trust file that a verifier is given, from the configuration.

use std::path::{Path, PathBuf};

use evidence::trust::{ChainTrust, TrustFile};
use serde_json::json;

use super::{
    output::{Exit, Failure, Output, line},
    serve::load,
};
use crate::{anchor::registry::Artefact, log::log_key, volume};

/// Prints the trust file or writes it.
pub(super) fn trust(config: &Path, out: Option<&PathBuf>, output: &Output) -> Result<Exit, Failure> {
    let config = load(config)?;
    let key = log_key(&config.log).map_err(Failure::failed)?.verifier().clone();
    let mut trust = TrustFile::new(config.log.origin.clone(), key);
    if let Some(anchor) = &config.anchor {
        let code_hash = match anchor.code_hash {
            Some(code_hash) => code_hash,
            // What this program deploys; the sender compares it with the chain at start.
            None => evidence::ids::Hash::new(Artefact::embedded().map_err(Failure::failed)?.code_hash.0),
        };
        trust.chains.push(ChainTrust {
            chain_id: anchor.chain_id,
            contract: Some(anchor.contract),
            code_hash: Some(code_hash),
            log_id: Some(anchor.log_id),
        });
    }
    let text = trust.to_json().map_err(Failure::failed)?;
    match out {
        None => line(text.trim_end())?,
        Some(path) => {
            volume::replace(path, text.as_bytes()).map_err(Failure::failed)?;
            output.answer(
                format_args!("trust file written to {}; give it to verifiers by a way that they trust", path.display()),
                &json!({ "file": path }),
            )?;
        }
    }
    Ok(Exit::Done)
}
