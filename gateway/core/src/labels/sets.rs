//! Label sets: which clinical codes carry which sensitivity.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::{SENSITIVITY_SYSTEM, sensitivity};
use crate::coding::Coding;

/// Value sets per sensitivity, applied to the codes of a resource at use time.
///
/// As a file: `{"version": "…", "sets": [{"sensitivity": "HIV", "system": "http://hl7.org/fhir/sid/icd-10-cm",
/// "codes": ["B20", "F11.-"]}]}`. Labelling adds to what `meta.security` says, never takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelSets {
    /// Names this edition; part of the policy digest with all the codes.
    #[serde(default)]
    pub version: String,
    /// The sets.
    #[serde(default)]
    pub sets: Vec<LabelSet>,
}

/// The codes of one system that carry one sensitivity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelSet {
    /// A sensitivity code of v3-ActCode.
    #[serde(with = "sensitivity_code")]
    sensitivity: String,
    /// The clinical code system.
    system: String,
    /// Codes, or `F11.-` for `F11` and everything below it.
    codes: BTreeSet<CodePattern>,
}

/// A set that names no sensitivity of the pinned table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a sensitivity code of v3-ActCode")]
pub struct LabelSetError(pub String);

impl LabelSet {
    /// A set of codes of `system` that carry `sensitivity`.
    pub fn new(
        sensitivity: &str,
        system: impl Into<String>,
        codes: impl IntoIterator<Item = CodePattern>,
    ) -> Result<Self, LabelSetError> {
        check(sensitivity)?;
        Ok(Self { sensitivity: sensitivity.to_owned(), system: system.into(), codes: codes.into_iter().collect() })
    }

    fn has(&self, coding: &Coding) -> bool {
        coding.system.as_deref() == Some(self.system.as_str()) && self.has_code(&coding.code)
    }

    /// The code itself, or a category that it is in: itself, or what stands before one of its dots.
    fn has_code(&self, code: &str) -> bool {
        let dots = code.match_indices('.').filter_map(|(at, _)| code.get(..at));
        let mut categories = dots.chain(std::iter::once(code));
        self.codes.contains(code) || categories.any(|category| self.codes.contains(format!("{category}.-").as_str()))
    }
}

/// The shipped sets, read once; a test holds that they can be.
static SHIPPED: LazyLock<LabelSets> =
    LazyLock::new(|| serde_json::from_str(include_str!("shipped.json")).unwrap_or_default());

impl LabelSets {
    /// The sets that come with Sealgate: ICD-10-CM, ICD-10, LOINC and RxNorm codes by sensitivity; a start that a hospital
    /// replaces by its own file.
    pub fn shipped() -> &'static Self {
        &SHIPPED
    }

    /// The code systems of the sets, one for each set.
    pub fn systems(&self) -> impl Iterator<Item = &str> {
        self.sets.iter().map(|set| set.system.as_str())
    }

    /// The sensitivities that a clinical code carries.
    pub fn sensitivities_of<'a>(&'a self, coding: &'a Coding) -> impl Iterator<Item = Coding> + 'a {
        self.sets
            .iter()
            .filter(move |set| set.has(coding))
            .map(|set| Coding::new(SENSITIVITY_SYSTEM, set.sensitivity.as_str()))
    }
}

/// A code, or with the ending `.-` a code and everything below it, as ICD-10 writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CodePattern(String);

/// A pattern that would match nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a code nor a category that ends in .-")]
pub struct NotAPattern(pub String);

impl CodePattern {
    /// Takes a code or `F11.-`.
    pub fn new(pattern: impl Into<String>) -> Result<Self, NotAPattern> {
        let pattern = pattern.into();
        let category = pattern.strip_suffix(".-").unwrap_or(&pattern);
        if category.is_empty() || category.ends_with(['-', '.']) {
            Err(NotAPattern(pattern))
        } else {
            Ok(Self(pattern))
        }
    }
}

impl Borrow<str> for CodePattern {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CodePattern {
    type Error = NotAPattern;

    fn try_from(pattern: String) -> Result<Self, NotAPattern> {
        Self::new(pattern)
    }
}

impl From<CodePattern> for String {
    fn from(pattern: CodePattern) -> Self {
        pattern.0
    }
}

fn check(sensitivity: &str) -> Result<(), LabelSetError> {
    match sensitivity::kind(sensitivity) {
        Some(sensitivity::Kind::Sensitivity) => Ok(()),
        Some(sensitivity::Kind::Handling) | None => Err(LabelSetError(sensitivity.to_owned())),
    }
}

/// Serialises the code as it is and refuses unknown ones on the way in.
mod sensitivity_code {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(code: &str, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(code)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        let code = String::deserialize(deserializer)?;
        super::check(&code).map_err(serde::de::Error::custom)?;
        Ok(code)
    }
}
