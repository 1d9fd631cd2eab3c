//! Where things lie: the workspace, its target folder, the programs that cargo built; and the environment, read here only.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The workspace's root: the folder with the workspace's `Cargo.toml`.
///
/// # Errors
/// When this package was moved out of its workspace.
pub fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the package e2e lies in no workspace")
}

/// A folder of this package, such as `data/demo` or `hapi`.
#[must_use]
pub fn package(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// `<workspace>/target/<path>`, made when absent: always in the workspace, whatever `CARGO_TARGET_DIR` says.
///
/// # Errors
/// When it cannot be made.
pub fn target(path: &str) -> Result<PathBuf> {
    let folder = root()?.join("target").join(path);
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(folder)
}

/// The folder that cargo puts this build's programs into, and whether it is a release build.
///
/// # Errors
/// When this program does not run from a cargo target folder.
pub fn programs() -> Result<(PathBuf, bool)> {
    let own = std::env::current_exe().context("this program's own path is unknown")?;
    let mut folder = own.parent().context("this program's path has no folder")?.to_path_buf();
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder.pop();
    }
    let release = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => false,
        Some("release") => true,
        _ => bail!("{} is no folder of a cargo build: start this by `cargo demo` or `cargo e2e`", folder.display()),
    };
    Ok((folder, release))
}

/// A variable of the environment; empty counts as absent.
#[must_use]
pub fn environment(name: &str) -> Option<OsString> {
    // `vars_os` and `var_os` are the same door; this is the package's only one.
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Replaces a file whole: whoever reads it sees the old one or the new one.
///
/// # Errors
/// When the folder cannot be written.
pub fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().context("a file without a folder")?;
    let mut fresh =
        tempfile::NamedTempFile::new_in(folder).with_context(|| format!("{} cannot be written", folder.display()))?;
    std::io::Write::write_all(&mut fresh, content)?;
    fresh.as_file().sync_all()?;
    fresh.persist(path)?;
    Ok(())
}
