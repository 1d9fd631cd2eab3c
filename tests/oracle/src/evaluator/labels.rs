//! Security labels: confidentiality in its order, sensitivity with what is below it, and what nobody knows.

use std::collections::BTreeSet;

use serde_json::Value;

use super::resource::{clinical_codes, labelled_metas};
use super::{Code, Question, Truth, code, codings};

const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// v3-ActCode, the sensitivity policies: (code, the code above it).
const SENSITIVITIES: &[(&str, &str)] = &[
    ("ETH", ""),
    ("GDIS", ""),
    ("HIV", ""),
    ("IDS", ""),
    ("MST", ""),
    ("PREGNANT", ""),
    ("SCA", ""),
    ("SDV", ""),
    ("SEX", ""),
    ("SPI", ""),
    ("BH", "SPI"),
    ("COGN", "BH"),
    ("DVD", "BH"),
    ("EMOTDIS", "BH"),
    ("MH", "SPI"),
    ("PSY", "SPI"),
    ("PSYTHPN", "SPI"),
    ("SUD", "SPI"),
    ("ETHUD", "SUD"),
    ("OPIOIDUD", "SUD"),
    ("STD", ""),
    ("TBOO", ""),
    ("VIO", ""),
];

/// The retired codes of v3-Confidentiality that have a twin in v3-ActCode.
const RETIRED: &[&str] = &["ETH", "HIV", "PSY", "SDV"];

/// Codes of v3-ActCode that say how to handle and not what it is, as far as they are generated.
const HANDLING: &[&str] = &["NORDSCLCD", "PERSISTLABEL"];

/// What one label is.
enum Label {
    Confidentiality(usize),
    Sensitivity(Code),
    Retired(Code),
    Handling,
    Unknown,
}

fn label(stated: &Code, local: &[String]) -> Label {
    let system = stated.system.as_deref().unwrap_or_default();
    if system == CONFIDENTIALITY {
        return match ["U", "L", "M", "N", "R", "V"].iter().position(|known| *known == stated.code) {
            Some(rank) => Label::Confidentiality(rank),
            None if RETIRED.contains(&stated.code.as_str()) => Label::Retired(code(ACT_CODE, &stated.code)),
            None => Label::Unknown,
        };
    }
    let is_sensitivity = system == ACT_CODE && SENSITIVITIES.iter().any(|(known, _)| *known == stated.code);
    if is_sensitivity || local.iter().any(|known| known == system) {
        Label::Sensitivity(stated.clone())
    } else if system == ACT_CODE && HANDLING.contains(&stated.code.as_str()) {
        Label::Handling
    } else {
        Label::Unknown
    }
}

const NORMAL: usize = 3;
const RESTRICTED: usize = 4;

/// The labels of a resource as they count.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    confidentiality: Option<usize>,
    sensitivities: BTreeSet<Code>,
    retired: BTreeSet<Code>,
    unknown: bool,
}

impl Labels {
    /// `meta.security` of the resource and of all that it holds, and what the label sets add.
    pub fn of(question: &Question<'_>) -> Self {
        let settings = question.settings;
        let mut labels = Self::default();
        for meta in labelled_metas(question.resource) {
            for stated in codings(meta.get("security").unwrap_or(&Value::Null)) {
                match label(&stated, &settings.label_systems) {
                    Label::Confidentiality(rank) => labels.confidentiality = labels.confidentiality.max(Some(rank)),
                    Label::Sensitivity(sensitivity) => _ = labels.sensitivities.insert(sensitivity),
                    Label::Retired(twin) => _ = labels.retired.insert(twin),
                    Label::Handling => {}
                    Label::Unknown => labels.unknown = true,
                }
            }
        }
        if settings.unlabelled == "label" {
            for clinical in clinical_codes(question.resource) {
                for (sensitivity, system, pattern) in &question.facts.label_sets {
                    let within = match pattern.strip_suffix(".-") {
                        Some(category) => {
                            clinical.code == category || clinical.code.starts_with(&format!("{category}."))
                        }
                        None => clinical.code == *pattern,
                    };
                    if within && clinical.system.as_ref() == Some(system) {
                        labels.sensitivities.insert(code(ACT_CODE, sensitivity));
                    }
                }
            }
        }
        labels
    }

    /// Neither confidentiality nor sensitivity is stated.
    pub fn is_unlabelled(&self) -> bool {
        self.confidentiality.is_none() && self.sensitivities.is_empty()
    }

    /// An ancestor label beside its descendant is the descendant's.
    fn lowest(&self) -> Vec<&Code> {
        let has_below = |code: &&Code| self.sensitivities.iter().any(|other| other != *code && is_under(other, code));
        self.sensitivities.iter().filter(|code| !has_below(code)).collect()
    }

    /// The confidentiality that counts: any sensitivity code makes it at least R.
    fn effective(&self, sensitive: bool) -> usize {
        let stated = self.confidentiality.unwrap_or(NORMAL);
        if sensitive { stated.max(RESTRICTED) } else { stated }
    }

    /// What `basic-normal` and `all-normal` stop at.
    pub fn at_most_normal(&self) -> bool {
        !self.unknown && self.retired.is_empty() && self.effective(!self.sensitivities.is_empty()) <= NORMAL
    }

    /// `securityLabel` of a permit.
    pub fn permitted_by(&self, stated: &[Code], local: &[String], rule: &str) -> Truth {
        if self.unknown || !self.retired.is_empty() {
            return Truth::Unknown;
        }
        let effective = self.effective(!self.sensitivities.is_empty());
        let stated: Vec<Label> = stated.iter().map(|code| label(code, local)).collect();
        let mut covered = |sensitivity: &Code| {
            stated.iter().any(|label| matches!(label, Label::Sensitivity(stated) if is_under(sensitivity, stated)))
        };
        let lowest = self.lowest();
        let by_sensitivity = match rule {
            "any-label" => lowest.into_iter().any(&mut covered),
            _ => !lowest.is_empty() && lowest.into_iter().all(&mut covered),
        };
        let by_confidentiality =
            stated.iter().any(|label| matches!(label, Label::Confidentiality(rank) if *rank >= effective));
        let unknown = stated.iter().any(|label| matches!(label, Label::Unknown | Label::Retired(_) | Label::Handling));
        match (by_confidentiality || by_sensitivity, unknown) {
            (true, _) => Truth::Yes,
            (false, true) => Truth::Unknown,
            (false, false) => Truth::No,
        }
    }

    /// `securityLabel` of a deny.
    pub fn denied_by(&self, stated: &[Code], local: &[String]) -> Truth {
        if self.unknown {
            return Truth::Unknown;
        }
        let sensitivities: BTreeSet<&Code> = self.lowest().into_iter().chain(&self.retired).collect();
        let effective = self.effective(!sensitivities.is_empty());
        Truth::any(stated.iter().map(|code| match label(code, local) {
            Label::Confidentiality(rank) => Truth::of(rank <= effective),
            Label::Sensitivity(stated) | Label::Retired(stated) => {
                Truth::any(sensitivities.iter().map(|sensitivity| {
                    // One that bears the wider label may be of the kind that is denied.
                    let wider = if is_under(&stated, sensitivity) { Truth::Unknown } else { Truth::No };
                    wider.max(Truth::of(is_under(sensitivity, &stated)))
                }))
            }
            Label::Unknown | Label::Handling => Truth::Unknown,
        }))
    }
}

/// Whether a sensitivity is another one, or below it.
fn is_under(sensitivity: &Code, above: &Code) -> bool {
    if sensitivity == above {
        return true;
    }
    let ours = sensitivity.system.as_deref() == Some(ACT_CODE) && above.system.as_deref() == Some(ACT_CODE);
    let parent = SENSITIVITIES.iter().find(|(known, _)| *known == sensitivity.code).map(|(_, parent)| *parent);
    match parent {
        Some(parent) if ours && !parent.is_empty() => is_under(&code(ACT_CODE, parent), above),
        _ => false,
    }
}
