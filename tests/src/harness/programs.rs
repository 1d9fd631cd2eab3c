//! The programs of this workspace: built once by cargo, into the folder that this program itself runs from.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::{say, workspace};

const GATEWAY: &str = "fhir-gateway";
const SIDECAR: &str = "anchor-sidecar";
/// Built with them, so that nothing is compiled a second time with fewer features (ADR 0050).
const ONE_SET: &str = "one-set";

static BOTH: OnceCell<bool> = OnceCell::const_new();
static GATEWAY_BUILT: OnceCell<PathBuf> = OnceCell::const_new();
static SIDECAR_BUILT: OnceCell<PathBuf> = OnceCell::const_new();

/// `fhir-gateway`, built from the sources as they are at the first call.
///
/// # Errors
/// When it does not compile.
pub async fn gateway() -> Result<&'static Path> {
    let program = GATEWAY_BUILT.get_or_try_init(|| built(GATEWAY)).await?;
    Ok(program)
}

/// `anchor-sidecar`, built from the sources as they are at the first call.
///
/// # Errors
/// When it does not compile.
pub async fn sidecar() -> Result<&'static Path> {
    let program = SIDECAR_BUILT.get_or_try_init(|| built(SIDECAR)).await?;
    Ok(program)
}

/// The demo, built from the sources as they are at the first call.
///
/// # Errors
/// When it does not compile.
pub async fn demo() -> Result<PathBuf> {
    ensure!(say::while_running("building the demo", build(&["e2e"])).await?, "the demo does not compile");
    let (folder, _) = workspace::programs()?;
    Ok(folder.join("demo"))
}

/// Both are built together, which compiles what they share once; where that fails, the one that is asked for is tried alone.
async fn built(name: &str) -> Result<PathBuf> {
    let both =
        BOTH.get_or_try_init(|| say::while_running("building gateway and sidecar", build(&[GATEWAY, SIDECAR]))).await?;
    if !both {
        say::loud(&format!("they do not compile together: building {name} alone"));
        ensure!(build(&[name]).await?, "{name} does not compile");
    }
    let (folder, _) = workspace::programs()?;
    Ok(folder.join(name))
}

/// Gives whether they compile.
async fn build(names: &[&str]) -> Result<bool> {
    let (folder, release) = workspace::programs()?;
    let target = folder.parent().context("a target folder has a parent")?;
    let mut cargo = Command::new(workspace::environment("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--quiet", "--bins", "--target-dir"])
        .arg(target)
        .current_dir(workspace::root()?)
        .stdin(Stdio::null());
    for name in names.iter().chain([&ONE_SET]) {
        cargo.args(["--package", name]);
    }
    if release {
        cargo.arg("--release");
    }
    let status = cargo.status().await.context("cargo cannot be started")?;
    Ok(status.success())
}
