//! `cargo fuzz-all`: builds the fuzz targets, seeds them with the repository's vectors, and runs each for a while.
//!
//! Ends with 0 where nothing was found, 1 where something was, 3 where fuzzing is not possible here.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what this program finds goes to a terminal")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use fuzz::{TARGET_VARIABLE, Target};

/// Builds all fuzz targets and runs each for a while; an input that breaks one is kept, and the run fails.
#[derive(Parser)]
struct Arguments {
    /// Only targets whose name contains one of these.
    filters: Vec<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The most memory that a target may take.
    #[arg(long, default_value_t = 1024)]
    megabytes: u64,
    /// The longest input.
    #[arg(long, default_value_t = 65_536)]
    longest: u64,
    /// Lists the targets and ends.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let targets: Vec<(&str, Target)> = fuzz::all()
        .into_iter()
        .filter(|(_, target)| {
            arguments.filters.is_empty() || arguments.filters.iter().any(|part| target.name.contains(part.as_str()))
        })
        .collect();
    if arguments.list {
        targets.iter().for_each(|(_, target)| println!("{}", target.name));
        return ExitCode::SUCCESS;
    }
    if let Some(why) = impossible() {
        eprintln!("fuzzing is not possible here: {why}");
        return ExitCode::from(3);
    }
    match all(&arguments, &targets) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What is missing: libFuzzer is compiled from C++.
fn impossible() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("the coverage that libFuzzer needs is set up for Linux only".to_owned());
    }
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let found = Command::new(&compiler).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match found {
        Ok(status) if status.success() => None,
        Ok(_) | Err(_) => Some(format!("there is no C++ compiler ({})", compiler.display())),
    }
}

/// Gives how many targets were broken.
fn all(arguments: &Arguments, targets: &[(&str, Target)]) -> Result<usize> {
    ensure!(!targets.is_empty(), "no fuzz target has such a name; --list names them");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().context("the workspace has moved")?;
    let programs = build(&root, targets)?;
    let mut broken = 0;
    for (program, target) in targets {
        let folder = root.join("target/fuzz").join(target.name);
        let run = Run { program: &programs.join(program), target, folder: &folder, arguments };
        broken += usize::from(!run.says_all_is_well()?);
    }
    Ok(broken)
}

/// The programs of these targets, instrumented. Compiled with the features that the whole workspace asks for, so that
/// dependencies are those of `cargo test --workspace`.
fn build(root: &Path, targets: &[(&str, Target)]) -> Result<PathBuf> {
    let begin = Instant::now();
    let own = std::env::current_exe().context("this program's own path is unknown")?;
    let folder = own.parent().context("this program lies in no folder")?;
    let target_folder = folder.parent().context("this program lies in no target folder")?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--quiet", "--workspace", "--features", "fuzz/libfuzzer", "--target-dir"])
        .arg(target_folder)
        .current_dir(root)
        .env("RUSTC_WORKSPACE_WRAPPER", root.join("tests/fuzz/instrument"));
    let mut names: Vec<&str> = targets.iter().map(|(program, _)| *program).collect();
    names.dedup();
    names.iter().for_each(|name| {
        cargo.args(["--bin", name]);
    });
    let status = cargo.status().context("cargo cannot be started")?;
    ensure!(status.success(), "the fuzz targets do not compile");
    println!("built in {} s", begin.elapsed().as_secs());
    Ok(target_folder.join("debug"))
}

/// One target's run.
struct Run<'a> {
    program: &'a Path,
    target: &'a Target,
    folder: &'a Path,
    arguments: &'a Arguments,
}

/// What libFuzzer says at its end.
#[derive(Default)]
struct Said {
    executions: u64,
    per_second: u64,
    coverage: u64,
    megabytes: u64,
    /// The last lines, which tell of a finding.
    tail: std::collections::VecDeque<String>,
}

impl Run<'_> {
    /// Runs it and prints its line.
    fn says_all_is_well(&self) -> Result<bool> {
        let Self { program, target, folder, arguments } = self;
        let (corpus, seeds) = (folder.join("corpus"), folder.join("seeds"));
        let dictionary = folder.join("dictionary");
        std::fs::create_dir_all(&corpus).with_context(|| format!("{} cannot be made", corpus.display()))?;
        if seeds.exists() {
            std::fs::remove_dir_all(&seeds)?;
        }
        std::fs::create_dir_all(&seeds)?;
        let inputs = target.seeds();
        for (number, input) in inputs.iter().enumerate() {
            std::fs::write(seeds.join(format!("{number:04}")), input)?;
        }
        let words = words(&inputs);
        std::fs::write(&dictionary, &words)?;
        // libFuzzer takes an empty dictionary for a mistake.
        let dictionary = (!words.is_empty()).then(|| format!("-dict={}", dictionary.display()));
        let mut child = Command::new(program)
            .arg(format!("-max_total_time={}", arguments.seconds))
            .arg(format!("-rss_limit_mb={}", arguments.megabytes))
            .arg(format!("-max_len={}", arguments.longest))
            .arg(format!("-artifact_prefix={}/", folder.display()))
            .args(dictionary)
            .args(["-timeout=20", "-print_final_stats=1", "-use_value_profile=1"])
            .args([&corpus, &seeds])
            .env(TARGET_VARIABLE, target.name)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let said = listen(child.stderr.take().context("no output")?)?;
        let well = child.wait()?.success();
        let verdict = if well { "ok    " } else { "BROKEN" };
        println!(
            "{verdict} {}: {} seeds, {} executions, {}/s, coverage {}, {} MB",
            target.name,
            inputs.len(),
            said.executions,
            said.per_second,
            said.coverage,
            said.megabytes
        );
        if !well {
            said.tail.iter().for_each(|line| println!("        {line}"));
            println!("        again: {TARGET_VARIABLE}={} {} <that file>", target.name, program.display());
        }
        Ok(well)
    }
}

fn listen(output: impl std::io::Read) -> Result<Said> {
    let mut said = Said::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        let number = |text: &str| text.trim().parse::<u64>().unwrap_or_default();
        if let Some((name, value)) = line.strip_prefix("stat::").and_then(|stat| stat.split_once(':')) {
            match name {
                "number_of_executed_units" => said.executions = number(value),
                "average_exec_per_sec" => said.per_second = number(value),
                "peak_rss_mb" => said.megabytes = number(value),
                _ => {}
            }
            continue;
        }
        if let Some((_, rest)) = line.split_once(" cov: ") {
            said.coverage = number(rest.split(' ').next().unwrap_or_default());
        }
        if !line.starts_with('#') {
            said.tail.push_back(line);
            if said.tail.len() > 40 {
                said.tail.pop_front();
            }
        }
    }
    Ok(said)
}

/// A dictionary of libFuzzer's: what stands in quotes in the seeds.
fn words(seeds: &[Vec<u8>]) -> String {
    let mut words: Vec<String> = seeds
        .iter()
        .flat_map(|seed| {
            let text = String::from_utf8_lossy(seed).into_owned();
            text.split('"').map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|word| (2..=24).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
        .collect();
    words.sort();
    words.dedup();
    words.truncate(400);
    words.iter().map(|word| format!("\"\\\"{word}\\\"\"\n")).collect()
}
