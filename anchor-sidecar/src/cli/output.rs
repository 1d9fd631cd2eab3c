//! What people and programs read: sentences or JSON on standard output, failures on standard error, one exit code.

use std::{fmt, io::Write as _, process::ExitCode};

use serde::Serialize;

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Sentences.
    Text,
    /// One JSON object.
    Json,
}

/// The exit codes of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or verified.
    Done,
    /// Failed, or NOT verified.
    Failed,
    /// Waiting for an anchor.
    Waiting,
    /// Cannot check.
    CannotCheck,
    /// Wrong usage or bad configuration.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Waiting => 2,
            Exit::CannotCheck => 3,
            Exit::Usage => 64,
        })
    }
}

/// A command that could not do its work: a sentence and the exit code.
#[derive(Debug)]
pub(super) struct Failure {
    /// The exit code.
    pub(super) exit: Exit,
    /// The sentence.
    pub(super) message: String,
}

impl Failure {
    /// A failure of the work itself (exit code 1).
    pub(super) fn failed(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Failed, message: message.to_string() }
    }

    /// Wrong usage or bad configuration (exit code 64).
    pub(super) fn usage(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, message: message.to_string() }
    }
}

/// The only writer to standard output and standard error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    format: Format,
}

impl Output {
    /// A writer in this format.
    pub(super) fn new(format: Format) -> Self {
        Self { format }
    }

    /// Writes an answer: its sentences, or itself as JSON.
    ///
    /// # Errors
    /// [`Failure`] when standard output is closed.
    pub(super) fn answer(&self, text: impl fmt::Display, json: &impl Serialize) -> Result<(), Failure> {
        match self.format {
            Format::Text => line(text),
            Format::Json => line(serde_json::to_string(json).map_err(Failure::failed)?),
        }
    }

    /// Writes a remark to standard error; it is no part of the answer.
    pub(super) fn note(&self, text: &str) {
        // As for failures: a closed standard error leaves nowhere to say so.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// Writes a failure to standard error and gives its exit code.
    pub(super) fn failed(&self, failure: &Failure) -> Exit {
        let text = match self.format {
            Format::Text => failure.message.clone(),
            Format::Json => serde_json::json!({ "error": failure.message }).to_string(),
        };
        // A closed standard error leaves nowhere to say so; the exit code still tells.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
        failure.exit
    }
}

/// Writes one line, or a text of lines, to standard output.
///
/// # Errors
/// [`Failure`] when standard output is closed.
pub(super) fn line(text: impl fmt::Display) -> Result<(), Failure> {
    writeln!(std::io::stdout().lock(), "{text}").map_err(Failure::failed)
}
