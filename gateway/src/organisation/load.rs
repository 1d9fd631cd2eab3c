//! Reading and validating the policies.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use cedar_policy::{EntityTypeName, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use sha2::{Digest, Sha256};

use super::{OrganisationPolicy, Types, remembered};

const SCHEMA: &str = include_str!("../../policies/sealgate.cedarschema");
const DEFAULT: &str = include_str!("../../policies/default.cedar");
const DEFAULT_NAME: &str = "default.cedar";

/// Most bytes of one policy file.
const MAX_FILE: u64 = 1 << 20;

/// Policies that cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFault {
    /// A folder or file cannot be read.
    #[error("{name} cannot be read ({kind})")]
    Unreadable {
        /// Its name.
        name: String,
        /// Why.
        kind: std::io::ErrorKind,
    },
    /// A file is larger than any policy.
    #[error("{0} is larger than 1 MiB")]
    TooLarge(String),
    /// A file is not Cedar.
    #[error("{name} is not Cedar: {text}")]
    Malformed {
        /// Its name.
        name: String,
        /// What the parser says.
        text: String,
    },
    /// A policy has no `@id`, and reasons could not name it.
    #[error("{0} holds a policy without @id")]
    WithoutId(String),
    /// Two policies have one `@id`.
    #[error("{name} repeats the @id {id}")]
    Repeated {
        /// The file.
        name: String,
        /// The id.
        id: String,
    },
    /// A template, which nothing would ever link.
    #[error("{0} holds a template; write policies without ?principal and ?resource")]
    Template(String),
    /// Policies ask what the schema does not know.
    #[error("the policies do not fit the schema: {0}")]
    Invalid(String),
    /// The shipped schema is broken; a build that passes its tests never says so.
    #[error("the shipped schema is broken: {0}")]
    Schema(String),
}

impl OrganisationPolicy {
    /// Loads the shipped set and the operator's folder: `*.cedar` in it is added, `default.cedar` replaces the shipped.
    pub fn load(dir: Option<&Path>) -> Result<Self, PolicyFault> {
        let mut sources = BTreeMap::from([(DEFAULT_NAME.to_owned(), DEFAULT.to_owned())]);
        if let Some(dir) = dir {
            sources.extend(operators_files(dir)?);
        }
        Self::from_sources(&sources)
    }

    pub(super) fn from_sources(sources: &BTreeMap<String, String>) -> Result<Self, PolicyFault> {
        let broken = |error: &dyn std::fmt::Display| PolicyFault::Schema(error.to_string());
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|error| broken(&error))?;
        let policies = assemble(sources)?;
        let validation = Validator::new(schema.clone()).validate(&policies, ValidationMode::Strict);
        let faults: Vec<String> = validation.validation_errors().map(ToString::to_string).collect();
        if !faults.is_empty() {
            return Err(PolicyFault::Invalid(faults.join("; ")));
        }
        for warning in validation.validation_warnings() {
            tracing::warn!(%warning, "organisational policy");
        }
        let type_name = |name: &str| name.parse::<EntityTypeName>().map_err(|error| broken(&error));
        let action_entities = schema.action_entities().map_err(|error| broken(&error))?;
        let actions: HashMap<_, _> = action_entities
            .iter()
            .map(|entity| (entity.uid().id().unescaped().to_owned(), entity.uid()))
            .filter(|(name, _)| !matches!(name.as_str(), "look" | "change"))
            .collect();
        Ok(Self {
            policies,
            actions,
            action_entities: action_entities.iter().cloned().collect(),
            types: Types {
                caller: type_name("Caller")?,
                resource_type: type_name("ResourceType")?,
                server: type_name("Server")?,
            },
            digest: digest(sources),
            remembered: remembered(),
        })
    }
}

fn operators_files(dir: &Path) -> Result<BTreeMap<String, String>, PolicyFault> {
    let unreadable =
        |name: &str, error: &std::io::Error| PolicyFault::Unreadable { name: name.to_owned(), kind: error.kind() };
    let folder = dir.display().to_string();
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir).map_err(|error| unreadable(&folder, &error))? {
        let path = entry.map_err(|error| unreadable(&folder, &error))?.path();
        if path.extension().is_none_or(|extension| extension != "cedar") {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let length = std::fs::metadata(&path).map_err(|error| unreadable(&name, &error))?.len();
        if length > MAX_FILE {
            return Err(PolicyFault::TooLarge(name));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&name, &error))?;
        files.insert(name, text);
    }
    Ok(files)
}

/// One set out of all files, each policy under its `@id`.
fn assemble(sources: &BTreeMap<String, String>) -> Result<PolicySet, PolicyFault> {
    let mut whole = PolicySet::new();
    let mut ids = BTreeSet::new();
    for (name, text) in sources {
        let malformed =
            |error: &dyn std::fmt::Display| PolicyFault::Malformed { name: name.clone(), text: error.to_string() };
        let part: PolicySet = text.parse().map_err(|error| malformed(&error))?;
        if part.templates().next().is_some() {
            return Err(PolicyFault::Template(name.clone()));
        }
        for policy in part.policies() {
            let id = match policy.annotation("id") {
                Some(id) if !id.is_empty() => id.to_owned(),
                _ => return Err(PolicyFault::WithoutId(name.clone())),
            };
            if !ids.insert(id.clone()) {
                return Err(PolicyFault::Repeated { name: name.clone(), id });
            }
            whole.add(policy.new_id(PolicyId::new(id))).map_err(|error| malformed(&error))?;
        }
    }
    Ok(whole)
}

fn digest(sources: &BTreeMap<String, String>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let mut part = |text: &str| {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    };
    part("sealgate/organisation/v1");
    part(SCHEMA);
    for (name, text) in sources {
        part(name);
        part(text);
    }
    hasher.finalize().into()
}
