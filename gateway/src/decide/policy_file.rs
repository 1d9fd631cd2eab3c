//! The policy of a decision as a file, TOML or JSON: `[consent]` as in the gateway's configuration, and what stands
//! beside it there.

use std::path::Path;

use gateway_core::labels::LabelSets;
use gateway_core::policy::{ConsentSettings, Policy, PolicyError, PolicyRoles, RedactionRule};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The file; keys of `[consent]` may also stand at the top where there is no such table.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PolicyFile {
    consent: ConsentSettings,
    redaction: Vec<RedactionRule>,
    roles: PolicyRoles,
    /// As in the file that `policy.label_sets_file` names; in the place of the shipped ones.
    label_sets: Option<LabelSets>,
}

const TABLES: [&str; 4] = ["consent", "redaction", "roles", "label_sets"];

/// A policy that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyFileFault {
    #[error("it cannot be read ({0})")]
    Unreadable(std::io::ErrorKind),
    #[error("it is neither TOML nor JSON: {0}")]
    Syntax(String),
    #[error("{0}")]
    Settings(#[from] serde_json::Error),
    #[error("{0}")]
    Policy(#[from] PolicyError),
}

/// Reads the policy; without a file, the defaults.
pub(super) fn read(file: Option<&Path>) -> Result<Policy, PolicyFileFault> {
    policy(file, |_| {})
}

/// Reads the policy for a gateway whose two bases are those of `settings`: they are not the file's to say.
pub(crate) fn read_as(file: &Path, settings: &ConsentSettings) -> Result<Policy, PolicyFileFault> {
    policy(Some(file), |own| {
        own.public_base.clone_from(&settings.public_base);
        own.upstream_base.clone_from(&settings.upstream_base);
    })
}

fn policy(file: Option<&Path>, adapt: impl FnOnce(&mut ConsentSettings)) -> Result<Policy, PolicyFileFault> {
    let mut policy = match file {
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| PolicyFileFault::Unreadable(error.kind()))?;
            serde_json::from_value(in_tables(parse(&text)?))?
        }
        None => PolicyFile::default(),
    };
    adapt(&mut policy.consent);
    let sets = match policy.label_sets {
        Some(sets) => sets,
        None => LabelSets::shipped().clone(),
    };
    Ok(Policy::new(policy.consent, policy.redaction, sets, policy.roles)?)
}

fn parse(text: &str) -> Result<Value, PolicyFileFault> {
    if text.trim_start().starts_with('{') {
        return Ok(serde_json::from_str(text)?);
    }
    toml::from_str(text).map_err(|error| PolicyFileFault::Syntax(error.message().to_owned()))
}

/// Keys at the top that are no table are of `[consent]`, unless that is there.
fn in_tables(file: Value) -> Value {
    let Value::Object(members) = file else { return file };
    if members.contains_key("consent") {
        return Value::Object(members);
    }
    let (mut whole, consent): (Map<_, _>, Map<_, _>) =
        members.into_iter().partition(|(key, _)| TABLES.contains(&key.as_str()));
    whole.insert("consent".to_owned(), Value::Object(consent));
    Value::Object(whole)
}
