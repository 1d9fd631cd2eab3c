//! The four verdicts, and how they combine.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{AnchorReport, Difference, Missing, Waiting};

/// The answer to a question, and only these four.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is so, and final.
    Verified,
    /// It is recorded; the chain is not there yet.
    Waiting(Waiting),
    /// Something is missing that the answer needs.
    CannotCheck(Vec<Missing>),
    /// It is not so.
    NotVerified(Vec<Difference>),
}

impl Verdict {
    /// The verdict over several questions that must all be answered well: the worst, with all that it names.
    #[must_use]
    pub fn all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().fold(Self::Verified, Self::and)
    }

    /// The verdict over several ways to the same answer: one good way is enough, but none may differ.
    #[must_use]
    pub fn any(verdicts: impl IntoIterator<Item = Self>) -> Self {
        let either = |one: Self, other: Self| match (one, other) {
            (Self::NotVerified(mut one), Self::NotVerified(other)) => {
                one.extend(other);
                Self::NotVerified(one)
            }
            (Self::NotVerified(differs), _) | (_, Self::NotVerified(differs)) => Self::NotVerified(differs),
            (Self::Verified, _) | (_, Self::Verified) => Self::Verified,
            (Self::Waiting(waiting), _) | (_, Self::Waiting(waiting)) => Self::Waiting(waiting),
            (Self::CannotCheck(mut one), Self::CannotCheck(other)) => {
                one.extend(other);
                Self::CannotCheck(one)
            }
        };
        verdicts.into_iter().reduce(either).unwrap_or_else(|| Self::CannotCheck(Vec::new()))
    }

    /// The worse of two, with all that both name where they are equally bad.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::NotVerified(mut one), Self::NotVerified(more)) => {
                one.extend(more);
                Self::NotVerified(one)
            }
            (Self::NotVerified(differs), _) | (_, Self::NotVerified(differs)) => Self::NotVerified(differs),
            (Self::CannotCheck(mut one), Self::CannotCheck(more)) => {
                one.extend(more.into_iter().filter(|missing| !one.contains(missing)).collect::<Vec<_>>());
                Self::CannotCheck(one)
            }
            (Self::CannotCheck(missing), _) | (_, Self::CannotCheck(missing)) => Self::CannotCheck(missing),
            (Self::Waiting(waiting), _) | (_, Self::Waiting(waiting)) => Self::Waiting(waiting),
            (Self::Verified, Self::Verified) => Self::Verified,
        }
    }

    /// This, unless an anchor differs.
    pub(super) fn or_worse(self, anchors: &[AnchorReport]) -> Self {
        let differ = |anchor: &&AnchorReport| matches!(anchor.verdict, Self::NotVerified(_));
        self.and(Self::all(anchors.iter().filter(differ).map(|anchor| anchor.verdict.clone())))
    }

    pub(super) fn differs(difference: Difference) -> Self {
        Self::NotVerified(vec![difference])
    }

    pub(super) fn missing(missing: Missing) -> Self {
        Self::CannotCheck(vec![missing])
    }

    /// The exit code of the commands: 0 verified, 1 not verified, 2 waiting, 3 cannot check.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Verified => 0,
            Self::NotVerified(_) => 1,
            Self::Waiting(_) => 2,
            Self::CannotCheck(_) => 3,
        }
    }

    /// The word in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Waiting(_) => "waiting",
            Self::CannotCheck(_) => "cannot-check",
            Self::NotVerified(_) => "not-verified",
        }
    }

    /// What is waited for, missing or different.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Verified => Vec::new(),
            Self::Waiting(waiting) => vec![Finding::new(waiting.code(), waiting)],
            Self::CannotCheck(missing) => missing.iter().map(|missing| Finding::new(missing.code(), missing)).collect(),
            Self::NotVerified(differs) => differs.iter().map(|differs| Finding::new(differs.code(), differs)).collect(),
        }
    }
}

/// One thing that a verdict names: a stable word for programs, and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The word; see [`Difference::code`], [`Missing::code`] and [`Waiting::code`].
    pub code: &'static str,
    /// The sentence.
    pub message: String,
}

impl Finding {
    fn new(code: &'static str, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Prints as people know it: `Verified`, `Waiting for anchor`, `Cannot check`, `NOT verified`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verified => "Verified",
            Self::Waiting(_) => "Waiting for anchor",
            Self::CannotCheck(_) => "Cannot check",
            Self::NotVerified(_) => "NOT verified",
        })
    }
}

/// `{"verdict":"…"}`, with `waiting_for`, `missing` or `differs` where there is something to name.
impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("verdict", self.name())?;
        match self {
            Self::Verified => {}
            Self::Waiting(_) => map.serialize_entry("waiting_for", &self.findings())?,
            Self::CannotCheck(_) => map.serialize_entry("missing", &self.findings())?,
            Self::NotVerified(_) => map.serialize_entry("differs", &self.findings())?,
        }
        map.end()
    }
}
