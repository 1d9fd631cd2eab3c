//! A code in a code system, as labels, purposes, roles and clinical codes all carry it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One FHIR `Coding`, reduced to what a decision compares: `system` and `code`, both case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coding {
    /// The code system's URI; absent where the source states none (it then equals no coding that has one).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The code itself.
    pub code: String,
}

impl Coding {
    /// A coding of a named system.
    pub fn new(system: impl Into<String>, code: impl Into<String>) -> Self {
        Self { system: Some(system.into()), code: code.into() }
    }

    /// A code whose system is not stated.
    pub fn bare(code: impl Into<String>) -> Self {
        Self { system: None, code: code.into() }
    }

    /// Whether this is that code of that system.
    pub fn is(&self, system: &str, code: &str) -> bool {
        self.system.as_deref() == Some(system) && self.code == code
    }
}

/// `system|code`, the form of a FHIR token search.
impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.system {
            Some(system) => write!(f, "{system}|{}", self.code),
            None => f.write_str(&self.code),
        }
    }
}
