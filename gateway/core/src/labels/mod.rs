//! Security labels: how confidential a resource is and to which sensitivities it belongs.
//!
//! HL7 FHIR DS4P; the exact rules are CONSENT.md, "Exact answers". Known systems are v3-Confidentiality (V…U),
//! v3-ActCode and the operator's own; a label of anything else is unknown: it satisfies no permit that names labels and
//! every deny that names labels.

mod add;
mod sensitivity;
mod sets;

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

use crate::coding::Coding;
use crate::consent::truth::Truth;
use crate::policy::LabelRule;

pub use add::{CannotLabel, add_labels};
pub use sets::{CodePattern, LabelSet, LabelSetError, LabelSets, NotAPattern};

/// v3-Confidentiality.
pub const CONFIDENTIALITY_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
/// v3-ActCode, which has the sensitivity policies and the handling instructions.
pub const SENSITIVITY_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
/// The published version of the confidentiality order.
pub const CONFIDENTIALITY_VERSION: &str = "v3-Confidentiality|3.0.0";
/// The published version of the sensitivity hierarchy.
pub const SENSITIVITY_VERSION: &str = "v3-ActCode|9.0.0";

/// Whether labels of this system are understood without configuration.
pub(crate) fn is_built_in(system: &str) -> bool {
    [CONFIDENTIALITY_SYSTEM, SENSITIVITY_SYSTEM].contains(&system)
}

/// v3-Confidentiality, in its order: `U < L < M < N < R < V`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Confidentiality {
    /// Unrestricted.
    U,
    /// Low.
    L,
    /// Moderate.
    M,
    /// Normal.
    N,
    /// Restricted.
    R,
    /// Very restricted.
    V,
}

impl Confidentiality {
    /// Reads one of the six codes.
    pub fn parse(code: &str) -> Option<Self> {
        match code {
            "U" => Some(Self::U),
            "L" => Some(Self::L),
            "M" => Some(Self::M),
            "N" => Some(Self::N),
            "R" => Some(Self::R),
            "V" => Some(Self::V),
            _ => None,
        }
    }

    /// The code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::U => "U",
            Self::L => "L",
            Self::M => "M",
            Self::N => "N",
            Self::R => "R",
            Self::V => "V",
        }
    }
}

/// What one label says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Label {
    Confidentiality(Confidentiality),
    /// A sensitivity of v3-ActCode or of a local system.
    Sensitivity(Coding),
    /// A retired code of v3-Confidentiality, as its v3-ActCode twin: for a deny, not for a permit.
    Retired(Coding),
    /// An obligation, refrain or mark: tells how to handle, not how sensitive.
    Handling,
    Unknown,
}

fn classify(coding: &Coding, local_systems: &[String]) -> Label {
    match coding.system.as_deref() {
        Some(CONFIDENTIALITY_SYSTEM) => match Confidentiality::parse(&coding.code) {
            Some(level) => Label::Confidentiality(level),
            None => match sensitivity::retired_twin(&coding.code) {
                Some(twin) => Label::Retired(Coding::new(SENSITIVITY_SYSTEM, twin)),
                None => Label::Unknown,
            },
        },
        Some(SENSITIVITY_SYSTEM) => match sensitivity::kind(&coding.code) {
            Some(sensitivity::Kind::Sensitivity) => Label::Sensitivity(coding.clone()),
            Some(sensitivity::Kind::Handling) => Label::Handling,
            None => Label::Unknown,
        },
        Some(system) if local_systems.iter().any(|local| local == system) => Label::Sensitivity(coding.clone()),
        Some(_) | None => Label::Unknown,
    }
}

/// Whether `stated` is `code` or above it; local codes cover themselves.
fn subsumes(stated: &Coding, code: &Coding) -> bool {
    stated == code
        || (stated.system.as_deref() == Some(SENSITIVITY_SYSTEM)
            && code.system.as_deref() == Some(SENSITIVITY_SYSTEM)
            && sensitivity::is_under(&code.code, &stated.code))
}

/// The labels of a resource or of an element, as they count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    confidentiality: Option<Confidentiality>,
    sensitivities: BTreeSet<Coding>,
    /// Sensitivities that count for a deny only.
    retired: BTreeSet<Coding>,
    unknown: bool,
}

impl Labels {
    /// Reads security labels and adds what the label sets say of the codes (`None`: the sets are not used).
    pub fn read<'a>(
        security: impl IntoIterator<Item = &'a Coding>,
        local_systems: &[String],
        labelling: Option<(&LabelSets, &[Coding])>,
    ) -> Self {
        let mut labels =
            Self { confidentiality: None, sensitivities: BTreeSet::new(), retired: BTreeSet::new(), unknown: false };
        for coding in security {
            match classify(coding, local_systems) {
                // Two confidentiality codes: the higher. `None` is below every level.
                Label::Confidentiality(level) => labels.confidentiality = labels.confidentiality.max(Some(level)),
                Label::Sensitivity(code) => {
                    labels.sensitivities.insert(code);
                }
                Label::Retired(twin) => {
                    labels.retired.insert(twin);
                }
                Label::Handling => {}
                Label::Unknown => labels.unknown = true,
            }
        }
        if let Some((sets, codes)) = labelling {
            labels.sensitivities.extend(codes.iter().flat_map(|code| sets.sensitivities_of(code)));
        }
        labels.keep_most_specific();
        labels
    }

    /// The labels of an element whose inline label holds no readable code.
    pub fn unreadable() -> Self {
        Self { confidentiality: None, sensitivities: BTreeSet::new(), retired: BTreeSet::new(), unknown: true }
    }

    /// An ancestor label beside its descendant is the descendant's.
    fn keep_most_specific(&mut self) {
        let all = self.sensitivities.clone();
        self.sensitivities.retain(|code| !all.iter().any(|other| other != code && subsumes(code, other)));
    }

    /// These labels and those of the element within it: what has to be permitted for the element to be shown.
    #[must_use]
    pub fn with(&self, inner: &Self) -> Self {
        let mut both = Self {
            confidentiality: self.confidentiality.max(inner.confidentiality),
            sensitivities: self.sensitivities.union(&inner.sensitivities).cloned().collect(),
            retired: self.retired.union(&inner.retired).cloned().collect(),
            unknown: self.unknown || inner.unknown,
        };
        both.keep_most_specific();
        both
    }

    /// Whether there is neither a confidentiality nor a sensitivity.
    pub fn is_unlabelled(&self) -> bool {
        self.confidentiality.is_none() && self.sensitivities.is_empty() && self.retired.is_empty()
    }

    /// The effective confidentiality: any sensitivity makes it at least `R`; without any label it is `N`.
    pub fn confidentiality(&self) -> Confidentiality {
        let stated = self.confidentiality.unwrap_or(Confidentiality::N);
        if self.sensitivities.is_empty() && self.retired.is_empty() { stated } else { stated.max(Confidentiality::R) }
    }

    /// Whether a label is there that no table and no configured system knows.
    pub fn has_unknown(&self) -> bool {
        self.unknown
    }

    /// The labels as codings, for the record: the effective confidentiality first, then the sensitivities.
    pub fn codings(&self) -> Vec<Coding> {
        let level = Coding::new(CONFIDENTIALITY_SYSTEM, self.confidentiality().as_str());
        std::iter::once(level).chain(self.sensitivities.union(&self.retired).cloned()).collect()
    }

    /// Whether a permit that names `stated` covers these labels: the confidentiality, or all (`any-label`: one) of the
    /// sensitivities.
    pub fn permitted_by(&self, stated: &[Coding], local_systems: &[String], rule: LabelRule) -> Truth {
        if self.unknown || !self.retired.is_empty() {
            return Truth::Unknown;
        }
        let stated: Vec<Label> = stated.iter().map(|coding| classify(coding, local_systems)).collect();
        let level =
            stated.iter().any(|label| matches!(label, Label::Confidentiality(max) if self.confidentiality() <= *max));
        let named =
            |code: &Coding| stated.iter().any(|label| matches!(label, Label::Sensitivity(s) if subsumes(s, code)));
        let sensitivities = !self.sensitivities.is_empty()
            && match rule {
                LabelRule::AllLabels => self.sensitivities.iter().all(named),
                LabelRule::AnyLabel => self.sensitivities.iter().any(named),
            };
        let unclear = stated.iter().any(|label| matches!(label, Label::Unknown | Label::Retired(_) | Label::Handling));
        match (level || sensitivities, unclear) {
            (true, _) => Truth::True,
            (false, true) => Truth::Unknown,
            (false, false) => Truth::False,
        }
    }

    /// Whether a deny that names `stated` reaches these labels: the confidentiality or above, or any sensitivity.
    pub fn denied_by(&self, stated: &[Coding], local_systems: &[String]) -> Truth {
        if self.unknown {
            return Truth::Unknown;
        }
        Truth::any(stated.iter().map(|coding| match classify(coding, local_systems) {
            Label::Confidentiality(from) => Truth::from(self.confidentiality() >= from),
            Label::Sensitivity(stated) | Label::Retired(stated) => {
                Truth::any(self.sensitivities.iter().chain(self.retired.iter()).map(|code| match () {
                    () if subsumes(&stated, code) => Truth::True,
                    // A broader label than the one denied: it may be that, or another of its kinds.
                    () if subsumes(code, &stated) => Truth::Unknown,
                    () => Truth::False,
                }))
            }
            Label::Handling | Label::Unknown => Truth::Unknown,
        }))
    }

    /// Whether these are at most normal: no sensitivity, nothing unknown, `N` or below (`basic-normal`, `all-normal`).
    pub fn at_most_normal(&self) -> bool {
        !self.unknown && self.confidentiality() <= Confidentiality::N
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.codings().serialize(serializer)
    }
}

#[cfg(test)]
mod tests;
