//! What a search looks at: by which elements it may have found a match, and which kinds of inclusion it asked for.

use gateway_core::include::{Followed, followed};
use gateway_core::interaction::{Chain, Include, KnownParams, SearchQuery};
use gateway_core::json::{Doc, Value};
use gateway_core::owner::{is_fhir_id, owner_params};
use gateway_core::reference::{Bases, Target};
use gateway_core::resource_type::ResourceType;

/// What the parameters of a search look at.
#[derive(Clone, Debug, Default)]
pub struct Looks {
    /// Names of parameters and sort keys that look at elements of a match.
    names: Vec<String>,
    /// Of a search for Provenances: the targets that it names, `None` for one that is no local reference.
    targets: Vec<Option<String>>,
    /// The elements of matches whose references come along.
    includes: Vec<Followed>,
    /// The elements of other resources by which these come along with what they refer to.
    revincludes: Vec<Followed>,
    /// The elements of what comes along itself, whose references come along too (`_include:iterate`).
    onwards: Vec<Followed>,
    /// The elements by which a resource comes along with what comes along itself (`_revinclude:iterate`).
    backwards: Vec<Followed>,
}

impl Looks {
    /// Reads them out of the query of a search of this type.
    pub fn of(query: &SearchQuery, rtype: ResourceType, known: &KnownParams, bases: &Bases) -> Self {
        let mut looks = Self::default();
        let owner = owner_params(rtype);
        for param in query.params() {
            match param.name.as_str() {
                "_include" => {
                    let include = Include::of(param);
                    looks.includes.extend(include.iter().flat_map(|include| followed(include, Some(rtype), known)));
                    let onwards = include.iter().filter(|include| include.iterate);
                    looks.onwards.extend(onwards.flat_map(|include| followed(include, None, known)));
                }
                "_revinclude" => {
                    let include = Include::of(param);
                    looks.revincludes.extend(include.iter().flat_map(|include| followed(include, None, known)));
                    let backwards = include.iter().filter(|include| include.iterate);
                    looks.backwards.extend(backwards.flat_map(|include| followed(include, None, known)));
                }
                // The search was made by what the caller sees of other resources; of a match it looks at one reference.
                "_has" => {}
                name if Chain::is_one(param) && owner.contains(&name.split('.').next().unwrap_or(name)) => {}
                "_sort" => looks.names.extend(param.value.split(',').map(|key| key.trim_start_matches('-').to_owned())),
                name @ ("target" | "patient") if rtype.as_str() == "Provenance" && param.modifier.is_none() => {
                    let typed = |value: &str| match name == "patient" && is_fhir_id(value) {
                        true => format!("Patient/{value}"),
                        false => value.to_owned(),
                    };
                    let named = param.value.split(',').map(|value| Target::parse(&typed(value), bases).normalised());
                    looks.targets.extend(named);
                }
                name if param.modifier.is_none() && owner.contains(&name) => {}
                name => looks.names.push(name.to_owned()),
            }
        }
        let not_about_elements = ["_id", "_lastUpdated", "_count", "_total", "_summary", "_elements"];
        looks.names.retain(|name| !not_about_elements.contains(&name.as_str()));
        looks
    }

    /// What comes along with this match because it refers to it, as `Type/id`.
    pub(super) fn included_by(&self, shown: Value<'_>, bases: &Bases) -> Vec<String> {
        self.includes.iter().flat_map(|element| element.referred(shown, bases)).collect()
    }

    /// The matches with which this resource comes along because it refers to them, as `Type/id`.
    pub(super) fn including(&self, resource: Value<'_>, bases: &Bases) -> Vec<String> {
        self.revincludes.iter().flat_map(|element| element.referred(resource, bases)).collect()
    }

    /// Whether what comes along may bring more along.
    pub(super) fn iterates(&self) -> bool {
        !(self.onwards.is_empty() && self.backwards.is_empty())
    }

    /// What comes along with this resource, which came along itself, because it refers to it.
    pub(super) fn brought_on_by(&self, shown: Value<'_>, bases: &Bases) -> Vec<String> {
        self.onwards.iter().flat_map(|element| element.referred(shown, bases)).collect()
    }

    /// The resources, which came along themselves, with which this one comes along because it refers to them.
    pub(super) fn bringing_back(&self, resource: Value<'_>, bases: &Bases) -> Vec<String> {
        self.backwards.iter().flat_map(|element| element.referred(resource, bases)).collect()
    }

    /// Whether a Provenance may have been found by this target; any, where the search does not name them.
    pub(super) fn for_target(&self, name: &str) -> bool {
        let mut named = self.targets.iter().flatten().peekable();
        named.peek().is_none() || named.any(|target| target == name)
    }

    /// Whether a match may have been found, or put in its place, by the element at this path (`Encounter.reasonCode`).
    ///
    /// A redacted element is not searchable by whom it is redacted for (CONSENT.md, leak table). Which elements most
    /// parameters look at is not known here, so only those that bear their element's name in every type of R4 are told
    /// apart; any other one may.
    pub(super) fn at(&self, path: &str) -> bool {
        let element = path.split('.').nth(1).unwrap_or_default();
        self.names.iter().any(|name| match name.as_str() {
            // Of some types these look into what is repeated below (FamilyMemberHistory.condition.code).
            "status" | "code" | "date" if BELOW.contains(&element) => true,
            "status" | "category" | "class" | "type" => element == name,
            "code" => element.starts_with("code") || element.starts_with("medication"),
            "date" => DATES.iter().any(|date| element.to_ascii_lowercase().contains(date)),
            _ => true,
        })
    }

    /// Whether a Provenance may have been found by another target, or a Group by another member, than those that were left
    /// in it.
    pub(super) fn at_other_parts(&self, shown: &[u8], bases: &Bases) -> bool {
        let Ok(doc) = Doc::parse(shown) else { return true };
        if doc.root().str_at("resourceType").as_deref() == Some("Group") {
            let of_the_group = ["actual", "code", "identifier", "managing-entity", "name", "type"];
            return self.names.iter().any(|name| !of_the_group.contains(&name.as_str()));
        }
        let targets = doc.root().get("target").into_iter().flat_map(|list| list.items().collect::<Vec<_>>());
        let left: Vec<Option<String>> = targets
            .map(|target| Target::parse(&target.str_at("reference").unwrap_or_default(), bases).normalised())
            .collect();
        let other = |named: &Option<String>| named.is_none() || !left.contains(named);
        self.names.iter().any(|name| matches!(name.as_str(), "target" | "patient")) || self.targets.iter().any(other)
    }
}

/// Elements of the root that hold what `status`, `code` or `date` of their type look at.
const BELOW: [&str; 5] = ["condition", "dosageInstruction", "ingredient", "reaction", "recommendation"];

/// What the names of dates have in common, in small letters.
const DATES: &[&str] = &[
    "authored",
    "created",
    "date",
    "effective",
    "issued",
    "occurrence",
    "onset",
    "performed",
    "period",
    "recorded",
    "sent",
    "start",
    "time",
    "timing",
    "when",
];
