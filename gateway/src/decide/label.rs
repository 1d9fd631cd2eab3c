//! Label: a resource or Bundle with the labels that count before a decision (`fhir-gateway label`).

use std::path::PathBuf;

use clap::Args;
use gateway_core::json::{Doc, Edits};
use gateway_core::labels::add_labels;

use super::policy_file::{self, PolicyFileFault};

/// What is labelled, and by which sets.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The resource, or a Bundle.
    #[arg(long, value_name = "FILE")]
    resource: PathBuf,
    /// As for `decide`.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// A file that cannot be labelled; a sentence.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct LabelFault(#[from] Fault);

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("--resource {file} cannot be read ({kind})")]
    Unreadable { file: PathBuf, kind: std::io::ErrorKind },
    #[error("--resource {file} is not JSON: {fault}")]
    NotJson { file: PathBuf, fault: gateway_core::json::JsonError },
    #[error("--resource {file} holds what cannot be labelled: {fault}")]
    NotLabelled { file: PathBuf, fault: gateway_core::labels::CannotLabel },
    #[error("--policy: {0}")]
    Policy(#[from] PolicyFileFault),
}

/// The bytes of the file with the labels that the sets of the policy add; all else stays as it is, byte for byte.
///
/// # Errors
/// [`LabelFault`]: the sentence for whoever wrote the files.
pub fn label(arguments: &Arguments) -> Result<Vec<u8>, LabelFault> {
    Ok(labelled(arguments)?)
}

fn labelled(arguments: &Arguments) -> Result<Vec<u8>, Fault> {
    let policy = policy_file::read(arguments.policy.as_deref())?;
    let file = || arguments.resource.clone();
    let bytes =
        std::fs::read(&arguments.resource).map_err(|error| Fault::Unreadable { file: file(), kind: error.kind() })?;
    let doc = Doc::parse(&bytes).map_err(|fault| Fault::NotJson { file: file(), fault })?;
    let mut edits = Edits::new();
    let labelled = add_labels(doc.root(), &policy, &mut edits)
        .and_then(|()| edits.apply(&bytes).map_err(|_| gateway_core::labels::CannotLabel::Unreadable));
    labelled.map_err(|fault| Fault::NotLabelled { file: file(), fault })
}

#[cfg(test)]
mod tests;
