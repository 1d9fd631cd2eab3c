//! `cargo e2e`: every test that there is.
//!
//! First `cargo test --workspace` and the contracts' own check, then the end-to-end tests over one shared stack of real parts.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what this program finds goes to a terminal")]

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use e2e::suite::runner::{self, Plan};

/// Runs every test: unit tests, the contracts' check, and the end-to-end tests over real parts.
#[derive(Parser)]
struct Arguments {
    /// Only end-to-end tests whose name contains one of these; unit tests and the contracts' check are left out then.
    filters: Vec<String>,
    /// Lists the end-to-end tests and ends.
    #[arg(long)]
    list: bool,
    /// Leaves out unit tests and the contracts' check.
    #[arg(long)]
    suite_only: bool,
    /// The FHIR server behind the gateway.
    #[arg(long, value_enum, default_value = "hapi")]
    upstream_server: UpstreamServer,
}

#[derive(Clone, Copy, ValueEnum)]
enum UpstreamServer {
    /// HAPI FHIR JPA, the reference.
    Hapi,
    /// The program that SEALGATE_HFS names.
    Hfs,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for test in e2e::suite::tests() {
            println!("{}", test.name);
        }
        return ExitCode::SUCCESS;
    }
    let plan = Plan {
        unit_tests: !arguments.suite_only && arguments.filters.is_empty(),
        filters: arguments.filters,
        hfs: matches!(arguments.upstream_server, UpstreamServer::Hfs),
    };
    match runner::run(plan).await {
        Ok(tally) => {
            println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
            if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(3)
        }
    }
}
