//! `cargo twin`: the twin-world test in numbers, and the mutants that it has to find.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what this program finds goes to a terminal")]

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use e2e::twin::mutants::{self, Within};
use e2e::twin::run::{self, Budget, Tally};
use e2e::twin::twins::Parts;
use e2e::twin::world::Gaps;

/// Looks for a request that tells two worlds apart whose visible parts are equal.
#[derive(Parser)]
struct Arguments {
    /// Pairs of worlds.
    #[arg(long, default_value_t = 40)]
    pairs: usize,
    /// Requests, each sent to both worlds.
    #[arg(long, default_value_t = 4_000)]
    requests: usize,
    /// The seed of worlds and requests.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The number of the first pair: a difference names its pair, which can be tried alone (`--first N --pairs 1`).
    #[arg(long, default_value_t = 0)]
    first: usize,
    /// Pairs that one pair of FHIR servers holds at a time.
    #[arg(long, default_value_t = 40)]
    per_load: usize,
    /// Differences after which it ends.
    #[arg(long, default_value_t = 10)]
    most: usize,
    /// What the gateway is known not to keep apart yet, tried too: dangling, displays, provenance-writes.
    #[arg(long, value_delimiter = ',')]
    with: Vec<String>,
    /// Builds the gateway with one rule switched off after the other, and sees that each is found.
    #[arg(long)]
    mutants: bool,
    /// Only mutants whose name contains one of these.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(twin(&Arguments::parse())).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(3)
        }
    }
}

async fn twin(arguments: &Arguments) -> Result<bool> {
    let begin = Instant::now();
    let mut gaps = Gaps::default();
    for name in &arguments.with {
        gaps = gaps.with(name).with_context(|| format!("{name}: none of {}", Gaps::NAMES.join(", ")))?;
    }
    let parts = Parts::start().await?;
    let common = parts.common();
    if arguments.mutants {
        let &Arguments { seed, pairs, requests, .. } = arguments;
        let rows = mutants::run(&common, Within { seed, pairs: pairs.min(20), requests }, &arguments.only).await?;
        let killed = rows.iter().filter(|row| row.killed).count();
        for row in &rows {
            println!("{}  {:<28} {}", if row.killed { "killed  " } else { "SURVIVED" }, row.name, row.by);
        }
        println!("{killed} of {} mutants killed in {:.0} s", rows.len(), begin.elapsed().as_secs_f64());
        return Ok(killed == rows.len());
    }
    let budget = Budget {
        seed: arguments.seed,
        first: arguments.first,
        pairs: arguments.pairs,
        requests: arguments.requests,
        per_load: arguments.per_load.max(1),
        most_differences: arguments.most.max(1),
        gaps,
    };
    let tally = run::whole(&common, budget).await?;
    report(&tally, &budget);
    println!("{:.0} s", begin.elapsed().as_secs_f64());
    Ok(tally.differences.is_empty() && tally.data_share() >= 30.0)
}

fn report(tally: &Tally, budget: &Budget) {
    for (kind, (all, data)) in &tally.kinds {
        let of_kind = tally.answers.iter().filter(|((of, _), _)| of == kind);
        let answers: Vec<String> = of_kind.map(|((_, answer), number)| format!("{answer}: {number}")).collect();
        println!("{kind:<24} {all:>6} requests, {data:>6} with data; {}", answers.join(", "));
    }
    for difference in &tally.differences {
        println!("{difference}");
    }
    println!("{} pairs, seed {}: {}", budget.pairs, budget.seed, run::line(tally));
}
