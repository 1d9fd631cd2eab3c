//! `fsck`: the whole log recomputed; with `--rebuild-tiles` the derived files are made again first.

use std::path::{Path, PathBuf};

use evidence::{
    checkpoint::Checkpoint,
    ids::{Hash, TreeSize},
};

use super::{
    http,
    output::{Exit, Failure, Output},
    serve::load,
};
use crate::{
    anchor::deploy,
    anchoring::endpoint,
    config::{AnchorConfig, Config},
    fsck::{Outside, check},
    integrate::{INTEGRATED_FILE, Integrator},
    log::log_key,
    rpc::RpcLimits,
    store::{self, Reader},
    tiles::Tiles,
    volume::{Volume, VolumeError},
};

/// What to check.
#[derive(Debug, clap::Args)]
pub(super) struct FsckArguments {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
    /// File with receipts that were given out, one JSON object a line, to compare with.
    #[arg(long)]
    receipts: Option<PathBuf>,
    /// Compare with the head in the contract as well; its end points come from the configuration.
    #[arg(long)]
    chain: bool,
    /// Make tiles and the integrated checkpoint again from the records; the sidecar must be stopped.
    #[arg(long)]
    rebuild_tiles: bool,
}

/// Checks; exit code 1 when anything differs, 3 when the chain cannot be asked.
pub(super) fn fsck(arguments: &FsckArguments, output: &Output) -> Result<Exit, Failure> {
    let config = load(&arguments.config)?;
    let key = log_key(&config.log).map_err(Failure::failed)?.verifier().clone();
    if arguments.rebuild_tiles {
        rebuild(&config)?;
    }
    let receipts = match &arguments.receipts {
        None => None,
        Some(path) => {
            Some(std::fs::read_to_string(path).map_err(|error| VolumeError::io(path, error)).map_err(Failure::usage)?)
        }
    };
    let chain = match (arguments.chain, &config.anchor) {
        (false, _) => None,
        (true, None) => return Err(Failure::usage("--chain needs the section [anchor] in the configuration")),
        (true, Some(anchor)) => Some(chain_head(anchor)?),
    };
    let outside = Outside { receipts: receipts.as_deref(), chain };
    let report = check(&config.log.dir, &config.log.origin, &key, &outside).map_err(Failure::failed)?;
    output.answer(&report, &report)?;
    Ok(if report.findings.is_empty() { Exit::Done } else { Exit::Failed })
}

/// Makes the tiles again, up to the newest record.
///
/// CRASH: the integrated checkpoint goes first, so that an interrupted run leaves a log that counts as not integrated
/// and is integrated again at the next start.
fn rebuild(config: &Config) -> Result<(), Failure> {
    let volume = Volume::hold(&config.log.dir, config.log.danger_network_file_system).map_err(Failure::failed)?;
    let dir = volume.dir();
    remove(&dir.join(INTEGRATED_FILE))?;
    let reader = Reader::open(&dir.join(store::FILE)).map_err(Failure::failed)?;
    let tip = reader.tip().map_err(Failure::failed)?;
    let tiles = Tiles::of_log(dir);
    remove_all(&tiles.tree())?;
    let mut integrator = Integrator::open(dir, reader, tiles.clone(), tip.as_ref(), None).map_err(Failure::failed)?;
    integrator.catch_up(tip.as_ref()).map_err(Failure::failed)?;

    // A published checkpoint that the records do not bear out is no derived file: it is left for the check to name.
    let published = tiles.checkpoint_file();
    let damaged = std::fs::read_to_string(&published).is_ok_and(|text| {
        let key = log_key(&config.log);
        key.is_ok_and(|key| Checkpoint::open(&text, &config.log.origin, key.verifier(), &[]).is_err())
    });
    if damaged {
        remove(&published)?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::failed(VolumeError::io(path, error)))
        }
        _ => Ok(()),
    }
}

fn remove_all(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::failed(VolumeError::io(path, error)))
        }
        _ => Ok(()),
    }
}

/// Size and root in the contract, asked of every end point; they must agree.
fn chain_head(anchor: &AnchorConfig) -> Result<(TreeSize, Hash), Failure> {
    let unasked = |message: String| Failure { exit: Exit::CannotCheck, message };
    let mut heads = Vec::new();
    for url in &anchor.rpc {
        let head = http::block_on(async {
            let rpc = endpoint(url, RpcLimits::default()).map_err(Failure::failed)?;
            let contract = alloy_primitives::Address::from(*anchor.contract.as_bytes());
            deploy::stored(&rpc, contract, anchor.log_id).await.map_err(Failure::failed)
        });
        match head {
            Ok(Some(stored)) => heads.push((stored.head.size, stored.head.root)),
            Ok(None) => return Err(Failure::failed("the contract does not know this log")),
            Err(failure) => return Err(unasked(format!("the chain cannot be asked: {}", failure.message))),
        }
    }
    let agreed = heads.first().copied().filter(|first| heads.iter().all(|head| head == first));
    agreed.ok_or_else(|| unasked("the end points do not agree on the contract's head; try again".into()))
}
