//! What is wrong with a configuration, all of it at once.

use std::collections::BTreeMap;
use std::fmt;

/// One fault: which key, where it was written, what is wrong and how to mend it.
///
/// INVARIANT: no field ever holds a configured value, so a secret that was typed into the wrong key is not printed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The key as it is written in TOML, such as `auth.issuers[0].audience`; empty for the file as a whole.
    pub key: String,
    /// What is wrong, without the value.
    pub fault: String,
    /// What to do about it.
    pub cure: String,
    /// Where the key, or its nearest enclosing table, was written.
    pub origin: Option<Origin>,
}

/// Where a key came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A line of the file, counted from 1.
    Line(usize),
    /// An environment variable, by name.
    Environment(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.key.is_empty() { "(file)" } else { self.key.as_str() };
        write!(f, "{key}")?;
        match &self.origin {
            Some(Origin::Line(line)) => write!(f, " (line {line})")?,
            Some(Origin::Environment(name)) => write!(f, " (environment {name})")?,
            None => {}
        }
        write!(f, ": {}; {}", self.fault, self.cure)
    }
}

/// Every fault of a configuration, sorted by key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", Lines(.0))]
pub struct Problems(pub Vec<Problem>);

struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "the configuration has {count} {}", if count == 1 { "error" } else { "errors" })?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// Collects faults while a configuration is read, and knows where each key was written.
#[derive(Debug, Default)]
pub(super) struct Findings {
    origins: BTreeMap<String, Origin>,
    problems: Vec<Problem>,
}

impl Findings {
    /// Notes where `key` was written; a later note replaces an earlier one, as an override does.
    pub(super) fn written_at(&mut self, key: &str, origin: Origin) {
        self.origins.insert(key.to_owned(), origin);
    }

    /// Adds a fault of `key`.
    pub(super) fn fault(&mut self, key: &str, fault: impl Into<String>, cure: impl Into<String>) {
        let origin = self.origin(key);
        self.problems.push(Problem { key: key.to_owned(), fault: fault.into(), cure: cure.into(), origin });
    }

    /// Adds a fault that has a place of its own.
    pub(super) fn fault_at(&mut self, key: &str, origin: Origin, fault: impl Into<String>, cure: impl Into<String>) {
        self.problems.push(Problem {
            key: key.to_owned(),
            fault: fault.into(),
            cure: cure.into(),
            origin: Some(origin),
        });
    }

    /// Whether `key`, or a table that encloses it, already has a fault: then its absence is a consequence, not news.
    pub(super) fn already_faulty(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| enclosing(key).any(|outer| outer == problem.key))
    }

    /// Ends the reading: the value, if it is whole and nothing was found.
    pub(super) fn conclude<T>(mut self, value: Option<T>) -> Result<T, Problems> {
        if self.problems.is_empty() {
            if let Some(value) = value {
                return Ok(value);
            }
            // A part was dropped without a word: still refuse, never start on half a configuration.
            self.fault("", "a part could not be read", "compare the file with config.example.toml");
        }
        self.problems.sort();
        self.problems.dedup();
        Err(Problems(self.problems))
    }

    fn origin(&self, key: &str) -> Option<Origin> {
        enclosing(key).find_map(|outer| self.origins.get(outer).cloned())
    }
}

/// The key itself, then the tables around it: `a.b[0].c`, `a.b[0]`, `a.b`, `a`.
fn enclosing(key: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(key), |inner| {
        let cut = inner.rfind(['.', '['])?;
        inner.get(..cut)
    })
}
