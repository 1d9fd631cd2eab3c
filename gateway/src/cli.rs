//! The command line. Exit codes: 0 ok, 1 failed, 64 usage or bad configuration.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde::Serialize;

use crate::config::{self, Config};
use crate::decide::{self, label};
use crate::explain;
use crate::replay;
use crate::rules::Rules;
use crate::selftest;
use journal::JournalCommand;

mod journal;

/// Usage or configuration is wrong (`EX_USAGE`).
pub const USAGE: u8 = 64;
const FAILED: u8 = 1;

/// Enforces the patient's consent before a FHIR server and records every access before the answer is released.
#[derive(Debug, Parser)]
#[command(name = "fhir-gateway", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Serve {
        /// The configuration file (TOML).
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a configuration, or print what one may hold.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Decide on files as the gateway would, without a server, and print the decision as one JSON object.
    Decide(Box<decide::Arguments>),
    /// Print a resource or Bundle with the labels that the gateway adds before it decides.
    Label(label::Arguments),
    /// Ask the gateway that runs what each of its stages says of a token and a request. The look is recorded.
    Explain(Box<explain::command::Arguments>),
    /// Decide every recorded access again by other rules, and print what differs as lines of JSON. The look is recorded.
    Replay(Box<replay::command::Arguments>),
    /// Copy the journal, or go on from a copy.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Ask a gateway that runs, from outside, what an installation must be able to show.
    #[command(name = "selftest")]
    SelfTest(Box<selftest::Arguments>),
    /// Print the version.
    Version,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Report every fault of a configuration, with the files that it names.
    Check {
        /// The configuration file (TOML).
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Print the JSON Schema of the configuration.
    Schema,
}

/// Runs a command line; `serve` runs the gateway and says how it ended.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    serve: impl FnOnce(Config) -> ExitCode,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> ExitCode {
    let command = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments.command,
        Err(error) if error.use_stderr() => return say(errors, &error.render(), USAGE),
        Err(help) => return say(out, &help.render(), 0),
    };
    match command {
        Command::Serve { config } => match load(&config) {
            Ok(config) => serve(config),
            Err(fault) => say(errors, &format_args!("{fault}\n"), USAGE),
        },
        Command::Config(ConfigCommand::Check { config }) => match load(&config) {
            Ok(_) => say(out, &"configuration is valid\n", 0),
            Err(fault) => say(errors, &format_args!("{fault}\n"), USAGE),
        },
        Command::Config(ConfigCommand::Schema) => say(out, &format_args!("{:#}\n", config::schema()), 0),
        Command::Decide(arguments) => match decide::decide(&arguments) {
            Ok(answer) => say(out, &Line(&answer), 0),
            Err(fault) => say(errors, &format_args!("{fault}\n"), USAGE),
        },
        Command::Label(arguments) => match label::label(&arguments) {
            Ok(labelled) => match out.write_all(&labelled).and_then(|()| out.flush()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::from(FAILED),
            },
            Err(fault) => say(errors, &format_args!("{fault}\n"), USAGE),
        },
        Command::Explain(arguments) => match explain::command::explain(&arguments) {
            Ok(text) => say(out, &text, 0),
            Err(fault) => say(errors, &format_args!("{fault}\n"), if fault.is_usage() { USAGE } else { FAILED }),
        },
        Command::Replay(arguments) => match replay::command::replay(&arguments, out, errors) {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => say(errors, &format_args!("{fault}\n"), if fault.is_usage() { USAGE } else { FAILED }),
        },
        Command::Journal(command) => journal::run(&command, out, errors),
        Command::SelfTest(arguments) => match selftest::run(&arguments, out) {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => say(errors, &format_args!("FAILED: {fault}\n"), FAILED),
        },
        Command::Version => say(out, &format_args!("fhir-gateway {}\n", env!("CARGO_PKG_VERSION")), 0),
    }
}

/// The configuration with all that it names: files, secrets, policies, label sets.
fn load(path: &Path) -> Result<Config, Box<dyn std::error::Error>> {
    let config = Config::load(path)?;
    Rules::load(&config).map_err(|fault| format!("the configuration has 1 error\n  {fault}"))?;
    if let Some(tls) = &config.server.tls {
        crate::tls::Certificates::load(tls)
            .map_err(|fault| format!("the configuration has 1 error\n  server.tls: {fault}; correct the files"))?;
    }
    Ok(config)
}

/// A value as one line of JSON.
struct Line<'a, T>(&'a T);

impl<T: Serialize> std::fmt::Display for Line<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line = serde_json::to_string(self.0).map_err(|_| std::fmt::Error)?;
        writeln!(f, "{line}")
    }
}

/// Writes and ends with `code`; a closed pipe is a failure of its own, never a panic.
fn say(to: &mut dyn Write, text: &dyn std::fmt::Display, code: u8) -> ExitCode {
    match write!(to, "{text}").and_then(|()| to.flush()) {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::from(FAILED),
    }
}

#[cfg(test)]
mod tests;
