//! `cargo bench-all`: the numbers that we set ourselves, measured beside what people would use instead.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what this program measures goes to a terminal")]

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use e2e::bench::{self, Bench, machine, report};
use e2e::harness::tools::Tools;

/// Measures ours and theirs in turn, prints the table, and writes it into docs/benchmarks.md.
#[derive(Parser)]
struct Arguments {
    /// Only these rows, such as `1,4`; the page is not written then.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<u8>,
    /// One short round instead of three: to see that it works. The page is not written then.
    #[arg(long)]
    quick: bool,
    /// Lists the rows and ends.
    #[arg(long)]
    list: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for row in bench::rows() {
            println!("{:?} {}", row.numbers, row.what);
        }
        return ExitCode::SUCCESS;
    }
    match Box::pin(measure(&arguments)).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(3)
        }
    }
}

/// Gives whether every row could be measured. A goal that is missed is a finding, no failure.
async fn measure(arguments: &Arguments) -> Result<bool> {
    let unknown = arguments.rows.iter().find(|wanted| !bench::rows().iter().any(|row| row.numbers.contains(wanted)));
    ensure!(unknown.is_none(), "there is no row {}; --list names them", unknown.copied().unwrap_or_default());
    let bench = Bench { tools: Tools::open()?, quick: arguments.quick };
    let facts = machine::facts(&bench).await?;
    let outcomes = bench::run(&bench, &arguments.rows).await;
    let measured = report::markdown(&facts, &outcomes);
    println!("{measured}");
    for outcome in &outcomes {
        println!("{} took {:.0} s", outcome.what, outcome.took.as_secs_f64());
    }
    if arguments.rows.is_empty() && !arguments.quick {
        println!("kept in {}", report::keep(&measured)?.display());
    }
    Ok(outcomes.iter().all(|outcome| outcome.lines.is_ok()))
}
