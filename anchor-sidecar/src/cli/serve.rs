//! `serve`, `config check` and `config schema`.

use std::path::Path;

use super::output::{Exit, Failure, Output, line};
use crate::{
    config::{self, Config, raw::RawConfig},
    runner, telemetry,
};

/// Reads a configuration; its faults are usage.
pub(super) fn load(path: &Path) -> Result<Config, Failure> {
    config::load(path).map_err(Failure::usage)
}

/// `serve`: runs until SIGTERM.
pub(super) fn serve(path: &Path) -> Result<Exit, Failure> {
    let config = load(path)?;
    // Outside the runtime: the exporters block, at the start and at the end.
    let telemetry = telemetry::start(&config.telemetry).map_err(Failure::failed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::failed)?;
    runtime.block_on(runner::serve(config, telemetry.meter())).map_err(|error| {
        tracing::error!(%error, "the sidecar ends");
        Failure::failed(error)
    })?;
    Ok(Exit::Done)
}

/// `config check`.
pub(super) fn check(path: &Path, output: &Output) -> Result<Exit, Failure> {
    let config = load(path)?;
    output.answer(
        "configuration is valid",
        &serde_json::json!({ "valid": true, "origin": config.log.origin, "anchored": config.anchor.is_some() }),
    )?;
    Ok(Exit::Done)
}

/// `config schema`.
pub(super) fn schema(_output: &Output) -> Result<Exit, Failure> {
    let schema = schemars::schema_for!(RawConfig);
    line(serde_json::to_string_pretty(&schema).map_err(Failure::failed)?)?;
    Ok(Exit::Done)
}
