//! `cargo oracle -- --cases N --seed S`: asks engine and oracle the same generated questions.
//!
//! `--first 1` stops at the first difference and counts no coverage; `--print NUMBER` shows a case.
//! Exit 0: no difference, coverage reached. Exit 1: a difference (shrunk, as JSON) or coverage that is missing.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use oracle::compare::{both, difference};
use oracle::coverage::Coverage;
use oracle::evaluator::matching::ELEMENTS;
use oracle::generate;
use oracle::shrink::shrink;
use serde_json::{Value, json};

/// Faults that are printed of one run.
const SHOWN: usize = 8;

/// Differences that are made small and sorted into kinds.
const LOOKED_AT: usize = 200;

struct Asked {
    cases: u64,
    seed: u64,
    show: usize,
    print: Option<u64>,
    first: bool,
}

fn main() -> ExitCode {
    let asked = match arguments() {
        Ok(asked) => asked,
        Err(why) => {
            let _ = writeln!(
                io::stderr(),
                "{why}\nusage: oracle-compare [--cases N] [--seed S] [--show N] [--first 1] [--print NUMBER]"
            );
            return ExitCode::from(64);
        }
    };
    match run(&asked) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

fn arguments() -> Result<Asked, String> {
    let mut asked = Asked { cases: 1_000_000, seed: 1, show: SHOWN, print: None, first: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let number =
            words.next().and_then(|value| value.parse::<u64>().ok()).ok_or(format!("{word} needs a number"))?;
        match word.as_str() {
            "--cases" => asked.cases = number,
            "--seed" => asked.seed = number,
            "--show" => asked.show = usize::try_from(number).unwrap_or(SHOWN),
            "--first" => asked.first = number == 1,
            "--print" => asked.print = Some(number),
            other => return Err(format!("{other} is not known")),
        }
    }
    Ok(asked)
}

/// What one thread found.
#[derive(Default)]
struct Found {
    coverage: Coverage,
    different: Vec<u64>,
    faults: Vec<String>,
}

fn run(asked: &Asked) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    if let Some(number) = asked.print {
        let case = generate::case(asked.seed, number);
        writeln!(out, "{case:#}")?;
        return Ok(difference(&case).is_none());
    }
    if asked.first {
        let found = first(asked);
        writeln!(out, "{found:?}")?;
        return Ok(found.is_none());
    }
    let begun = Instant::now();
    let threads = thread::available_parallelism().map_or(1, |threads| u64::try_from(threads.get()).unwrap_or(1));
    let found = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|thread| scope.spawn(move || share(asked, thread, threads))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_default()).collect::<Vec<_>>()
    });
    let mut all = Found::default();
    for found in found {
        all.coverage.merge(&found.coverage);
        all.different.extend(found.different);
        all.faults.extend(found.faults);
    }
    all.different.sort_unstable();
    write!(out, "{}", all.coverage.table())?;
    writeln!(out, "\nseed {}, {:.1} s", asked.seed, begun.elapsed().as_secs_f64())?;
    for fault in all.faults.iter().take(asked.show) {
        writeln!(out, "not a case: {fault}")?;
    }
    for (kind, (count, example)) in kinds(asked.seed, &all.different) {
        writeln!(out, "{count} of the first {LOOKED_AT} differences are of the kind {kind}:\n{example}")?;
    }
    let missing = all.coverage.missing();
    for missing in &missing {
        writeln!(out, "not covered: {missing}")?;
    }
    writeln!(
        out,
        "{} differences, {} gaps in coverage, {} faults",
        all.different.len(),
        missing.len(),
        all.faults.len()
    )?;
    Ok(all.different.is_empty() && missing.is_empty() && all.faults.is_empty() && all.coverage.cases == asked.cases)
}

/// The first case on which the two differ, or that is none; nothing is counted.
fn first(asked: &Asked) -> Option<u64> {
    (0..asked.cases).find(|number| !matches!(both(&generate::case(asked.seed, *number)), Ok(Ok(_))))
}

fn share(asked: &Asked, thread: u64, threads: u64) -> Found {
    let mut found = Found::default();
    let mut number = thread;
    while number < asked.cases {
        let case = generate::case(asked.seed, number);
        match both(&case) {
            Ok(Ok(answer)) => found.coverage.count(&case, answer),
            Ok(Err(difference)) => {
                found.coverage.count(&case, difference.oracle);
                found.different.push(number);
            }
            Err(fault) => found.faults.push(format!("{number}: {}", fault.0)),
        }
        number += threads;
    }
    found
}

/// One example of each kind of difference: kinds are told apart by answer, reasons, settings and stated elements.
fn kinds(seed: u64, different: &[u64]) -> BTreeMap<String, (usize, Value)> {
    let mut kinds = BTreeMap::new();
    for number in different.iter().take(LOOKED_AT) {
        let told = told(seed, *number);
        let part = |path: &str| told.pointer(path).cloned().unwrap_or_default();
        let words = part("/case").to_string();
        let elements: Vec<&str> =
            ELEMENTS.into_iter().filter(|element| words.contains(&format!("\"{element}\":"))).collect();
        let kind =
            format!("{} {} {} {elements:?}", part("/oracle"), part("/engine_reasons/0/rule"), part("/case/settings"));
        kinds.entry(kind).or_insert((0, told)).0 += 1;
    }
    kinds
}

/// A difference, made small, with both answers.
fn told(seed: u64, number: u64) -> Value {
    let case = generate::case(seed, number);
    let direction = difference(&case).map(|difference| difference.oracle);
    let small = shrink(&case, &|smaller| difference(smaller).map(|difference| difference.oracle) == direction);
    let Some(found) = difference(&small) else { return Value::Null };
    json!({
        "seed": seed,
        "number": number,
        "oracle": format!("{:?}", found.oracle),
        "engine": format!("{:?}", found.engine),
        "engine_reasons": found.reasons,
        "case": small,
    })
}
