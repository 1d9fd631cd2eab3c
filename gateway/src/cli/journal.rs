//! `fhir-gateway journal …`: copying the journal and going on from a copy (docs/operations/backup.md).

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::{FAILED, USAGE, say};
use crate::assemble::journal_of;
use crate::config::Config;
use crate::journal::{self, CopyError, NewEpoch};

#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// Copy the journal to a new file, also while the gateway runs. The key-encryption key is not in it.
    Backup {
        /// The configuration file (TOML).
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The file to make.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Put a copy in the journal's place and begin a new epoch on it. The gateway must not run.
    Restore {
        /// The configuration file (TOML).
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The copy.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
    },
    /// Begin a new epoch on a journal that is itself an old copy, as after restoring a snapshot of its volume. The
    /// gateway must not have run on it.
    NewEpoch {
        /// The configuration file (TOML).
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

pub(super) fn run(command: &JournalCommand, out: &mut dyn Write, errors: &mut dyn Write) -> ExitCode {
    let (JournalCommand::Backup { config, .. }
    | JournalCommand::Restore { config, .. }
    | JournalCommand::NewEpoch { config }) = command;
    let config = match Config::load(config) {
        Ok(config) => config,
        Err(fault) => return say(errors, &format_args!("{fault}\n"), USAGE),
    };
    let (settings, kek) = match journal_of(&config) {
        Ok(found) => found,
        Err(fault) => return say(errors, &format_args!("{fault}\n"), USAGE),
    };
    let done = match command {
        JournalCommand::Backup { to, .. } => {
            let mut told = 0;
            let progress = |pages: u64, all: u64| {
                let tenth = (pages * 10).checked_div(all).unwrap_or(10);
                if tenth > told && all > 65_536 {
                    told = tenth;
                    // A copy goes on when nobody reads how far it is.
                    drop(writeln!(errors, "{tenth}0 % of {all} pages"));
                }
            };
            journal::back_up(&settings.path, to, progress)
                .map(|records| format!("{records} records copied to {}\n", to.display()))
        }
        JournalCommand::Restore { from, .. } => journal::restore(settings, kek, from).map(begun),
        JournalCommand::NewEpoch { .. } => journal::new_epoch(settings, kek).map(begun),
    };
    match done {
        Ok(sentence) => say(out, &sentence, 0),
        Err(fault @ (CopyError::Missing { .. } | CopyError::Exists { .. })) => {
            say(errors, &format_args!("{fault}\n"), USAGE)
        }
        Err(fault) => say(errors, &format_args!("{fault}\n"), FAILED),
    }
}

fn begun(begun: NewEpoch) -> String {
    let NewEpoch { source, epoch, records } = begun;
    format!(
        "the journal {source} holds {records} records; new ones belong to epoch {epoch}. What was recorded after the copy \
         was taken is in the log and cannot be opened any more.\n"
    )
}
