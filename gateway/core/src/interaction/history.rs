//! The parameters of a history (FHIR R4, RESTful API, "history").

use super::prefer::Handling;
use super::query::{Param, SearchQuery};
use super::refusal::Refusal;

/// A history that may be forwarded: every parameter is one of its own. It is made by [`SearchQuery::check_history`] only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedHistory {
    narrowing: SearchQuery,
    shown: SearchQuery,
    count: Option<u32>,
}

impl CheckedHistory {
    /// What is forwarded: `_since` and `_at`, in the client's order.
    pub fn narrowing(&self) -> &SearchQuery {
        &self.narrowing
    }

    /// What the self link shows: everything that was understood.
    pub fn shown(&self) -> &SearchQuery {
        &self.shown
    }

    /// `_count`; zero asks for the total alone.
    pub fn count(&self) -> Option<u32> {
        self.count
    }
}

impl SearchQuery {
    /// Sorts the parameters of a history into what passes, what is dropped and what refuses it.
    ///
    /// `_since`, `_at` and `_count` pass, each once. `_list`, `_sort`, `_elements` and `_summary` are refused by name:
    /// they reach or trim what cannot be filtered. Unknown: dropped, or refused where `handling` is strict.
    pub fn check_history(&self, handling: Handling) -> Result<CheckedHistory, Refusal> {
        let mut checked = CheckedHistory::default();
        let (mut narrowing, mut shown): (Vec<Param>, Vec<Param>) = (Vec::new(), Vec::new());
        for param in self.params() {
            let (name, value) = (param.name.as_str(), param.value.as_str());
            match (name, param.modifier.is_some()) {
                ("_format" | "_pretty", _) => {}
                ("_summary", false) if value == "false" => {}
                ("_list", _) => return Err(Refusal::ParameterRefused("_list")),
                ("_sort", _) => return Err(Refusal::ParameterRefused("_sort")),
                ("_elements", _) => return Err(Refusal::ParameterRefused("_elements")),
                ("_summary", _) => return Err(Refusal::ParameterRefused("_summary")),
                ("_since" | "_at" | "_count", true) => return Err(Refusal::ModifierUnknown),
                ("_since", false) => once(&mut narrowing, param, "_since")?,
                ("_at", false) => once(&mut narrowing, param, "_at")?,
                ("_count", false) => {
                    let digits = value.bytes().all(|b| b.is_ascii_digit());
                    let count = digits.then(|| value.parse().ok()).flatten().ok_or(Refusal::ValueRefused("_count"))?;
                    if checked.count.replace(count).is_some() {
                        return Err(Refusal::ValueRefused("_count"));
                    }
                }
                _ if handling == Handling::Strict => return Err(Refusal::ParameterUnknown),
                _ => continue,
            }
            if matches!(name, "_since" | "_at" | "_count") {
                shown.push(param.clone());
            }
        }
        checked.narrowing = SearchQuery::from_params(narrowing);
        checked.shown = SearchQuery::from_params(shown);
        Ok(checked)
    }
}

/// `_since` is an instant and `_at` a date or date with a prefix: whether it is one says the upstream; that it stands
/// once is said here.
fn once(list: &mut Vec<Param>, param: &Param, name: &'static str) -> Result<(), Refusal> {
    if list.iter().any(|other| other.name == name) {
        return Err(Refusal::ValueRefused(name));
    }
    list.push(param.clone());
    Ok(())
}
