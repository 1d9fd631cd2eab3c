//! Runs the tests in turn over one stack, says a line for each, and counts.

#![expect(clippy::print_stdout, reason = "a line for each test goes to a terminal")]

use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use futures_util::FutureExt;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::{Needs, Skip, Test};
use crate::demo::settings;
use crate::harness::hapi::HapiOptions;
use crate::harness::stack::{Server, Stack, StackOptions};
use crate::harness::{programs, say, workspace};

/// The longest that one end-to-end test may take.
const LIMIT: Duration = Duration::from_secs(900);
/// How long each fuzz target runs: a smoke test, that all of them build, start from their seeds and get going.
const FUZZ_SECONDS: &str = "2";
/// How long what a stranger can send, or what decides, is tried.
const FUZZ_LONGER: &str = "60";
/// Requests with their searches, filters of scopes, Consents.
const FUZZED_LONGER: [&str; 3] = ["core-interaction", "core-filter", "core-consent"];

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `cargo test --workspace` and the contracts' check before the suite.
    pub unit_tests: bool,
    /// Only tests whose name contains one of these; all when empty.
    pub filters: Vec<String>,
    /// The second FHIR server in HAPI's place.
    pub hfs: bool,
}

/// How many tests ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// They did what they should.
    pub passed: u64,
    /// They did not.
    pub failed: u64,
    /// They could not be made here.
    pub skipped: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Runs what the plan says.
///
/// # Errors
/// When a stack cannot be started: that is no test's failure, and nothing was found out.
pub async fn run(plan: Plan) -> Result<Tally> {
    let mut tally = Tally::default();
    if plan.unit_tests {
        tally.add(unit_tests().await?);
        tally.add(fuzz().await?);
        tally.add(contracts().await?);
        tally.add(page().await?);
        tally.add(profiles().await?);
        tally.add(chart().await?);
    }
    tally.add(suite(&plan).await?);
    Ok(tally)
}

async fn suite(plan: &Plan) -> Result<Tally> {
    let tests: Vec<Test> = super::tests()
        .into_iter()
        .filter(|test| plan.filters.is_empty() || plan.filters.iter().any(|part| test.name.contains(part.as_str())))
        .collect();
    let mut tally = Tally::default();
    if tests.is_empty() {
        say::loud("no end-to-end test has such a name");
        return Ok(tally);
    }
    let (name, _own) = free_name()?;
    let mut options = StackOptions::whole(&name)?;
    options.gateway_more = settings::gateway()?;
    let needs = |level: Needs| tests.iter().any(|test| test.needs >= level);
    options.sidecar = needs(Needs::Sidecar);
    options.gateway = needs(Needs::Gateway);
    options.server = if plan.hfs { Server::Hfs } else { Server::Hapi(HapiOptions::default()) };
    let mut stack = Stack::start(options).await?;
    for test in tests {
        let begin = Instant::now();
        let verdict = tokio::time::timeout(LIMIT, AssertUnwindSafe((test.run)(&mut stack)).catch_unwind()).await;
        let seconds = begin.elapsed().as_secs_f64();
        let failure = match verdict {
            Ok(Ok(Ok(()))) => {
                tally.passed += 1;
                println!("ok      {} ({seconds:.1} s)", test.name);
                continue;
            }
            Ok(Ok(Err(error))) if error.is::<Skip>() => {
                tally.skipped += 1;
                println!("SKIPPED {}: {error}", test.name);
                say::loud(&format!("SKIPPED {}: {error}", test.name));
                continue;
            }
            Ok(Ok(Err(error))) => error,
            Ok(Err(_)) => anyhow!("it panicked; the message stands above"),
            Err(_) => anyhow!("it was not done after {} s", LIMIT.as_secs()),
        };
        tally.failed += 1;
        println!("FAILED  {} ({seconds:.1} s)\n        {failure:#}", test.name);
    }
    Ok(tally)
}

/// A name for the stack that no other suite uses now, and what keeps it ours: two suites at once must not empty each other's folders.
fn free_name() -> Result<(String, File)> {
    let folder = workspace::target("e2e")?;
    for name in ["e2e", "e2e-2", "e2e-3", "e2e-4", "e2e-5", "e2e-6"] {
        let lock = File::create(folder.join(format!("{name}.lock")))?;
        if lock.try_lock().is_ok() {
            return Ok((name.to_owned(), lock));
        }
    }
    bail!("six suites run already")
}

/// The whole workspace; then `evidence` alone. Other crates turn on serde_json's `arbitrary_precision` and `preserve_order`
/// for the whole workspace; alone it is compiled without them, as a verifier of somebody else's would be, and must give
/// the same bytes.
async fn unit_tests() -> Result<Tally> {
    let mut tally = Tally::default();
    for packages in [&["--workspace", "--features", "e2e/bench"][..], &["--package", "evidence"]] {
        say::step(&format!("cargo test {}", packages.join(" ")));
        let mut cargo = cargo("test")?;
        cargo.args(packages).arg("--no-fail-fast");
        tally.add(counted("cargo test", cargo).await?);
    }
    Ok(tally)
}

/// A command of cargo's on this workspace, into the target folder that this program lies in.
fn cargo(command: &str) -> Result<Command> {
    let mut cargo = Command::new(workspace::environment("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg(command).arg("--target-dir").arg(target()?).current_dir(workspace::root()?);
    Ok(cargo)
}

fn target() -> Result<PathBuf> {
    let (folder, _) = workspace::programs()?;
    folder.parent().map(Path::to_owned).context("a folder of programs has a parent")
}

/// Every fuzz target for a few seconds, some for a minute; where there is no C++ compiler for libFuzzer that is said, and is no failure.
async fn fuzz() -> Result<Tally> {
    say::step("cargo fuzz-all");
    let what = "the fuzz targets";
    // Not by `cargo run`: with the whole workspace's features its dependencies are there already.
    let mut cargo = cargo("build")?;
    cargo.args(["--quiet", "--workspace", "--features", "e2e/bench", "--bin", "fuzz-all"]);
    let built = counted(what, cargo).await?;
    if built.failed > 0 {
        return Ok(built);
    }
    let impossible = "the fuzz targets: there is no C++ compiler, or this is not Linux";
    let all = target()?.join("debug/fuzz-all");
    let mut program = Command::new(&all);
    program.args(["--seconds", FUZZ_SECONDS]);
    let mut tally = checked(what, program, impossible).await?;
    let mut longer = Command::new(&all);
    longer.args(["--seconds", FUZZ_LONGER]).args(FUZZED_LONGER);
    tally.add(checked("requests, filters and Consents, fuzzed for a minute each", longer, impossible).await?);
    Ok(tally)
}

async fn contracts() -> Result<Tally> {
    let check = workspace::root()?.join("anchor-sidecar/contracts/check");
    if !check.exists() {
        say::loud("SKIPPED the contracts' check: anchor-sidecar/contracts/check is missing");
        return Ok(Tally { skipped: 1, ..Tally::default() });
    }
    say::step("anchor-sidecar/contracts/check");
    counted("the contracts' check", Command::new(Path::new(&check))).await
}

/// verify.html rebuilt, its verifier and the manual steps held to the vectors, and the page tried in Chromium.
async fn page() -> Result<Tally> {
    say::step("evidence/verify/check");
    let check = workspace::root()?.join("evidence/verify/check");
    checked("verify.html", Command::new(Path::new(&check)), "verify.html: its packages cannot be had here").await
}

/// The FSH sources, compiled by SUSHI; where its packages cannot be had that is said, and is no failure.
async fn profiles() -> Result<Tally> {
    say::step("fhir-profiles/check");
    let check = workspace::root()?.join("fhir-profiles/check");
    let missing = "the profiles: SUSHI or its FHIR packages cannot be had here";
    checked("the profiles", Command::new(Path::new(&check)), missing).await
}

/// The chart, rendered by a real helm and given to the real programs.
async fn chart() -> Result<Tally> {
    say::step("helm/check");
    let programs = programs::gateway().await?.parent().context("the gateway lies in no folder")?.to_owned();
    programs::sidecar().await?;
    let mut check = Command::new(workspace::root()?.join("helm/check"));
    check.env("SEALGATE_PROGRAMS", programs);
    checked("the chart", check, "the chart: helm or the schemas cannot be had here").await
}

/// Runs a check that counts for itself where it can, and ends with 3 where it cannot check here.
async fn checked(name: &str, command: Command, missing: &str) -> Result<Tally> {
    let (mut tally, status) = played(name, command).await?;
    match status.code() {
        Some(0) if tally == Tally::default() => {
            tally.passed = 1;
            println!("ok      {name}");
        }
        Some(0) => {}
        Some(3) => {
            tally.skipped += 1;
            println!("SKIPPED {missing}");
            say::loud(&format!("SKIPPED {missing}"));
        }
        _ if tally.failed == 0 => {
            tally.failed = 1;
            println!("FAILED  {name} ({status})");
        }
        _ => {}
    }
    Ok(tally)
}

/// Runs another test program, passes on what it prints, and adds up its own result lines. Where it fails without counting a failure (it did not
/// compile, say), that is one.
async fn counted(name: &str, command: Command) -> Result<Tally> {
    let (mut tally, status) = played(name, command).await?;
    if !status.success() && tally.failed == 0 {
        println!("FAILED  {name} ({status})");
        tally.failed = 1;
    }
    Ok(tally)
}

/// Runs a program to its end, passing on what it prints; gives the sum of its result lines and how it ended.
async fn played(name: &str, mut command: Command) -> Result<(Tally, ExitStatus)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{name} cannot be started"))?;
    let mut tally = Tally::default();
    let stdout = child.stdout.take().context("no output")?;
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        println!("{line}");
        if let Some(result) = result_line(&line) {
            tally.add(result);
        }
    }
    Ok((tally, child.wait().await?))
}

/// `test result: ok. 5 passed; 0 failed; 1 ignored; …` (cargo) and `Suite result: ok. 5 passed; 0 failed; 0 skipped; …` (forge).
fn result_line(line: &str) -> Option<Tally> {
    let line = uncoloured(line);
    let (_, counts) = line.split_once(" result: ")?;
    let number = |word: &str| -> Option<u64> {
        let (before, _) = counts.split_once(word)?;
        before.split_whitespace().next_back()?.parse().ok()
    };
    Some(Tally {
        passed: number(" passed")?,
        failed: number(" failed")?,
        skipped: number(" ignored").or_else(|| number(" skipped"))?,
    })
}

/// The line without terminal colours (`ESC [ … m`).
fn uncoloured(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut text, part| {
        text.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_of_cargo_and_forge() {
        let cargo =
            "test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        let forge = "Suite result: \u{1b}[32mok\u{1b}[0m. \u{1b}[32m7\u{1b}[0m passed; \u{1b}[31m0\u{1b}[0m failed; \u{1b}[33m3\u{1b}[0m skipped; finished in 3ms";
        let tally = |passed, failed, skipped| Some(Tally { passed, failed, skipped });
        assert_eq!(result_line(cargo), tally(12, 1, 2));
        assert_eq!(result_line(forge), tally(7, 0, 3));
        assert_eq!(result_line("chart result: ok. 14 passed; 0 failed; 1 skipped"), tally(14, 0, 1));
        assert_eq!(result_line("the result: none of these"), None);
        assert_eq!(result_line("running 3 tests"), None);
    }
}
