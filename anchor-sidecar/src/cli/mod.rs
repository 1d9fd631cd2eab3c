//! The command line: every command, its exit code, and the one place that writes to standard output.

mod anchors;
mod contract;
mod fsck;
mod http;
mod keygen;
mod output;
mod prove;
mod serve;
mod trust;
mod verify;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

pub use output::{Exit, Format};
use output::{Failure, Output};

/// The append-only log of commitments, its anchor on an EVM chain, and the verifier.
///
/// Exit codes: 0 done or verified, 1 failed or NOT verified, 2 waiting for an anchor, 3 cannot check, 64 usage or bad
/// configuration.
#[derive(Debug, Parser)]
#[command(name = "anchor-sidecar", version, propagate_version = true)]
struct Arguments {
    /// How answers are written to standard output.
    #[arg(long, value_enum, global = true, default_value_t = Format::Text)]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the log until SIGTERM.
    Serve {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Look at a configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make a key; an existing file is never overwritten.
    #[command(subcommand)]
    Keygen(keygen::KeygenCommand),
    /// Deploy the AnchorRegistry.
    Deploy(contract::DeployArguments),
    /// Register a log in the AnchorRegistry.
    Register(contract::RegisterArguments),
    /// Make the proof bundle of a request's records, or of one leaf.
    Prove(prove::ProveArguments),
    /// Verify a proof bundle against a trust file and a chain.
    Verify(verify::VerifyArguments),
    /// Print the trust file that verifiers are given.
    Trust {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// File to write; default: standard output.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Look at the log's anchors.
    #[command(subcommand)]
    Anchors(anchors::AnchorsCommand),
    /// Recompute the whole log and compare it with everything derived, shown or acknowledged.
    Fsck(fsck::FsckArguments),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check a configuration as a whole; every fault is reported.
    Check {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Print the JSON Schema of the configuration.
    Schema,
}

/// Parses the command line, runs the command, and gives the exit code.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors; everything else is usage. A closed output cannot be reported anywhere.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let output = Output::new(arguments.format);
    match dispatch(arguments.command, &output) {
        Ok(exit) => exit.into(),
        Err(failure) => output.failed(&failure).into(),
    }
}

fn dispatch(command: Command, output: &Output) -> Result<Exit, Failure> {
    match command {
        Command::Serve { config } => serve::serve(&config),
        Command::Config(ConfigCommand::Check { config }) => serve::check(&config, output),
        Command::Config(ConfigCommand::Schema) => serve::schema(output),
        Command::Keygen(command) => keygen::keygen(&command, output),
        Command::Deploy(arguments) => contract::deploy(&arguments, output),
        Command::Register(arguments) => contract::register(&arguments, output),
        Command::Prove(arguments) => prove::prove(&arguments, output),
        Command::Verify(arguments) => verify::verify(&arguments, output),
        Command::Trust { config, out } => trust::trust(&config, out.as_ref(), output),
        Command::Anchors(command) => anchors::anchors(&command, output),
        Command::Fsck(arguments) => fsck::fsck(&arguments, output),
    }
}
