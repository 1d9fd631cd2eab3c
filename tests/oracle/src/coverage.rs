//! Counts what the cases exercise, and says what was not exercised enough.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::case;
use crate::evaluator::matching::ELEMENTS;
use crate::evaluator::resource::{Owners, dates, owners};
use crate::evaluator::{Effect, consent, each, shape, text};

mod features;

/// How deep provisions are generated: 0 is the root.
pub const DEPTHS: usize = 5;

/// The settings and their values.
pub const SETTINGS: &[(&str, &[&str])] = &[
    ("no_consent", &["deny", "basic-normal", "all-normal", "break-glass-only"]),
    ("several_consents", &["deny-overrides", "permit-overrides", "most-recent", "most-specific", "refuse-ambiguous"]),
    ("siblings", &["deny", "most-specific"]),
    ("labels", &["all-labels", "any-label"]),
    ("unlabelled", &["label", "normal", "hide"]),
    ("untyped_root", &["deny", "permit"]),
    ("not_understood", &["deny", "ignore"]),
    ("research", &["false", "true"]),
    ("break_glass", &["consent-decides", "overrides-consent"]),
];

/// Values that give the same answers for different reasons.
const ALIKE: &[(&str, &str)] = &[("deny-overrides", "refuse-ambiguous"), ("refuse-ambiguous", "deny-overrides")];

/// One in this many cases is asked again under every other value of every setting.
const SAMPLED: u64 = 8;

/// What was counted.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// Cases.
    pub cases: u64,
    /// Permits among them.
    pub permits: u64,
    stated: BTreeMap<(&'static str, usize, Effect), u64>,
    features: BTreeMap<String, u64>,
}

impl Coverage {
    /// Counts a case and its answer.
    pub fn count(&mut self, case: &Value, answer: Effect) {
        self.cases += 1;
        self.permits += u64::from(answer == Effect::Permit);
        let settings = case::settings(case);
        let rows = case.get("consents").and_then(Value::as_object).into_iter().flatten();
        for (patient, consent) in rows.flat_map(|(patient, row)| each(row).map(move |consent| (patient, consent))) {
            let active = text(consent, "status") == Some("active");
            if !active || consent.is_string() {
                continue;
            }
            if !shape::understood(consent, patient, &settings.bases) {
                self.add("a Consent that is not understood");
            } else if let Some(root) = consent.get("provision") {
                let scope = consent::scope(consent);
                if scope == Some("patient-privacy") || scope == Some("research") && settings.research {
                    self.provision(root, None, 0);
                }
            }
        }
        for feature in features::of(case) {
            self.add(feature);
        }
        for (setting, values) in SETTINGS {
            let value = case.get("settings").and_then(|settings| settings.get(*setting)).map(as_text);
            let value = value.as_deref().or(values.first().copied()).unwrap_or_default();
            self.add(&format!("{setting} = {value}"));
            if self.cases.is_multiple_of(SAMPLED) {
                for other in values.iter().filter(|other| **other != value) {
                    if case::oracle(&with_setting(case, setting, other)) != answer {
                        self.add(&format!("{setting} = {value} decides (against {other})"));
                    }
                }
            }
        }
    }

    fn add(&mut self, feature: &str) {
        match self.features.get_mut(feature) {
            Some(count) => *count += 1,
            None => _ = self.features.insert(feature.to_owned(), 1),
        }
    }

    fn provision(&mut self, provision: &Value, above: Option<&Value>, depth: usize) {
        let effect = match (text(provision, "type"), text(provision, "type").is_none() && depth == 0) {
            (_, true) => {
                self.add("an untyped root");
                None
            }
            (Some("permit"), _) => Some(Effect::Permit),
            _ => Some(Effect::Deny),
        };
        for element in ELEMENTS {
            if provision.get(element).is_none() {
                if above.is_some_and(|above| above.get(element).is_some()) {
                    self.add("a child inherits what it does not state");
                }
                continue;
            }
            if above.is_some_and(|above| above.get(element).is_some()) {
                self.add("a child replaces what its parent states");
            }
            if let Some(effect) = effect {
                *self.stated.entry((element, depth, effect)).or_default() += 1;
            }
        }
        for child in provision.get("provision").into_iter().flat_map(each) {
            self.provision(child, Some(provision), depth + 1);
        }
    }

    /// Adds what another run counted.
    pub fn merge(&mut self, other: &Self) {
        self.cases += other.cases;
        self.permits += other.permits;
        for (key, count) in &other.stated {
            *self.stated.entry(*key).or_default() += count;
        }
        for (key, count) in &other.features {
            *self.features.entry(key.clone()).or_default() += count;
        }
    }

    /// What is missing, as sentences; empty where coverage is reached. The bounds are those of a million cases,
    /// brought down to the cases that there were.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        let share = self.permits * 100 / self.cases.max(1);
        if !(30..=70).contains(&share) {
            missing.push(format!("{share} % of the answers are permits"));
        }
        let least = (self.cases / 1_000).max(1);
        for element in ELEMENTS {
            for depth in 0..DEPTHS {
                for effect in [Effect::Permit, Effect::Deny] {
                    let count = self.stated.get(&(element, depth, effect)).copied().unwrap_or_default();
                    if count < least {
                        missing.push(format!("{element} at depth {depth} of a {effect:?}: {count} of {least}"));
                    }
                }
            }
        }
        let values =
            SETTINGS.iter().flat_map(|(key, values)| values.iter().map(move |value| format!("{key} = {value}")));
        let alternatives = SETTINGS.iter().flat_map(|(key, values)| {
            values.iter().flat_map(move |value| {
                let others = values.iter().filter(move |other| *other != value && !ALIKE.contains(&(*value, **other)));
                others.map(move |other| format!("{key} = {value} decides (against {other})"))
            })
        });
        let wanted = features::ALL.iter().map(|feature| (*feature).to_owned());
        for (wanted, least) in values
            .map(|value| (value, least))
            .chain(wanted.map(|feature| (feature, least)))
            .chain(alternatives.map(|s| (s, least / 50)))
        {
            let count = self.features.get(&wanted).copied().unwrap_or_default();
            if count < least.max(1) {
                missing.push(format!("{wanted}: {count} of {}", least.max(1)));
            }
        }
        missing
    }

    /// The tables.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{} cases, {} permits ({} %)",
            self.cases,
            self.permits,
            self.permits * 100 / self.cases.max(1)
        );
        let _ = writeln!(out, "\nstated by a provision of a Consent that counts, permit / deny, by depth");
        for element in ELEMENTS {
            let _ = write!(out, "{element:>14}");
            for depth in 0..DEPTHS {
                let count = |effect| self.stated.get(&(element, depth, effect)).copied().unwrap_or_default();
                let _ = write!(out, "  {:>7} /{:>7}", count(Effect::Permit), count(Effect::Deny));
            }
            let _ = writeln!(out);
        }
        let _ = writeln!(
            out,
            "\n(\"decides\": the other value would have changed the answer; asked of every {SAMPLED}th case)"
        );
        for (feature, count) in &self.features {
            let _ = writeln!(out, "{count:>9}  {feature}");
        }
        out
    }
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn with_setting(case: &Value, setting: &str, value: &str) -> Value {
    let mut case = case.clone();
    if let Some(settings) = case.get_mut("settings").and_then(Value::as_object_mut) {
        let value = match value {
            "true" => json!(true),
            "false" => json!(false),
            text => json!(text),
        };
        settings.insert(setting.to_owned(), value);
    }
    case
}

/// Whether the resource belongs to patients, and to how many.
fn patients(case: &Value) -> usize {
    let none = Value::Null;
    match owners(case.get("resource").unwrap_or(&none), &case::settings(case).bases) {
        Owners::Patients(patients) => patients.len(),
        Owners::Universal | Owners::Unknown => 0,
    }
}

fn is_dated(case: &Value) -> bool {
    case.get("resource").is_some_and(|resource| dates(resource).is_some())
}
