//! Shows that the test bites: the gateway with one rule of the leak table switched off after the other must be found out.
//!
//! No switch is shipped: a mutant is a list of edits of the sources (`mutants.toml`), made in a copy of the workspace that
//! is built into a target folder of its own; what they do not change is taken over from this build.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tokio::process::Command;

use super::run::{self, Budget};
use super::twins::{Common, Gateways, Servers};
use super::world::Gaps;
use crate::harness::{say, workspace};

/// Pairs and requests in which a mutant has to be found.
#[derive(Debug, Clone, Copy)]
pub struct Within {
    /// The seed of worlds and requests.
    pub seed: u64,
    /// Pairs of worlds.
    pub pairs: usize,
    /// Requests to all of them.
    pub requests: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    mutant: Vec<Mutant>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    /// Kebab-case.
    name: String,
    /// The row of CONSENT's leak table that it switches off.
    channel: String,
    /// Whether writes are needed to find it.
    #[serde(default)]
    writes: bool,
    edit: Vec<Edit>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// Path in the workspace.
    file: String,
    /// What stands there, exactly once.
    search: String,
    /// What stands there in the mutant.
    replace: String,
}

/// How it went with one mutant.
#[derive(Debug, Clone)]
pub struct Row {
    /// The mutant.
    pub name: String,
    /// Whether it was found.
    pub killed: bool,
    /// By what, or of which channel it is.
    pub by: String,
}

fn all() -> Result<Vec<Mutant>> {
    let file: File = toml::from_str(include_str!("mutants.toml"))?;
    Ok(file.mutant)
}

/// Builds and tries each mutant whose name contains one of these (all where there is none); the gateway as it is first.
///
/// # Errors
/// When one cannot be built, or the gateway as it is differs.
pub async fn run(common: &Common<'_>, within: Within, only: &[String]) -> Result<Vec<Row>> {
    let wanted = |mutant: &Mutant| only.is_empty() || only.iter().any(|part| mutant.name.contains(part.as_str()));
    let mutants: Vec<Mutant> = all()?.into_iter().filter(wanted).collect();
    let servers = Box::pin(Servers::start(common)).await?;
    let budget = Budget {
        seed: within.seed,
        first: 0,
        pairs: within.pairs,
        requests: within.requests,
        per_load: within.pairs,
        most_differences: 1,
        gaps: Gaps::default(),
    };
    // Looks change nothing: all such mutants are tried on the same worlds.
    let (pairs, time) = run::loaded(&servers, &budget).await?;
    let gateways = Gateways::start(common, &servers, "unchanged", None).await?;
    let tally = run::sent(common, &gateways, &budget, pairs.clone(), &time, run::LOOKS).await?;
    gateways.stop().await?;
    say::step(&format!("the gateway as it is: {}", run::line(&tally)));
    ensure!(tally.differences.is_empty(), "the gateway as it is can be told apart: nothing is to be learnt of mutants");
    let built = Workshop::open().await?;
    let mut rows = Vec::new();
    for (at, mutant) in mutants.iter().enumerate() {
        let program = match built.build(mutant).await {
            Ok(program) => program,
            Err(error) => {
                say::loud(&format!("{}: {error:#}", mutant.name));
                rows.push(Row { name: mutant.name.clone(), killed: false, by: "it does not build".to_owned() });
                continue;
            }
        };
        let gateways = Gateways::start(common, &servers, &mutant.name, Some(&program)).await?;
        let tally = match mutant.writes {
            false => run::sent(common, &gateways, &budget, pairs.clone(), &time, run::LOOKS).await?,
            true => {
                let fresh = Budget { first: within.pairs * (at + 1), ..budget };
                let (pairs, time) = run::loaded(&servers, &fresh).await?;
                run::sent(common, &gateways, &fresh, pairs, &time, run::MAY_WRITE).await?
            }
        };
        gateways.stop().await?;
        let found = tally.differences.first().map(|found| format!("{} ({})", found.request.kind, found.what.place));
        let by = match &found {
            Some(found) => format!("by {found} after {} requests", tally.requests),
            None => format!("{} in {} requests", mutant.channel, tally.requests),
        };
        say::step(&format!("{}: {} {by}", mutant.name, if found.is_some() { "killed" } else { "SURVIVED" }));
        rows.push(Row { name: mutant.name.clone(), killed: found.is_some(), by });
    }
    Ok(rows)
}

/// A copy of the workspace with a target folder of its own.
struct Workshop {
    sources: PathBuf,
    target: PathBuf,
}

impl Workshop {
    async fn open() -> Result<Self> {
        let folder = workspace::target("twin/mutants")?;
        let (sources, target) = (folder.join("sources"), folder.join("target"));
        if sources.exists() {
            std::fs::remove_dir_all(&sources)?;
        }
        copy(workspace::root()?, &sources)?;
        if !target.exists() {
            let (programs, _) = workspace::programs()?;
            let seed = say::while_running("taking over other people's crates", async { seed(&programs, &target) });
            seed.await?;
        }
        Ok(Self { sources, target })
    }

    /// Makes the edits, builds the gateway, takes the edits back.
    async fn build(&self, mutant: &Mutant) -> Result<PathBuf> {
        let mut before = Vec::new();
        for edit in &mutant.edit {
            let file = self.sources.join(&edit.file);
            let text = std::fs::read_to_string(&file).with_context(|| format!("{}: {}", mutant.name, edit.file))?;
            let places = text.matches(edit.search.as_str()).count();
            if places != 1 {
                restore(&before)?;
                anyhow::bail!("{}: what is to be replaced in {} stands there {places} times", mutant.name, edit.file);
            }
            std::fs::write(&file, text.replace(&edit.search, &edit.replace))?;
            before.push((file, text));
        }
        let built = say::while_running(&format!("building {}", mutant.name), self.cargo()).await;
        restore(&before)?;
        ensure!(built?, "it does not compile");
        let program = self.target.join("debug/fhir-gateway");
        let own = self.target.join(format!("{}.program", mutant.name));
        std::fs::copy(&program, &own)?;
        Ok(own)
    }

    async fn cargo(&self) -> Result<bool> {
        let mut cargo = Command::new(workspace::environment("CARGO").unwrap_or_else(|| "cargo".into()));
        // Both packages, as for this run's own programs: other features would compile other people's crates again.
        cargo.args(["build", "--quiet", "--offline", "--package", "fhir-gateway", "--package", "anchor-sidecar"]);
        cargo.args(["--bin", "fhir-gateway", "--target-dir"]).arg(&self.target);
        let status =
            cargo.current_dir(&self.sources).stdin(Stdio::null()).status().await.context("cargo cannot be started")?;
        Ok(status.success())
    }
}

fn restore(before: &[(PathBuf, String)]) -> Result<()> {
    for (file, text) in before.iter().rev() {
        std::fs::write(file, text)?;
    }
    Ok(())
}

/// Copies a folder without what was built and what git keeps.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if ["target", ".git", "node_modules"].iter().any(|skipped| name == *skipped) {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&entry.path(), &to.join(&name))?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to.join(&name))?;
            // With their own times, so that cargo takes what was built of them for fresh.
            let copied = std::fs::File::options().write(true).open(to.join(&name))?;
            copied.set_modified(entry.metadata()?.modified()?)?;
        }
    }
    Ok(())
}

/// What cargo compiled of everything but the crates that mutants change. What it compiled is taken over by hard links, since
/// new files come in the place of old ones; what it noted of it is copied, since notes are written over.
fn seed(programs: &Path, target: &Path) -> Result<()> {
    let changed =
        ["fhir_gateway", "fhir-gateway", "gateway_core", "gateway-core", "e2e", "fuzz", "bench_all", "demo", "twin"];
    let skipped =
        |name: &str| changed.iter().any(|own| name.starts_with(own) || name.starts_with(&format!("lib{own}")));
    for part in ["deps", "build", ".fingerprint"] {
        take(&programs.join(part), &target.join("debug").join(part), &skipped, part != ".fingerprint")?;
    }
    Ok(())
}

fn take(from: &Path, to: &Path, skipped: &dyn Fn(&str) -> bool, linked: bool) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("{} cannot be read", from.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if skipped(&name.to_string_lossy()) {
            continue;
        }
        let (here, there) = (entry.path(), to.join(&name));
        if entry.file_type()?.is_dir() {
            take(&here, &there, &|_| false, linked)?;
        } else if !linked || std::fs::hard_link(&here, &there).is_err() {
            // Another file system takes no link.
            std::fs::copy(&here, &there)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

    use super::*;

    /// An edit that does not fit the sources any more would be found only by the long run.
    #[test]
    fn every_edit_fits_the_sources() {
        for mutant in all().unwrap() {
            assert!(!mutant.channel.is_empty() && !mutant.edit.is_empty(), "{}", mutant.name);
            for edit in &mutant.edit {
                let text = std::fs::read_to_string(workspace::root().unwrap().join(&edit.file)).unwrap();
                assert_eq!(text.matches(edit.search.as_str()).count(), 1, "{}: {}", mutant.name, edit.file);
                assert_ne!(edit.search, edit.replace, "{}", mutant.name);
            }
        }
    }
}
