//! Which search parameters pass: by a closed table for FHIR's own, by what the upstream declares for the rest.

use std::collections::{BTreeMap, BTreeSet};

use super::chain::Chain;
use super::prefer::Handling;
use super::query::{Param, SearchQuery};
use super::refusal::Refusal;
use crate::json::Value;
use crate::owner::{PatientId, is_fhir_id, owner_params};
use crate::reference::Bases;
use crate::resource_type::ResourceType;
use crate::trim::Trim;

/// The search parameters that the upstream declares, by type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownParams {
    by_type: BTreeMap<ResourceType, BTreeSet<String>>,
}

impl KnownParams {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads them from a CapabilityStatement (`rest.resource.searchParam.name`).
    pub fn from_capability_statement(statement: Value<'_>) -> Self {
        let mut known = Self::new();
        for resource in crate::owner::at_path(statement, "rest.resource") {
            let Some(rtype) = resource.str_at("type").and_then(|name| ResourceType::parse(&name).ok()) else {
                continue;
            };
            known.by_type.entry(rtype).or_default();
            for name in crate::owner::at_path(resource, "searchParam.name") {
                if let Some(name) = name.as_str() {
                    known.insert(rtype, &name);
                }
            }
        }
        known
    }

    /// Adds one.
    pub fn insert(&mut self, rtype: ResourceType, name: &str) {
        self.by_type.entry(rtype).or_default().insert(name.to_owned());
    }

    /// Whether the upstream declares it. `_id` and `_lastUpdated` are every server's.
    pub fn contains(&self, rtype: ResourceType, name: &str) -> bool {
        matches!(name, "_id" | "_lastUpdated") || self.by_type.get(&rtype).is_some_and(|names| names.contains(name))
    }

    /// The declared parameters of a type.
    pub fn of(&self, rtype: ResourceType) -> impl Iterator<Item = &str> {
        self.by_type.get(&rtype).into_iter().flatten().map(String::as_str)
    }
}

/// `_total`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// `none`
    None,
    /// `estimate`
    Estimate,
    /// `accurate`
    Accurate,
}

/// `_include` or `_revinclude`: `[source]:[param](:[target])`, or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// `:iterate`: what comes along is followed too.
    pub iterate: bool,
    /// The type that holds the reference; `None` for `*`.
    pub source: Option<ResourceType>,
    /// The parameter that is followed; `None` for all (`*`, `[source]:*`).
    pub param: Option<String>,
    /// The only type that is wanted.
    pub target: Option<ResourceType>,
}

impl Include {
    /// Reads the parameter; `None` where its value or modifier is none. `:recurse` is what `:iterate` was called before.
    pub fn of(param: &Param) -> Option<Self> {
        let iterate = match param.modifier.as_deref() {
            None => false,
            Some("iterate" | "recurse") => true,
            Some(_) => return None,
        };
        let include = Self::parse(&param.value)?;
        // `*` with everything that follows from it has no end.
        if iterate && include.source.is_none() { None } else { Some(Self { iterate, ..include }) }
    }

    /// Reads the value of the parameter; `None` where it is none.
    pub fn parse(value: &str) -> Option<Self> {
        if value == "*" {
            return Some(Self { iterate: false, source: None, param: None, target: None });
        }
        let mut parts = value.split(':');
        let source = ResourceType::parse(parts.next()?).ok()?;
        let param = parts.next()?;
        let target = parts.next().map(ResourceType::parse).transpose().ok()?;
        let plain = !param.is_empty() && param.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if parts.next().is_some() || !(plain || param == "*") {
            return None;
        }
        Some(Self { iterate: false, source: Some(source), param: (param != "*").then(|| param.to_owned()), target })
    }
}

/// A search that may be forwarded: every parameter is known and can be filtered after.
///
/// It is made by [`SearchQuery::check`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedSearch {
    rtype: ResourceType,
    forwarded: SearchQuery,
    shown: SearchQuery,
    chains: Vec<Param>,
    trim: Trim,
    dropped: Vec<String>,
    includes: Vec<Include>,
    revincludes: Vec<Include>,
    count: Option<u32>,
    total: Option<Total>,
}

impl CheckedSearch {
    /// The type searched for.
    pub fn rtype(&self) -> ResourceType {
        self.rtype
    }

    /// What is forwarded, in the client's order; `_count` and `_total` are among it, `_format` and `_pretty` are not.
    pub fn forwarded(&self) -> &SearchQuery {
        &self.forwarded
    }

    /// What the self link shows: all that was understood, `_summary` and `_elements` among it.
    pub fn shown(&self) -> &SearchQuery {
        &self.shown
    }

    /// The chained parameters and `_has`, which are not forwarded: each has to be searched by first. Only of
    /// [`SearchQuery::check_joined`].
    pub fn chains(&self) -> &[Param] {
        &self.chains
    }

    /// How much of each resource is asked for.
    pub fn trim(&self) -> &Trim {
        &self.trim
    }

    /// The keys of unknown parameters that are not forwarded: to be warned of and absent from the self link.
    pub fn dropped(&self) -> &[String] {
        &self.dropped
    }

    /// `_include`
    pub fn includes(&self) -> &[Include] {
        &self.includes
    }

    /// `_revinclude`
    pub fn revincludes(&self) -> &[Include] {
        &self.revincludes
    }

    /// `_count`; zero asks for the total alone.
    pub fn count(&self) -> Option<u32> {
        self.count
    }

    /// `_total`
    pub fn total(&self) -> Option<Total> {
        self.total
    }

    /// The one patient whose matches these are, if the parameters say so: one owner parameter (table in `owner`), one
    /// value, no modifier. Two that contradict each other name nobody.
    pub fn single_patient(&self, bases: &Bases) -> Option<PatientId> {
        let owner = owner_params(self.rtype);
        let mut named = self.forwarded.params().iter().filter_map(|param| {
            let applies = param.modifier.is_none() && owner.contains(&param.name.as_str());
            applies.then(|| patient_of(param, bases)).flatten()
        });
        let first = named.next()?;
        named.all(|next| next == first).then_some(first)
    }
}

/// The patient that one parameter names. `subject` may be of several types, so there the type must stand.
fn patient_of(param: &Param, bases: &Bases) -> Option<PatientId> {
    let relative = bases.strip(&param.value).unwrap_or(&param.value);
    match relative.strip_prefix("Patient/") {
        Some(id) if param.name != "_id" && is_fhir_id(id) => PatientId::parse(id).ok(),
        None if param.name != "subject" && is_fhir_id(&param.value) => PatientId::parse(&param.value).ok(),
        Some(_) | None => None,
    }
}

impl SearchQuery {
    /// Sorts the parameters of a type-level search into what passes, what is dropped and what refuses the search.
    ///
    /// Refused by name, matched by prefix and after decoding: chained parameters, `_has`, `_filter`, `_content`,
    /// `_text`, `_list`, `_query`, `:in`, `:not-in`, `_contained`. Unknown: dropped, or refused where `handling` is strict.
    pub fn check(
        &self,
        rtype: ResourceType,
        known: &KnownParams,
        handling: Handling,
    ) -> Result<CheckedSearch, Refusal> {
        self.check_joined(rtype, known, handling, 0)
    }

    /// The same for a caller who carries out chained parameters and `_has` himself, of at most so many steps
    /// ([`CheckedSearch::chains`]).
    pub fn check_joined(
        &self,
        rtype: ResourceType,
        known: &KnownParams,
        handling: Handling,
        steps: usize,
    ) -> Result<CheckedSearch, Refusal> {
        let mut checked = CheckedSearch {
            rtype,
            forwarded: SearchQuery::default(),
            shown: SearchQuery::default(),
            chains: Vec::new(),
            trim: Trim::of(self)?,
            dropped: Vec::new(),
            includes: Vec::new(),
            revincludes: Vec::new(),
            count: None,
            total: None,
        };
        let (mut forwarded, mut shown) = (Vec::new(), Vec::new());
        for param in self.params() {
            match checked.admit(param, known, steps)? {
                Fate::Forwarded => forwarded.push(param.clone()),
                Fate::Consumed => continue,
                Fate::Trims => {}
                Fate::Joined => checked.chains.push(param.clone()),
                Fate::Unknown if handling == Handling::Strict => return Err(Refusal::ParameterUnknown),
                Fate::Unknown => {
                    checked.dropped.push(param.key());
                    continue;
                }
            }
            shown.push(param.clone());
        }
        // R4: the narrative of what comes along is not asked for with that of the matches.
        if checked.trim == Trim::Text && !(checked.includes.is_empty() && checked.revincludes.is_empty()) {
            return Err(Refusal::ValueRefused("_summary"));
        }
        checked.forwarded = SearchQuery::from_params(forwarded);
        checked.shown = SearchQuery::from_params(shown);
        Ok(checked)
    }
}

enum Fate {
    Forwarded,
    /// Understood here and not for the upstream.
    Consumed,
    /// Done here, after each resource was decided whole.
    Trims,
    /// Searched by first.
    Joined,
    Unknown,
}

/// Parameters that reach what cannot be filtered yet, refused whatever their modifier is.
const REFUSED: &[&str] = &["_has", "_filter", "_content", "_text", "_list", "_query", "_containedType", "_graph"];

impl CheckedSearch {
    fn admit(&mut self, param: &Param, known: &KnownParams, steps: usize) -> Result<Fate, Refusal> {
        let (name, value) = (param.name.as_str(), param.value.as_str());
        if steps > 0 && Chain::is_one(param) {
            return Chain::parse(self.rtype, param, known, steps).map(|_| Fate::Joined);
        }
        if let Some(refused) = REFUSED.iter().find(|refused| **refused == name) {
            return Err(Refusal::ParameterRefused(refused));
        }
        let modifier = param.modifier.as_deref();
        if name.contains('.') || modifier.is_some_and(|modifier| modifier.contains('.')) {
            return Err(Refusal::ParameterRefused("chained parameter"));
        }
        match (name, modifier) {
            ("_format" | "_pretty", _) => Ok(Fate::Consumed),
            ("_summary" | "_contained", None) if value == "false" => Ok(Fate::Consumed),
            ("_summary" | "_elements", _) => Ok(Fate::Trims),
            ("_contained", _) => Err(Refusal::ParameterRefused("_contained")),
            ("_count", None) => {
                let digits = value.bytes().all(|b| b.is_ascii_digit());
                let count = digits.then(|| value.parse().ok()).flatten().ok_or(Refusal::ValueRefused("_count"))?;
                once(&mut self.count, count, "_count")
            }
            ("_total", None) => {
                let total = match value {
                    "none" => Total::None,
                    "estimate" => Total::Estimate,
                    "accurate" => Total::Accurate,
                    _ => return Err(Refusal::ValueRefused("_total")),
                };
                once(&mut self.total, total, "_total")
            }
            ("_sort", None) => {
                let keys = value.split(',').map(|key| key.strip_prefix('-').unwrap_or(key));
                let mut fate = Fate::Forwarded;
                for key in keys {
                    if key.contains(['.', ':']) {
                        return Err(Refusal::ParameterRefused("chained parameter"));
                    }
                    if !known.contains(self.rtype, key) {
                        fate = Fate::Unknown;
                    }
                }
                Ok(fate)
            }
            ("_include", None | Some("iterate" | "recurse")) => {
                let include = Include::of(param).ok_or(Refusal::ValueRefused("_include"))?;
                Ok(followed(include, known, &mut self.includes))
            }
            ("_revinclude", None | Some("iterate" | "recurse")) => {
                let include = Include::of(param).ok_or(Refusal::ValueRefused("_revinclude"))?;
                Ok(followed(include, known, &mut self.revincludes))
            }
            ("_count" | "_total" | "_sort" | "_include" | "_revinclude", Some(_)) => Err(Refusal::ModifierUnknown),
            (_, Some(modifier)) => {
                modifier_passes(modifier)?;
                Ok(if known.contains(self.rtype, name) { Fate::Forwarded } else { Fate::Unknown })
            }
            (_, None) => Ok(if known.contains(self.rtype, name) { Fate::Forwarded } else { Fate::Unknown }),
        }
    }
}

/// A result parameter that stands once.
fn once<T>(slot: &mut Option<T>, value: T, name: &'static str) -> Result<Fate, Refusal> {
    if slot.replace(value).is_some() { Err(Refusal::ValueRefused(name)) } else { Ok(Fate::Forwarded) }
}

/// FHIR R4, search, "Modifiers": a server refuses those that it does not support.
fn modifier_passes(modifier: &str) -> Result<(), Refusal> {
    match modifier {
        "missing" | "exact" | "contains" | "not" | "text" | "below" | "above" | "of-type" | "ofType" | "identifier" => {
            Ok(())
        }
        "in" => Err(Refusal::ParameterRefused(":in")),
        "not-in" => Err(Refusal::ParameterRefused(":not-in")),
        other if ResourceType::parse(other).is_ok() => Ok(()),
        _ => Err(Refusal::ModifierUnknown),
    }
}

/// An include of a parameter that the upstream does not declare is an unknown parameter.
fn followed(include: Include, known: &KnownParams, list: &mut Vec<Include>) -> Fate {
    let unknown = match (include.source, &include.param) {
        (Some(source), Some(param)) => !known.contains(source, param),
        (Some(_), None) | (None, _) => false,
    };
    if unknown {
        return Fate::Unknown;
    }
    list.push(include);
    Fate::Forwarded
}
