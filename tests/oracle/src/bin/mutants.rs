//! `cargo oracle-mutants`: shows that the oracle and the tests of `gateway-core` notice every mutant of `mutants.txt`.
//!
//! All mutants are built into one copy of `gateway-core`, each behind a switch that an environment variable turns on, so
//! that nothing is compiled twice. Every mutant is first held against the oracle and then, where that does not notice,
//! against the unit and scenario tests. Exit 0: all are killed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// The variable that says which mutant is on.
const SWITCH: &str = "SEALGATE_MUTANT";

/// Added to the copy's `lib.rs`.
const SWITCHED: &str = r#"
pub(crate) fn mutant(number: u32) -> bool {
    static ON: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *ON.get_or_init(|| std::env::var("SEALGATE_MUTANT").ok().and_then(|n| n.parse().ok()).unwrap_or(0)) == number
}
"#;

const CASES: &str = "60000";

struct Mutant {
    number: usize,
    file: String,
    from: String,
    to: String,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(70)
        }
    }
}

fn run() -> io::Result<bool> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let only: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let mutants = read(&fs::read_to_string(workspace.join("tests/oracle/mutants.txt"))?)?;
    let copy = std::env::temp_dir().join("sealgate-mutants");
    prepare(&workspace, &copy, &mutants)?;
    cargo(&copy, &["build", "--package", "oracle"])?;
    cargo(&copy, &["test", "--package", "gateway-core", "--lib", "--tests", "--no-run"])?;
    let mut out = io::stdout().lock();
    if let Some(why) = noticed(&copy, 0)? {
        writeln!(out, "without any mutant: {why}")?;
        return Ok(false);
    }
    let mut survivors = Vec::new();
    let mut kills = BTreeMap::<&str, usize>::new();
    for mutant in mutants.iter().filter(|mutant| only.is_empty() || only.contains(&mutant.number)) {
        let Mutant { number, file, from, to } = mutant;
        match noticed(&copy, *number)? {
            Some(by) => {
                *kills.entry(by).or_default() += 1;
                writeln!(out, "{number:>4} killed by {by}: {file}")?;
            }
            None => {
                writeln!(out, "{number:>4} SURVIVES: {file}: {from}  ->  {to}")?;
                survivors.push(*number);
            }
        }
        out.flush()?;
    }
    writeln!(out, "{} mutants, killed {kills:?}, survivors {survivors:?}", mutants.len())?;
    Ok(survivors.is_empty())
}

/// Who notices the mutant, if anybody does.
fn noticed(copy: &Path, number: usize) -> io::Result<Option<&'static str>> {
    let passes = |command: &mut Command| -> io::Result<bool> {
        let status =
            command.current_dir(copy).env(SWITCH, number.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(status.status()?.success())
    };
    let compare = copy.join("target/debug/oracle-compare");
    if !passes(Command::new(compare).args(["--cases", CASES, "--seed", "1", "--first", "1"]))? {
        return Ok(Some("the oracle"));
    }
    let tests = ["test", "--offline", "--quiet", "--package", "gateway-core", "--lib", "--tests"];
    let ours = copy.join("target");
    if !passes(Command::new("cargo").args(tests).env("CARGO_TARGET_DIR", ours))? {
        return Ok(Some("the tests"));
    }
    Ok(None)
}

/// Reads `mutants.txt`.
fn read(text: &str) -> io::Result<Vec<Mutant>> {
    let mut mutants = Vec::new();
    let (mut file, mut from) = (String::new(), None);
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix("- "), line.strip_prefix("+ ")) {
            (Some(line), _) => from = Some(line.replace('↵', "\n")),
            (_, Some(to)) => {
                let from = from.take().ok_or_else(|| fault(&format!("no - line before + {to}")))?;
                mutants.push(Mutant { number: mutants.len() + 1, file: file.clone(), from, to: to.to_owned() });
            }
            (None, None) => line.clone_into(&mut file),
        }
    }
    Ok(mutants)
}

fn fault(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}

/// Writes a workspace of `gateway-core` with all mutants, and of the oracle.
fn prepare(workspace: &Path, copy: &Path, mutants: &[Mutant]) -> io::Result<()> {
    for folder in ["gateway/core", "tests/oracle"] {
        let to = copy.join(folder);
        if to.exists() {
            fs::remove_dir_all(&to)?;
        }
        copy_folder(&workspace.join(folder), &to)?;
    }
    fs::copy(workspace.join("Cargo.lock"), copy.join("Cargo.lock"))?;
    let manifest = fs::read_to_string(workspace.join("Cargo.toml"))?;
    let mut lines = Vec::new();
    let mut skipped = false;
    for line in manifest.lines() {
        // The lints are ours to keep, not the mutants'; the profiles are for speed.
        if line.starts_with('[') {
            skipped = line.starts_with("[profile") || line.starts_with("[workspace.lints");
        }
        if line.starts_with("members") {
            lines.push("members = [\"gateway/core\", \"tests/oracle\"]");
        } else if !skipped {
            lines.push(line);
        }
    }
    let profile = "\n[workspace.lints.rust]\nwarnings = \"allow\"\n[profile.dev]\ndebug = false\nopt-level = 1\n";
    fs::write(copy.join("Cargo.toml"), lines.join("\n") + profile)?;
    let source = |file: &str| copy.join("gateway/core/src").join(file);
    let mut texts = BTreeMap::<PathBuf, String>::new();
    let mut places = BTreeMap::<PathBuf, Vec<(usize, usize, &Mutant)>>::new();
    for mutant in mutants {
        let path = source(&mutant.file);
        if !texts.contains_key(&path) {
            texts.insert(path.clone(), fs::read_to_string(&path)?);
        }
        let text = texts.get(&path).map(String::as_str).unwrap_or_default();
        let (before, rest) = mutant.from.split_once('⟦').ok_or_else(|| fault(&mutant.from))?;
        let (what, after) = rest.split_once('⟧').ok_or_else(|| fault(&mutant.from))?;
        let whole = format!("{before}{what}{after}");
        if text.matches(&whole).count() != 1 {
            let times = text.matches(&whole).count();
            return Err(fault(&format!("{}: found {times} times: {whole}", mutant.file)));
        }
        let at = text.find(&whole).unwrap_or_default() + before.len();
        places.entry(path).or_default().push((at, what.len(), mutant));
    }
    for (path, mut places) in places {
        let text = texts.get(&path).map(String::as_str).unwrap_or_default();
        places.sort_by_key(|(at, length, mutant)| (*at, std::cmp::Reverse(*length), mutant.number));
        fs::write(&path, switched(text, &places)?)?;
    }
    let lib = source("lib.rs");
    let text = fs::read_to_string(&lib)?;
    fs::write(&lib, text + SWITCHED)
}

/// The text with every mutant behind its switch; mutants of the very same place are nested, others may not overlap.
fn switched(text: &str, places: &[(usize, usize, &Mutant)]) -> io::Result<String> {
    let mut out = String::new();
    let mut done = 0;
    let mut at = 0;
    while let Some((start, length, _)) = places.get(at) {
        let original = text.get(*start..start + length).unwrap_or_default();
        let same = places.iter().skip(at).take_while(|(s, l, _)| s == start && l == length);
        let mut replaced = original.to_owned();
        let mut count = 0;
        for (_, _, mutant) in same {
            replaced = behind_switch(&replaced, mutant);
            count += 1;
        }
        let before = text.get(done..*start).ok_or_else(|| fault(&format!("mutants overlap at {original}")))?;
        out.push_str(before);
        out.push_str(&replaced);
        done = start + length;
        at += count;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Ok(out)
}

fn behind_switch(original: &str, mutant: &Mutant) -> String {
    let on = format!("crate::mutant({})", mutant.number);
    let to = &mutant.to;
    if to.contains("MUTANT") {
        to.replace("MUTANT", &on)
    } else if original.ends_with(';') {
        format!("if {on} {{ {to} }} else {{ {original} }}")
    } else {
        format!("(if {on} {{ {to} }} else {{ {original} }})")
    }
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn cargo(copy: &Path, words: &[&str]) -> io::Result<()> {
    let target = copy.join("target");
    let status = Command::new("cargo")
        .args(words)
        .arg("--offline")
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", target)
        .status()?;
    if status.success() { Ok(()) } else { Err(fault(&format!("cargo {} failed", words.join(" ")))) }
}
